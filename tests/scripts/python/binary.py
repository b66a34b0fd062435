#!/usr/bin/exthost-cgi python
"""Bytes that are no text, in a header and in the body."""

import sys

sys.stdout.buffer.write(b"Content-Type: application/octet-stream\nX-Bytes: caf\xe9 \xff\n\n")
sys.stdout.buffer.write(bytes(range(256)))
