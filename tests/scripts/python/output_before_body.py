#!/usr/bin/exthost-cgi python
"""Write more than any pipe holds, and only then read the body; its size and CRC stand last."""

import os
import sys
import zlib

sys.stdout.write("Content-Type: application/octet-stream\n\n")
for _ in range(200):
    sys.stdout.write("x" * 999 + "\n")
sys.stdout.flush()
body = sys.stdin.buffer.read(int(os.environ["CONTENT_LENGTH"]))
print(len(body), zlib.crc32(body))
