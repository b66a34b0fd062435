#!/usr/bin/exthost-cgi tcl
# A redirect that sets cookies behind its Location.

puts "Status: 302 Found"
puts "Location: /elsewhere"
puts "Set-Cookie: first=1"
puts "Set-Cookie: second=2"
puts ""
