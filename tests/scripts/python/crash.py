#!/usr/bin/exthost-cgi python
"""Die by a signal after as many bytes of body as the query says; without one, before any output."""

import os
import signal
import sys

size = os.environ["QUERY_STRING"]
if size:
    sys.stdout.write("Content-Type: application/octet-stream\n\n")
    sys.stdout.write("x" * int(size))
    sys.stdout.flush()
os.kill(os.getpid(), signal.SIGSEGV)
