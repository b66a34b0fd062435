#!/usr/bin/exthost-cgi tcl
# Forms: fields from the URL, fields from a POST, and a file, with its size and SHA-256.
#
# Everything from outside is bytes until it has been shown to be UTF-8 text. Nothing is changed by
# these forms. A form that changes something must also make sure that it was sent from its own page
# (a secret in a hidden field).
#
# No field may be called "name": Fossil answers 404 to an extension's URL with name= in it.

# SHA-256 is from tcllib, in plain Tcl: about two seconds for each MiB.
set max_body [expr {8 * 1024 * 1024}]

proc main {} {
	try {
		lassign [read_form] fields files
		set body "[arrived $fields $files][forms]"
	} trap REFUSED {sentence options} {
		set status [lindex [dict get $options -errorcode] 1]
		reply "Form (Tcl)" "<p>[escape $sentence]</p>\n" $status
	} on ok {} {
		reply "Form (Tcl)" $body
	}
}

proc refuse {status sentence} {
	throw [list REFUSED $status] $sentence
}

# A variable of the request as the bytes that were sent, whatever encoding Tcl took it for.
proc variable_bytes {name {default ""}} {
	if {![info exists ::env($name)] || $::env($name) eq ""} {
		return $default
	}
	return [encoding convertto $::env($name)]
}

# The fields as name, text, name, text...; the files as a list of {file name, type, bytes}.
proc read_form {} {
	set method [variable_bytes REQUEST_METHOD GET]
	set fields [urlencoded [variable_bytes QUERY_STRING]]
	if {$method in {GET HEAD}} {
		return [list $fields {}]
	}
	if {$method ne "POST"} {
		refuse "405 Method Not Allowed" "This page answers GET and POST, not $method."
	}
	set body [read_body]
	set type [variable_bytes CONTENT_TYPE]
	set kind [string tolower [string trim [lindex [split $type ";"] 0]]]
	switch $kind {
		application/x-www-form-urlencoded {
			return [list [concat $fields [urlencoded $body]] {}]
		}
		multipart/form-data {
			set found [parameters $type]
			set boundary [expr {[dict exists $found boundary] ? [dict get $found boundary] : ""}]
			lassign [multipart $body $boundary] more files
			return [list [concat $fields $more] $files]
		}
	}
	refuse "415 Unsupported Media Type" "This page cannot read a body of type \u201c$kind\u201d."
}

# Exactly CONTENT_LENGTH bytes: Fossil does not end the body of a plain CGI script, so a read of
# more bytes waits for ever.
proc read_body {} {
	set length [variable_bytes CONTENT_LENGTH 0]
	if {![regexp {^[0-9]{1,18}$} $length]} {
		refuse "400 Bad Request" "CONTENT_LENGTH is not a number."
	}
	scan $length %lld length ;# 010 is ten
	if {$length > $::max_body} {
		refuse "413 Content Too Large" "$length bytes are more than $::max_body."
	}
	chan configure stdin -translation binary
	set body [read stdin $length]
	if {[string length $body] < $length} {
		set got [string length $body]
		refuse "400 Bad Request" "The body ends after $got of $length bytes."
	}
	return $body
}

# Fields of a query or of an application/x-www-form-urlencoded body.
proc urlencoded data {
	set fields {}
	foreach pair [split $data &] {
		if {$pair eq ""} {
			continue
		}
		set equals [string first = $pair]
		if {$equals < 0} {
			set equals [string length $pair]
		}
		lappend fields [text_of [percent_decode [string range $pair 0 $equals-1]]] \
			[text_of [percent_decode [string range $pair $equals+1 end]]]
	}
	return $fields
}

# The bytes that %41 and + stand for. A % that is followed by anything else stays.
proc percent_decode data {
	set decoded ""
	foreach {- plain escape hex} [regexp -all -inline {([^%]*)(%([[:xdigit:]]{2})|%|$)} \
			[string map {+ " "} $data]] {
		append decoded $plain [expr {$hex eq "" ? $escape : [binary format H2 $hex]}]
	}
	return $decoded
}

