#!/usr/bin/exthost-cgi tcl
# Print by way of a file of its own directory.

source [file join [file dirname [info script]] keeper.tcl]
source keeper.tcl
puts -nonewline $out "Content-Type: application/octet-stream\n\nkept\n"
