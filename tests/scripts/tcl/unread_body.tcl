#!/usr/bin/exthost-cgi tcl
# Answer without reading the body.

puts "Content-Type: application/octet-stream\n"
puts "not read"