# Fields and files of a multipart/form-data body (RFC 7578).
proc multipart {body boundary} {
	if {$boundary eq ""} {
		refuse "400 Bad Request" "The multipart body has no boundary."
	}
	set fields {}
	set files {}
	foreach part [lrange [split_at "\r\n$body" "\r\n--$boundary"] 1 end] {
		if {[string match --* $part]} {
			return [list $fields $files]
		}
		set blank [string first "\r\n\r\n" $part]
		set header [part_header [string range $part 0 $blank-1]]
		if {$blank < 0 || ![dict exists $header name]} {
			refuse "400 Bad Request" "A part of the multipart body has no name."
		}
		set content [string range $part $blank+4 end]
		if {![dict exists $header filename]} {
			lappend fields [dict get $header name] [text_of $content]
		} elseif {[dict get $header filename] ne "" || $content ne ""} {
			# A browser sends an empty part when no file was chosen.
			lappend files [list [dict get $header filename] [dict get $header type] $content]
		}
	}
	refuse "400 Bad Request" "The multipart body is cut short."
}

# split, at a string instead of at characters.
proc split_at {data separator} {
	set pieces {}
	set from 0
	while {[set to [string first $separator $data $from]] >= 0} {
		lappend pieces [string range $data $from $to-1]
		set from [expr {$to + [string length $separator]}]
	}
	return [lappend pieces [string range $data $from end]]
}

# type, and name and filename where the part has them.
proc part_header head {
	set header {type application/octet-stream}
	foreach line [split_at [text_of $head] "\r\n"] {
		set colon [string first : $line]
		set value [string range $line $colon+1 end]
		switch [string tolower [string range $line 0 $colon-1]] {
			content-disposition {
				set found [dict filter [parameters $value] script {key -} {
					expr {$key in {name filename}}
				}]
				set header [dict merge $header $found]
			}
			content-type {
				dict set header type [string trim $value]
			}
		}
	}
	return $header
}

# What follows the value in a header line, as a dict: ; key="value"; key=value.
proc parameters header {
	set found {}
	set pattern {;\s*([\w*-]+)=(?:"((?:\\"|[^"])*)"|([^;"\s]+))}
	foreach {- key quoted plain} [regexp -all -inline $pattern $header] {
		dict set found [string tolower $key] [string map {\\\" \" %22 \"} $quoted$plain]
	}
	return $found
}

# The text that the bytes are in UTF-8. Tcl 9 throws an error if they are none. Tcl 8.6 reads them
# somehow, and what it read does not lead back to the same bytes; but half a surrogate pair does.
proc text_of data {
	if {[catch {set text [encoding convertfrom utf-8 $data]}]
			|| [encoding convertto utf-8 $text] ne $data || [regexp {\xed[\xa0-\xbf]} $data]} {
		refuse "400 Bad Request" "A field is not UTF-8 text."
	}
	return $text
}

proc arrived {fields files} {
	set html ""
	if {[llength $fields]} {
		append html "<h2>Fields</h2>\n<table>\n" \
			"<thead><tr><th>Field</th><th>Text</th></tr></thead>\n<tbody>\n"
		foreach {name text} $fields {
			append html "<tr><th scope=\"row\">[escape $name]</th>" \
				"<td class=\"text\">[escape $text]</td></tr>\n"
		}
		append html "</tbody>\n</table>\n"
	}
	foreach file $files {
		lassign $file name type content
		package require sha256
		append html "<h2>File</h2>\n<table>\n<tbody>\n" [rows \
			Name [escape $name] \
			Type [escape $type] \
			Size "[string length $content] bytes" \
			SHA-256 <code>[sha2::sha256 -hex -- $content]</code>] "</tbody>\n</table>\n"
	}
	return $html
}

proc rows args {
	set html ""
	foreach {name cell} $args {
		append html "<tr><th scope=\"row\">$name</th><td>$cell</td></tr>\n"
	}
	return $html
}

proc forms {} {
	set action [escape [variable_bytes SCRIPT_NAME]]
	set mib [expr {$::max_body / 1024 / 1024}]
	return [string map [list @ACTION@ $action @MIB@ $mib] {<h2>Send something</h2>
<form method="get" action="@ACTION@">
<fieldset><legend>In the URL</legend>
<label>Who are you? <input name="who" autocomplete="off"></label>
<button>Send by GET</button>
</fieldset>
</form>
<form method="post" action="@ACTION@">
<fieldset><legend>In the body</legend>
<label>Some text <textarea name="text" rows="3"></textarea></label>
<button>Send by POST</button>
</fieldset>
</form>
<form method="post" enctype="multipart/form-data" action="@ACTION@">
<fieldset><legend>A file</legend>
<label>Up to @MIB@ MiB <input type="file" name="file"></label>
<label>A note to it <input name="note" autocomplete="off"></label>
<button>Send the file</button>
</fieldset>
</form>
}]
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
