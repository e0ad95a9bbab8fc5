"""Runs a BitBake image recipe through the real `bb`, without a build of OE-core around it.

What is real: the parser, the datastore, `bb.build`, task hashes, pseudo, a build user who is not
root, and the class under test. What is not: OE-core's classes, of which ../meta has stand-ins, and
the scheduler, for which the tasks of one recipe need no more than a loop.

From a test:

    with Kit.make() as kit:
        build = kit.build_directory(recipe_text)
        d = build.parse()                 # the datastore, in this process
        outcome = build.run()             # the tasks, each in a process of its own under pseudo
        outcome.log("do_image_oci"), outcome.deployed / "app-latest-oci.tar"

From a shell or a script, with this directory's parent as the current directory or on PYTHONPATH,
in a Python that has bitbake-setup and image-oci-rs installed:

    python -m bitbake_harness --rootfs DIR_OR_ARCHIVE --deploy DIR
        [--name app] [--fstypes "oci oci.tar.zst"] [--set VARIABLE=VALUE]... [--conf FILE]
        [--inherit "image image-oci-rs"] [--verbose]

Run by root it becomes `nobody`, who must be able to read DIR_OR_ARCHIVE. An archive (tar; plain or
compressed) is unpacked with owners, modes, devices, xattrs and capabilities under pseudo; a
directory is copied with them.
"""

import sys
from types import ModuleType

# bb imports these for services that no build here asks for, and bitbake-setup does not bring them.
for _missing in ("hashserv", "hashserv.client", "prserv", "prserv.serv"):
    sys.modules.setdefault(_missing, ModuleType(_missing))
