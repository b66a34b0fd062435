#!/usr/bin/exthost-cgi python
"""Say so in the log, sleep as many milliseconds as the query says, and answer."""

import os
import sys
import time

print("sleeping", file=sys.stderr, flush=True)
time.sleep(int(os.environ["QUERY_STRING"]) / 1000)
print("Content-Type: application/octet-stream\n")
print("slept")
