"""The class and the examples in a build of OE-core, from packages.

`oe-selftest -r image_oci_rs`, in a build directory whose bblayers.conf has this layer.
"""

import hashlib
import json
import os
import re
import tarfile

from oeqa.selftest.case import OESelftestTestCase
from oeqa.utils.commands import bitbake, get_bb_var, get_bb_vars

MINIMAL = "oci-example-minimal"
APP = "oci-example-app"
LAYERS = "oci-example-layers"
NONROOT = "oci-example-nonroot"
LAYER_NAME = "io.github.image-oci-rs.layer.name"

# A file of each kind that is easily lost, made just before packing. A .conf has a function as a variable with a flag.
SPECIAL_FILES = f"""
IMAGE_FSTYPES:pn-{MINIMAL} = "oci tar.gz"
IMAGE_PREPROCESS_COMMAND:append:pn-{MINIMAL} = " oci_selftest_files"
oci_selftest_files[func] = "1"
oci_selftest_files = "\\
    mkdir -p ${{IMAGE_ROOTFS}}/selftest; cd ${{IMAGE_ROOTFS}}/selftest; \\
    mknod device b 7 300; chmod 640 device; chown 12:34 device; \\
    mkfifo fifo; \\
    echo setuid > setuid; chown 1234:5678 setuid; chmod 6751 setuid; \\
    echo large > owner; chown 3000000000:3000000001 owner; \\
    ln owner owner.linked; ln -s '/no such/target' link; \\
    mkdir sticky; chmod 1777 sticky; \\
    echo name > 'two words and a "quote"'; \\
"
"""
# Type, mode, owner, group.
SPECIAL = {
    "selftest/device": (tarfile.BLKTYPE, 0o640, 12, 34),
    "selftest/fifo": (tarfile.FIFOTYPE, 0o644, 0, 0),
    "selftest/setuid": (tarfile.REGTYPE, 0o6751, 1234, 5678),
    "selftest/owner": (tarfile.REGTYPE, 0o644, 3000000000, 3000000001),
    "selftest/owner.linked": (tarfile.REGTYPE, 0o644, 3000000000, 3000000001),
    "selftest/link": (tarfile.SYMTYPE, 0o777, 0, 0),
    "selftest/sticky": (tarfile.DIRTYPE, 0o1777, 0, 0),
    'selftest/two words and a "quote"': (tarfile.REGTYPE, 0o644, 0, 0),
}

CONFIGURED = f"""
OCI_IMAGE_ENTRYPOINT:pn-{MINIMAL} = "/bin/sh -c 'echo "$0" $HOME'"
OCI_IMAGE_CMD:pn-{MINIMAL} = "'two words' --"
OCI_IMAGE_ENV_VARS:pn-{MINIMAL} = "'GREETING=hello world' EMPTY="
OCI_IMAGE_PORTS:pn-{MINIMAL} = "80 53/udp"
OCI_IMAGE_WORKINGDIR:pn-{MINIMAL} = "/home"
OCI_IMAGE_RUNTIME_UID:pn-{MINIMAL} = "33:44"
OCI_IMAGE_STOPSIGNAL:pn-{MINIMAL} = "SIGINT"
OCI_IMAGE_TAG:pn-{MINIMAL} = "1.0"
OCI_IMAGE_NAME:pn-{MINIMAL} = "registry.example/team/app"
OCI_IMAGE_LABELS[org.example.quoted] = 'it is "quoted", $HOME'
"""


class Image:
    """An image that an image recipe has deployed."""

    def __init__(self, recipe, tag="latest"):
        variables = get_bb_vars(["DEPLOY_DIR_IMAGE", "IMAGE_LINK_NAME"], recipe)
        self.deployed = variables["DEPLOY_DIR_IMAGE"]
        self.link_name = variables["IMAGE_LINK_NAME"]
        self.layout = os.path.join(self.deployed, f"{recipe}-{tag}-oci")
        with open(os.path.join(self.layout, "index.json")) as file:
            (self.entry,) = json.load(file)["manifests"]
        self.digest = self.entry["digest"]
        self.manifest = self.document(self.digest)
        self.document_of_config = self.document(self.manifest["config"]["digest"])
        self.config = self.document_of_config["config"]

    def blob(self, digest):
        return os.path.join(self.layout, "blobs", *digest.split(":"))

    def document(self, digest):
        with open(self.blob(digest), "rb") as file:
            content = file.read()
        assert digest == "sha256:" + hashlib.sha256(content).hexdigest(), digest
        return json.loads(content)

    @property
    def layers(self):
        """What is in each layer."""
        return [entries(self.blob(layer["digest"])) for layer in self.manifest["layers"]]


def entries(path):
    """Everything that a tar archive says of each name, but how it comes to say it."""
    found = {}
    with tarfile.open(path) as archive:
        members = {member.name.removeprefix("./").rstrip("/"): member for member in archive}
        linked = {}
        for name, member in members.items():
            first = member.linkname.removeprefix("./") if member.islnk() else name
            linked.setdefault(first, []).append(name)
        for first, names in linked.items():
            member = members[first]
            xattrs = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
            content = hashlib.sha256(archive.extractfile(member).read()).hexdigest() if member.isreg() else None
            device = (member.devmajor, member.devminor) if member.ischr() or member.isblk() else None
            for name in names:
                found[name] = {
                    "type": member.type,
                    "mode": member.mode & 0o7777,
                    "owner": (member.uid, member.gid),
                    "time": int(member.mtime),
                    "target": member.linkname if member.issym() else None,
                    "device": device,
                    "content": content,
                    "xattrs": xattrs,
                    "names": sorted(names),
                }
    # The root of the tree has a name of its own in every archive.
    found.pop(".", None)
    found.pop("", None)
    return found


