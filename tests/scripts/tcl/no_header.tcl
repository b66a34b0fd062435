#!/usr/bin/exthost-cgi tcl
# A page without a header block.

puts "just text, and no header"
puts ""
puts "more text"
