#!/usr/bin/exthost-cgi python
"""Two lines for the log, and a reply."""

import sys

print("first complaint", file=sys.stderr)
print("second complaint", file=sys.stderr)
print("Content-Type: application/octet-stream\n")
print("replied")
