"""Text that people write, turned into the values of an image.

Every function returns the value in the one form in which it is stored, or raises `SpecError` with
what would be right.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from .errors import SpecError

LATEST_CREATED = 253402300799
"""The last second of the year 9999, the last one that RFC 3339 can write."""

_BLANKS = " \t\n"
_WORD_PIECE = re.compile(
    r"""
      '(?P<single>[^']*)'
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | \\(?P<escaped>.)
    | (?P<plain>[^ \t\n'"\\]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE_IN_DOUBLE_QUOTES = re.compile(r'\\([$`"\\\n])')

_SIZE_UNITS = ("", "K", "M", "G", "T")
_SIZE = re.compile(r"([0-9]{1,18})([KMGT]?)")
_PORT = re.compile(r"([0-9]{1,9})(?:/(tcp|udp|sctp))?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*(?::[0-9]+)?")
_NAME_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_LONGEST_NAME = 255

_LARGEST_ID = 2**31 - 1  # What runc, crun, docker and podman take.
_USER_OR_GROUP_NAME = re.compile(r"[^\s:,/-][^\s:,/]*")
_SIGNALS = frozenset(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT"
    " STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX".split()
)
_REAL_TIME_SIGNAL = re.compile(r"RTMIN\+([1-9]|1[0-5])|RTMAX-([1-9]|1[0-4])")
_LAST_SIGNAL = 64
_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.0+)?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)


def check_text(value: object, field: str) -> str:
    """Text that UTF-8 and a C string can both carry.

    Args:
        value: What should be text.
        field: The field's name, for the error.

    Returns:
        The value.

    Raises:
        SpecError: It is no text, holds a NUL, or holds bytes that were no UTF-8, which Python hands
            on as surrogates.
    """
    if not isinstance(value, str):
        raise SpecError(f"must be text, not {type(value).__name__}", field, value)
    if "\0" in value:
        raise SpecError("must not hold a NUL, which ends every text on its way to a program", field, value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SpecError("must be UTF-8, which is all that an image's JSON can hold", field, value) from None
    return value


def check_integer(value: object, field: str, lowest: int, highest: int) -> int:
    """A whole number between two others, which it may equal.

    Raises:
        SpecError: It is no whole number, or outside.
    """
    # bool is a subclass of int, and `true` in JSON is no number.
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise SpecError(f"must be a whole number from {lowest} to {highest}", field, value)
    return value


def parse_size(text: str, field: str = "") -> int:
    """A number of bytes.

    Args:
        text: Digits, with K, M, G or T behind them for powers of 1024.
        field: The field's name, for the error.

    Returns:
        The number.

    Raises:
        SpecError: It is of another form.
    """
    match = _SIZE.fullmatch(check_text(text, field))
    if match is None:
        raise SpecError("must be a number of bytes, or one with K, M, G or T behind it", field, text)
    return int(match[1]) << 10 * _SIZE_UNITS.index(match[2])


def split_words(text: str) -> tuple[str, ...]:
    r"""The words of a text, as a POSIX shell parts them.

    Quotes group and backslashes escape as in XCU 2.2; nothing is expanded, and `#`, `$`, `*` and
    `;` are letters. (`shlex.split` keeps the backslash of `"\$"` and the line break of a continued
    line; a shell does not.)

    Args:
        text: Any text, of several lines too.

    Returns:
        The words; a pair of quotes with nothing in it is an empty word.

    Raises:
        SpecError: A quote is not closed, or a backslash ends the text.
    """
    check_text(text, "")
    words: list[str] = []
    word: str | None = None
    position = 0
    while position < len(text):
        if text[position] in _BLANKS:
            if word is not None:
                words.append(word)
            word = None
            position += 1
            continue
        piece = _WORD_PIECE.match(text, position)
        if piece is None:
            raise SpecError(_unfinished(text[position], position), "", text)
        if piece["escaped"] != "\n":  # An escaped line break continues the line and is nothing itself.
            word = (word or "") + _piece_text(piece)
        position = piece.end()
    if word is not None:
        words.append(word)
    return tuple(words)


def _piece_text(piece: re.Match[str]) -> str:
    if piece["double"] is not None:
        return _ESCAPE_IN_DOUBLE_QUOTES.sub(lambda found: found[1].strip("\n"), piece["double"])
    return piece["single"] or piece["escaped"] or piece["plain"] or ""


def _unfinished(character: str, position: int) -> str:
    if character == "\\":
        return "a backslash at the end escapes nothing; write it twice"
    return f"unbalanced quote: the {character} at character {position + 1} is never closed"


def parse_key_value(word: str, field: str = "") -> tuple[str, str]:
    """Parts `KEY=VALUE` at the first equals sign.

    Args:
        word: The text; the value may be empty and may hold more equals signs.
        field: The field's name, for the error.

    Returns:
        Key and value.

    Raises:
        SpecError: There is no equals sign, or nothing in front of it.
    """
    key, equals, value = check_text(word, field).partition("=")
    if not key or not equals:
        raise SpecError("must be KEY=VALUE", field, word)
    return key, value


def expand_label_key(key: str) -> str:
    """Writes out the key of a label: `.title` is `org.opencontainers.image.title`.

    Source: sloci-image 0.1.2, `--label`.
    """
    return f"org.opencontainers.image{key}" if key.startswith(".") else key


def parse_port(word: str) -> str:
    """A port to expose, with its protocol.

    Args:
        word: `PORT`, `PORT/tcp`, `PORT/udp` or `PORT/sctp`.

    Returns:
        `PORT/PROTOCOL`; the protocol is tcp when none is given.

    Raises:
        SpecError: It is of another form, or the port is not 1 to 65535.

    Source: image-spec v1.1.1, config.md, ExposedPorts; sctp as docker takes it.
    """
    field = "config.exposed_ports"
    match = _PORT.fullmatch(check_text(word, field))
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise SpecError("must be PORT, PORT/tcp, PORT/udp or PORT/sctp with a PORT from 1 to 65535", field, word)
    return f"{int(match[1])}/{match[2] or 'tcp'}"


def split_tag(text: str) -> tuple[str, str | None]:
    """Parts `NAME[:TAG]` at the last colon, unless a slash follows it as in `host:port/name`.

    Returns:
        The name, and the tag or None; neither is checked.
    """
    directory, slash, last = text.rpartition("/")
    name, colon, tag = last.rpartition(":")
    return (directory + slash + name, tag) if colon else (text, None)


def parse_reference(text: str) -> tuple[str, str]:
    """Parts and checks `NAME[:TAG]`.

    Returns:
        Name and tag; the tag is `latest` when none is given.

    Raises:
        SpecError: Name or tag breaks the grammar; `field` says which.
    """
    name, tag = split_tag(check_text(text, "name"))
    return check_name(name), check_tag("latest" if tag is None else tag)


def check_name(name: str) -> str:
    """The name of a repository, with or without its registry.

    Raises:
        SpecError: It breaks the grammar of the distribution project's references.
    """
    components = check_text(name, "name").split("/")
    first = components[0]
    if len(components) > 1 and (first == "localhost" or "." in first or ":" in first):
        valid = _DOMAIN.fullmatch(first) is not None
        components = components[1:]
    else:
        valid = True
    if not valid or not all(map(_NAME_COMPONENT.fullmatch, components)) or len(name) > _LONGEST_NAME:
        raise SpecError(
            f"must be at most {_LONGEST_NAME} lower-case letters and digits, parted by '.', '_', "
            "'__' or '-', in components parted by '/', the first of which may be a registry's "
            "host[:port]",
            "name",
            name,
        )
    return name


def check_tag(tag: str) -> str:
    """The tag of an image.

    Raises:
        SpecError: It breaks the grammar of the distribution project's references.
    """
    if _TAG.fullmatch(check_text(tag, "tag")) is None:
        raise SpecError(
            "must be 1 to 128 letters, digits, '_', '.' and '-', and not begin with '.' or '-'",
            "tag",
            tag,
        )
    return tag


def check_extra_tag(text: str) -> str:
    """Another name for an image: `TAG`, of the same repository, or `NAME:TAG`.

    Raises:
        SpecError: A part of it breaks the grammar.
    """
    name, tag = split_tag(check_text(text, "extra_tags"))
    try:
        if tag is not None:
            check_name(name)
        check_tag(text if tag is None else tag)
    except SpecError as error:
        raise SpecError(f"must be TAG or NAME:TAG, but the {error.field} {error.reason}", "extra_tags", text) from None
    return text


def complete_reference(name: str, tag: str) -> str:
    """A name with registry, namespace and tag, as docker completes it: `app` is `docker.io/library/app`."""
    first, slash, path = name.partition("/")
    if not (slash and (first == "localhost" or "." in first or ":" in first)):
        first, path = "docker.io", name
    if first in ("docker.io", "index.docker.io"):
        first, path = "docker.io", path if "/" in path else f"library/{path}"
    return f"{first}/{path}:{tag}"


def check_user(user: str) -> str:
    """Who runs in the container: `uid`, `uid:gid`, `name`, `name:group` or a mixture.

    Raises:
        SpecError: It is of another form, or a number is larger than container runtimes take.

    Source: image-spec v1.1.1, config.md, User.
    """
    parts = check_text(user, "config.user").split(":")
    if len(parts) > 2 or not all(map(_is_user_or_group, parts)):
        raise SpecError(
            f"must be USER or USER:GROUP, each a name or a number from 0 to {_LARGEST_ID}",
            "config.user",
            user,
        )
    return user


def _is_user_or_group(part: str) -> bool:
    if re.fullmatch("[0-9]{1,18}", part):
        return int(part) <= _LARGEST_ID
    return _USER_OR_GROUP_NAME.fullmatch(part) is not None


def parse_stop_signal(text: str) -> str:
    """The signal that asks the container to end.

    Args:
        text: A name with or without SIG in front, or a number.

    Returns:
        The name with SIG in front as the image-spec wants it, or the number as it was.

    Raises:
        SpecError: Linux has no such signal.

    Source: image-spec v1.1.1, config.md, StopSignal.
    """
    field = "config.stop_signal"
    if re.fullmatch("[0-9]{1,18}", check_text(text, field)) and 1 <= int(text) <= _LAST_SIGNAL:
        return text
    name = text.upper()
    name = name[3:] if name.startswith("SIG") else name
    if name not in _SIGNALS and _REAL_TIME_SIGNAL.fullmatch(name) is None:
        raise SpecError(
            "must be the name of a Linux signal, for example SIGTERM or SIGRTMIN+3, or a number "
            f"from 1 to {_LAST_SIGNAL}",
            field,
            text,
        )
    return f"SIG{name}"


def check_absolute(path: str, field: str) -> str:
    """An absolute path inside the container.

    Raises:
        SpecError: It does not begin with a slash, or climbs with `..`.
    """
    if not check_text(path, field).startswith("/") or ".." in path.split("/"):
        raise SpecError("must be an absolute path without '..'", field, path)
    return path


def parse_created(text: str) -> int:
    """A moment.

    Args:
        text: RFC 3339, for example `2024-01-01T00:00:00Z`, or whole seconds since 1970 in UTC.

    Returns:
        Whole seconds since 1970.

    Raises:
        SpecError: It is neither, or before 1970, or not a whole second.
    """
    if re.fullmatch("[0-9]{1,18}", check_text(text, "created")):
        return check_created(int(text))
    match = _RFC_3339.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second = map(int, match.groups()[:6])
        offset = timedelta(hours=int(match[8] or 0), minutes=int(match[9] or 0))
        local = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        seconds = int((local - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())
        seconds += int(offset.total_seconds()) * (1 if match[7] == "-" else -1)
    except ValueError:
        raise SpecError(
            "must be a whole second as RFC 3339 writes it, for example 2024-01-01T00:00:00Z, or seconds since 1970",
            "created",
            text,
        ) from None
    return check_created(seconds)


def check_created(seconds: object) -> int:
    """Whole seconds since 1970, up to the last one that RFC 3339 can write.

    Raises:
        SpecError: It is no such number.
    """
    return check_integer(seconds, "created", 0, LATEST_CREATED)
