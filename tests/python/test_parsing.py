from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from image_oci_rs import SpecError
from image_oci_rs.parsing import (
    check_name,
    check_tag,
    check_text,
    check_user,
    expand_label_key,
    parse_created,
    parse_key_value,
    parse_port,
    parse_reference,
    parse_size,
    parse_stop_signal,
    split_tag,
    split_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n ", []),
        ("a b\tc\nd", ["a", "b", "c", "d"]),
        ("''", [""]),
        ('a "" b', ["a", "", "b"]),
        ("/bin/sh -c 'echo Hello from layered container'",
         ["/bin/sh", "-c", "echo Hello from layered container"]),
        ("/usr/bin/catatonit --", ["/usr/bin/catatonit", "--"]),
        ('GST_DEBUG="*:3"', ["GST_DEBUG=*:3"]),
        ("""'PATH="/usr/local/bin:/usr/bin"'""", ['PATH="/usr/local/bin:/usr/bin"']),
        (r'"a\"b"', ['a"b']),
        (r'"\$HOME \x"', [r"$HOME \x"]),
        (r"'\$HOME'", [r"\$HOME"]),
        (r"\$HOME a\ b \\", ["$HOME", "a b", "\\"]),
        ("$HOME * ; # a", ["$HOME", "*", ";", "#", "a"]),
        ("a\\\nb \\\n c", ["ab", "c"]),
        ('"a\\\nb\nc"', ["ab\nc"]),
        ("a'b'\"c\"d", ["abcd"]),
        ("ä=\u00a0ß", ["ä=\u00a0ß"]),
        ("a\rb", ["a\rb"]),
    ],
)  # fmt: skip
def test_words_are_those_of_a_shell(text: str, words: list[str]) -> None:
    assert split_words(text) == tuple(words)


def test_words_are_those_of_sh_for_anything() -> None:
    choose = random.Random(1)
    compared = 0
    for _ in range(400):
        text = "".join(choose.choice("ab \t'\"\\=*é") for _ in range(choose.randint(0, 12)))
        if text.endswith("\\"):
            continue  # A shell takes it for a letter there; here it is an error.
        script = 'eval "set -- $1"; printf "%s\\0" $# "$@"'
        shell = subprocess.run(["sh", "-fc", script, "sh", text], capture_output=True, check=False)
        if shell.returncode:
            with pytest.raises(SpecError, match="never closed"):
                split_words(text)
            continue
        count, *words = shell.stdout.decode().split("\0")[:-1]
        assert (len(words), split_words(text)) == (int(count), tuple(words)), text
        compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("""a 'b c""", "unbalanced quote: the ' at character 3 is never closed (got \"a 'b c\")"),
        ('a"b', "unbalanced quote: the \" at character 2 is never closed (got 'a\"b')"),
        ("a\\", "a backslash at the end escapes nothing; write it twice (got 'a\\\\')"),
        (
            "a\0",
            "must not hold a NUL, which ends every text on its way to a program (got 'a\\x00')",
        ),
    ],
)
def test_unfinished_words_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        split_words(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("word", "pair"),
    [
        ("K=V", ("K", "V")),
        ("K=", ("K", "")),
        ("K=a=b c", ("K", "a=b c")),
        ("a.b-c/d=ü\n", ("a.b-c/d", "ü\n")),
    ],
)
def test_key_and_value(word: str, pair: tuple[str, str]) -> None:
    assert parse_key_value(word) == pair


@pytest.mark.parametrize("word", ["", "K", "=V", "="])
def test_key_without_value(word: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_key_value(word, "config.labels")
    assert str(caught.value) == f"config.labels: must be KEY=VALUE (got {word!r})"
    assert (caught.value.field, caught.value.value) == ("config.labels", word)


@pytest.mark.parametrize(
    ("key", "expanded"),
    [
        (".title", "org.opencontainers.image.title"),
        ("com.example.key", "com.example.key"),
        ("", ""),
    ],
)
def test_a_dot_stands_for_the_oci_prefix(key: str, expanded: str) -> None:
    assert expand_label_key(key) == expanded


@pytest.mark.parametrize(
    ("word", "port"),
    [
        ("80", "80/tcp"),
        ("1/udp", "1/udp"),
        ("65535/sctp", "65535/sctp"),
        ("0080/tcp", "80/tcp"),
    ],
)
def test_ports(word: str, port: str) -> None:
    assert parse_port(word) == port


@pytest.mark.parametrize(
    "word",
    ["0", "70000", "65536", "80/icmp", "80/", "/tcp", "-1", "", "80 ", "80/TCP", "8000-8010", "٣",
     "9" * 5000],
)  # fmt: skip
def test_ports_outside(word: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_port(word)
    assert str(caught.value) == (
        "config.exposed_ports: must be PORT, PORT/tcp, PORT/udp or PORT/sctp with a PORT from 1 to "
        f"65535 (got {word!r})"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("app", ("app", None)),
        ("app:1.0", ("app", "1.0")),
        ("host:5000/app", ("host:5000/app", None)),
        ("host:5000/app:1", ("host:5000/app", "1")),
        ("/tmp/a:b/app", ("/tmp/a:b/app", None)),
        ("app:", ("app", "")),
        ("", ("", None)),
    ],
)
def test_the_tag_follows_the_last_colon(text: str, parts: tuple[str, str | None]) -> None:
    assert split_tag(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("app", ("app", "latest")),
        ("app:1.0", ("app", "1.0")),
        ("team/app:a_B-c.d", ("team/app", "a_B-c.d")),
        ("localhost/app", ("localhost/app", "latest")),
        ("Registry.Example:5000/a/b__c/d--e:1", ("Registry.Example:5000/a/b__c/d--e", "1")),
    ],
)
def test_references(text: str, parts: tuple[str, str]) -> None:
    assert parse_reference(text) == parts


