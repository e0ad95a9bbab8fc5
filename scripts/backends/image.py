"""An image layout: its documents as fields, its layers as files. Read with the standard library alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.entries import Entries, read

# Digests follow from the layers, which are compared file by file.
NOT_FIELDS = ("rootfs",)
# One field for each variable, label or port.
KEYED = ("Env", "Labels", "ExposedPorts", "Volumes")


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        fields: What its documents say, by the path of the field.
        layers: How many layers it has.
        entries: Its files.
    """

    fields: Mapping[str, str]
    layers: int
    entries: Entries

    @classmethod
    def of_layout(cls, layout: Path) -> Image:
        """Reads the one image of a layout directory."""

        def blob(digest: str) -> Path:
            return layout / "blobs" / digest.replace(":", "/")

        (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
        manifest = json.loads(blob(entry["digest"]).read_text())
        config = json.loads(blob(manifest["config"]["digest"]).read_text())
        fields = dict(_fields(config))
        fields |= {f"manifest.annotations.{key}": value for key, value in manifest.get("annotations", {}).items()}
        fields |= {f"index.annotations.{key}": value for key, value in entry.get("annotations", {}).items()}
        fields |= {f"index.platform.{key}": str(value) for key, value in entry.get("platform", {}).items()}
        layers = [blob(layer["digest"]) for layer in manifest["layers"]]
        return cls(fields, len(layers), read(layers))


def _fields(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a configuration; those that are empty mean the same as absent ones."""
    for name, value in config.items():
        if name == "config":
            for inner, part in value.items():
                yield from _part(f"config.{inner}", part, inner in KEYED)
        elif name == "history":
            # The time and the author of a step are those of the image.
            yield "history", ", ".join(str(step.get("created_by")) for step in value)
        elif name not in NOT_FIELDS:
            yield from _part(name, value, False)


def _part(name: str, value: Any, keyed: bool) -> Iterator[tuple[str, str]]:
    if not value:
        return
    if keyed:
        pairs = value.items() if isinstance(value, dict) else (word.partition("=")[::2] for word in value)
        yield from ((f"{name}.{key}", json.dumps(text, ensure_ascii=False)) for key, text in pairs)
    else:
        yield name, json.dumps(value, ensure_ascii=False)
