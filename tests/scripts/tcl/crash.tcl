#!/usr/bin/exthost-cgi tcl
# Die by a signal after as many bytes of body as the query says; without one, before any output.

if {$env(QUERY_STRING) ne ""} {
	puts "Content-Type: application/octet-stream\n"
	puts -nonewline [string repeat x $env(QUERY_STRING)]
	flush stdout
}
exec /bin/kill -SEGV [pid]
# The signal may arrive a moment later.
after 10000
