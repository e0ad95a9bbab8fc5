"""A build of OE-core with the host's programs: see ../oe-build.py."""
