#!/usr/bin/exthost-cgi python
"""Send the body back as it came."""

import os
import sys

size = int(os.environ.get("CONTENT_LENGTH") or 0)
body = sys.stdin.buffer.read(size)
sys.stdout.buffer.write(b"Content-Type: application/octet-stream\n\n" + body)
