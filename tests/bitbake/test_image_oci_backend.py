"""The unchanged image-oci.bbclass of meta-virtualization uses this engine, by one line in local.conf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.datastore import task_hashes
from bitbake_harness.kit import Kit
from image_recipe import SMALL_ROOTFS, layout_json

RELEASES = ["scarthgap", "wrynose"]
ORDERS = {
    "image first": ("inherit image\ninherit image-oci\n", ""),
    "image last": ("inherit image-oci\ninherit image\n", ""),
    "IMAGE_CLASSES": ("inherit image\n", 'IMAGE_CLASSES += "image-oci"\n'),
    "INHERIT": ("inherit image\n", 'INHERIT += "image-oci"\n'),
}
ONE_LINE = 'OCI_IMAGE_BACKEND = "image-oci-rs"\n'
ENGINE = "python3-image-oci-rs-native:do_populate_sysroot"
WANTED = f'IMAGE_FSTYPES = "container oci"\nROOTFS_COMMAND = "{SMALL_ROOTFS}"\n'
MULTI = 'OCI_LAYER_MODE = "multi"\nOCI_LAYERS = "base:packages:base-files+busybox dev:directories:/dev"\n'
ON_BASE = 'OCI_BASE_IMAGE = "/srv/base"\n'

Recipe = Callable[..., BuildDirectory]


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recipe(kit: Kit) -> Recipe:
    """Makes a build directory whose recipe inherits image-oci and has the lines given."""

    def make(release: str, *lines: str, order: str = "image first", conf: str = ONE_LINE) -> BuildDirectory:
        inherit, classes = ORDERS[order]
        text = inherit + WANTED + "\n".join(lines) + "\n"
        return kit.build_directory(text, conf=kit.image_oci(release) + conf + classes)

    return make


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def depends(d: Any) -> list[str]:
    return list(d.getVarFlag("do_image_oci", "depends").split())


def process(layout: Path) -> tuple[Any, Any]:
    config = layout_json(layout)[2]["config"]
    return config.get("Entrypoint"), config.get("Cmd")


@pytest.mark.parametrize("order", ORDERS)
def test_image_has_the_defaults_of_the_release(recipe: Recipe, release: str, order: str) -> None:
    outcome = built(recipe(release, order=order))
    expected = {"scarthgap": (["sh"], None), "wrynose": (None, ["/bin/sh"])}
    assert process(outcome.deployed / "app-latest-oci") == expected[release]
    assert (outcome.deployed / "app-latest-oci.tar").exists()
    log = outcome.log("do_image_oci")
    assert "docker.io/library/app:latest: 5 entries" in log
    assert "no meaning" not in log and "OCI_IMAGE_BACKEND" not in log


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["image-oci-rs", "python3-image-oci-rs"])
def test_it_depends_on_this_engine_alone(recipe: Recipe, release: str, order: str, name: str) -> None:
    d = recipe(release, order=order, conf=f'OCI_IMAGE_BACKEND = "{name}"\n').parse()
    assert depends(d) == [ENGINE]


PACKAGE_MANAGERS = {"ipk": "opkg", "rpm": "dnf", "deb": "apt"}


@pytest.mark.parametrize("kind", PACKAGE_MANAGERS)
def test_layers_of_packages_need_no_package_manager(recipe: Recipe, kind: str) -> None:
    d = recipe("wrynose", MULTI, f'IMAGE_PKGTYPE = "{kind}"').parse()
    assert depends(d) == [ENGINE]
    assert d.getVar("IMAGE_INSTALL").split() == ["base-files", "busybox"]


def test_a_base_image_needs_nothing_but_itself(recipe: Recipe) -> None:
    words = depends(recipe("wrynose", 'OCI_BASE_IMAGE = "container-base"').parse())
    assert {word.partition(":")[0] for word in words} == {"container-base", ENGINE.partition(":")[0]}
    assert depends(recipe("wrynose", ON_BASE).parse()) == [ENGINE]


@pytest.mark.parametrize(
    "lines", ["", MULTI, 'OCI_BASE_IMAGE = "/srv/base"\n', MULTI + 'OCI_BASE_IMAGE = "/srv/base"\n']
)
@pytest.mark.parametrize("place", ["before", "after"])
def test_what_the_recipe_itself_asks_for_stays(kit: Kit, release: str, lines: str, place: str) -> None:
    own = [f"{tool}-native:do_populate_sysroot" for tool in ("jq", "rsync", "opkg", "opkg-utils")]
    asks = f'do_image_oci[depends] += "{" ".join(own)}"\n'
    inherit = {"before": asks + "inherit image image-oci\n", "after": "inherit image image-oci\n" + asks}[place]
    conf = kit.image_oci(release) + ONE_LINE
    assert sorted(depends(kit.build_directory(inherit + WANTED + lines, conf=conf).parse())) == sorted([ENGINE, *own])


def test_no_engine_but_the_installed_one(recipe: Recipe, release: str) -> None:
    assert depends(recipe(release, 'OCI_NATIVE_DEPENDS = ""').parse()) == []


@pytest.mark.parametrize("word", ["image-oci", "image-oci-rs"])
def test_the_line_and_the_word_go_together(kit: Kit, release: str, word: str) -> None:
    recipe = f"inherit image {word}\ninherit image-oci-rs\n" + WANTED
    outcome = built(kit.build_directory(recipe, conf=kit.image_oci(release) + ONE_LINE))
    assert "no meaning" not in outcome.log("do_image_oci")
    assert depends(outcome.build.parse()) == [ENGINE]


@pytest.mark.parametrize("line", ['OCI_IMAGE_BACKEND = "umoci"', 'OCI_IMAGE_BACKEND:pn-app = "umoci"'])
def test_a_recipe_that_asks_for_umoci_keeps_it(kit: Kit, release: str, line: str) -> None:
    recipe = f"{line}\ninherit image image-oci\n" + WANTED
    d = kit.build_directory(recipe, conf=kit.image_oci(release) + ONE_LINE).parse()
    assert depends(d)[0] == "umoci-native:do_populate_sysroot" and ENGINE not in depends(d)
    assert "oci_rs_build_image" not in (d.getVarFlag("do_image_oci", "prefuncs") or "")


def test_a_backend_that_is_chosen_too_late_is_told(recipe: Recipe, release: str) -> None:
    outcome = built(recipe(release, 'OCI_IMAGE_BACKEND = "umoci"'))
    assert 'OCI_IMAGE_BACKEND is "umoci", but image-oci-rs builds the image' in outcome.log("do_image_oci")
    assert depends(outcome.build.parse()) == [ENGINE]


def test_the_word_beside_the_class_of_a_required_recipe(kit: Kit, release: str) -> None:
    # As where a recipe requires one of another layer; umoci's parts are left out.
    build = kit.build_directory("inherit image image-oci\ninherit image-oci-rs\n" + WANTED, conf=kit.image_oci(release))
    assert depends(built(build).build.parse()) == [ENGINE]


def test_two_engines_for_one_image_are_refused(kit: Kit, release: str) -> None:
    conf = kit.image_oci(release) + 'INHERIT += "image-oci-rs"\n'
    d = kit.build_directory("inherit image image-oci\n" + WANTED, conf=conf).parse()
    assert d.getVar("__SKIPPED") == (
        "OCI_IMAGE_BACKEND: the recipe inherits image-oci after image-oci-rs, and both would build the image: set it to"
        " image-oci-rs in local.conf, or inherit one of the two (got 'umoci')"
    )
    built(kit.build_directory("inherit image image-oci\n" + WANTED, conf=conf + ONE_LINE))


EMPTY = [
    f'OCI_IMAGE_{name} = ""' for name in ("WORKINGDIR", "STOPSIGNAL", "RUNTIME_UID", "PORTS", "ENV_VARS", "LABELS")
]


def test_empty_variables_leave_what_the_base_image_has(kit: Kit, recipe: Recipe, release: str) -> None:
    below = {
        "WorkingDir": "/bin",
        "StopSignal": "SIGINT",
        "User": "5:6",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "Env": ["A=1"],
        "Entrypoint": ["/bin/app"],
        "Cmd": ["-v"],
    }
    lines = [
        'OCI_IMAGE_WORKINGDIR = "/bin"',
        'OCI_IMAGE_STOPSIGNAL = "SIGINT"',
        'OCI_IMAGE_RUNTIME_UID = "5:6"',
        'OCI_IMAGE_PORTS = "80"',
        'OCI_IMAGE_VOLUMES = "/data"',
        'OCI_IMAGE_ENV_VARS = "A=1"',
        'OCI_IMAGE_ENTRYPOINT = "/bin/app"',
        'OCI_IMAGE_CMD = "-v"',
        'OCI_IMAGE_AUTO_LABELS = "0"',
    ]
    base = built(kit.build_directory("inherit image image-oci-rs\n" + WANTED + "\n".join(lines) + "\n")).deployed
    empty = [*EMPTY, 'OCI_IMAGE_ENTRYPOINT = ""', 'OCI_IMAGE_CMD = ""', 'OCI_IMAGE_AUTO_LABELS = "0"']
    outcome = built(recipe(release, f'OCI_BASE_IMAGE = "{base}/app-latest-oci"', *empty))
    assert layout_json(outcome.deployed / "app-latest-oci")[2]["config"] == below


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('OCI_LAYER_CACHE = "0"', "OCI_LAYER_CACHE is set, and has no meaning for image-oci-rs"),
        ('OCI_LAYER_CACHE_DIR = "/cache"', "OCI_LAYER_CACHE_DIR is set, and has no meaning for image-oci-rs"),
        (
            'OCI_IMAGE_DEFAULTS = "wrynose"',
            "OCI_IMAGE_DEFAULTS is set, and has no meaning where image-oci is inherited",
        ),
        ('OCI_IMAGE_APP_RECIPE = "app"', None),
    ],
)
def test_what_somebody_has_set_in_vain_is_told(recipe: Recipe, line: str, told: str | None) -> None:
    log = built(recipe("wrynose", line)).log("do_image_oci")
    assert [text for text in log.splitlines() if "no meaning" in text] == (
        [] if told is None else [log_line(log, told)]
    )


def log_line(log: str, text: str) -> str:
    (line,) = [line for line in log.splitlines() if text in line]
    return line


def test_a_command_that_the_default_entrypoint_gets_is_told(recipe: Recipe, release: str) -> None:
    told = 'OCI_IMAGE_CMD is passed to the entrypoint "sh"'
    log = built(recipe(release, 'OCI_IMAGE_CMD = "/bin/app"')).log("do_image_oci")
    assert (told in log) == (release == "scarthgap")
    assert told not in built(recipe(release, 'OCI_IMAGE_CMD = "a"', 'OCI_IMAGE_ENTRYPOINT = ""')).log("do_image_oci")


def test_values_are_checked_when_the_recipe_is_parsed(recipe: Recipe, release: str) -> None:
    assert recipe(release, 'OCI_IMAGE_PORTS = "0"').parse().getVar("__SKIPPED").startswith("OCI_IMAGE_PORTS: ")


def test_other_recipes_are_left_alone(kit: Kit, release: str) -> None:
    conf = kit.image_oci(release) + ONE_LINE + 'INHERIT += "image-oci"\n'
    for text in "inherit image\n", "# no image\n":
        assert kit.build_directory(text, conf=conf).parse().getVar("__SKIPPED") is None


def test_the_class_that_is_inherited_is_in_the_signature(kit: Kit) -> None:
    # With these lines, all variables have one value in both; only what an empty one means differs.
    lines = "\n".join([*EMPTY, 'OCI_IMAGE_ENTRYPOINT = ""', 'OCI_IMAGE_CMD = ""', 'OCI_IMAGE_SUBARCH = ""']) + "\n"
    conf = kit.image_oci("wrynose") + ONE_LINE
    hashes = {
        task_hashes(kit.build_directory(f"inherit image {word}\n{WANTED}{lines}", conf=conf).parse())["do_image_oci"]
        for word in ("image-oci", "image-oci-rs")
    }
    assert len(hashes) == 2
