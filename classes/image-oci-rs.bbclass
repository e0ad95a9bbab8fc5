#
# Turns the root filesystem of an image recipe into an OCI container image in which every attribute of every file
# survives: owner, group, mode, device numbers, xattrs, file capabilities, ACLs, hard links.
#
# An image recipe:
#
#   inherit image image-oci-rs
#   IMAGE_FSTYPES = "oci"
#
#   OCI_IMAGE_NAME = "registry.example/team/app"
#   OCI_IMAGE_TAG = "${DISTRO_VERSION}"
#   OCI_IMAGE_ENTRYPOINT = "/usr/bin/app --listen 0.0.0.0"
#   OCI_IMAGE_PORTS = "8080 5353/udp"
#   OCI_IMAGE_ENV_VARS = "HOME=/home/app GREETING='hello world'"
#   OCI_IMAGE_LABELS[org.opencontainers.image.title] = "An app, its "quotes" and a $"
#
# What appears beside the other images, and what to do with it:
#
#   ${IMAGE_NAME}.oci          the image layout, also as ${IMAGE_BASENAME}-<tag>-oci
#                                % skopeo copy oci:container-app-latest-oci docker://registry.example/team/app
#   ${IMAGE_NAME}-oci.tar      the same as one archive, also as ${IMAGE_BASENAME}-<tag>-oci.tar
#                                % docker load -i container-app-latest-oci.tar     (podman and ctr take it too)
#   ${IMAGE_NAME}-oci-dir.tar  the same below a directory, also as ${IMAGE_BASENAME}-<tag>-oci-dir.tar
#
# oci.tar, oci.tar.zst and so on in IMAGE_FSTYPES are conversions of the layout, which is kept where oci itself is there.
#
# Lists are parted into words as a POSIX shell would: quotes group, nothing is expanded. Labels, environment variables
# and annotations may also be varflags, whose values are taken byte for byte. A wrong value is said when the recipe
# is parsed, with the name of the variable. docs/variables.md says more about each.
#
# The names are those of meta-virtualization's image-oci.bbclass; docs/migration.md lists what differs. Where recipes inherit
# that class, it includes this one by OCI_IMAGE_BACKEND = "image-oci-rs" in local.conf. The work is done by
# the Python package image_oci_rs, in the process of the task; this file only declares.
#

# A container is not booted: nothing runs postinsts on a first boot. This one line needs `image` to be inherited first.
# Where all image recipes inherit the class, those without such an image keep what image.bbclass says.
ROOTFS_BOOTSTRAP_INSTALL = "${@'' if 'oci' in oci_rs_image_types(d) else 'run-postinsts'}"
# The value follows from variables whose names only that function knows.
ROOTFS_BOOTSTRAP_INSTALL[vardepvalue] = "${ROOTFS_BOOTSTRAP_INSTALL}"

IMAGE_TYPEDEP:oci ?= "container tar.bz2"
# `container` is a type without a file. image.bbclass knows that only where a recipe itself asks for the type.
IMAGE_TYPES_MASKED:append = " container"

inherit oci-rs-engine oci-rs-rootfs

#
# Name and platform
#
# Weaker than that of oci-index-rs, for who inherits this class everywhere.
OCI_IMAGE_NAME ??= "${IMAGE_BASENAME}"
OCI_IMAGE_NAME[doc] = "Name under which docker, podman and containerd list the image after loading, without the tag."
OCI_IMAGE_TAG ?= "latest"
OCI_IMAGE_TAG[doc] = "Tag of the image; name:tag also sets the name."
OCI_IMAGE_EXTRA_TAGS ?= ""
OCI_IMAGE_EXTRA_TAGS[doc] = "List: further tags, or names with a tag, under which docker load lists the image; podman load and containerd take its first name only."
OCI_IMAGE_ARCH ?= "${TARGET_ARCH}"
OCI_IMAGE_ARCH[doc] = "Architecture under any name that Yocto, uname or Go has for it; the image carries Go's."
OCI_IMAGE_SUBARCH ?= "${@oci_rs_subarch(d)}"
OCI_IMAGE_SUBARCH[doc] = "Variant of the architecture: v5 to v8 of arm, v8 or v9 of arm64, v1 to v4 of amd64, power8 to power11 of ppc64 and ppc64le, rva20u64 and later of riscv64; empty for none, or for that in a name like armv7 in OCI_IMAGE_ARCH. Computed from the tune, for 32-bit arm."
# The library reads the tune, which BitBake can't see: the value itself is in the signature.
OCI_IMAGE_SUBARCH[vardepvalue] = "${OCI_IMAGE_SUBARCH}"
# image-oci.bbclass looks for armv7 in TUNE_FEATURES alone, where today's tunes do not have it.
python () {
    if 'oci_map_subarch' in (d.getVar('OCI_IMAGE_SUBARCH', False) or ''):
        d.setVar('OCI_IMAGE_SUBARCH', '${@oci_rs_subarch(d)}')
}
OCI_IMAGE_OS ?= "linux"
OCI_IMAGE_OS[doc] = "Operating system under Go's name."

