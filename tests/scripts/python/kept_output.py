#!/usr/bin/exthost-cgi python
"""Print through a module of its own directory that has kept sys.stdout.buffer."""

import keeper

keeper.out.write(b"Content-Type: application/octet-stream\n\nkept\n")
