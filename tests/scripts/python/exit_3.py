#!/usr/bin/exthost-cgi python
"""Fail without a word."""

import sys

sys.exit(3)