#
# What the container does
#
OCI_IMAGE_DEFAULTS ?= "scarthgap"
OCI_IMAGE_DEFAULTS[doc] = "Release of meta-virtualization whose defaults for entrypoint and command apply: scarthgap (the entrypoint is sh) or wrynose (no entrypoint, the command is /bin/sh)."
# Where image-oci.bbclass is inherited too, its own defaults and meanings apply.
OCI_IMAGE_DEFAULTS[vardepvalue] = "${@'image-oci' if bb.data.inherits_class('image-oci', d) else d.getVar('OCI_IMAGE_DEFAULTS')}"
OCI_IMAGE_ENTRYPOINT ?= "${@oci_rs_default_entrypoint(d)}"
OCI_IMAGE_ENTRYPOINT[doc] = "List: the program and first arguments that always run. By default none if OCI_IMAGE_CMD or OCI_BASE_IMAGE has a value, and otherwise what OCI_IMAGE_DEFAULTS says."
OCI_IMAGE_ENTRYPOINT_ARGS ?= ""
OCI_IMAGE_ENTRYPOINT_ARGS[doc] = "List: arguments that the user of the container can replace. If OCI_IMAGE_CMD has a value too, OCI_IMAGE_DEFAULTS decides: scarthgap uses OCI_IMAGE_CMD, wrynose uses these."
# Some have no default: unset and empty are not the same. Unset is what the base image says; set and empty is nothing.
OCI_IMAGE_CMD[doc] = "List: the command, or the entrypoint's arguments, that the user of the container can replace. Unset, the base image's applies, or what OCI_IMAGE_DEFAULTS says; empty means none, or OCI_IMAGE_ENTRYPOINT_ARGS."
# A hash of an empty variable is that of an unset one; this tells them apart.
OCI_IMAGE_CMD[vardepvalue] = "${@repr(d.getVar('OCI_IMAGE_CMD'))}"
OCI_IMAGE_WORKINGDIR[vardepvalue] = "${@repr(d.getVar('OCI_IMAGE_WORKINGDIR'))}"
OCI_IMAGE_STOPSIGNAL[vardepvalue] = "${@repr(d.getVar('OCI_IMAGE_STOPSIGNAL'))}"
OCI_IMAGE_RUNTIME_UID[vardepvalue] = "${@repr(d.getVar('OCI_IMAGE_RUNTIME_UID'))}"
OCI_IMAGE_PORTS[vardepvalue] = "${@repr(d.getVar('OCI_IMAGE_PORTS'))}"
OCI_IMAGE_VOLUMES[vardepvalue] = "${@repr(d.getVar('OCI_IMAGE_VOLUMES'))}"
OCI_IMAGE_WORKINGDIR[doc] = "Directory in which the container starts."
OCI_IMAGE_STOPSIGNAL[doc] = "Signal that asks the container to end, for example SIGTERM."
OCI_IMAGE_RUNTIME_UID[doc] = "User that the container runs as: uid, uid:gid, name or name:group."
OCI_IMAGE_PORTS[doc] = "List: ports to expose, each PORT, PORT/tcp, PORT/udp or PORT/sctp."
OCI_IMAGE_VOLUMES[doc] = "List: absolute paths that hold data of the container."
OCI_IMAGE_ENV_VARS ?= ""
OCI_IMAGE_ENV_VARS[doc] = "List and varflags: environment variables, KEY=VALUE."

