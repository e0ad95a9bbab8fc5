# A stand-in for OE-core's deploy.bbclass: what a task leaves in DEPLOYDIR is deployed, in place of what it left before.

DEPLOYDIR = "${WORKDIR}/deploy-${PN}"
do_deploy[cleandirs] = "${DEPLOYDIR}"
do_deploy[postfuncs] += "deploy_deploydir"
SSTATETASKS += "do_deploy"

python deploy_deploydir () {
    import shutil
    deployed = d.getVar('DEPLOY_DIR_IMAGE')
    os.makedirs(deployed, exist_ok=True)
    for name in os.listdir(d.getVar('DEPLOYDIR')):
        source, target = os.path.join(d.getVar('DEPLOYDIR'), name), os.path.join(deployed, name)
        if os.path.isdir(source):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
}
