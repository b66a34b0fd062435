#!/usr/bin/exthost-cgi tcl
# What the exthost library tells.

package require exthost

puts "Content-Type: application/octet-stream\n"
puts "user [exthost user]"
puts "capabilities [exthost capabilities]"
puts "has-h [exthost has h]"
puts "has-s [exthost has s]"
puts "has-hj [exthost has hj]"
puts "has-hs [exthost has hs]"
puts "nonce [exthost nonce]"
puts "repository [exthost repository]"
puts "base [exthost base_uri]"
puts "escape [exthost escape "<a href=\"'x'\">&"]"