#
# What the image says about itself
#
OCI_IMAGE_AUTHOR ?= "${PATCH_GIT_USER_NAME}"
OCI_IMAGE_AUTHOR[doc] = "Author's name."
OCI_IMAGE_AUTHOR_EMAIL ?= "${PATCH_GIT_USER_EMAIL}"
OCI_IMAGE_AUTHOR_EMAIL[doc] = "Author's e-mail address."
OCI_IMAGE_LABELS ?= ""
OCI_IMAGE_LABELS[doc] = "List and varflags: labels, KEY=VALUE; a KEY that starts with a dot gets org.opencontainers.image in front."
OCI_IMAGE_ANNOTATIONS ?= ""
OCI_IMAGE_ANNOTATIONS[doc] = "List and varflags: annotations of the manifest and of its entry in the index, KEY=VALUE."
OCI_IMAGE_AUTO_LABELS ?= "1"
OCI_IMAGE_AUTO_LABELS[doc] = "Whether labels that say where the image comes from are added."
OCI_IMAGE_YOCTO_LABELS ?= "0"
OCI_IMAGE_YOCTO_LABELS[doc] = "Whether labels say of which recipe, machine, distribution and layers the image is made, each layer with its commit."
OCI_IMAGE_REVISION ?= ""
OCI_IMAGE_REVISION[doc] = "Label org.opencontainers.image.revision; empty for the commit that TOPDIR's git repository has checked out, none for no label."
OCI_IMAGE_BRANCH ?= ""
OCI_IMAGE_BRANCH[doc] = "Label org.opencontainers.image.ref.name; empty for the branch that TOPDIR's git repository has checked out, none for no label."
OCI_IMAGE_BUILD_DATE ?= ""
OCI_IMAGE_BUILD_DATE[doc] = "Label org.opencontainers.image.created; empty for the time that all files of the image have, none for no label."

#
# How the image is written
#
OCI_IMAGE_TAR_OUTPUT ?= "true"
OCI_IMAGE_TAR_OUTPUT[doc] = "Archives beside the layout directory: oci or dir for one of them; empty, 0, n, no or false for none; anything else for both."
OCI_LAYER_COMPRESSION ?= "gzip"
OCI_LAYER_COMPRESSION[doc] = "Compression of the layers: gzip, zstd or none."
OCI_LAYER_COMPRESSION_LEVEL ?= ""
OCI_LAYER_COMPRESSION_LEVEL[doc] = "Level of the compression on its own scale, gzip 1 to 12, zstd 1 to 22; empty for a good one."
OCI_THREADS ?= "${BB_NUMBER_THREADS}"
OCI_THREADS[doc] = "Threads that pack the image; never changes a byte of it."

#
# What was compressed before, for images that share files. Any number of builds may use the directory at the same time.
#
OCI_CACHE_DIR ?= "${TMPDIR}/oci-member-cache"
OCI_CACHE_DIR[doc] = "Directory that keeps what was compressed, so that only what changed is compressed again; never changes a byte of the image; empty for none."
OCI_CACHE_LIMIT ?= "4G"
OCI_CACHE_LIMIT[doc] = "Most bytes in OCI_CACHE_DIR, with K, M, G or T for binary units; beyond that goes what was not used for longest."
# Entries are shared by builds, and removed by others than this recipe's, of which its pseudo database learns nothing. It
# knows files by inode number, and would take the next file that gets the number of a removed entry for that entry.
PSEUDO_IGNORE_PATHS .= "${@oci_rs_untracked(d)}"

#
# Layers. The finished root filesystem is split, so nothing is installed twice and no change to it is lost.
#
#   OCI_LAYER_MODE = "multi"
#   OCI_LAYERS = "base:packages:base-files+netbase shell:packages:busybox app:directories:/opt/app conf:files:/etc/app.conf"
#
#   OCI_LAYER_MODE = "auto"
#   OCI_LAYER_LOCK = "${THISDIR}/files/layers.lock"
#
OCI_LAYER_MODE ?= "single"
OCI_LAYER_MODE[doc] = "How the root filesystem is split into layers: single, multi as OCI_LAYERS says, or auto by recipe, so that an update changes few layers."
OCI_LAYERS ?= ""
OCI_LAYERS[doc] = "List: layers of the mode multi, lowest first, name:type:content with the type packages, directories, files or host; + or , part the content. Packages need not be in IMAGE_INSTALL."
OCI_LAYER_MISSING ?= "error"
OCI_LAYER_MISSING[doc] = "Whether a package or path in OCI_LAYERS that is not in the root filesystem fails the task (error) or is left out with a warning (warn)."
OCI_LAYER_MAX ?= "80"
OCI_LAYER_MAX[doc] = "Most layers of the mode auto, 1 to 125."
OCI_LAYER_LOCK ?= ""
OCI_LAYER_LOCK[doc] = "File that keeps the layers of the mode auto the same from release to release; what is new in it is written beside the image, to be copied over it."
OCI_LAYER_PACKAGES ?= "pkgdata:${PKGDATA_DIR}"
OCI_LAYER_PACKAGES[doc] = "Where it is known which package owns a file: pkgdata:DIRECTORY, auto for the database in the root filesystem, opkg, dpkg, apk, manifest:FILE or none."
# What is read is part of the task's signature, whatever its path is.
do_image_oci[file-checksums] += "${@oci_rs_checksums(d)}"
do_image_debugfs_oci[file-checksums] += "${@oci_rs_checksums(d)}"

