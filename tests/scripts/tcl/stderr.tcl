#!/usr/bin/exthost-cgi tcl
# Two lines for the log, and a reply.

puts stderr "first complaint"
puts stderr "second complaint"
puts "Content-Type: application/octet-stream\n"
puts "replied"
