#!/usr/bin/exthost-cgi python
"""Write to descriptor 1 itself, between and through others."""

import os
import subprocess
import sys

print("Content-Type: application/octet-stream\n")
print("one")
sys.stdout.flush()
os.write(1, b"two\n")
subprocess.run(["/bin/echo", "three"], check=True)
print("four")
