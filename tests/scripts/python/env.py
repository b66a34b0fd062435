#!/usr/bin/exthost-cgi python
"""Tell the whole environment: a name and the bytes of its value in hexadecimal on each line."""

import os

print("Content-Type: application/octet-stream\n")
for name, value in sorted(os.environb.items()):
    print(name.decode("ascii"), value.hex())