#
# Base image: its layers go below, and its configuration is where this one begins. A variable above that is set replaces
# what it says, one that is set and empty clears it; labels and environment are both images'.
#
OCI_BASE_IMAGE ?= ""
OCI_BASE_IMAGE[doc] = "Image to build upon: a recipe that deploys one, with this class, oci-fetch-rs or another; or the path of a layout directory or archive, which begins with / or ./."
OCI_BASE_IMAGE_TAG ?= "latest"
OCI_BASE_IMAGE_TAG[doc] = "Tag of the image to build upon: of a recipe, the OCI_IMAGE_TAG under which it deployed; of a path, latest also means the only one for the platform, whatever its tag is."
OCI_BASE_MODE ?= "overlay"
OCI_BASE_MODE[doc] = "What becomes of files of the base image that are not in the root filesystem: overlay keeps them, exact removes them."
do_image_oci[depends] += "${@oci_rs_base_depends(d)}"
do_image_debugfs_oci[depends] += "${@oci_rs_base_depends(d)}"

#
# What an update costs
#
OCI_UPDATE_FROM ?= ""
OCI_UPDATE_FROM[doc] = "Layout directory or archive of the last release: the log tells which layers and files are new for whoever has it."
OCI_UPDATE_BUDGET ?= ""
OCI_UPDATE_BUDGET[doc] = "Most bytes of new layers, with K, M, G or T for binary units: the task fails above it; empty for any number."

# It is here and not in the library, because a recipe that wants no such image must not need the library.
def oci_rs_image_types(d):
    """Every type of image that is made, also by way of IMAGE_TYPEDEP; debugfs_ is in front of those of IMAGE_FSTYPES_DEBUGFS."""
    if not bb.data.inherits_class('image', d):
        return set()
    wanted = (d.getVar('IMAGE_FSTYPES') or '').split()
    if d.getVar('IMAGE_GEN_DEBUGFS') == '1':
        wanted += ['debugfs_' + fstype for fstype in (d.getVar('IMAGE_FSTYPES_DEBUGFS') or '').split()]
    types = set()
    while wanted:
        fstype = wanted.pop()
        if fstype and fstype not in types:
            types.add(fstype)
            debug = 'debugfs_' if fstype.startswith('debugfs_') else ''
            needed = d.getVar('IMAGE_TYPEDEP:' + fstype[len(debug):]) or ''
            # foo.gz is made of foo.
            wanted += [debug + other for other in needed.split()] + [fstype.rpartition('.')[0]]
    return types

def oci_rs_for_docker_archive(d, value):
    """The value if the image type docker-archive is the one of this class; nothing where another class defines it."""
    return value if (d.getVar('IMAGE_CMD:docker-archive', False) or '').startswith(': image-oci-rs') else ''

def oci_rs_default_entrypoint(d):
    """The entrypoint of a recipe that sets none."""
    others = d.getVar('OCI_IMAGE_CMD'), d.getVar('OCI_BASE_IMAGE')
    return 'sh' if d.getVar('OCI_IMAGE_DEFAULTS') == 'scarthgap' and not any(map(str.strip, filter(None, others))) else ''

def oci_rs_subarch(d):
    """The variant of 32-bit arm that the tune builds for; empty for other architectures."""
    return oci_rs_own_library(d, 'bitbake.platform').arm_variant(d)

def oci_rs_untracked(d):
    """OCI_CACHE_DIR for pseudo's list of prefixes; never nothing, or what IMAGE_ROOTFS begins with: that must stay tracked."""
    cache, rootfs = d.getVar('OCI_CACHE_DIR').strip(), d.getVar('IMAGE_ROOTFS')
    if not cache or any(c in ', \t\n' for c in cache) or os.path.realpath(rootfs).startswith(os.path.realpath(cache)):
        return ''
    return ',' + cache

def oci_rs_base_depends(d):
    """The task that deploys the base image, if a recipe does."""
    return oci_rs_own_library(d, 'bitbake.base_image').depends(d)

