# A stand-in for OE-core's qemuboot.bbclass, which machines of QEMU have in IMAGE_CLASSES.
EXTRA_IMAGEDEPENDS += "qemu-system-native qemu-helper-native:do_addto_recipe_sysroot"
