#!/usr/bin/tclsh
# exthost: app
proc application {} {
    puts "Content-Type: text/plain\n\nhello"
}
