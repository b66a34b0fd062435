#!/usr/bin/exthost-cgi python
"""As many bytes as the query says."""

import os
import sys

size = int(os.environ["QUERY_STRING"])
line = b"0123456789abcdef" * 4096
sys.stdout.buffer.write(b"Content-Type: application/octet-stream\n\n")
while size > 0:
    sys.stdout.buffer.write(line[:size])
    size -= len(line)
