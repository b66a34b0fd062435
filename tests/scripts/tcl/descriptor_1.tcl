#!/usr/bin/exthost-cgi tcl
# Write to descriptor 1 itself, between and through others.

puts "Content-Type: application/octet-stream\n"
puts "one"
flush stdout
set out [open /proc/self/fd/1 w]
puts $out "two"
close $out
exec /bin/echo three >@stdout
puts "four"
