"""Builds the nasty image with the BitBake class, by a user who is not root, in the real bb under pseudo."""

from __future__ import annotations

import platform
import shlex
import shutil
from pathlib import Path

from bitbake_harness.__main__ import assignment
from bitbake_harness.kit import Kit
from nasty_image import ANNOTATION, AUTHOR, AUTHOR_EMAIL, CONFIG, GREETING, NAME, TAG

import rootfs_fixtures
from rootfs_fixtures.nasty import YEAR_2300
from rootfs_fixtures.tree import SECOND


def build_with_class(directory: Path, algorithm: str) -> tuple[Path, Path]:
    """Leaves in `directory` what the class deploys as layout directory and as archive."""
    with Kit.make() as kit:
        kit.add_python(Path(rootfs_fixtures.__file__).parent)
        outcome = kit.build_directory(recipe(kit.python_path, algorithm), "nasty").run()
        assert outcome.succeeded, outcome.output
        layout, archive = directory / "nasty.oci", directory / "nasty.tar"
        shutil.copytree(outcome.deployed / f"nasty-{TAG}-oci", layout)
        shutil.copyfile(outcome.deployed / f"nasty-{TAG}-oci.tar", archive)
    return layout, archive


def recipe(python_path: Path, algorithm: str) -> str:
    """A recipe for the same image that `image_spec` describes."""
    newest = YEAR_2300 // SECOND
    values = {
        "IMAGE_FSTYPES": "oci",
        "IMAGE_TYPEDEP:oci": "",
        "ROOTFS_COMMAND": f"PYTHONPATH={python_path} python3 -m rootfs_fixtures nasty .",
        # Later than the newest file is: every time is kept.
        "REPRODUCIBLE_TIMESTAMP_ROOTFS": "",
        "REPRODUCIBLE_TIMESTAMP_ROOTFS:task-image-oci": str(newest),
        "OCI_IMAGE_NAME": NAME,
        "OCI_IMAGE_TAG": TAG,
        "OCI_IMAGE_ARCH": platform.machine(),
        "OCI_IMAGE_AUTHOR": AUTHOR,
        "OCI_IMAGE_AUTHOR_EMAIL": AUTHOR_EMAIL,
        "OCI_IMAGE_RUNTIME_UID": CONFIG.user or "",
        "OCI_IMAGE_WORKINGDIR": CONFIG.working_dir or "",
        "OCI_IMAGE_STOPSIGNAL": CONFIG.stop_signal or "",
        "OCI_IMAGE_ENTRYPOINT": shlex.join(CONFIG.entrypoint or ()),
        "OCI_IMAGE_CMD": shlex.join(CONFIG.cmd or ()),
        "OCI_IMAGE_PORTS": "80 5353/udp",
        "OCI_IMAGE_VOLUMES": " ".join(CONFIG.volumes or ()),
        "OCI_IMAGE_ENV_VARS": "PATH=/usr/bin:/bin",
        "OCI_IMAGE_ENV_VARS[GREETING]": GREETING,
        "OCI_IMAGE_AUTO_LABELS": "0",
        **{f"OCI_IMAGE_LABELS[{key}]": value for key, value in CONFIG.labels.items()},
        f"OCI_IMAGE_ANNOTATIONS[{ANNOTATION}]": GREETING,
        "OCI_LAYER_COMPRESSION": algorithm,
    }
    lines = ["inherit image image-oci-rs", *(assignment(name, value) for name, value in values.items())]
    return "\n".join(lines) + "\n"
