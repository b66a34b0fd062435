# exthost: what a Fossil extension wants to know, and a page in Fossil's skin.
#
#	package require exthost
#
#	if {![exthost has o]} {
#		exthost page -status "403 Forbidden" "Not for you" "<p>You may not read this.</p>"
#	} else {
#		exthost page "Hello" "<p>Hello, [exthost escape [exthost user]].</p>"
#	}
#
# Fossil passes five environment variables to an extension (www/serverext.wiki in Fossil's own
# documentation): FOSSIL_USER, FOSSIL_CAPABILITIES, FOSSIL_NONCE, FOSSIL_REPOSITORY and FOSSIL_URI.
# This package has a command for each, which also has a value where Fossil does not set the
# variable. It needs nothing of the host, and works in any CGI script that finds it.
#
# Every command reads ::env when it is called, so all of this works in an app too.
#
# Outside Fossil (behind nginx, say) all five are missing: no user is logged in, the user may do
# nothing, and pages are whole HTML documents.

package require Tcl 8.6-
package provide exthost 0.1

namespace eval ::exthost {
	# No abbreviations: "exthost u" would break when a second command with u is added.
	namespace ensemble create -prefixes 0 -subcommands {
		user capabilities has nonce repository base_uri escape document page
	}

	# For pages outside Fossil; inside, the skin has the style.
	variable style {
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { line-height: 1.2 }
table { border-collapse: collapse }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #8885 }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
img, svg { max-width: 100% }
}
}

# exthost user
#	The name of the Fossil user, or "" if no user is logged in. A visitor who used Fossil's
#	captcha login is the user "anonymous".
proc ::exthost::user {} {
	return [Get FOSSIL_USER]
}

# exthost capabilities
#	The capabilities of the user, one letter each, or "". Fossil has expanded them already: they
#	include those of the users nobody and anonymous, and those that another capability implies (a
#	user with s, setup, also has i, o and so on). Fossil 2.21 leaves out a, so to recognize an
#	administrator ask for s and for a.
proc ::exthost::capabilities {} {
	return [Get FOSSIL_CAPABILITIES]
}

# exthost has CAPABILITY
#	1 if the user has this capability; of several letters, all of them. Else 0. Only the letters
#	themselves count, see capabilities. o allows to read check-ins, i to check in, s is setup;
#	Fossil lists all of them at /setup_ucap_list. An error for anything but letters and digits:
#	the empty string would otherwise be true for everybody.
proc ::exthost::has capability {
	if {![regexp {^[A-Za-z0-9]+$} $capability]} {
		return -code error -errorcode {EXTHOST CAPABILITY} \
			"not a capability of Fossil: \"$capability\""
	}
	set all [capabilities]
	foreach letter [split $capability ""] {
		if {[string first $letter $all] < 0} {
			return 0
		}
	}
	return 1
}

# exthost nonce
#	The nonce that a <script nonce="..."> needs to run in Fossil's skin; outside Fossil "".
proc ::exthost::nonce {} {
	return [Get FOSSIL_NONCE]
}

# exthost repository
#	The path of the repository file, or "". Open it with -readonly 1: Fossil writes to it.
proc ::exthost::repository {} {
	return [Get FOSSIL_REPOSITORY]
}

# exthost base_uri
#	The beginning of a link to a page of Fossil, before "/timeline": "/cgi-bin/project", say. It is
#	"" if Fossil itself is the web server, and outside Fossil.
proc ::exthost::base_uri {} {
	return [Get FOSSIL_URI]
}

# exthost escape TEXT
#	The text, escaped for HTML and for quoted attributes.
proc ::exthost::escape text {
	return [string map {& &amp; < &lt; > &gt; \" &quot; ' &#39;} $text]
}

# exthost document TITLE ?HTML ...?
#	A page as a string; page prints it. The title is plain text. The body is HTML, in any number
#	of pieces, without a title. In Fossil the page is a <div class='fossil-doc' data-title='...'>,
#	which Fossil puts into its skin if the response's type is text/html; outside Fossil it is a
#	whole HTML document.
proc ::exthost::document {title args} {
	variable style
	set html [join $args \n]
	if {[nonce] ne ""} {
		return "<div class='fossil-doc' data-title=[DataTitle $title]>\n$html\n</div>\n"
	}
	set title [escape $title]
	return [join [list {<!DOCTYPE html>} {<html lang="en">} <head> {<meta charset="utf-8">} \
		{<meta name="viewport" content="width=device-width, initial-scale=1">} \
		<title>$title</title> <style>$style</style> </head> <body> <h1>$title</h1> \
		$html </body> </html> ""] \n]
}

# exthost page ?-status STATUS? TITLE ?HTML ...?
#	Print a whole CGI reply (RFC 3875) to stdout: Status (200 OK when not given), Content-Type and
#	document. Call it once in a request, before anything else is printed; stdout is UTF-8
#	afterwards. An error if the status could not stand in a header line.
proc ::exthost::page args {
	set status "200 OK"
	if {[lindex $args 0] eq "-status" && [llength $args] > 1} {
		set args [lassign $args - status]
	}
	if {![llength $args]} {
		return -code error -errorcode {TCL WRONGARGS} \
			"wrong # args: should be \"exthost page ?-status STATUS? TITLE ?HTML ...?\""
	}
	if {[regexp {[[:cntrl:]]} $status]} {
		return -code error -errorcode {EXTHOST STATUS} "not a status: \"$status\""
	}
	chan configure stdout -translation lf -encoding utf-8
	if {[package vsatisfies [package provide Tcl] 9-]} {
		# A stray byte in a variable must not prevent the page.
		chan configure stdout -profile replace
	}
	puts "Status: $status"
	puts "Content-Type: text/html; charset=utf-8\n"
	puts -nonewline [document {*}$args]
}

# The value of an environment variable, or "".
proc ::exthost::Get name {
	if {![info exists ::env($name)]} {
		return ""
	}
	set value $::env($name)
	if {[encoding system] ne "utf-8"} {
		# Fossil's text is UTF-8, but under plain CGI it gives no LANG, and Tcl 8.6 then reads its
		# environment as Latin-1.
		catch {set value [encoding convertfrom utf-8 [encoding convertto $value]]}
	}
	return $value
}

# The title with quotes around it. Fossil 2.21 decodes &amp; &lt; &gt; and turns every other entity
# into "?", so a quote is kept only inside the other kind of quotes.
proc ::exthost::DataTitle title {
	set text [string map {& &amp; < &lt; > &gt;} $title]
	if {[string first ' $text] >= 0 && [string first \" $text] < 0} {
		return "\"$text\""
	}
	return "'[string map [list ' \u2019] $text]'"
}
