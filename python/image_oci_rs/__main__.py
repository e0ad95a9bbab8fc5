"""`python -m image_oci_rs`, for an interpreter that has the package but not its script."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
