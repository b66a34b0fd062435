#!/usr/bin/exthost-cgi tcl
# Fail without a word.

exit 3
