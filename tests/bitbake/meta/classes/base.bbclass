# What every recipe has in OE-core, as far as an image recipe notices.

addtask build
do_build[nostamp] = "1"
python do_build () {
    pass
}

# Fetches nothing.
python do_fetch () {
    pass
}
do_fetch[dirs] = "${DL_DIR}"
addtask fetch

python do_cleanall () {
    pass
}
addtask cleanall

# staging.bbclass puts this in front of the prefuncs of every task that depends on something from a sysroot.
python staging_taskhandler () {
    for task in e.tasklist:
        if 'do_populate_sysroot' in (d.getVarFlag(task, 'depends') or ''):
            d.prependVarFlag(task, 'prefuncs', 'extend_recipe_sysroot ')
}
addhandler staging_taskhandler
staging_taskhandler[eventmask] = "bb.event.RecipeTaskPreProcess"

# The native packages are built already: NATIVE_PACKAGES is a directory for each, which goes into the sysroot.
python extend_recipe_sysroot () {
    import shutil
    for dependency in d.getVarFlag(d.getVar('BB_RUNTASK'), 'depends').split():
        recipe, _, task = dependency.partition(':')
        if task != 'do_populate_sysroot':
            continue
        package = os.path.join(d.getVar('NATIVE_PACKAGES'), recipe)
        if not os.path.isdir(package):
            bb.fatal('%s is provided by no native package' % dependency)
        shutil.copytree(package, d.getVar('STAGING_DIR_NATIVE'), symlinks=True, dirs_exist_ok=True)
}
