# A stand-in for OE-core's extrausers.bbclass: it makes users and groups in the root filesystem, with the tools of the
# build machine. What exists already is not made again.

EXTRA_USERS_PARAMS ?= ""
PACKAGE_INSTALL:append = " ${@'base-passwd shadow' if d.getVar('EXTRA_USERS_PARAMS') else ''}"
ROOTFS_POSTPROCESS_COMMAND:append = " set_user_group"

python set_user_group () {
    import shlex, subprocess
    for line in d.getVar('EXTRA_USERS_PARAMS').split(';'):
        program, *options = shlex.split(line) or ['']
        if not program:
            continue
        listed = {'useradd': 'passwd', 'groupadd': 'group'}[program]
        with open(d.expand('${IMAGE_ROOTFS}/etc/' + listed)) as file:
            if any(entry.split(':')[0] == options[-1] for entry in file):
                continue
        command = ['/usr/sbin/' + program, '--prefix', d.getVar('IMAGE_ROOTFS'), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        bb.note(done.stdout)
        if done.returncode:
            bb.fatal('%s failed with %d: %s' % (' '.join(command), done.returncode, done.stdout))
}
