SUMMARY = "The engine of the class image-oci-rs, installed from a wheel"
DESCRIPTION = "Replaces python3-image-oci-rs-native where OE-core's Rust is too old to compile it, and where OCI_ENGINE is wheel."
HOMEPAGE = "https://github.com/image-oci-rs/image-oci-rs"
SECTION = "devel/python"

# The licences are those of the crates, which are linked into the wheel.
OCI_RS_LAYER := "${@os.path.normpath('${THISDIR}/../..')}"
LIC_FILES_CHKSUM = "file://${OCI_RS_LAYER}/LICENSE;md5=0b0b11d4672352f28c906bd76907cdc9"

require image-oci-rs-engine.inc

# The checksums of the release's wheels. Version 0.1.0 is not released yet.
RELEASED_SHA256[x86_64] = ""
RELEASED_SHA256[aarch64] = ""
RELEASED_WHEEL = "${HOMEPAGE}/releases/download/v${PV}/image_oci_rs-${PV}-cp39-abi3-manylinux_2_28_${BUILD_ARCH}.whl"

OCI_ENGINE_WHEEL ?= "${RELEASED_WHEEL}"
OCI_ENGINE_WHEEL[doc] = "Wheel of the engine for the architecture of the build machine: an absolute path or a URL; BitBake looks for the file of a URL in DL_DIR first."
OCI_ENGINE_WHEEL_SHA256 ?= "${@d.getVarFlag('RELEASED_SHA256', d.getVar('BUILD_ARCH')) or ''}"
OCI_ENGINE_WHEEL_SHA256[doc] = "SHA-256 checksum of the wheel; required for a URL."

WHEEL_FILE = "${@os.path.basename(d.getVar('OCI_ENGINE_WHEEL'))}"
WHEEL_DIRECTORY = "${@os.path.dirname(d.getVar('OCI_ENGINE_WHEEL')) if d.getVar('OCI_ENGINE_WHEEL').startswith('/') else ''}"
FILESEXTRAPATHS:prepend = "${@d.getVar('WHEEL_DIRECTORY') + ':' if d.getVar('WHEEL_DIRECTORY') else ''}"
SRC_URI = "${@'file://${WHEEL_FILE}' if d.getVar('WHEEL_DIRECTORY') else d.getVar('OCI_ENGINE_WHEEL')}"
# The content of a local wheel counts, wherever it is.
SRC_URI[vardepvalue] = "${SRC_URI}"
WHEEL_FILE[vardepvalue] = "${WHEEL_FILE}"
SRC_URI[sha256sum] = "${OCI_ENGINE_WHEEL_SHA256}"
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit python3native native

PROVIDES += "python3-image-oci-rs-native image-oci-rs-native"

# Stage the files of the wheel byte for byte.
INHIBIT_SYSROOT_STRIP = "1"

def oci_rs_wheel_problem(d):
    """Returns what is wrong with OCI_ENGINE_WHEEL and OCI_ENGINE_WHEEL_SHA256, or None."""
    import re
    wheel, file, checksum, version, machine = (
        d.getVar(name) for name in ('OCI_ENGINE_WHEEL', 'WHEEL_FILE', 'OCI_ENGINE_WHEEL_SHA256', 'PV', 'BUILD_ARCH'))
    remedy = ('Run "make wheel" in %s, on an %s machine with Rust %s; it prints the line for local.conf'
              % (d.getVar('OCI_RS_LAYER'), machine, d.getVar('OCI_ENGINE_RUST')))
    name = re.fullmatch(r'image_oci_rs-([^-]+)-cp39-abi3-(.+)\.whl', file)
    if wheel == d.getVar('RELEASED_WHEEL') and not checksum:
        return 'OCI_ENGINE_WHEEL is not set, and no wheel of version %s for %s is released. %s' % (version, machine, remedy)
    if not wheel.startswith('/') and '://' not in wheel:
        return 'OCI_ENGINE_WHEEL: must be an absolute path or a URL (got "%s")' % wheel
    if name is None:
        return 'OCI_ENGINE_WHEEL: must name a file image_oci_rs-%s-cp39-abi3-PLATFORM.whl (got "%s")' % (version, wheel)
    if name[1] != version:
        return 'OCI_ENGINE_WHEEL: must be version %s, as this layer is (got "%s"). %s' % (version, wheel, remedy)
    if not name[2].endswith('_' + machine):
        return 'OCI_ENGINE_WHEEL: must be for %s, as the build machine is (got "%s"). %s' % (machine, wheel, remedy)
    if wheel.startswith('/') and not os.path.exists(wheel):
        return 'OCI_ENGINE_WHEEL: does not exist (got "%s"). %s' % (wheel, remedy)
    if not wheel.startswith('/') and not re.fullmatch('[0-9a-f]{64}', checksum):
        return 'OCI_ENGINE_WHEEL_SHA256: must be what sha256sum prints for %s (got "%s")' % (file, checksum)
    return None

python () {
    engine, reason = oci_rs_engine(d)
    problem = oci_rs_wheel_problem(d) if engine == 'wheel' else 'The engine is compiled, by python3-image-oci-rs-native'
    if problem:
        raise bb.parse.SkipRecipe('%s %s' % (reason, problem))
}

# A wheel is a ZIP archive of files for site-packages. The installer would generate the command.
python do_install() {
    import zipfile
    packages, programs = d.expand('${D}${PYTHON_SITEPACKAGES_DIR}'), d.expand('${D}${bindir}')
    with zipfile.ZipFile(d.expand('${S}/${WHEEL_FILE}')) as wheel:
        wheel.extractall(packages)
    bb.utils.mkdirhier(programs)
    command = os.path.join(programs, 'image-oci-rs')
    with open(command, 'w') as file:
        file.write('#!/usr/bin/env nativepython3\nimport sys\n\nfrom image_oci_rs.cli import main\n\nsys.exit(main())\n')
    os.chmod(command, 0o755)
}
do_configure[noexec] = "1"
do_compile[noexec] = "1"
