#!/usr/bin/exthost-cgi tcl
# Read standard input to its end, without asking for CONTENT_LENGTH; tell size and CRC.

chan configure stdin -translation binary
set body [read stdin]
puts "Content-Type: application/octet-stream\n"
puts "[string length $body] [zlib crc32 $body]"
