#!/usr/bin/exthost-cgi tcl
# The page's end is written from the event loop.

puts "Content-Type: application/octet-stream\n"
puts "from the script"
after 50 {
	puts "from the event loop"
	set done 1
}
vwait done
