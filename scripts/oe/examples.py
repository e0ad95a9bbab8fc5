"""The recipes in recipes-examples, built: what is in their images."""

from __future__ import annotations

from typing import Any

from oe.checks import document, documents, entries, image_digest, validate
from oe.release import Release, fail

NAMES = ("oci-example-minimal", "oci-example-nonroot", "oci-example-app", "oci-example-layers")
INDEX = "oci-example-index"
# Its base image comes from a recipe that is no image recipe.
ON_NO_IMAGE = "on-no-image"
# Of each layer the files that tell it from the others; of the configuration what the recipe is about.
LAYERS = {
    "oci-example-minimal": [{"bin/busybox", "dev/null", "etc/passwd", "etc/resolv.conf", "var/volatile/tmp"}],
    "oci-example-nonroot": [{"bin/busybox", "home/nonroot", "data", "run/app"}],
    "oci-example-app": [{"bin/busybox", "dev/null", "etc/resolv.conf"}, {"usr/sbin/lighttpd", "www/pages/index.html"}],
    "oci-example-layers": [
        {"bin/busybox", "dev/null"},
        {"usr/sbin/lighttpd", "usr/lib/lighttpd/mod_accesslog.so"},
        {"www/pages/index.html"},
    ],
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "oci-example-minimal": {"Cmd": ["/bin/sh"]},
    "oci-example-nonroot": {"User": "65532:65532", "WorkingDir": "/data", "Env": ["HOME=/home/nonroot"]},
    "oci-example-app": {
        "Entrypoint": ["/usr/sbin/lighttpd", "-D"],
        "Cmd": ["-f", "/etc/lighttpd/lighttpd.conf"],
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/www/pages": {}},
        "StopSignal": "SIGINT",
    },
    "oci-example-layers": {"Entrypoint": ["/usr/sbin/lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf"]},
}
# Owners that a build without pseudo's knowledge would lose.
OWNERS = {
    b"home/nonroot": (65532, 65532),
    b"data": (65532, 65532),
    b"run/app": (65532, 65532),
    b"bin/busybox": (0, 0),
    b"var/volatile/tmp": (0, 0),
}
MODES = {b"home/nonroot": 0o700, b"data": 0o755, b"run/app": 0o750, b"var/volatile/tmp": 0o1777}


def check(release: Release, name: str) -> str:
    """Compares an image with what its recipe says."""
    digest = validate(release, name)
    manifest, config = documents(release, name)
    layers = [entries(release, name, layer) for layer in manifest["layers"]]
    for number, files in enumerate(LAYERS[name]):
        for file in files:
            inside = [index for index, layer in enumerate(layers) if file.encode() in layer]
            if inside != [number]:
                fail(f"{name}: {file} is in the layers {inside}, not in {number} alone")
    for key, value in CONFIGURATIONS[name].items():
        if config["config"].get(key) != value:
            fail(f"{name}: {key} is {config['config'].get(key)}, not {value}")
    for layer in layers:
        for path, record in layer.items():
            if (record.uid, record.gid) != OWNERS.get(path, (record.uid, record.gid)):
                fail(f"{name}: {path!r} belongs to {record.uid}:{record.gid}")
            if record.mode != MODES.get(path, record.mode):
                fail(f"{name}: {path!r} has the mode {record.mode:o}")
    if name == "oci-example-app" and manifest["layers"][:1] != documents(release, "oci-example-minimal")[0]["layers"]:
        fail(f"{name} is not built upon the layer of oci-example-minimal")
    return f"{digest}, layers: {len(layers)}"


def check_base(release: Release) -> str:
    """Compares the layers of an image with those of the base image that another kind of recipe has deployed."""
    digest = validate(release, ON_NO_IMAGE)
    layers = documents(release, ON_NO_IMAGE)[0]["layers"]
    if len(layers) != 2 or layers[:1] != documents(release, NAMES[0])[0]["layers"]:
        fail(f"{ON_NO_IMAGE} is not built upon the layer of {NAMES[0]}")
    return f"{digest}, layers: {len(layers)}"


def check_index(release: Release) -> str:
    """Compares the index of two machines with the images that it is made of."""
    digest = validate(release, INDEX)
    found = {
        entry["platform"]["architecture"]: entry["digest"] for entry in document(release, INDEX, digest)["manifests"]
    }
    arm = release.of_multiconfig("arm", "qemuarm64")
    wanted = {"amd64": image_digest(release, NAMES[0]), "arm64": image_digest(arm, NAMES[0])}
    if found != wanted:
        fail(f"{INDEX} has {found}, not {wanted}")
    return f"{digest}, of {' and '.join(found)}"
