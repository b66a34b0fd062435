#!/usr/bin/exthost-cgi tcl
# A header line of as many bytes as the query says, its end not counted.

set start "X-Long: "
puts "Content-Type: application/octet-stream"
puts $start[string repeat a [expr {$env(QUERY_STRING) - [string length $start]}]]
puts ""
puts "body"
