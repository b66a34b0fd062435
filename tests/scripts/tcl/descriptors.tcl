#!/usr/bin/exthost-cgi tcl
# Tell which descriptors above 2 are open.

puts "Content-Type: application/octet-stream\n"
foreach number [lsort -integer [glob -tails -directory /proc/self/fd *]] {
	# What cannot be read is the one that glob had.
	if {$number > 2 && ![catch {file readlink /proc/self/fd/$number} target]} {
		puts "$number $target"
	}
}
