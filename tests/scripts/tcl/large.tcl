#!/usr/bin/exthost-cgi tcl
# As many bytes as the query says.

set size $env(QUERY_STRING)
set line [string repeat 0123456789abcdef 4096]
chan configure stdout -translation binary
puts -nonewline "Content-Type: application/octet-stream\n\n"
while {$size > 0} {
	puts -nonewline [string range $line 0 $size-1]
	incr size -[string length $line]
}
