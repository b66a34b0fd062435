#!/usr/bin/exthost-cgi python
"""Succeed without a word."""
