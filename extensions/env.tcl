#!/usr/bin/exthost-cgi tcl
# What an extension sees: arguments, working directory, encodings, standard input, environment.
#
# For looking at a new installation. It shows paths of the server to everybody who can reach it, so
# take it out of the extension root again. Cookies are left out: Fossil's login is in one.

set secret {HTTP_COOKIE HTTP_AUTHORIZATION}
set empty {<span class="none">(empty)</span>}

proc main {} {
	set about [list \
		Tcl [info patchlevel] \
		Arguments [concat $::argv0 $::argv] \
		"Working folder" [pwd] \
		"Encoding of text" [encoding system] \
		"Encoding of output" [chan configure stdout -encoding] \
		"Standard input" [kind_of_file 0]]
	set variables {}
	foreach name [lsort [array names ::env]] {
		set hidden [expr {$name in $::secret}]
		lappend variables $name [expr {$hidden ? "(not shown)" : [variable_text $name]}]
	}
	set count [expr {[llength $variables] / 2}]
	reply "Environment (Tcl)" [string cat \
		[table "About the script" $about] \
		[table "Variables in the environment: $count" $variables]]
}

# The environment is UTF-8, but Tcl 8.6 takes it for Latin-1 where LANG is missing, as it is under
# plain CGI.
proc variable_text name {
	set value $::env($name)
	catch {set value [encoding convertfrom utf-8 [encoding convertto $value]]}
	return $value
}

proc kind_of_file descriptor {
	if {[catch {file stat /proc/self/fd/$descriptor status}]} {
		return closed
	}
	set kinds {file file fifo pipe socket socket characterSpecial device}
	if {![dict exists $kinds $status(type)]} {
		return "something else"
	}
	return [dict get $kinds $status(type)]
}

proc table {heading rows} {
	set cells ""
	foreach {name value} $rows {
		set shown [expr {$value eq "" ? $::empty : [escape $value]}]
		append cells "<tr><th scope=\"row\">[escape $name]</th><td>$shown</td></tr>\n"
	}
	return "<h2>$heading</h2>\n<table>\n<tbody>\n$cells</tbody>\n</table>\n"
}

proc escape text {
	return [string map {& &amp; < &lt; > &gt; \" &quot; ' &#x27;} $text]
}

# Print the page: for Fossil's skin, or a whole document where no Fossil is in front.
proc reply {title body {status "200 OK"}} {
	set name [expr {[info exists ::env(SCRIPT_NAME)] ? $::env(SCRIPT_NAME) : ""}]
	set folder [escape [string range $name 0 [string last / $name]-1]]
	set style "<link rel=\"stylesheet\" href=\"$folder/style.css\">"
	chan configure stdout -encoding utf-8 -translation lf
	puts "Status: $status\nContent-Type: text/html; charset=utf-8\n"
	if {[info exists ::env(FOSSIL_NONCE)]} {
		puts "<div class='fossil-doc' data-title='$title'>\n$style"
		puts "<div class=\"sample\">\n$body</div>\n</div>"
		return
	}
	puts "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">"
	puts {<meta name="viewport" content="width=device-width, initial-scale=1">}
	puts "<title>$title</title>\n$style\n</head>\n<body class=\"plain\">"
	puts "<h1>$title</h1>\n<div class=\"sample\">\n$body</div>\n</body>\n</html>"
}

main
