"""What can go wrong: one tree of exceptions under `ImageError`.

The classes are defined here and raised from both languages: the compiled core calls `from_core`.
"""

from __future__ import annotations

import errno as errno_codes
from collections.abc import Mapping


class ImageError(Exception):
    """The base of every exception of this package; `str()` of one is a sentence without advice."""


class SpecError(ImageError, ValueError):
    """A value of a build's description is wrong.

    Attributes:
        reason: What would be right.
        field: The field as the JSON of `ImageSpec` calls it, for example `config.exposed_ports`;
            empty where the text belongs to no field.
        value: The wrong value.
    """

    def __init__(self, reason: str, field: str = "", value: object = None) -> None:
        """Makes the error out of its parts."""
        super().__init__(reason, field, value)
        self.reason = reason
        self.field = field
        self.value = value

    def __str__(self) -> str:
        """The sentence: field, reason, wrong value."""
        return f"{self.field}: {self.detail}" if self.field else self.detail

    @property
    def detail(self) -> str:
        """The sentence without the field, for those who know an option or a variable to name."""
        return f"{self.reason} (got {self.value!r})"


class RootfsError(ImageError):
    """The root filesystem, or the archive that holds it, can't be packed.

    Attributes:
        path: The file, directory or archive member.
    """

    def __init__(self, message: str, path: str) -> None:
        """Makes the error out of the whole sentence and the path it is about."""
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        """The sentence."""
        return str(self.args[0])


class PackagesError(ImageError):
    """What tells which package owns which path can't be understood.

    Attributes:
        path: The file: in the root filesystem or, for pkgdata and manifests, of this machine.
    """

    def __init__(self, message: str, path: str) -> None:
        """Makes the error out of the whole sentence and the path it is about."""
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        """The sentence."""
        return str(self.args[0])


class LayoutError(ImageError):
    """An image that was to be read is broken.

    Attributes:
        path: The layout directory or archive.
    """

    def __init__(self, message: str, path: str) -> None:
        """Makes the error out of the whole sentence and the path it is about."""
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        """The sentence."""
        return str(self.args[0])


class InternalError(ImageError):
    """A defect of this package: a panic of the compiled core, caught before it reached Python."""


class VersionError(ImageError):
    """The Python package and its compiled core have different versions."""


class ImageOSError(ImageError, OSError):
    """The operating system refused something.

    Carries `errno`, `strerror` and `filename` like any OSError.

    Attributes:
        operation: What was tried: a verb that reads well after "can't".
    """

    def __init__(self, errno: int, strerror: str, filename: str, operation: str = "access") -> None:
        """Makes the error; use `os_error` for the subclass that belongs to `errno`."""
        super().__init__(errno, strerror, filename)
        self.operation = operation

    def __str__(self) -> str:
        """The sentence: operation, file, the system's answer."""
        return f"can't {self.operation} {self.filename!r}: {self.strerror}"


class ImageFileNotFoundError(ImageOSError, FileNotFoundError):
    """A file or directory does not exist."""


class ImagePermissionError(ImageOSError, PermissionError):
    """Something is not allowed."""


class ImageFileExistsError(ImageOSError, FileExistsError):
    """A file or directory exists already."""


class ImageNotADirectoryError(ImageOSError, NotADirectoryError):
    """A directory was expected."""


class ImageIsADirectoryError(ImageOSError, IsADirectoryError):
    """A file was expected."""


class ImageTimeoutError(ImageOSError, TimeoutError):
    """A file system behind a network did not answer in time."""


class OutputExistsError(ImageOSError, FileExistsError):
    """An output's name is taken, and replacing it was not asked for, or would lose what is no image.

    Attributes:
        replaceable: Whether it would be replaced if that was asked for: a file, a layout or an empty
            directory is.
    """

    def __init__(self, filename: str, replaceable: bool = True) -> None:
        """Makes the error about the output `filename`."""
        reason = "exists already" if replaceable else "is a directory that holds other things than an image layout"
        super().__init__(errno_codes.EEXIST, f"output {reason}", filename, "write")
        self._reason = reason
        self.replaceable = replaceable

    def __reduce__(self) -> tuple[type[OutputExistsError], tuple[str, bool]]:
        """How to copy it: OSError would hand its own three arguments to the class."""
        return type(self), (str(self.filename), self.replaceable)

    def __str__(self) -> str:
        """The sentence."""
        return f"output {self.filename!r} {self._reason}"


_SUBCLASSES: Mapping[type[OSError], type[ImageOSError]] = {
    FileNotFoundError: ImageFileNotFoundError,
    PermissionError: ImagePermissionError,
    FileExistsError: ImageFileExistsError,
    NotADirectoryError: ImageNotADirectoryError,
    IsADirectoryError: ImageIsADirectoryError,
    TimeoutError: ImageTimeoutError,
}


def os_error(errno: int, strerror: str, filename: str, operation: str) -> ImageOSError:
    """An operating-system error of the class that Python itself would choose for `errno`.

    Args:
        errno: The system's error number.
        strerror: Its text.
        filename: The file or directory it is about.
        operation: What was tried: a verb that reads well after "can't".

    Returns:
        An `ImageOSError` that is also, for example, a FileNotFoundError.
    """
    # OSError's own constructor is the one place that knows which number means which class.
    subclass = _SUBCLASSES.get(type(OSError(errno, strerror)), ImageOSError)
    return subclass(errno, strerror, filename, operation)


def from_core(kind: str, message: str, fields: Mapping[str, object]) -> ImageError:
    """The exception for an error of the compiled core, which calls this function.

    Args:
        kind: One of "spec", "rootfs", "packages", "layout", "os", "output_exists" and "internal".
        message: The whole sentence.
        fields: What the sentence is about; the keys depend on `kind`.

    Returns:
        The exception, for the core to raise.
    """
    if kind == "spec":
        # The class makes the sentence out of its parts.
        return SpecError(str(fields["reason"]), str(fields["field"]), fields["value"])
    if kind == "rootfs":
        return RootfsError(message, str(fields["path"]))
    if kind == "packages":
        return PackagesError(message, str(fields["path"]))
    if kind == "layout":
        return LayoutError(message, str(fields["path"]))
    if kind == "os":
        # What the core's own readers and writers say of a stream has no number.
        code = fields["errno"] if isinstance(fields["errno"], int) else errno_codes.EIO
        text, name = str(fields["strerror"]), str(fields["filename"])
        return os_error(code, text, name, str(fields["operation"]))
    if kind == "output_exists":
        return OutputExistsError(str(fields["filename"]), bool(fields["replaceable"]))
    return InternalError(message)
