# A stand-in for OE-core's image.bbclass that does to image types what that does (as of 5.0, 6.0 and August 2026): tasks
# made out of IMAGE_CMD, chained conversions and the removal of what they were made from, prefuncs and postfuncs, links,
# the image manifest, images of debug files. It installs no packages: ROOTFS_COMMAND fills IMAGE_ROOTFS,
# before the functions in ROOTFS_POSTPROCESS_COMMAND run.

inherit_defer image_types ${IMAGE_CLASSES} ${@'image-container' if 'container' in d.getVar('IMAGE_FSTYPES').split() else ''}

IMAGE_CLASSES ??= ""
ROOTFS_BOOTSTRAP_INSTALL = "run-postinsts"
IMAGE_INSTALL ?= ""
PACKAGE_INSTALL ?= "${IMAGE_INSTALL} ${ROOTFS_BOOTSTRAP_INSTALL}"
ROOTFS_COMMAND ?= ":"
ROOTFS_DEBUG_COMMAND ?= ":"
ROOTFS_POSTPROCESS_COMMAND ?= ""
IMAGE_PREPROCESS_COMMAND ?= ""
IMAGE_POSTPROCESS_COMMAND ?= ""

# scarthgap's; later releases have the second word alone.
DEPENDS += "${@' '.join(variant + '-qemuwrapper-cross' for variant in ['lib32'])} qemuwrapper-cross depmodwrapper-cross"
IMAGE_INSTALL ?= ""
PACKAGE_INSTALL ?= "${IMAGE_INSTALL} ${ROOTFS_BOOTSTRAP_INSTALL}"
LINGUAS_INSTALL ?= "${@' '.join('locale-base-' + name for name in d.getVar('IMAGE_LINGUAS').split())}"
KERNELDEPMODDEPEND ?= "virtual/kernel:do_packagedata"
KERNEL_DEPLOY_DEPEND ?= "virtual/kernel:do_deploy"

IMGDEPLOYDIR = "${WORKDIR}/deploy-${PN}-image-complete"
IMGMANIFESTDIR = "${WORKDIR}/image-task-manifest"

fakeroot do_rootfs () {
	${ROOTFS_COMMAND}
	if [ "${IMAGE_GEN_DEBUGFS}" = 1 ]; then
		rm -rf ${IMAGE_ROOTFS}-dbg
		mkdir ${IMAGE_ROOTFS}-dbg
		cd ${IMAGE_ROOTFS}-dbg
		${ROOTFS_DEBUG_COMMAND}
	fi
}
do_rootfs[cleandirs] = "${IMGDEPLOYDIR} ${IMAGE_ROOTFS}"
do_rootfs[dirs] = "${IMAGE_ROOTFS}"
do_rootfs[vardeps] += "PACKAGE_INSTALL"
do_rootfs[postfuncs] += "rootfs_postprocess"
do_rootfs[depends] += "${KERNELDEPMODDEPEND}"
addtask rootfs

python rootfs_postprocess () {
    for function in d.getVar('ROOTFS_POSTPROCESS_COMMAND').replace(';', ' ').split():
        bb.build.exec_func(function, d)
}

fakeroot do_image () {
	# reproducible_final_image_task: every file gets the one time of the image.
	if [ -n "${REPRODUCIBLE_TIMESTAMP_ROOTFS}" ]; then
		find ${IMAGE_ROOTFS} -print0 | xargs -0 touch -h --date=@${REPRODUCIBLE_TIMESTAMP_ROOTFS}
	fi
	${IMAGE_PREPROCESS_COMMAND}
}
do_image[dirs] = "${TOPDIR}"
do_image[cleandirs] = "${IMGMANIFESTDIR}"
addtask image after do_rootfs

fakeroot python do_image_complete () {
    import glob, json, shutil
    for function in d.getVar('IMAGE_POSTPROCESS_COMMAND').split():
        bb.build.exec_func(function, d)
    images = []
    for path in sorted(glob.glob(d.expand('${IMGMANIFESTDIR}/*.json'))):
        with open(path) as manifest:
            images += json.load(manifest)
    deployed = d.getVar('DEPLOY_DIR_IMAGE')
    # What sstate does: everything in IMGDEPLOYDIR is deployed, in place of what was deployed before.
    shutil.rmtree(deployed, ignore_errors=True)
    shutil.copytree(d.getVar('IMGDEPLOYDIR'), deployed, symlinks=True)
    with open(os.path.join(deployed, 'manifest.json'), 'w') as manifest:
        json.dump(images, manifest)
}
do_image_complete[dirs] = "${TOPDIR}"
addtask image_complete after do_image before do_build
do_build[depends] += "${KERNEL_DEPLOY_DEPEND}"

python () {
    depends = d.getVar('EXTRA_IMAGEDEPENDS').split()
    d.appendVarFlag('do_image_complete', 'depends', ''.join(' ' + word + ('' if ':' in word else ':do_build') for word in depends))
    # As image.bbclass does, so that it is too late for anonymous functions of later classes.
    d.setVar('IMAGE_FEATURES', ' '.join(sorted(d.getVar('IMAGE_FEATURES').split())))
}

def setup_debugfs_variables(d):
    for variable in ('IMAGE_ROOTFS', 'IMAGE_LINK_NAME', 'IMAGE_NAME'):
        if d.getVar(variable):
            d.appendVar(variable, '-dbg')
    d.setVar('IMAGE_BUILDING_DEBUGFS', 'true')

python setup_debugfs () {
    setup_debugfs_variables(d)
}

