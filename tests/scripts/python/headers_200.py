#!/usr/bin/exthost-cgi python
"""Two hundred headers."""

print("Content-Type: application/octet-stream")
for i in range(200):
    print(f"X-Header-{i}: value {i}")
print()
print("body")
