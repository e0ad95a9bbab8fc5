"""Root filesystems for tests: made out of a table, read back, and compared.

`nasty` has every entry kind and attribute that an image must keep. `python3 -m rootfs_fixtures`
makes it, as root or under pseudo.
"""
