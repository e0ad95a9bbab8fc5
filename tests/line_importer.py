"""An importer that reads an image's JSON as shell scripts without a JSON parser do: line by line, with patterns.

It shows whether such importers find in an image what a JSON parser finds. Source of the patterns: `is_oci_image_index`,
`select_platform_manifest`, `check_oci_arch`, `vxn_image_cache_store` and `vxn load` in meta-virtualization's
vcontainer-common.sh, and the first two in its vrunner.sh.
"""

from __future__ import annotations

import re
from pathlib import Path

_QUOTED_DIGEST = re.compile(r'"sha256:([0-9a-f]+)"')
_DIGEST = re.compile(r'"digest"\s*:\s*"sha256:([0-9a-f]+)"')
_ARCHITECTURE = re.compile(r'"architecture"\s*:\s*"([^"]*)"')
_CONFIG = re.compile(r'"config"\s*:\s*\{[^}]*"digest"\s*:\s*"sha256:([0-9a-f]+)"')
_REPO_TAGS = re.compile(r'"RepoTags":\[([^]]*)\]')


def platform_index(layout: Path) -> Path | None:
    """The file that lists images by platform, if the importer finds one: index.json, or the index that it leads to."""
    top = layout / "index.json"
    if '"platform"' in top.read_text():
        return top
    if "image.index" not in top.read_text():
        return None
    nested = layout / "blobs/sha256" / manifest_digest(layout)
    return nested if '"platform"' in nested.read_text() else None


def digest_for(index: Path, architecture: str) -> str | None:
    """The digest that stands before the architecture, within the braces of one entry."""
    digest, in_manifests = None, False
    for line in index.read_text().splitlines():
        if '"manifests"' in line:
            # Whatever else is in this line is skipped.
            in_manifests = True
            continue
        if not in_manifests:
            continue
        found = _QUOTED_DIGEST.search(line) if '"digest"' in line else None
        digest = found[1] if found else digest
        named = _ARCHITECTURE.search(line)
        if named and named[1] == architecture:
            return digest
        if line.lstrip().startswith("}"):
            digest = None
    return None


def manifest_digest(layout: Path) -> str:
    """The first digest in index.json."""
    found = _QUOTED_DIGEST.search((layout / "index.json").read_text())
    assert found is not None, "index.json has no digest"
    return found[1]


def architecture(layout: Path, manifest: str) -> str:
    """The architecture in the configuration that a manifest names, each in one line of text."""
    (config,) = (found[1] for line in _lines(layout, manifest) for found in _CONFIG.finditer(line))
    return next(found[1] for line in _lines(layout, config) for found in _ARCHITECTURE.finditer(line))


def digests_of(layout: Path, manifest: str) -> set[str]:
    """The digests of all blobs that a manifest names."""
    return {found[1] for line in _lines(layout, manifest) for found in _DIGEST.finditer(line)}


def first_repo_tag(manifest_json: str) -> str:
    """The name under which the importer loads an archive."""
    (tags,) = (found[1] for line in manifest_json.splitlines() for found in _REPO_TAGS.finditer(line))
    return tags.split('"')[1]


def _lines(layout: Path, digest: str) -> list[str]:
    return (layout / "blobs/sha256" / digest).read_text().splitlines()
