#!/usr/bin/exthost-cgi tcl
# Say hello, and repeat the query string.

puts "Content-Type: application/octet-stream\n"
puts "Hello from tcl: $env(QUERY_STRING)"
