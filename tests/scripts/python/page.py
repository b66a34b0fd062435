#!/usr/bin/exthost-cgi python
"""A page in Fossil's skin."""

import exthost

exthost.page("A <title> & more", "<p id='here'>text</p>", status="403 Forbidden")
