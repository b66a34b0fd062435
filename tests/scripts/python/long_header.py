#!/usr/bin/exthost-cgi python
"""A header line of as many bytes as the query says, its end not counted."""

import os

size = int(os.environ["QUERY_STRING"])
start = "X-Long: "
print("Content-Type: application/octet-stream")
print(start + "a" * (size - len(start)))
print()
print("body")
