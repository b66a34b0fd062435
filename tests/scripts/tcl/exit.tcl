#!/usr/bin/exthost-cgi tcl
# A whole reply, and then one of the ways to end, by the query.

puts "Content-Type: application/octet-stream\n"
puts "whole"
switch $env(QUERY_STRING) {
	exit { exit }
	exit-0 { exit 0 }
	return { return }
	in-proc { proc leave {} { exit }; leave }
	after { after 10 exit; vwait forever }
	close { close stdout }
}
puts stderr "the end was reached"
