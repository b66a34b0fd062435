#!/usr/bin/exthost-cgi tcl
# Write more than any pipe holds, and only then read the body; its size and CRC stand last.

puts "Content-Type: application/octet-stream\n"
for {set i 0} {$i < 200} {incr i} {
	puts [string repeat x 999]
}
flush stdout
chan configure stdin -translation binary
set body [read stdin $env(CONTENT_LENGTH)]
puts "[string length $body] [zlib crc32 $body]"
