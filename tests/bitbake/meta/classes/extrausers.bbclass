# Stands for OE-core's, which makes users in the root filesystem.
