#!/usr/bin/exthost-cgi tcl
# Tell which descriptors above 2 are open: here, in a program started here, and the next one.

set found {}
foreach name [glob -directory /proc/self/fd -tails *] {
	if {$name > 2 && ![catch {file link /proc/self/fd/$name}]} {
		lappend found $name
	}
}
set opened [open /dev/null]
set following [string range $opened 4 end]
close $opened
set child {}
foreach name [exec /bin/ls /proc/self/fd </dev/null] {
	# 3 is the directory that ls itself reads.
	if {$name > 3} {
		lappend child $name
	}
}
puts "Content-Type: application/octet-stream\n"
puts [string trimright "here: [lsort -integer $found]"]
puts "next: $following"
puts [string trimright "child: $child"]
