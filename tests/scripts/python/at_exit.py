#!/usr/bin/exthost-cgi python
"""The page's end is written by an exit handler."""

import atexit

atexit.register(print, "from the exit handler")
print("Content-Type: application/octet-stream\n")
print("from the script")