@pytest.mark.parametrize(
    "name",
    ["", "App", "a b", "a/", "/a", "a//b", "a..b", "a___b", "-a", "a-", "_a", "host.:1x/a", "ä",
     "app@sha256", "a" * 256, "Team/app"],
)  # fmt: skip
def test_names_outside_the_grammar(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_name(name)
    assert caught.value.field == "name"
    assert "lower-case" in str(caught.value)
    assert str(caught.value).endswith(f"(got {name!r})")


@pytest.mark.parametrize("tag", ["", "-a", ".a", "a b", "a:b", "a/b", "x" * 129, "ä", "1.0\n"])
def test_tags_outside_the_grammar(tag: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_tag(tag)
    assert str(caught.value) == (
        f"tag: must be 1 to 128 letters, digits, '_', '.' and '-', and not begin with '.' or '-' (got {tag!r})"
    )


@pytest.mark.parametrize("tag", ["latest", "_", "A.b-c_9", "x" * 128])
def test_tags(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize(
    "user", ["0", "1000:1000", "www-data", "app:users", "0:users", "app:0", "2147483647", "a.b_c$"]
)
def test_users(user: str) -> None:
    assert check_user(user) == user


@pytest.mark.parametrize(
    "user", ["", ":", "a:", ":b", "a:b:c", "a b", "-1", "2147483648", "0:4294967295", "a\tb", "a/b"]
)
def test_users_outside(user: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_user(user)
    assert str(caught.value) == (
        f"config.user: must be USER or USER:GROUP, each a name or a number from 0 to 2147483647 (got {user!r})"
    )


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("SIGTERM", "SIGTERM"),
        ("TERM", "SIGTERM"),
        ("sigint", "SIGINT"),
        ("SIGRTMIN+3", "SIGRTMIN+3"),
        ("SIGRTMAX-14", "SIGRTMAX-14"),
        ("SIGRTMIN", "SIGRTMIN"),
        ("9", "9"),
        ("64", "64"),
    ],
)
def test_signals(text: str, signal: str) -> None:
    assert parse_stop_signal(text) == signal


@pytest.mark.parametrize("text", ["", "SIG", "SIGTREM", "0", "65", "SIGRTMIN+16", "SIGRTMAX-0", "x"])
def test_signals_outside(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_stop_signal(text)
    assert str(caught.value) == (
        "config.stop_signal: must be the name of a Linux signal, for example SIGTERM or "
        f"SIGRTMIN+3, or a number from 1 to 64 (got {text!r})"
    )


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00Z",
        "2024-02-29T23:59:59Z",
        "2024-01-01t01:02:03z",
        "2024-01-01 01:02:03.000+00:00",
        "2024-01-01T01:02:03+05:30",
        "2024-01-01T01:02:03-11:00",
        "9999-12-31T23:59:59Z",
    ],
)
def test_moments(text: str) -> None:
    plain = text.upper().replace("Z", "+00:00")
    expected = datetime.fromisoformat(plain).astimezone(timezone.utc).timestamp()
    assert parse_created(text) == expected


def test_moments_in_seconds() -> None:
    assert parse_created("0") == 0
    assert parse_created("1704067200") == 1704067200
    assert parse_created("253402300799") == 253402300799


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yesterday", "must be a whole second as RFC 3339 writes it"),
        ("2024-01-01", "must be a whole second as RFC 3339 writes it"),
        ("2024-01-01T00:00:00", "must be a whole second as RFC 3339 writes it"),
        ("2024-01-01T00:00:00+24:00", "must be a whole second as RFC 3339 writes it"),
        ("2024-01-01T00:00:00-01:60", "must be a whole second as RFC 3339 writes it"),
        ("2024-01-01T00:00:00.5Z", "must be a whole second as RFC 3339 writes it"),
        ("2024-02-30T00:00:00Z", "must be a whole second as RFC 3339 writes it"),
        ("", "must be a whole second as RFC 3339 writes it"),
        ("-1", "must be a whole second as RFC 3339 writes it"),
        ("1969-12-31T23:59:59Z", "must be a whole number from 0 to 253402300799"),
        ("253402300800", "must be a whole number from 0 to 253402300799"),
    ],
)
def test_moments_outside(text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_created(text)
    assert caught.value.field == "created"
    assert words in str(caught.value)


CHECKS: list[Callable[[str], object]] = [
    split_words, parse_key_value, parse_port, parse_reference, check_name, check_tag, check_user,
    parse_stop_signal, parse_created,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a=\0", "must not hold a NUL"),
        ("a=\udcff", "must be UTF-8"),
        (7, "must be text, not int"),
        (None, "must be text, not NoneType"),
        (b"a", "must be text, not bytes"),
    ],
)
def test_every_check_takes_only_text(check: Callable[[str], object], value: str, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        check(value)
    assert repr(value) in str(caught.value)


def test_text_is_returned_as_it_is() -> None:
    assert check_text("ü\n\t'\"$", "field") == "ü\n\t'\"$"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("007", 7), ("1K", 1024), ("3M", 3145728), ("4G", 4294967296), ("2T", 2199023255552)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "4g", "4GB", "4 G", "-1", "1.5G", "0x10", "\u0663", "4G\n", "1" * 19])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(SpecError, match="must be a number of bytes, or one with K, M, G or T behind it") as caught:
        parse_size(text, "cache.limit")
    assert (caught.value.field, caught.value.value) == ("cache.limit", text)
