#!/usr/bin/exthost-cgi tcl
# Send the body back as it came.

set size 0
if {[info exists env(CONTENT_LENGTH)] && $env(CONTENT_LENGTH) ne ""} {
	set size $env(CONTENT_LENGTH)
}
chan configure stdin -translation binary
chan configure stdout -translation binary
puts -nonewline "Content-Type: application/octet-stream\n\n"
puts -nonewline [read stdin $size]