def oci_rs_checksums(d):
    """Files that no other task has made: the lock file, a base image, a manifest, and what layers of the type host bring."""
    return oci_rs_checksums_of(oci_rs_own_library(d, 'bitbake.inputs').input_paths(d))

def oci_rs_tag_in_links(d):
    """OCI_IMAGE_TAG as the names of links have it, quoted for a shell."""
    import re, shlex
    return shlex.quote(re.sub('[:/]', '_', (d.getVar('OCI_IMAGE_TAG') or '').strip()))

def oci_rs_entry_varflags(d):
    """The varflags that are entries, in the form in which vardeps names them."""
    reserved = d.getVar('OCI_RESERVED_VARFLAGS').split()
    return ' '.join('%s[%s]' % (variable, flag)
                    for variable in ('OCI_IMAGE_LABELS', 'OCI_IMAGE_ENV_VARS', 'OCI_IMAGE_ANNOTATIONS')
                    for flag in sorted(d.getVarFlags(variable) or ()) if flag not in reserved)

#
# The task. image.bbclass makes do_image_oci out of this text, and conversions after it. By then the image is there: the
# function below ran before. This text does two things. image.bbclass removes a layout that nobody asked to keep with a
# plain `rm`, and a layout is a directory. And code that recipes append finds the current directory and the shell variables
# that image-oci.bbclass leaves behind.
#
IMAGE_CMD:oci () {
	rm () { command rm -r "$@"; }
	cd ${IMGDEPLOYDIR}
	image_name="${IMAGE_NAME}${IMAGE_NAME_SUFFIX}-oci"
	image_tag=${@oci_rs_tag_in_links(d)}
}

# image.bbclass gives do_image_oci its text later, and drops what a recipe has appended to it. IMAGE_CMD:oci is kept.
addhandler oci_rs_keep_added_code
oci_rs_keep_added_code[eventmask] = "bb.event.RecipePreFinalise"
python oci_rs_keep_added_code () {
    appended = d.getVar('do_image_oci', False)
    if appended:
        d.appendVar('IMAGE_CMD:oci', appended)
}

do_image_oci[prefuncs] += "oci_rs_build_image"
do_image_oci[depends] += "${OCI_NATIVE_DEPENDS}"
# The same for IMAGE_FSTYPES_DEBUGFS.
do_image_debugfs_oci[prefuncs] += "oci_rs_build_debugfs_image"
do_image_debugfs_oci[depends] += "${OCI_NATIVE_DEPENDS}"

#
# The type docker-archive, for users who look for this name: the archive of the type oci is one, so do_image_oci writes it,
# and this type's task links it. All of this gives way to another class that defines the type.
#
IMAGE_CMD:docker-archive ??= ": image-oci-rs"
IMAGE_TYPEDEP:docker-archive ??= "${@oci_rs_for_docker_archive(d, 'oci')}"
do_image_docker_archive[prefuncs] += "${@oci_rs_for_docker_archive(d, 'oci_rs_link_docker_archive')}"
do_image_docker_archive[depends] += "${@oci_rs_for_docker_archive(d, d.getVar('OCI_NATIVE_DEPENDS'))}"
do_image_debugfs_docker_archive[prefuncs] += "${@oci_rs_for_docker_archive(d, 'oci_rs_link_debugfs_docker_archive')}"
do_image_debugfs_docker_archive[depends] += "${@oci_rs_for_docker_archive(d, d.getVar('OCI_NATIVE_DEPENDS'))}"
# Which of docker-archive and debugfs_docker-archive are wanted; do_image_oci reads it.
OCI_DOCKER_ARCHIVES = "${@oci_rs_for_docker_archive(d, ' '.join(sorted(t for t in oci_rs_image_types(d) if t.endswith('docker-archive'))))}"
OCI_DOCKER_ARCHIVES[vardepvalue] = "${OCI_DOCKER_ARCHIVES}"

# :append, because image_types.bbclass assigns, and may be inherited later. The same bytes for the same layout.
CONVERSIONTYPES:append = " tar"
CONVERSION_CMD:tar = "tar --sort=name --format=posix --pax-option=delete=atime,delete=ctime --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rw,go=r,a+X -C ${IMAGE_NAME}.${type} -cf ${IMAGE_NAME}.${type}.tar ."

