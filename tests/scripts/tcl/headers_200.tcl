#!/usr/bin/exthost-cgi tcl
# Two hundred headers.

puts "Content-Type: application/octet-stream"
for {set i 0} {$i < 200} {incr i} {
	puts "X-Header-$i: value $i"
}
puts ""
puts "body"
