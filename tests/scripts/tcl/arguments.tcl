#!/usr/bin/exthost-cgi tcl
# Tell how the script was started.

puts "Content-Type: application/octet-stream\n"
puts "arguments $argc $argv"
puts "argv0 $argv0"
puts "script [info script]"
puts "directory [pwd]"
puts "interactive $tcl_interactive"
puts "text [encoding system] [chan configure stdout -encoding] caf\u00e9"
puts "level [info level] [namespace current]"
