#!/usr/bin/exthost-cgi python
"""A page without a header block."""

print("just text, and no header")
print()
print("more text")
