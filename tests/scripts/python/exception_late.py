#!/usr/bin/exthost-cgi python
"""An exception when half a page is out."""

import sys

print("Content-Type: application/octet-stream\n")
print("half a page")
sys.stdout.flush()
raise ValueError("a secret went <wrong>")
