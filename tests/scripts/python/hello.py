#!/usr/bin/exthost-cgi python
"""Say hello, and repeat the query string."""

import os

print("Content-Type: application/octet-stream\n")
print("Hello from python: " + os.environ["QUERY_STRING"])
