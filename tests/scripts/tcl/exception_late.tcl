#!/usr/bin/exthost-cgi tcl
# An error when half a page is out.

puts "Content-Type: application/octet-stream\n"
puts "half a page"
flush stdout
error "a secret went <wrong>"
