"""What a BitBake task leaves in its directory: names, links, and what an earlier run left."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from ..spec import Archive, Output
from .datastore import Datastore, Reader
from .reference import tags_in_links

_FALSE_WORDS = ("", "0", "n", "no", "false")


@dataclass(frozen=True)
class Outputs:
    """What the task writes into IMGDEPLOYDIR.

    Attributes:
        directory: IMGDEPLOYDIR.
        base_name: IMAGE_BASENAME, with which the names of all images of the recipe start.
        image_name: IMAGE_NAME.
        link_name: The name that stays the same from build to build, of which others are made.
        archives: Which archives are wanted: oci, oci-dir.
        docker_archive: Whether the image type docker-archive of this class is wanted too.
        keeps_layout: Whether the layout stays when conversions of it are done.
        suffix: "-dbg" in the task for the root filesystem of debug files.
        name_suffix: IMAGE_NAME_SUFFIX, which image-oci.bbclass appends to IMAGE_NAME once more.
        other_link_names: More names of the kind of link_name.
        sloci_name: The start of the names that sloci-image gives archives; empty unless the recipe asks for it.
    """

    directory: Path
    base_name: str
    image_name: str
    link_name: str
    archives: tuple[str, ...]
    keeps_layout: bool
    suffix: str
    name_suffix: str = ""
    other_link_names: tuple[str, ...] = ()
    sloci_name: str = ""
    docker_archive: bool = False

    @classmethod
    def of(cls, d: Datastore, suffix: str = "") -> Outputs:
        """The outputs that the variables describe."""
        read = Reader(d)
        base_name = read.text("IMAGE_BASENAME")
        name_suffix = read.text("IMAGE_NAME_SUFFIX")
        tag, *other_tags = tags_in_links(read)
        of_sloci = f"{name_suffix}-oci-{tag}-{read.text('OCI_IMAGE_ARCH')}-linux"
        task = "do_image_debugfs_oci" if suffix else "do_image_oci"
        return cls(
            directory=Path(read.text("IMGDEPLOYDIR")),
            base_name=base_name,
            image_name=read.text("IMAGE_NAME"),
            link_name=f"{base_name}{suffix}-{tag}-oci",
            archives=wanted_archives(read.text("OCI_IMAGE_TAR_OUTPUT")),
            keeps_layout="oci" in (d.getVarFlag(task, "subimages") or "").split(),
            suffix=suffix,
            name_suffix=name_suffix,
            other_link_names=tuple(f"{base_name}{suffix}-{other}-oci" for other in other_tags),
            sloci_name=read.text("IMAGE_NAME") + of_sloci if read.text("OCI_IMAGE_BACKEND") == "sloci-image" else "",
            docker_archive=f"{'debugfs_' if suffix else ''}docker-archive" in read.text("OCI_DOCKER_ARCHIVES").split(),
        )

    @property
    def layout(self) -> str:
        """The name of the layout directory."""
        return f"{self.image_name}.oci"

    @property
    def docker_archive_file(self) -> str:
        """The name of the file of the image type docker-archive."""
        return f"{self.image_name}.docker-archive"

    @property
    def layer_lock(self) -> str:
        """The name of the lock file with what is new in it."""
        return f"{self.image_name}.oci-layers.lock"

    def spec(self) -> Output:
        """The outputs as the engine makes them."""
        # IMAGE_NAME holds the time of the build, which must not get into an archive.
        prefixes = {"oci": "", "oci-dir": self.link_name}
        archives = [
            Archive(str(self.directory / f"{self.image_name}-{kind}.tar"), prefixes[kind]) for kind in self.archives
        ]
        if self.docker_archive and "oci" not in self.archives:
            archives.append(Archive(str(self.directory / self.docker_archive_file)))
        return Output(layout=str(self.directory / self.layout), archives=tuple(archives))

    def link(self) -> None:
        """Makes the links under the names that recipes and scripts know from image-oci.bbclass."""
        for name, target in self.links().items():
            if name != target:
                (self.directory / name).unlink(missing_ok=True)
                (self.directory / name).symlink_to(target)

    def links(self) -> dict[str, str]:
        """Every link with its target, under all names that image-oci.bbclass has used since kirkstone."""
        names = [f"{self.image_name}-oci", f"{self.image_name}{self.name_suffix}-oci"]
        names += [self.link_name, *self.other_link_names]
        links = {
            f"{name.removesuffix('oci')}{kind}.tar": f"{self.image_name}-{kind}.tar"
            for name in names
            for kind in self.archives
        }
        if self.keeps_layout:
            links |= dict.fromkeys(names, self.layout)
        if self.sloci_name:
            kinds = {"oci": "oci-image", "oci-dir": "oci-dir"}
            links |= {f"{self.sloci_name}.{kinds[kind]}.tar": f"{self.image_name}-{kind}.tar" for kind in self.archives}
        return links

    def link_docker_archive(self, link_name: str) -> None:
        """Gives the archive that do_image_oci has written the name of the type docker-archive.

        Args:
            link_name: IMAGE_LINK_NAME, for an archive from a time when IMAGE_NAME was another.

        Raises:
            FileNotFoundError: There is no archive.
        """
        target = self.directory / self.docker_archive_file
        earlier = self.directory / f"{link_name}.docker-archive"
        archives = [self.directory / f"{self.link_name.removesuffix('oci')}oci.tar"] if "oci" in self.archives else []
        archive = next((path for path in (*archives, target, earlier) if path.exists()), target)
        if archive != target:
            _link_or_copy(archive.resolve(), target)
        target.stat()
        if earlier.is_symlink() and os.readlink(earlier) != target.name:
            earlier.resolve().unlink(missing_ok=True)

    def remove_stale(self) -> None:
        """Removes what an earlier or a failed run of this task left, under any IMAGE_NAME.

        Only do_rootfs empties IMGDEPLOYDIR, and everything in it is deployed.
        """
        names = "|".join(map(re.escape, (self.image_name, self.base_name, *self._earlier_names())))
        for path in sorted(self.directory.iterdir()):
            target = _target(path)
            if self._is_stale(target or path.name, names):
                if target is None and path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def _earlier_names(self) -> list[str]:
        """What IMAGE_NAME was before: there need be nothing of the recipe's name in it, but there is in the links."""
        names = []
        for path in self.directory.glob(f"{escape(self.base_name + self.suffix)}-*"):
            target = _target(path)
            if target is None or re.search("-oci(?:(?:-dir)?[.]tar)?$", path.name) is None:
                continue
            if self.suffix or not path.name.startswith(f"{self.base_name}-dbg-"):
                names.append(re.sub("(?:[.]oci|-oci(?:-dir)?[.]tar)$", "", target))
        # What has no name before its ending is nothing that this class made, and would fit everything.
        return list(filter(None, names))

    def _is_stale(self, name: str, names: str) -> bool:
        endings = r"\.oci(?:\..+)?|\.oci-layers\.lock|-oci(?:(?:-dir)?\.tar)?"
        if self.docker_archive:
            endings += r"|\.docker-archive(?:\..+)?"
        match = re.fullmatch(rf"\.?((?:{names}).*?)(?:{endings})(?:\.partial)?", name)
        if match is None:
            return False
        # Appended shell code may have made a file under a name that is a link here otherwise.
        image_name = match[1].removesuffix(self.name_suffix)
        # The other of the two tasks may be running at the same time.
        return self.image_name in (match[1], image_name) or image_name.endswith("-dbg") == bool(self.suffix)


def _link_or_copy(source: Path, target: Path) -> None:
    new = target.with_name(f".{target.name}.partial")
    new.unlink(missing_ok=True)
    try:
        os.link(source, new)
    except OSError:
        # Not every file system has hard links.
        shutil.copyfile(source, new)
    target.unlink(missing_ok=True)
    new.rename(target)


def _target(path: Path) -> str | None:
    """What a link leads to; None where there is no link.

    Or none any more: other image tasks of the recipe make theirs anew in this directory at the same time.
    """
    try:
        return os.readlink(path)
    except OSError:
        return None


def wanted_archives(text: str) -> tuple[str, ...]:
    """The archives that OCI_IMAGE_TAR_OUTPUT asks for: oci, oci-dir."""
    words = text.lower().split()
    if text.lower() in _FALSE_WORDS:
        return ()
    kinds = {"oci": "oci", "dir": "oci-dir"}
    return tuple(kinds[kind] for kind in kinds if kind in words or not kinds.keys() >= set(words))
