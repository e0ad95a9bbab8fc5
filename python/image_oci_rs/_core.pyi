from collections.abc import Callable

__all__ = ["__version__", "build", "inspect", "validate"]

__version__: str

def build(
    spec: str, progress: Callable[[int, int, int | None, int | None], object] | None = None
) -> str: ...
def validate(path: str) -> str: ...
def inspect(path: str) -> str: ...
