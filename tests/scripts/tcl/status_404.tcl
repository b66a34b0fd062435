#!/usr/bin/exthost-cgi tcl
# A status of its own, and headers.

puts "Status: 404 Nothing Here"
puts "Content-Type: application/octet-stream"
puts "X-First: one"
puts "x-second: two: three"
puts ""
puts "nothing here"
