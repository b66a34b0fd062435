#!/usr/bin/exthost-cgi tcl
# Succeed without a word.
