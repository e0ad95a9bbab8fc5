"""A stand-in for the compiled core, which only nativepython3 can load."""

# What importing a library fails with that was linked on a machine with a newer libc.
NEWER_LIBC = "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.99' not found (required by _core.abi3.so)"
BROKEN_ENGINE = f"""\
import os
if "NATIVE_PYTHON" not in os.environ:
    raise ImportError({NEWER_LIBC!r})
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
_file = os.path.join(os.path.dirname(__file__), "real-core")
_loader = ExtensionFileLoader(__name__, _file)
_core = module_from_spec(spec_from_file_location(__name__, _file, loader=_loader))
_loader.exec_module(_core)
globals().update({{name: value for name, value in vars(_core).items() if not name.startswith("__")}})
__version__ = _core.__version__
"""
