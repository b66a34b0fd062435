#!/usr/bin/exthost-cgi tcl
# Greet the Fossil user by name, in Fossil's skin: the exthost package in thirty lines.
#
# exthost carries the package itself. Where a plain tclsh runs this file, put exthost.tcl and its
# pkgIndex.tcl beside it; this line finds them there, and any other package of your own.
lappend auto_path [file dirname [info script]]
package require exthost

set capabilities {o "read the check-ins" i "check in" s "set Fossil up"}
set samples {env "what an extension sees" form "forms and files" report "check-ins per month"}

proc greeting {} {
	if {[exthost user] ne ""} {
		return "<p>Hello, <strong>[exthost escape [exthost user]]</strong>.</p>"
	}
	if {[exthost nonce] ne ""} {
		set login [exthost escape [exthost base_uri]/login]
		return "<p>Hello, visitor. <a href=\"$login\">Log in</a> and be greeted by name.</p>"
	}
	return "<p>Hello, visitor. Under Fossil this page would know who you are.</p>"
}

proc may {letter what} {
	set answer [expr {[exthost has $letter] ? "yes" : "no"}]
	return "<li>$what (<code>$letter</code>): $answer</li>"
}

lappend body [greeting]
lappend body "<p>This is Tcl [exthost escape [info patchlevel]].</p>"
lappend body "<p>You may:</p>\n<ul>"
foreach {letter what} $capabilities {
	lappend body [may $letter $what]
}
lappend body "</ul>\n<p>More samples:</p>\n<ul>"
foreach {name what} $samples {
	lappend body "<li><a href=\"$name.tcl\">$name</a>: $what</li>"
}
lappend body {<li><a href="hello.py">this one in Python</a></li>} </ul>

exthost page "Hello (Tcl)" {*}$body
