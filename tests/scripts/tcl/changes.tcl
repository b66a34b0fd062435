#!/usr/bin/exthost-cgi tcl
# Tell what could be left over from another request, and then leave all of it.

set seen [list \
	directory [string equal [pwd] [file dirname [file normalize [info script]]]] \
	command [llength [info commands ::left_over]] \
	namespace [namespace exists ::left::over] \
	array [info exists ::tcl_platform(left_over)] \
	variable [info exists env(LEFT_OVER)] \
	path [expr {"/left/over" in $auto_path}] \
	global [info exists ::left_over] \
	encoding [string equal [encoding system] iso8859-1] \
	timer [llength [after info]] \
	recursion [expr {[interp recursionlimit {}] == 777}] \
	package [expr {[package provide left_over] ne ""}] \
	puts [expr {[info commands ::left_puts] ne ""}]]

puts "Content-Type: application/octet-stream\n"
foreach {name was} $seen {
	puts "$name $was"
}

cd /
proc ::left_over {} {}
namespace eval ::left::over {}
set ::tcl_platform(left_over) 1
set env(LEFT_OVER) 1
lappend auto_path /left/over
set ::left_over 1
encoding system iso8859-1
after 100000 {}
interp recursionlimit {} 777
package provide left_over 1.0
rename puts left_puts