class ImageOciRs(OESelftestTestCase):
    """What is in the images, and what their configuration says."""

    maxDiff = None

    def test_files_are_those_of_the_root_filesystem(self):
        self.write_config(SPECIAL_FILES)
        bitbake(MINIMAL)
        image = Image(MINIMAL)
        (layer,) = image.layers
        for name, (kind, mode, owner, group) in SPECIAL.items():
            found = layer[name]
            self.assertEqual((found["type"], found["mode"], found["owner"]), (kind, mode, (owner, group)), name)
        self.assertEqual(layer["selftest/device"]["device"], (7, 300))
        self.assertEqual(layer["selftest/link"]["target"], "/no such/target")
        self.assertEqual(layer["selftest/owner"]["names"], ["selftest/owner", "selftest/owner.linked"])
        # The same tree, packed by OE-core itself.
        packed = entries(os.path.join(image.deployed, image.link_name + ".tar.gz"))
        self.assertEqual(sorted(layer), sorted(packed))
        for name, expected in packed.items():
            self.assertEqual(layer[name], expected, name)

    def test_configuration_is_what_the_variables_say(self):
        self.write_config(CONFIGURED)
        bitbake(MINIMAL)
        image = Image(MINIMAL, "1.0")
        config = image.config
        self.assertEqual(config["Entrypoint"], ["/bin/sh", "-c", 'echo "$0" $HOME'])
        self.assertEqual(config["Cmd"], ["two words", "--"])
        self.assertEqual(config["Env"], ["GREETING=hello world", "EMPTY="])
        self.assertEqual(config["ExposedPorts"], {"80/tcp": {}, "53/udp": {}})
        self.assertEqual(config["WorkingDir"], "/home")
        self.assertEqual(config["User"], "33:44")
        self.assertEqual(config["StopSignal"], "SIGINT")
        self.assertEqual(config["Labels"]["org.example.quoted"], 'it is "quoted", $HOME')
        self.assertEqual(config["Labels"]["org.opencontainers.image.title"], "A shell")
        self.assertEqual(image.document_of_config["os"], "linux")
        self.assertEqual(
            image.entry["annotations"],
            {
                "io.containerd.image.name": "registry.example/team/app:1.0",
                "org.opencontainers.image.ref.name": "1.0",
            },
        )

    def test_a_rebuild_gives_the_same_digest(self):
        bitbake(MINIMAL)
        before = Image(MINIMAL).digest
        bitbake(f"-c clean {MINIMAL}")
        bitbake(MINIMAL)
        self.assertEqual(Image(MINIMAL).digest, before)

    def test_an_application_stands_on_the_layers_of_its_base(self):
        bitbake(APP)
        base, image = Image(MINIMAL), Image(APP)
        self.assertEqual(image.manifest["layers"][:-1], base.manifest["layers"])
        self.assertIn("usr/sbin/lighttpd", image.layers[-1])
        self.assertIn("etc/passwd", base.layers[0])
        self.assertNotIn("etc/passwd", image.layers[-1])
        self.assertEqual(image.config["Entrypoint"], ["/usr/sbin/lighttpd", "-D"])

    def test_layers_are_those_of_the_recipe(self):
        bitbake(LAYERS)
        image = Image(LAYERS)
        names = [layer["annotations"][LAYER_NAME] for layer in image.manifest["layers"]]
        self.assertEqual(names[:3], ["system", "server", "pages"])
        for name, file in ("server", "usr/sbin/lighttpd"), ("pages", "www/pages/index.html"):
            self.assertEqual([label for label, files in zip(names, image.layers) if file in files], [name])

    def test_the_files_of_a_user_are_his(self):
        bitbake(NONROOT)
        image = Image(NONROOT)
        (layer,) = image.layers
        for name, mode in ("home/nonroot", 0o700), ("data", 0o755), ("run/app", 0o750):
            found = layer[name]
            self.assertEqual(
                (found["type"], found["mode"], found["owner"]), (tarfile.DIRTYPE, mode, (65532, 65532)), name
            )
        self.assertEqual(image.config["User"], "65532:65532")
        with tarfile.open(image.blob(image.manifest["layers"][0]["digest"])) as archive:
            (passwd,) = [member for member in archive if member.name.removeprefix("./") == "etc/passwd"]
            lines = archive.extractfile(passwd).read().decode().splitlines()
        self.assertEqual([line.split(":")[2:4] for line in lines if line.startswith("nonroot:")], [["65532", "65532"]])

    def test_a_container_needs_neither_kernel_nor_emulator_nor_locales(self):
        bitbake(f"-g {MINIMAL}")
        with open(os.path.join(get_bb_var("TOPDIR"), "task-depends.dot")) as file:
            recipes = set(re.findall(r'^"([^"]+)[.]do_', file.read(), re.MULTILINE))
        self.assertIn(MINIMAL, recipes)
        unwanted = [name for name in recipes if re.match("linux-|u-boot|qemu-(?!wrapper)|glibc-locale", name)]
        self.assertEqual(unwanted, [])

    def test_a_wrong_value_is_told_before_anything_is_built(self):
        self.write_config(f'OCI_IMAGE_PORTS:pn-{MINIMAL} = "80/icmp"')
        result = bitbake(MINIMAL, ignore_status=True)
        self.assertNotEqual(result.status, 0)
        self.assertIn(f"{MINIMAL} was skipped: OCI_IMAGE_PORTS: ", result.output)
