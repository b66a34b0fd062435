#!/usr/bin/exthost-cgi python
"""Tell how the script was started."""

import os
import sys

print("Content-Type: application/octet-stream\n")
print("arguments", sys.argv)
print("directory", os.getcwd())
print("name", __name__)
print("file", __file__)
print("first on the path", sys.path[0])
print("text", sys.stdout.encoding, sys.getfilesystemencoding(), "caf\u00e9")