# A wrong value is said when the recipe is parsed, and not after all that the image is made of has been built: bitbake
# says of the recipe that it was skipped, and why. Other recipes are not concerned.
python () {
    if not oci_rs_image_types(d).isdisjoint({'oci', 'debugfs_oci'}):
        backend = oci_rs_own_library(d, 'bitbake.backend')
        problem = backend.conflict(d) or oci_rs_own_library(d, 'bitbake.image').problem(d)
        if problem:
            raise bb.parse.SkipRecipe(problem)
        backend.take_over(d)
        oci_rs_own_library(d, 'bitbake.layer_packages').install(d)
        # The image is made last, so changes that other functions make to the root filesystem are part of it.
        prefuncs = (d.getVarFlag('do_image_oci', 'prefuncs', False) or '').replace('oci_rs_build_image', '')
        d.setVarFlag('do_image_oci', 'prefuncs', prefuncs + ' oci_rs_build_image')
        for warning in oci_rs_own_library(d, 'bitbake.lint').warnings(d):
            bb.warn(warning)
}

python oci_rs_build_image () {
    oci_rs_library(d, 'bitbake.image').build_image(d)
}

python oci_rs_build_debugfs_image () {
    # image.bbclass makes these changes in another function, which runs later than this one.
    debug = bb.data.createCopy(d)
    setup_debugfs_variables(debug)
    oci_rs_library(d, 'bitbake.image').build_image(debug, suffix='-dbg')
}

python oci_rs_link_docker_archive () {
    oci_rs_library(d, 'bitbake.image').link_docker_archive(d)
}

python oci_rs_link_debugfs_docker_archive () {
    debug = bb.data.createCopy(d)
    setup_debugfs_variables(debug)
    oci_rs_library(d, 'bitbake.image').link_docker_archive(debug, suffix='-dbg')
}

# BitBake can't see what the library reads; tests/bitbake compares these lists with what it does read.
oci_rs_library[vardeps] = " \
    DISTRO IMAGE_BASENAME IMAGE_NAME IMAGE_NAME_SUFFIX IMAGE_ROOTFS IMGDEPLOYDIR MACHINE OCI_BASE_IMAGE \
    OCI_BASE_IMAGE_TAG OCI_BASE_MODE OCI_DOCKER_ARCHIVES OCI_IMAGE_ANNOTATIONS OCI_IMAGE_ARCH OCI_IMAGE_AUTHOR \
    OCI_IMAGE_AUTHOR_EMAIL OCI_IMAGE_AUTO_LABELS OCI_IMAGE_BACKEND OCI_IMAGE_BRANCH OCI_IMAGE_BUILD_DATE \
    OCI_IMAGE_CMD OCI_IMAGE_DEFAULTS OCI_IMAGE_ENTRYPOINT OCI_IMAGE_ENTRYPOINT_ARGS OCI_IMAGE_ENV_VARS \
    OCI_IMAGE_EXTRA_TAGS OCI_IMAGE_LABELS OCI_IMAGE_NAME OCI_IMAGE_OS OCI_IMAGE_PORTS OCI_IMAGE_REVISION \
    OCI_IMAGE_RUNTIME_UID OCI_IMAGE_STOPSIGNAL OCI_IMAGE_SUBARCH OCI_IMAGE_TAG OCI_IMAGE_TAR_OUTPUT \
    OCI_IMAGE_VOLUMES OCI_IMAGE_WORKINGDIR OCI_IMAGE_YOCTO_LABELS OCI_LAYERS OCI_LAYER_COMPRESSION \
    OCI_LAYER_COMPRESSION_LEVEL OCI_LAYER_MAX OCI_LAYER_MISSING OCI_LAYER_MODE OCI_LAYER_PACKAGES \
    OCI_RESERVED_VARFLAGS OCI_UPDATE_BUDGET PF PV REPRODUCIBLE_TIMESTAMP_ROOTFS \
    ${@oci_rs_entry_varflags(d)} \
"
# Read too, but no byte of the image follows from their text; or from where layers lie and what the distribution calls its
# version just as little as from a new commit: labels are of the moment in which the task runs.
oci_rs_library[vardepsexclude] = " \
    BBLAYERS DEPLOY_DIR_IMAGE DISTRO_VERSION IMAGE_LINK_NAME IMAGE_MANIFEST OCI_CACHE_DIR OCI_CACHE_LIMIT \
    OCI_IMAGE_APP_RECIPE OCI_LAYER_CACHE OCI_LAYER_CACHE_DIR OCI_LAYER_LOCK OCI_THREADS \
    OCI_UPDATE_FROM PATH TOPDIR TUNE_FEATURES \
"
