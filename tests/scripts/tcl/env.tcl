#!/usr/bin/exthost-cgi tcl
# Tell the whole environment: a name and the bytes of its value in hexadecimal on each line.

puts "Content-Type: application/octet-stream\n"
foreach name [lsort [array names env]] {
	puts "$name [binary encode hex [encoding convertto utf-8 $env($name)]]"
}
