"""A container's user without rights and its directories: oci-nonroot-rs, and recipes of container-nonroot-user."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import Any

import bb
import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.datastore import task_hashes
from bitbake_harness.kit import Kit
from image_recipe import layout_json

# Of packages: users, a directory that one of them has made, and a link that leads to where another is.
ROOTFS = """
ROOTFS_COMMAND = "mkdir -p etc home usr/share/www var/volatile/log bin; echo page > usr/share/www/index.html;\\
    chmod 750 usr/share/www; ln -s volatile/log var/log; echo sh > bin/sh;\\
    echo root:x:0:0:root:/root:/bin/sh > etc/passwd; echo nobody:x:65534:65534::/:/bin/false >> etc/passwd;\\
    echo root:x:0: > etc/group; echo www-data:x:33: >> etc/group"
OCI_IMAGE_AUTO_LABELS = "0"
OCI_LAYER_PACKAGES = "none"
IMAGE_TYPEDEP:oci = ""
IMAGE_FSTYPES = "oci"
"""
OURS = "inherit image image-oci-rs oci-nonroot-rs\n" + ROOTFS


@pytest.fixture
def recipe(kit: Kit) -> Callable[..., BuildDirectory]:
    return lambda *lines: kit.build_directory(OURS + "\n".join(lines) + "\n")


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def contents(outcome: Outcome) -> tuple[dict[str, tuple[int, int, int]], dict[str, str], dict[str, Any]]:
    """Mode, owner and group of everything; the text of files; the configuration. Of layers, the last one counts."""
    layout = outcome.deployed / "app-latest-oci"
    _, manifest, config = layout_json(layout)
    owners, texts = {}, {}
    for descriptor in manifest["layers"]:
        with tarfile.open(layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                owners[name] = (member.mode, member.uid, member.gid)
                if member.isreg():
                    texts[name] = archive.extractfile(member).read().decode()  # type: ignore[union-attr]
    return owners, texts, config["config"]


def entry(text: str, name: str) -> list[str]:
    (found,) = [line.split(":") for line in text.splitlines() if line.split(":")[0] == name]
    return found


def test_user_home_and_configuration(recipe: Callable[..., BuildDirectory]) -> None:
    owners, texts, config = contents(built(recipe()))
    name, _, uid, gid, _, home, shell = entry(texts["etc/passwd"], "nonroot")
    assert (name, uid, gid, home, shell) == ("nonroot", "65532", "65532", "/home/nonroot", "/bin/sh")
    assert entry(texts["etc/group"], "nonroot")[2] == "65532"
    assert owners["home/nonroot"] == (0o700, 65532, 65532)
    assert owners["home"] == (0o755, 0, 0)
    assert config["User"] == "65532:65532"
    assert config["Env"] == ["HOME=/home/nonroot"]


LAYERS = 'OCI_LAYERS = "base:files:/etc/passwd+/etc/group app:directories:/data+/run/app pages:directories:/usr/share"'


@pytest.mark.parametrize("mode", ["single", "multi", "auto"])
def test_directories_belong_to_the_user_in_every_mode(recipe: Callable[..., BuildDirectory], mode: str) -> None:
    directories = 'OCI_NONROOT_DIRS = "/data /run/app/cache:0750 /var/log/app:2770 /usr/share/www"'
    packages = 'OCI_LAYER_PACKAGES = "manifest:${TOPDIR}/packages"'
    build = recipe(directories, LAYERS, f'OCI_LAYER_MODE = "{mode}"', packages if mode == "auto" else "")
    (build.top / "packages").write_text("")
    owners, texts, _ = contents(built(build))
    assert owners["data"] == (0o755, 65532, 65532)
    assert owners["run/app/cache"] == (0o750, 65532, 65532)
    # Parents that were missing are root's, and links lead where they do in the container.
    assert owners["run"] == owners["run/app"] == (0o755, 0, 0)
    assert owners["var/volatile/log/app"] == (0o2770, 65532, 65532)
    # An existing directory keeps its mode, and its contents keep their owner.
    assert owners["usr/share/www"] == (0o750, 65532, 65532)
    assert owners["usr/share/www/index.html"][1:] == (0, 0)
    assert entry(texts["etc/passwd"], "nonroot")


def test_every_variable_has_its_effect(recipe: Callable[..., BuildDirectory]) -> None:
    lines = (
        'OCI_NONROOT_USER = "web"',
        'OCI_NONROOT_UID = "1000"',
        'OCI_NONROOT_GROUP = "www-data"',
        'OCI_NONROOT_GID = "33"',
        'OCI_NONROOT_HOME = "/srv/web"',
        'OCI_IMAGE_ENV_VARS = "HOME=/elsewhere A=1"',
        'OCI_IMAGE_RUNTIME_UID = "web"',
        'EXTRA_USERS_PARAMS = "useradd --uid 2000 other;"',
    )
    owners, texts, config = contents(built(recipe(*lines)))
    assert entry(texts["etc/passwd"], "web")[2:6] == ["1000", "33", "", "/srv/web"]
    assert entry(texts["etc/passwd"], "other")[2] == "2000"
    assert owners["srv/web"] == (0o700, 1000, 33)
    assert config["User"] == "web"
    assert sorted(config["Env"]) == ["A=1", "HOME=/elsewhere"]


def test_group_root_is_possible(recipe: Callable[..., BuildDirectory]) -> None:
    owners, _, config = contents(built(recipe('OCI_NONROOT_GROUP = "root"', 'OCI_NONROOT_GID = "0"')))
    assert owners["home/nonroot"] == (0o700, 65532, 0)
    assert config["User"] == "65532:0"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('OCI_NONROOT_USER = "Web"', "OCI_NONROOT_USER: must be at most 32 lower-case letters"),
        ('OCI_NONROOT_USER = "a;reboot"', "OCI_NONROOT_USER: must be at most 32 lower-case letters"),
        ('OCI_NONROOT_USER = ""', "OCI_NONROOT_USER: must be at most 32 lower-case letters"),
        ('OCI_NONROOT_USER = "root"', "OCI_NONROOT_USER: must be another user than root"),
        ('OCI_NONROOT_GROUP = "1st"', "OCI_NONROOT_GROUP: must be at most 32 lower-case letters"),
        ('OCI_NONROOT_UID = "0"', "OCI_NONROOT_UID: must be a number from 1 to 2147483647 (got '0')"),
        ('OCI_NONROOT_UID = "2147483648"', "OCI_NONROOT_UID: must be a number from 1 to 2147483647"),
        ('OCI_NONROOT_UID = "many"', "OCI_NONROOT_UID: must be a whole number (got 'many')"),
        ('OCI_NONROOT_UID = ""', "OCI_NONROOT_UID: must be a number from 1"),
        ('OCI_NONROOT_GID = "0"', "OCI_NONROOT_GID: must be 0 for the group root, and only for it"),
        ('OCI_NONROOT_GROUP = "root"', "OCI_NONROOT_GID: must be 0 for the group root, and only for it"),
        ('OCI_NONROOT_HOME = "home"', "OCI_NONROOT_HOME: must be an absolute path"),
        ('OCI_NONROOT_HOME = "/"', "OCI_NONROOT_HOME: must be another directory than /"),
        ('OCI_NONROOT_HOME = "/a b"', "OCI_NONROOT_HOME: must be an absolute path"),
        ('OCI_NONROOT_DIRS = "/data run"', "OCI_NONROOT_DIRS: must be an absolute path"),
        ('OCI_NONROOT_DIRS = "/data/../etc"', "OCI_NONROOT_DIRS: must be an absolute path"),
        ('OCI_NONROOT_DIRS = "/data:rwx"', "OCI_NONROOT_DIRS: must be PATH or PATH:MODE"),
        ('OCI_NONROOT_DIRS = "/data:"', "OCI_NONROOT_DIRS: must be PATH or PATH:MODE"),
        ('OCI_NONROOT_DIRS = "\'/data"', "OCI_NONROOT_DIRS: "),
    ],
)
def test_wrong_value_is_reported_at_parse_time(recipe: Callable[..., BuildDirectory], line: str, message: str) -> None:
    assert recipe(line).parse().getVar("__SKIPPED").startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'OCI_NONROOT_UID = "65534"',
            "OCI_NONROOT_UID: nobody has this number in /etc/passwd; choose another (got 65534)",
        ),
        (
            'OCI_NONROOT_USER = "nobody"',
            "OCI_NONROOT_USER: has the number 65534 in /etc/passwd, and OCI_NONROOT_UID is 65532",
        ),
        ('OCI_NONROOT_GID = "33"', "OCI_NONROOT_GID: www-data has this number in /etc/group; choose another (got 33)"),
        ('OCI_NONROOT_DIRS = "/bin/sh/x"', "/bin/sh/x: /bin/sh is not a directory in the root filesystem"),
        (
            'python set_user_group () {\n    bb.note("none is made")\n}',
            "OCI_NONROOT_USER: /etc/passwd has no user with this name and the number 65532; EXTRA_USERS_PARAMS",
        ),
    ],
)
def test_clash_with_a_package_is_named(recipe: Callable[..., BuildDirectory], line: str, message: str) -> None:
    outcome = recipe(line).run()
    assert not outcome.succeeded
    assert f"ERROR: {message}" in outcome.output


def test_user_that_a_package_made_is_taken(recipe: Callable[..., BuildDirectory]) -> None:
    lines = ('OCI_NONROOT_USER = "nobody"', 'OCI_NONROOT_UID = "65534"', 'OCI_NONROOT_HOME = "/home/n"')
    owners, texts, _ = contents(built(recipe(*lines)))
    assert entry(texts["etc/passwd"], "nobody")[5] == "/"
    assert owners["home/n"] == (0o700, 65534, 65534)


@pytest.mark.parametrize(
    ("line", "shadow"), [("", False), ('IMAGE_INSTALL = "busybox"', False), ('IMAGE_INSTALL = "shadow busybox"', True)]
)
def test_shadow_is_installed_only_by_name(recipe: Callable[..., BuildDirectory], line: str, shadow: bool) -> None:
    packages = recipe(line).parse().getVar("PACKAGE_INSTALL").split()
    assert ("shadow" in packages) == shadow
    assert "base-passwd" in packages


class Recorder:
    """A datastore that remembers what it was asked for."""

    def __init__(self, d: Any) -> None:
        self.d = d
        self.read: set[str] = set()

    def getVar(self, name: str, expand: bool = True) -> Any:
        self.read.add(name)
        return self.d.getVar(name, expand)

    def getVarFlag(self, name: str, flag: str) -> Any:
        return self.d.getVarFlag(name, flag)

    def getVarFlags(self, name: str) -> Any:
        return self.d.getVarFlags(name)


def test_what_the_library_reads_is_declared(recipe: Callable[..., BuildDirectory], tmp_path: Any) -> None:
    from image_oci_rs.bitbake import nonroot

    d = recipe('OCI_NONROOT_DIRS = "/data"').parse()
    d.setVar("IMAGE_ROOTFS", str(tmp_path))
    recorder = Recorder(d)
    with pytest.raises(bb.BBHandledException):
        nonroot.make_directories(recorder)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("nonroot:x:65532:65532::/:/bin/sh\n")
    nonroot.make_directories(recorder)
    nonroot.check_accounts(recorder)
    declared = set(d.getVarFlag("oci_nonroot_rs_make_directories", "vardeps").split())
    # Where the root filesystem is makes no difference.
    assert declared == recorder.read - {"IMAGE_ROOTFS"}


@pytest.mark.parametrize("line", ['OCI_NONROOT_DIRS = "/x"', 'OCI_NONROOT_UID = "7"', 'OCI_NONROOT_HOME = "/h"'])
def test_variables_change_the_signature(recipe: Callable[..., BuildDirectory], line: str) -> None:
    hashes = []
    for lines in ((), (line,)):
        d = recipe(*lines).parse()
        # As image.bbclass declares it.
        d.setVarFlag("do_rootfs", "vardeps", d.getVar("ROOTFS_POSTPROCESS_COMMAND"))
        hashes.append(task_hashes(d)["do_rootfs"])
    assert hashes[0] != hashes[1]


#
# Recipes that inherit container-nonroot-user.bbclass. ../meta has a stand-in, whose functions fail.
#
ORDERS = [
    "inherit image\ninherit image-oci-rs\ninherit container-nonroot-user\n",
    "inherit container-nonroot-user\ninherit image\ninherit image-oci-rs\n",
    "inherit image image-oci-rs\nIMAGE_CLASSES += 'container-nonroot-user'\n",
]
THEIRS = ROOTFS + 'NONROOT_OWNED_DIRS = " /run/nginx /var/log/nginx usr/share/www "\n'


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", ["single", "multi"])
def test_container_nonroot_user_works(kit: Kit, order: str, mode: str) -> None:
    layers = 'OCI_LAYERS = "base:files:/etc/passwd+/etc/group dirs:directories:/run/nginx"\n'
    outcome = built(kit.build_directory(order + THEIRS + layers + f'OCI_LAYER_MODE = "{mode}"\n'))
    owners, texts, config = contents(outcome)
    assert entry(texts["etc/passwd"], "nonroot")[2:4] == ["65532", "65532"]
    assert entry(texts["etc/group"], "nonroot")[2] == "65532"
    assert owners["home/nonroot"] == (0o700, 65532, 65532)
    for name in "run/nginx", "var/volatile/log/nginx", "usr/share/www":
        assert owners[name] == (0o755, 65532, 65532), name
    assert owners["home"] == owners["run"] == (0o755, 0, 0)
    assert (config["User"], config["Env"]) == ("65532", ["HOME=/home/nonroot"])
    assert not [event for event in outcome.events if event.get("level") == "WARNING"]
    log = outcome.log("do_rootfs")
    assert "container-nonroot-user: image-oci-rs makes the directories here" in log
    assert "container-nonroot-user: /run/nginx belongs to nonroot (65532:65532)" in log


def test_its_variables_keep_their_meaning(kit: Kit) -> None:
    lines = 'NONROOT_USER = "nginx"\nNONROOT_UID = "101"\nNONROOT_GID = "102"\nOCI_IMAGE_RUNTIME_UID = "0"\n'
    owners, texts, config = contents(built(kit.build_directory(ORDERS[0] + THEIRS + lines)))
    assert entry(texts["etc/passwd"], "nginx")[2:4] == ["101", "102"]
    assert owners["home/nginx"] == (0o700, 101, 102)
    assert owners["run/nginx"] == (0o755, 101, 102)
    assert (config["User"], config["Env"]) == ("0", ["HOME=/home/nginx"])


def test_user_that_is_missing_is_a_warning(kit: Kit) -> None:
    outcome = built(kit.build_directory(ORDERS[0] + THEIRS + 'EXTRA_USERS_PARAMS = ""\n'))
    (warning,) = [event["message"] for event in outcome.events if event.get("level") == "WARNING"]
    assert "/etc/passwd has no user nonroot with the number 65532" in warning


@pytest.mark.parametrize(
    ("lines", "shadow"),
    [
        ('OCI_LAYER_MODE = "multi"', False),
        ('OCI_LAYER_MODE = "multi"\nOCI_LAYERS = "a:packages:busybox+shadow"', True),
        ("", True),
    ],
)
def test_shadow_is_in_no_layer_that_had_none(kit: Kit, lines: str, shadow: bool) -> None:
    d = kit.build_directory(ORDERS[0] + ROOTFS + lines + "\n").parse()
    assert ("shadow" in d.getVar("PACKAGE_INSTALL").split()) == shadow


def test_functions_of_others_stay_in_the_task(kit: Kit) -> None:
    own = 'do_image_oci[prefuncs] =+ "mine "\ndo_image_oci[postfuncs] += "mine"\npython mine () {\n    pass\n}\n'
    d = kit.build_directory(ORDERS[0] + ROOTFS + own).parse()
    prefuncs, postfuncs = (d.getVarFlag("do_image_oci", flag).split() for flag in ("prefuncs", "postfuncs"))
    assert "mine" in prefuncs and "mine" in postfuncs and "oci_rs_build_image" in prefuncs
    assert not {"oci_nonroot_inject_user", "fix_oci_home_perms"} & {*prefuncs, *postfuncs}
