#!/usr/bin/exthost-cgi tcl
# Say so in the log, sleep as many milliseconds as the query says, and answer.

puts stderr "sleeping"
after $env(QUERY_STRING)
puts "Content-Type: application/octet-stream\n"
puts "slept"
