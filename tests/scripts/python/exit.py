#!/usr/bin/exthost-cgi python
"""A whole reply, and then one of the ways to end, by the query."""

import os
import sys

print("Content-Type: application/octet-stream\n")
print("whole")
how = os.environ["QUERY_STRING"]
if how == "sys.exit":
    sys.exit()
elif how == "sys.exit-0":
    sys.exit(0)
elif how == "exit":
    exit()
elif how == "raise":
    raise SystemExit
elif how == "os._exit":
    sys.stdout.flush()
    os._exit(0)
elif how == "close":
    sys.stdout.close()
elif how == "close-1":
    sys.stdout.flush()
    os.close(1)
print("the end was reached", file=sys.stderr)
