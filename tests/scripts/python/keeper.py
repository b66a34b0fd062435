"""A module that keeps the output there was when it was imported."""

import sys

out = sys.stdout.buffer