python () {
    conversions = set(d.getVar('CONVERSIONTYPES').split())

    def chain(fstype):
        """oci.tar.zst: [(None, 'oci'), ('oci', 'tar'), ('oci.tar', 'zst')]"""
        rest, dot, last = fstype.rpartition('.')
        return chain(rest) + [(rest, last)] if dot and last in conversions else [(None, fstype)]

    def base_type(fstype):
        return chain(fstype)[0][1]

    wanted = d.getVar('IMAGE_FSTYPES').split()
    if d.getVar('IMAGE_GEN_DEBUGFS') == '1':
        wanted += ['debugfs_' + fstype for fstype in d.getVar('IMAGE_FSTYPES_DEBUGFS').split()]

    types, after = {}, {}
    def add(fstype):
        base = base_type(fstype)
        types.setdefault(base, set()).add(fstype)
        after.setdefault(base, set())
        debug = 'debugfs_' if fstype.startswith('debugfs_') else ''
        for needed in (d.getVar('IMAGE_TYPEDEP:' + fstype.replace(debug, '', 1)) or '').split():
            if debug + needed not in wanted:
                wanted.append(debug + needed)
            add(debug + needed)
            after[base].add(base_type(debug + needed))
        if base != fstype:
            add(base)
    for fstype in list(wanted):
        add(fstype)

    masked = d.getVar('IMAGE_TYPES_MASKED').split()
    for base, fstypes in sorted(types.items()):
        debug = 'debugfs_' if base.startswith('debugfs_') else ''
        plain = base.replace(debug, '', 1)
        if plain in masked:
            continue
        local = bb.data.createCopy(d)
        if debug:
            setup_debugfs_variables(local)
        local.setVar('OVERRIDES', plain + ':' + d.getVar('OVERRIDES', False))
        local.setVar('type', plain)
        # They are expanded when the task runs; in its text they would change its hash from one parse to the next.
        for variable in ('DATETIME', 'DATE', 'TMPDIR', 'IMAGE_VERSION_SUFFIX'):
            local.delVar(variable)

        command = local.getVar('IMAGE_CMD')
        if not command:
            bb.fatal("No IMAGE_CMD defined for IMAGE_FSTYPES entry '%s'" % base)
        d.delVarFlag('IMAGE_CMD:' + plain, 'func')
        commands = ['\t' + command, local.expand('\tcd ${IMGDEPLOYDIR}')]
        images, temporary = [plain] if base in wanted else [], set()
        if base not in wanted:
            temporary.add(local.expand('${IMAGE_NAME}.' + plain))
        vardeps = ['IMAGE_CMD:' + plain]
        for fstype in sorted(fstypes):
            for source, conversion in chain(fstype)[1:]:
                plain_source = source.replace(debug, '', 1)
                local.setVar('type', plain_source)
                line = '\t' + local.getVar('CONVERSION_CMD:' + conversion)
                if line not in commands:
                    commands.append(line)
                    images.append(plain_source + '.' + conversion)
                    vardeps.append('CONVERSION_CMD:' + conversion)
                if source not in wanted:
                    temporary.add(local.expand('${IMAGE_NAME}.${type}'))
        commands += ['\trm ' + image for image in sorted(temporary)]

        task = 'do_image_' + base.replace('-', '_').replace('.', '_')
        d.setVar(task, '\n'.join(commands))
        d.setVarFlag(task, 'func', '1')
        d.setVarFlag(task, 'fakeroot', '1')
        d.setVarFlag(task, 'imagetype', base)
        d.appendVarFlag(task, 'prefuncs', (' setup_debugfs' if debug else '') + ' set_image_size')
        d.prependVarFlag(task, 'postfuncs', 'create_symlinks ')
        d.appendVarFlag(task, 'postfuncs', ' write_image_output_manifest')
        d.appendVarFlag(task, 'subimages', ' ' + ' '.join(images))
        d.appendVarFlag(task, 'vardeps', ' ' + ' '.join(vardeps))
        d.appendVarFlag(task, 'vardepsexclude', ' DATETIME DATE')
        earlier = sorted('do_image_' + other.replace('-', '_').replace('.', '_') for other in after[base])
        bb.build.addtask(task, 'do_image_complete', ' '.join(['do_image'] + earlier), d)
}

python set_image_size () {
    size = sum(os.lstat(os.path.join(directory, name)).st_size
               for directory, _, names in os.walk(d.getVar('IMAGE_ROOTFS')) for name in names)
    d.setVar('ROOTFS_SIZE', str(size // 1024 + 1))
    d.setVarFlag('ROOTFS_SIZE', 'export', '1')
}

def existing_images(d):
    """The files of the current task that are there: (type, file name)"""
    subimages = d.getVarFlag('do_' + d.getVar('BB_CURRENTTASK'), 'subimages', False).split()
    files = [(fstype, d.getVar('IMAGE_NAME') + '.' + fstype) for fstype in subimages]
    return [(fstype, name) for fstype, name in files if os.path.exists(os.path.join(d.getVar('IMGDEPLOYDIR'), name))]

python create_symlinks () {
    for fstype, name in existing_images(d):
        link = os.path.join(d.getVar('IMGDEPLOYDIR'), d.getVar('IMAGE_LINK_NAME') + '.' + fstype)
        if os.path.islink(link):
            os.remove(link)
        os.symlink(name, link)
}

python write_image_output_manifest () {
    import json
    task = 'do_' + d.getVar('BB_CURRENTTASK')
    document = {'taskname': d.getVar('BB_CURRENTTASK'), 'imagetype': d.getVarFlag(task, 'imagetype', False),
                'images': [{'filename': name} for _, name in existing_images(d)]}
    with open(d.expand('${IMGMANIFESTDIR}/' + task + '.json'), 'w') as manifest:
        json.dump([document], manifest)
}
