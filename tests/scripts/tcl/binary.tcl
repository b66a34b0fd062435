#!/usr/bin/exthost-cgi tcl
# Bytes that are no text, in a header and in the body.

chan configure stdout -translation binary
puts -nonewline "Content-Type: application/octet-stream\nX-Bytes: caf\xe9 \xff\n\n"
for {set i 0} {$i < 256} {incr i} {
	puts -nonewline [binary format c $i]
}
