# A stand-in for OE-core's nopackages.bbclass: nothing is packaged here anyway.
