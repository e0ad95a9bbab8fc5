#
# Brings the Python package image_oci_rs, which does the work of image-oci-rs.bbclass and oci-index-rs.bbclass.
#

OCI_NATIVE_DEPENDS ?= "python3-image-oci-rs-native:do_populate_sysroot"
OCI_NATIVE_DEPENDS[doc] = "Task that provides the Python package image_oci_rs; empty where it is installed in the Python that runs bitbake."

# Varflags that are BitBake's own; all others of OCI_IMAGE_LABELS, OCI_IMAGE_ENV_VARS and OCI_IMAGE_ANNOTATIONS are entries.
OCI_RESERVED_VARFLAGS = "doc export func python type unexport vardeps vardepsexclude vardepvalue vardepvalueexclude"

# Puts nativepython3 on PATH, for the case that the Python that runs bitbake can't load the engine.
EXTRANATIVEPATH += "python3-native"

def oci_rs_own_library(d, module):
    """Returns a module of image_oci_rs out of this layer, for parse time: there is no sysroot yet.

    It is imported under another name, which leaves image_oci_rs to the task's package with the engine.
    """
    import importlib, sys, types
    if sys.version_info < (3, 9):
        raise bb.parse.SkipRecipe('image-oci-rs needs bitbake to run in Python 3.9 or newer, and this is %s.%s' % sys.version_info[:2])
    classes = os.path.dirname(bb.utils.which(d.getVar('BBPATH'), 'classes/oci-rs-engine.bbclass'))
    package = os.path.join(os.path.dirname(classes), 'python/image_oci_rs')
    name = 'image_oci_rs_of_the_layer'
    if not os.path.exists(package):
        raise bb.parse.SkipRecipe('image-oci-rs: %s is missing; add the whole layer to BBLAYERS instead of copying its classes' % package)
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [package]
    # The layer is also the source of a recipe, and more files in it would be another source.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        library = importlib.import_module('%s.%s' % (name, module))
    finally:
        sys.dont_write_bytecode = before
    for loaded_name, loaded in sorted(sys.modules.items()):
        if loaded_name.startswith(name + '.'):
            bb.parse.mark_dependency(d, loaded.__file__)
    return library

def oci_rs_checksums_of(paths):
    """Paths as the flag file-checksums has them.

    Behind a link to a directory BitBake looks only with a slash at its end. It ends a path at its first colon; a pattern
    matches the path with the colon, and what else is called nearly so.
    """
    import glob
    def written(path):
        text = os.path.join(path, '') if os.path.isdir(path) else path
        return '*'.join(map(glob.escape, text.split(':'))) if ':' in text else text
    return ' '.join('%s:%s' % (written(path), os.path.exists(path)) for path in paths)

def oci_rs_library(d, module):
    """A module of image_oci_rs, out of the native sysroot or else out of the Python that runs bitbake."""
    import glob, importlib, sys
    site_packages = sorted(glob.glob(d.expand('${STAGING_DIR_NATIVE}${prefix_native}/lib/python3*/site-packages')))
    sys.path[:0] = site_packages
    try:
        library = importlib.import_module('image_oci_rs.' + module)
    except ImportError as error:
        bb.fatal('The Python package image_oci_rs cannot be imported: %s. Either leave OCI_NATIVE_DEPENDS (now "%s") '
                 'to its default, which builds it, or install it in the Python that runs bitbake: '
                 '%s -m pip install dist/*.whl, after make wheel in the layer' % (error, d.getVar('OCI_NATIVE_DEPENDS'), sys.executable))
    finally:
        # Everything else in the sysroot was built for another Python.
        del sys.path[:len(site_packages)]
    oci_rs_own_library(d, 'bitbake.engine').check(d, 'image_oci_rs')
    return library
