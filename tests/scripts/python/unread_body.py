#!/usr/bin/exthost-cgi python
"""Answer without reading the body."""

print("Content-Type: application/octet-stream\n")
print("not read")
