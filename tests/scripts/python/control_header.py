#!/usr/bin/exthost-cgi python
"""A header with a control character: a carriage return that begins another header, or a byte 1."""

import os

print("Content-Type: application/octet-stream")
if os.environ["QUERY_STRING"] == "return":
    print("X-Bad: one\rX-Injected: yes")
else:
    print("X-Bad: one\x01two")
print()
print("body")
