#!/usr/bin/exthost-cgi python
"""A status of its own, and headers."""

print("Status: 404 Nothing Here")
print("Content-Type: application/octet-stream")
print("X-First: one")
print("x-second: two: three")
print()
print("nothing here")
