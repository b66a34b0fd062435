#!/usr/bin/exthost-cgi python
"""A redirect that sets cookies behind its Location."""

print("Status: 302 Found")
print("Location: /elsewhere")
print("Set-Cookie: first=1")
print("Set-Cookie: second=2")
print()
