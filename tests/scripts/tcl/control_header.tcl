#!/usr/bin/exthost-cgi tcl
# A header with a control character: a carriage return that begins another header, or a byte 1.

puts "Content-Type: application/octet-stream"
if {$env(QUERY_STRING) eq "return"} {
	puts "X-Bad: one\rX-Injected: yes"
} else {
	puts "X-Bad: one\x01two"
}
puts ""
puts "body"
