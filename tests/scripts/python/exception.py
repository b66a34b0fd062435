#!/usr/bin/exthost-cgi python
"""An exception before any output."""


def inner():
    raise ValueError("a secret went <wrong>")


inner()
