# Send the mail that Fossil stores in a database: by SMTP, or into a maildir.
#
#     exthost tclsh mailer.tcl --queue FILE --smtp HOST:PORT [OPTION]...
#     exthost tclsh mailer.tcl --queue FILE --maildir DIR [OPTION]...
#
# This is a program that runs beside Fossil, not a page. Fossil's settings email-send-method=db
# and email-send-db=FILE make Fossil put each message into the table "email" of FILE; the mailer
# takes it from there, and starts no other program. mailer.py is the same in Python: same options,
# same tables, same log; either goes on where the other was stopped.
#
# How nothing is lost, and what may come twice. A message is moved from Fossil's table into the
# table "mailer" of the same database, and marked as in hand before the first byte of it is sent;
# its end (sent, to be tried again, failed) is recorded, a line written to the table "mailer_log"
# and the next message marked, all in one transaction. So after a kill, at any moment, exactly one
# message may have been sent without a record: the one in hand. It is sent again, with the same
# Message-ID, by which a receiver can recognize it; into a maildir under the same file name, so that
# it is there once. The same holds if the connection breaks before the server has answered to the
# whole message.
#
# Fossil waits one second at most for a lock on the database, and not at all while it opens it,
# and then drops the message. Hence no transaction here is open while something is sent, and the
# database is set to WAL mode, where a reader never waits (--journal keep leaves the mode as it
# is).
#
# Needs the package sqlite3, and tls for --starttls. Tcl by itself can neither catch SIGTERM nor
# sync a file: with the package Tclx it does both; without it SIGTERM is as good as a kill, and a
# maildir's newest file may be lost when the machine (not the mailer) dies.

set schema {
	CREATE TABLE IF NOT EXISTS email(emailid INTEGER PRIMARY KEY, msg TEXT);
	CREATE TABLE IF NOT EXISTS mailer(
	  id INTEGER PRIMARY KEY AUTOINCREMENT,
	  key TEXT NOT NULL,      -- for the Message-ID and the file name: the same at every try
	  emailid INTEGER,        -- what Fossil called it; Fossil uses a number again
	  queued REAL NOT NULL,   -- when it was moved here: seconds since 1970
	  msg,
	  rcpt TEXT,              -- whom it must still go to, one a line; NULL: all in its header
	  state TEXT NOT NULL,    -- waiting, sending (in hand), failed
	  tries INTEGER NOT NULL, -- begun
	  due REAL NOT NULL,      -- when to try next
	  reason TEXT);           -- why the last try failed
	CREATE INDEX IF NOT EXISTS mailer_due ON mailer(due, id) WHERE state = 'waiting';
	CREATE TABLE IF NOT EXISTS mailer_log(
	  time TEXT, id INTEGER, emailid INTEGER, status TEXT, rcpt TEXT, tries INTEGER, reason TEXT);
}

set longest_wait [expr {4 * 3600}] ;# between two tries of a message, in seconds
set longest_server_wait 300        ;# between two tries to reach a server
set longest_line 998               ;# RFC 5322, 2.1.1; without the line's end
set address_pattern {^[^\s<>@\x00-\x20\x7f]+@[^\s<>@\x00-\x20\x7f]+$}
set address_fields {from sender to cc reply-to}

set stop 0   ;# set by SIGTERM and SIGINT
set wake ""  ;# what ended a wait

proc main arguments {
	if {[info exists ::env(GATEWAY_INTERFACE)]} {
		puts "Status: 404 Not Found\nContent-Type: text/plain; charset=utf-8\n"
		puts "This is a program for the command line, not a page."
		return 0
	}
	try {
		read_options $arguments
		need_packages
		catch_signals
		open_queue
		delivery prepare
		log_line info "mailer started" queue $::queue_path journal $::journal to [delivery name]
		if {!$::can_catch} {
			log_line warning "Tclx is not installed: SIGTERM ends the mailer as a kill does"
		}
		return [drain]
	} trap HELP text {
		puts $text
		return 0
	} trap MISTAKE message {
		return [complain $message 2]
	} trap BUSY message {
		return [complain "[dict get $::options queue]: $message" 1]
	} on error {message details} {
		if {[info exists ::queue_path]} {
			return [complain "[dict get $::options queue]: $message" 1]
		}
		return -options $details $message
	}
}

# Send what is there, and, without --once, what comes. The exit status.
proc drain {} {
	recover
	set outcome {}
	set troubles 0
	while 1 {
		set message [step $outcome [expr {!$::stop}]]
		set outcome {}
		if {$message eq ""} {
			delivery close
			if {$::stop || [dict get $::options once]} {
				break
			}
			wait_for_more
			continue
		}
		try {
			set outcome [deliver $message]
			set troubles 0
		} trap SERVER reason {
			incr troubles
			set pause [expr {min([dict get $::options backoff] * 2.0 ** min($troubles - 1, 20),
				$::longest_server_wait) * (0.5 + rand() / 2)}]
			release $message
			delivery close
			set pairs [list to [delivery name] reason $reason]
			if {[dict get $::options once]} {
				log_line warning "nothing can be sent" {*}$pairs
				break
			}
			log_line warning "nothing can be sent" {*}$pairs again_in [format %.1f $pause]
			wait $pause
		}
	}
	set left [count_state waiting]
	set failed [count_state failed]
	log_line info "mailer ended" waiting $left failed $failed
	db close
	lock close
	return [expr {[dict get $::options once] && ($left || $failed)}]
}

# What became of it, as {recipient code text ...} with SMTP's codes. May throw SERVER: no message
# can be sent now, this one or another, and no message is blamed for it.
proc deliver message {
	delivery ready
	try {
		return [send_letter [read_letter $message] [expr {[dict get $message tries] > 1}]]
	} trap UNSENDABLE reason {
		return [list "" 500 $reason]
	}
}

proc send_letter {letter again} {
	set outcome {}
	set recipients {}
	foreach recipient [dict get $letter recipients] {
		if {[is_address $recipient]} {
			lappend recipients $recipient
		} else {
			lappend outcome $recipient 501 "not an address"
		}
	}
	dict set letter recipients $recipients
	if {[llength $recipients]} {
		lappend outcome {*}[delivery send $letter $again]
	}
	return $outcome
}

proc is_address text {
	return [regexp -- $::address_pattern $text]
}

proc delivery {verb args} {
	set kind [expr {[dict get $::options maildir] ne "" ? "maildir" : "smtp"}]
	tailcall ${kind}_$verb {*}$args
}

# The queue.

proc open_queue {} {
	set given [dict get $::options queue]
	# A link to the database is resolved, as file normalize does for all but the last part.
	set path [file dirname [file normalize [file join $given x]]]
	if {![file isdirectory [file dirname $path]]} {
		throw MISTAKE "--queue $given: there is no such folder"
	}
	if {[file isdirectory $path]} {
		throw MISTAKE "--queue $given: this is a folder"
	}
	# SQLite takes a name as UTF-8, whatever the locale says.
	set path [encoding convertfrom utf-8 [encoding convertto $path]]
	set ::queue_path $path
	# A transaction that never ends, on an empty database: the system drops it when we end.
	sqlite3 lock $path.mailer-lock
	try {
		lock eval {
			PRAGMA journal_mode = MEMORY;
			BEGIN EXCLUSIVE;
		}
	} on error message {
		if {[string match *locked* $message]} {
			throw BUSY "another mailer has this queue"
		}
		error $message
	}
	# Only now: a second mailer must not touch it.
	sqlite3 db $path
	db timeout 10000
	if {[dict get $::options journal] eq "wal"} {
		db eval {PRAGMA journal_mode = WAL}
	}
	set ::journal [db onecolumn {PRAGMA journal_mode}]
	db eval {PRAGMA synchronous = FULL}
	transaction {db eval $::schema}
	set ::version ""
}

# What was in hand when the last mailer was killed may have been sent: nobody knows.
proc recover {} {
	set rows {}
	db eval {SELECT id, emailid, rcpt, tries FROM mailer WHERE state = 'sending'} found {
		lappend rows [array get found]
	}
	foreach row $rows {
		dict with row {}
		set gone [expr {$tries >= [dict get $::options max-tries]}]
		set state [expr {$gone ? "failed" : "waiting"}]
		set reason "the mailer was ended while it was in hand, at try $tries"
		transaction {
			db eval {UPDATE mailer SET state = $state, reason = $reason WHERE id = $id}
			note $row [expr {$gone ? "failed" : "again"}] [split $rcpt \n] $reason
		}
	}
}

# One transaction: record what became of the message in hand, take what Fossil has stored, and mark
# the next message that is due. That message, a dict, or an empty string.
proc step {outcome claim} {
	set version [data_version]
	transaction {
		if {[llength $outcome]} {
			record $outcome
		}
		set message ""
		if {$claim} {
			set now [now]
			if {[db exists {SELECT 1 FROM email}]} {
				db eval {
					INSERT INTO mailer(key, emailid, queued, msg, state, tries, due)
					  SELECT lower(hex(randomblob(12))), emailid, $now, msg, 'waiting', 0, $now
					    FROM email ORDER BY emailid LIMIT 200;
					DELETE FROM email
					 WHERE emailid IN (SELECT emailid FROM email ORDER BY emailid LIMIT 200);
				}
			}
			set message [claim $now]
		}
	}
	set ::version $version
	set ::in_hand $message
	return $message
}

proc claim now {
	set message ""
	db eval {
		SELECT id, key, emailid, queued, CAST(msg AS BLOB) AS msg, rcpt, tries + 1 AS tries
		  FROM mailer WHERE state = 'waiting' AND due <= $now ORDER BY due, id LIMIT 1
	} row {
		unset row(*)
		set message [array get row]
	}
	if {$message ne ""} {
		set id [dict get $message id]
		db eval {UPDATE mailer SET state = 'sending', tries = tries + 1 WHERE id = $id}
	}
	return $message
}

# Each recipient is done, waits for the next try or has failed.
proc record outcome {
	set id [dict get $::in_hand id]
	set tries [dict get $::in_hand tries]
	set last [expr {$tries >= [dict get $::options max-tries]}]
	set parts {sent {} retry {} failed {}}
	foreach {recipient code text} $outcome {
		if {$code >= 200 && $code < 300} {
			set status sent
		} elseif {$code >= 500 || $last} {
			set status failed
		} else {
			set status retry
		}
		dict lappend parts $status $recipient
		dict set reasons $status [reason_of $code $text]
	}
	dict for {status recipients} $parts {
		if {![llength $recipients]} {
			continue
		}
		set reason [dict get $reasons $status]
		note $::in_hand $status $recipients $reason
		set left [join $recipients \n]
		if {$status eq "retry"} {
			set due [expr {[now] + (0.5 + rand() / 2)
				* min([dict get $::options backoff] * 2.0 ** min($tries - 1, 30), $::longest_wait)}]
			db eval {
				UPDATE mailer SET state = 'waiting', rcpt = $left, due = $due, reason = $reason
				 WHERE id = $id
			}
		} elseif {$status eq "failed"} {
			db eval {
				INSERT INTO mailer(key, emailid, queued, msg, rcpt, state, tries, due, reason)
				  SELECT key, emailid, queued, msg, nullif($left, ''), 'failed', tries, due, $reason
				    FROM mailer WHERE id = $id
			}
		}
	}
	if {![llength [dict get $parts retry]]} {
		db eval {DELETE FROM mailer WHERE id = $id}
	}
}

# It was not tried after all.
proc release message {
	set id [dict get $message id]
	transaction {
		db eval {UPDATE mailer SET state = 'waiting', tries = tries - 1 WHERE id = $id}
	}
}

proc count_state state {
	return [db onecolumn {SELECT count(*) FROM mailer WHERE state = $state}]
}

# Until somebody else has written to the database, or a message is due, or the end.
proc wait_for_more {} {
	while {!$::stop} {
		set due [db onecolumn {SELECT min(due) FROM mailer WHERE state = 'waiting'}]
		if {[data_version] != $::version || $due ne "" && $due <= [now]} {
			return
		}
		set pause [dict get $::options interval]
		if {$due ne ""} {
			set pause [expr {min($pause, max($due - [now], 0.001))}]
		}
		wait $pause
	}
}

# It changes when another connection has written; asking costs next to nothing.
proc data_version {} {
	return [db onecolumn {PRAGMA data_version}]
}

proc note {row status recipients reason} {
	set time [timestamp]
	set to [join $recipients ,]
	dict with row {}
	db eval {INSERT INTO mailer_log VALUES($time, $id, $emailid, $status, $to, $tries, $reason)}
	set level [dict get {sent info failed error retry warning again warning} $status]
	lappend ::later [log_text $time $level $status [list id $id email $emailid to $to \
		tries $tries reason $reason]]
}

# Begins at once as a writer, and is tried until it holds: what was sent must be recorded.
proc transaction script {
	until_done {BEGIN IMMEDIATE}
	set ::later {}
	try {
		uplevel 1 $script
	} on error {message details} {
		catch {db eval ROLLBACK}
		return -options $details $message
	}
	until_done COMMIT
	foreach text $::later {
		write_log $text
	}
}

proc until_done statement {
	while {[catch {db eval $statement} message details]} {
		if {![string match *locked* $message]} {
			return -options $details $message
		}
		log_line warning "the queue is locked by somebody else" queue $::queue_path
	}
}

# The message.

# A message ready to be sent, as a dict: sender, recipients, fields, body, name.
proc read_letter message {
	regsub -all {\r\n|\r|\n} [dict get $message msg] \r\n raw
	set end [string first \r\n\r\n $raw]
	if {$end >= 0} {
		set head [string range $raw 0 $end-1]
		set body [string range $raw $end+4 end]
	} else {
		set head [string trimright $raw \r\n]
		set body ""
	}
	if {$head eq ""} {
		throw UNSENDABLE "it has no header"
	}
	set fields [read_fields [encoding convertfrom utf-8 $head]]
	set found {sender {} from {} to {} cc {} bcc {}}
	set kept {}
	set names {}
	foreach {name value} $fields {
		set low [string tolower $name]
		if {[dict exists $found $low]} {
			foreach {- address} [read_addresses $value] {
				dict lappend found $low $address
			}
		}
		if {$low ni {bcc return-path}} {
			lappend kept $name $value
			lappend names $low
		}
	}
	# Fossil's From may be made up for a person who has no address here; its Sender never is.
	set sender [lindex [concat [dict get $found sender] [dict get $found from]] 0]
	if {![is_address $sender]} {
		throw UNSENDABLE "no sender: neither Sender nor From holds an address"
	}
	set recipients [split [dict get $message rcpt] \n]
	if {![llength $recipients]} {
		set recipients [concat [dict get $found to] [dict get $found cc] [dict get $found bcc]]
	}
	if {![llength $recipients]} {
		throw UNSENDABLE "no recipient: To, Cc and Bcc hold no address"
	}
	set queued [expr {int([dict get $message queued])}]
	set key [dict get $message key]
	if {"date" ni $names} {
		lappend kept Date " [clock format $queued -gmt 1 -locale C \
			-format {%a, %d %b %Y %H:%M:%S +0000}]"
	}
	if {"message-id" ni $names} {
		lappend kept Message-ID " <$key@[lindex [split $sender @] end]>"
	}
	return [dict create sender $sender fields $kept body $body name $queued.$key.mailer \
		recipients [dict keys [concat {*}[lmap r $recipients {list $r 1}]]]]
}

# The bytes of a letter. eight_bit: whether the receiver takes bytes above 127 in the body.
proc letter_data {letter eight_bit} {
	try {
		return [build_data $letter $eight_bit]
	} on error message {
		# However odd a message is, the others must not wait for it.
		throw UNSENDABLE $message
	}
}

proc build_data {letter eight_bit} {
	set fields [dict get $letter fields]
	set body [dict get $letter body]
	if {![string is ascii $body] && !$eight_bit || [longest_line $body] > $::longest_line} {
		lassign [quoted_printable $fields $body] fields body
	}
	set head ""
	foreach {name value} $fields {
		append head [encode_field $name $value] \r\n
	}
	if {$body ne "" && [string range $body end-1 end] ne "\r\n"} {
		append body \r\n
	}
	return [encoding convertto utf-8 $head]\r\n$body
}

# {name value ...} of a header; a value keeps its folds and its first blank.
proc read_fields head {
	set fields {}
	set number 0
	foreach line [split [string map {\r\n \n} $head] \n] {
		incr number
		if {[string match {[ 	]*} $line] && [llength $fields]} {
			lset fields end "[lindex $fields end]\r\n$line"
		} elseif {[regexp {^([!-9;-~]+)[ \t]*:(.*)$} $line - name value]} {
			lappend fields $name $value
		} else {
			throw UNSENDABLE "line $number is no header field"
		}
	}
	return $fields
}

# {name address ...} of an address list (RFC 5322, 3.4). A text that is no address is kept as it is,
# for the error message.
proc read_addresses value {
	set found {}
	lassign {0 0 0} quoted comment angle
	lassign {"" "" ""} phrase plain address
	set flat [string map {\r\n ""} $value]
	set characters [split "$flat," ""]
	for {set i 0} {$i < [llength $characters]} {incr i} {
		set c [lindex $characters $i]
		set escaped ""
		if {$c eq "\\" && ($quoted || $comment)} {
			set escaped $c
			set c [lindex $characters [incr i]]
		}
		if {$comment} {
			incr comment [expr {$escaped ne "" ? 0 : $c eq "(" ? 1 : $c eq ")" ? -1 : 0}]
		} elseif {$quoted || $c eq "\""} {
			if {$c eq "\"" && $escaped eq ""} {
				set quoted [expr {!$quoted}]
			} elseif {!$angle} {
				append phrase $c
			}
			append [expr {$angle ? "address" : "plain"}] $escaped$c
		} elseif {$c eq "("} {
			set comment 1
		} elseif {$c in {< >}} {
			set angle [expr {$c eq "<"}]
		} elseif {$angle} {
			append address $c
		} elseif {$c eq ":"} {
			lassign {"" ""} phrase plain ;# a group's name
		} elseif {$c in {, ;}} {
			if {$address ne ""} {
				lappend found [string trim $phrase] [string trim $address]
			} elseif {[string trim $plain] ne ""} {
				lappend found "" [string trim $plain]
			}
			lassign {"" "" ""} phrase plain address
		} else {
			append phrase $c
			append plain $c
		}
	}
	if {$quoted || $comment || $angle} {
		lappend found "" [string trim $flat]
	}
	return $found
}

# A whole header field in ASCII, but for addresses that are not; no line is too long.
proc encode_field {name value} {
	if {[string is ascii $value]} {
		if {[longest_line $name:$value] > $::longest_line} {
			regsub -all {([^\r\n]{1,250}[^\r\n]{1,250}[^\r\n]{1,250})[ \t]} $value "\\1\r\n " value
		}
		return $name:$value
	}
	set flat [string trim [string map {\r\n ""} $value]]
	if {[string tolower $name] ni $::address_fields} {
		return "$name: [encoded_words $flat]"
	}
	set parts {}
	foreach {person address} [read_addresses $flat] {
		if {![string is ascii $address]} {
			return "$name: $flat"
		}
		if {![string is ascii $person]} {
			set person [encoded_words $person]
		} elseif {[regexp {[^\w\s-]} $person]} {
			set person "\"[string map {\\ \\\\ \" \\\"} $person]\""
		}
		lappend parts [expr {$person eq "" ? $address : "$person <$address>"}]
	}
	return "$name: [join $parts ",\r\n "]"
}

# RFC 2047. A word holds whole characters, and 75 bytes at most.
proc encoded_words text {
	set words {}
	set bytes ""
	foreach c [split $text ""] {
		set more [encoding convertto utf-8 $c]
		if {[string length $bytes$more] > 36} {
			lappend words =?utf-8?b?[binary encode base64 $bytes]?=
			set bytes ""
		}
		append bytes $more
	}
	lappend words =?utf-8?b?[binary encode base64 $bytes]?=
	return [join $words "\r\n "]
}

# {fields body}, with a body in short lines of ASCII: where the body is one simple part.
proc quoted_printable {fields body} {
	set type ""
	set encoding 8bit
	set others {}
	set names {}
	foreach {name value} $fields {
		set low [string tolower $name]
		lappend names $low
		switch $low {
			content-type {
				set type [string tolower [string trim $value]]
			}
			content-transfer-encoding {
				set encoding [string tolower [string trim $value]]
				continue
			}
		}
		lappend others $name $value
	}
	if {[string match multipart/* $type] || [string match message/* $type]
			|| $encoding ni {7bit 8bit binary}} {
		return [list $fields $body]
	}
	if {"mime-version" ni $names} {
		lappend others MIME-Version " 1.0"
	}
	if {$type eq ""} {
		lappend others Content-Type { text/plain; charset="UTF-8"}
	}
	lappend others Content-Transfer-Encoding " quoted-printable"
	set lines [lmap line [split [string map {\r\n \n} $body] \n] {quoted_line $line}]
	return [list $others [join $lines \r\n]]
}

proc quoted_line line {
	set result ""
	set width 0
	set last [expr {[string length $line] - 1}]
	for {set i 0} {$i <= $last} {incr i} {
		set c [string index $line $i]
		if {![string match {[!-<>-~]} $c] && !($c in [list " " \t] && $i < $last)} {
			set c =[format %02X [scan $c %c]]
		}
		if {$width + [string length $c] > 75} {
			append result =\r\n
			set width 0
		}
		append result $c
		incr width [string length $c]
	}
	return $result
}

proc longest_line data {
	set longest 0
	foreach line [split [string map {\r\n \n} $data] \n] {
		set longest [expr {max($longest, [string length $line])}]
	}
	return $longest
}

# SMTP: one connection, kept while there is something to send. A reply is {code text}; a broken or
# silent connection throws CONNECTION.

set smtp ""      ;# the channel
set offers {}    ;# what the server's reply to EHLO says: a dict

proc smtp_name {} {
	return [join [dict get $::options smtp] :]
}

proc smtp_prepare {} {
	set file [dict get $::options ca-file]
	if {$file ne "" && [catch {close [open $file]} reason]} {
		throw MISTAKE "--ca-file $file: [lindex [split $reason :] end]"
	}
}

proc smtp_ready {} {
	if {$::smtp ne ""} {
		try {
			if {[lindex [command RSET] 0] == 250} {
				return
			}
		} trap CONNECTION {} {
		}
		smtp_close
	}
	try {
		smtp_connect
	} trap CONNECTION reason {
		smtp_close
		throw SERVER $reason
	}
}

proc smtp_connect {} {
	lassign [dict get $::options smtp] host port
	if {[catch {socket -async $host $port} ::smtp]} {
		set reason [lindex [split $::smtp :] end]
		set ::smtp ""
		throw CONNECTION [string trim $reason]
	}
	chan configure $::smtp -blocking 0 -buffering full -translation {crlf binary} -encoding binary
	wait_for_channel writable [deadline 1]
	set reason [chan configure $::smtp -error]
	if {$reason ne ""} {
		throw CONNECTION $reason
	}
	expect 220 [reply 1]
	say_hello
	if {[dict get $::options starttls]} {
		if {![dict exists $::offers starttls]} {
			throw CONNECTION "the server offers no STARTTLS"
		}
		expect 220 [command STARTTLS]
		start_tls $host
		say_hello
	}
	if {[dict get $::options user] ne ""} {
		log_in
	}
	log_line debug connected to [smtp_name] \
		tls [expr {[dict get $::options starttls] ? "yes" : "no"}] \
		login [expr {[dict get $::options user] ne "" ? "yes" : "no"}]
}

proc expect {code reply} {
	if {[lindex $reply 0] != $code} {
		throw CONNECTION [reason_of {*}$reply]
	}
}

proc say_hello {} {
	set name [info hostname]
	set ::offers {}
	lassign [command "EHLO [expr {$name eq "" ? "localhost" : $name}]"] code text
	if {$code == 250} {
		foreach line [lrange [split $text \n] 1 end] {
			set rest [lassign [split [string map {= " "} [string toupper $line]] " "] word]
			dict set ::offers [string tolower $word] $rest
		}
		return
	}
	expect 250 [command "HELO $name"]
}

proc log_in {} {
	set user [encoding convertto utf-8 [dict get $::options user]]
	set password [encoding convertto utf-8 [dict get $::options password]]
	set ways [expr {[dict exists $::offers auth] ? [dict get $::offers auth] : ""}]
	if {"PLAIN" in $ways} {
		set secret [binary encode base64 \0$user\0$password]
		expect 235 [command "AUTH PLAIN $secret"]
	} elseif {"LOGIN" in $ways} {
		expect 334 [command "AUTH LOGIN"]
		expect 334 [command [binary encode base64 $user]]
		expect 235 [command [binary encode base64 $password]]
	} else {
		throw CONNECTION "the server offers no login that is known here: [join $ways]"
	}
}

proc smtp_send {letter again} {
	set wanted [dict get $letter recipients]
	set sender [dict get $letter sender]
	set results {}
	try {
		set eight_bit [dict exists $::offers 8bitmime]
		set data [letter_data $letter $eight_bit]
		set command "MAIL FROM:<$sender>"
		if {[dict exists $::offers size]} {
			append command " SIZE=[string length $data]"
		}
		if {$eight_bit && ![string is ascii $data]} {
			append command " BODY=8BITMIME"
		}
		if {![string is ascii $sender[join $wanted]]} {
			if {![dict exists $::offers smtputf8]} {
				return [all_of $wanted 553 "the server takes no address that is not ASCII"]
			}
			append command " SMTPUTF8"
		}
		lassign [command $command] code text
		if {$code in {530 535 538}} {
			throw SERVER [reason_of $code $text]
		}
		if {$code != 250} {
			return [all_of $wanted $code $text]
		}
		foreach recipient $wanted {
			lassign [command "RCPT TO:<$recipient>"] code text
			if {$code ni {250 251}} {
				lappend results $recipient $code $text
				set wanted [lsearch -all -inline -not -exact $wanted $recipient]
			}
		}
		if {[llength $wanted]} {
			lassign [command DATA] code text
			if {$code == 354} {
				if {[string index $data 0] eq "."} {
					set data .$data
				}
				put [string map {\r\n. \r\n..} $data].\r\n
				# The server may have to work on the whole message before it answers.
				lassign [reply 10] code text
			}
			lappend results {*}[all_of $wanted $code $text]
		}
		return $results
	} trap CONNECTION reason {
		smtp_close
		return [concat $results [all_of $wanted 0 $reason]]
	}
}

proc command text {
	put [encoding convertto utf-8 $text]\r\n
	return [reply 1]
}

proc put bytes {
	if {[catch {
		puts -nonewline $::smtp $bytes
		flush $::smtp
	} reason]} {
		throw CONNECTION "the connection was closed: $reason"
	}
}

# {code text}, the text's lines without their codes.
proc reply patience {
	set deadline [deadline $patience]
	set lines {}
	while 1 {
		set line [read_line $deadline]
		if {![regexp {^(\d\d\d)([- ]?)(.*)$} $line - code more text]} {
			throw CONNECTION "this is no reply of SMTP: $line"
		}
		lappend lines $text
		if {$more ne "-"} {
			return [list $code [encoding convertfrom utf-8 [join $lines \n]]]
		}
	}
}

proc read_line deadline {
	while 1 {
		if {[catch {chan gets $::smtp line} length]} {
			throw CONNECTION "the connection broke: $length"
		}
		if {$length >= 0} {
			return [string trimright $line \r]
		}
		if {[chan eof $::smtp]} {
			throw CONNECTION "the connection was closed"
		}
		wait_for_channel readable $deadline
	}
}

proc deadline patience {
	return [expr {[now] + $patience * [dict get $::options timeout]}]
}

proc wait_for_channel {what deadline} {
	set left [expr {int(($deadline - [now]) * 1000)}]
	if {$left <= 0} {
		throw CONNECTION "timed out"
	}
	set timer [after $left {set ::ready timeout}]
	chan event $::smtp $what {set ::ready 1}
	vwait ::ready
	after cancel $timer
	chan event $::smtp $what {}
	if {$::ready eq "timeout"} {
		throw CONNECTION "timed out"
	}
}

proc smtp_close {} {
	if {$::smtp eq ""} {
		return
	}
	catch {
		put QUIT\r\n
		read_line [expr {[now] + 2}]
	}
	catch {close $::smtp}
	set ::smtp ""
}

# TLS. The package checks who has signed the certificate; for whom it is, we must see ourselves.

proc start_tls host {
	set deadline [deadline 1]
	set trusted [trusted_certificates]
	try {
		tls::import $::smtp -require 1 {*}$trusted -servername $host \
			-ssl2 0 -ssl3 0 -tls1 0 -tls1.1 0 -tls1.2 1
		while {![tls::handshake $::smtp]} {
			wait_for_channel readable $deadline
		}
		chan configure $::smtp -blocking 0 -buffering full -translation {crlf binary} \
			-encoding binary
		set names [certificate_names [dict get [tls::status $::smtp] certificate]]
	} trap CONNECTION reason {
		throw CONNECTION $reason
	} on error reason {
		throw CONNECTION "TLS: $reason"
	}
	if {![name_is_among $host $names]} {
		throw CONNECTION "TLS: the certificate is not for $host but for [join $names {, }]"
	}
}

proc trusted_certificates {} {
	set file [dict get $::options ca-file]
	if {$file ne ""} {
		return [list -cafile $file]
	}
	if {[info exists ::env(SSL_CERT_FILE)]} {
		return [list -cafile $::env(SSL_CERT_FILE)]
	}
	return {-cadir /etc/ssl/certs}
}

# The names and addresses in a certificate's subjectAltName (RFC 5280, 4.2.1.6): the one place where
# they count.
proc certificate_names pem {
	regexp -- {-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----} $pem - text
	set der [binary decode base64 $text]
	# The extension's identifier, then perhaps "critical", then an octet string with the list.
	set at [string first \x06\x03\x55\x1d\x11 $der]
	if {$at < 0} {
		return {}
	}
	incr at 5
	if {[string range $der $at $at+2] eq "\x01\x01\xff"} {
		incr at 3
	}
	lassign [der_element $der $at] - octets
	lassign [der_element $octets 0] - list
	set names {}
	for {set at 0} {$at < [string length $list]} {} {
		lassign [der_element $list $at] tag value at
		if {$tag == 0x82} {
			lappend names [string tolower $value]
		} elseif {$tag == 0x87 && [string length $value] == 4} {
			binary scan $value cu4 numbers
			lappend names [join $numbers .]
		} elseif {$tag == 0x87} {
			binary scan $value H* digits
			lappend names $digits
		}
	}
	return $names
}

# {tag value end} of the element at this place.
proc der_element {der at} {
	if {[binary scan [string range $der $at $at+1] cucu tag length] != 2} {
		error "a broken certificate"
	}
	incr at 2
	if {$length >= 128} {
		set bytes [expr {$length - 128}]
		binary scan [string range $der $at $at+$bytes-1] H* digits
		scan $digits %x length
		incr at $bytes
	}
	return [list $tag [string range $der $at [expr {$at + $length - 1}]] [expr {$at + $length}]]
}

proc name_is_among {host names} {
	set host [string tolower $host]
	if {[string first : $host] >= 0} {
		set host [ipv6_digits $host]
	}
	foreach name $names {
		if {$name eq $host} {
			return 1
		}
		# *.example.org stands for one part, and never for an address's.
		if {[string match {\*.?*} $name] && ![regexp {^[\d.]+$} $host]
				&& [string range $name 1 end] eq [string range $host [string first . $host] end]
				&& [string first . $host] > 0} {
			return 1
		}
	}
	return 0
}

proc ipv6_digits address {
	set sides [split [string map {:: |} $address] |]
	lassign [lmap side $sides {split $side :}] before after
	set missing [expr {8 - [llength $before] - [llength $after]}]
	set parts [concat $before [lrepeat [expr {max($missing, 0)}] 0] $after]
	return [join [lmap part $parts {format %04x 0x$part}] ""]
}

# A maildir: a directory with tmp, new and cur. The file's name is the same at every try.

proc maildir_name {} {
	return [dict get $::options maildir]
}

proc maildir_prepare {} {
	set folder [maildir_name]
	if {[catch {
		foreach part {. tmp new cur} {
			if {![file isdirectory [file join $folder $part]]} {
				file mkdir [file join $folder $part]
				file attributes [file join $folder $part] -permissions 0700
			}
		}
	} reason]} {
		throw MISTAKE "--maildir $folder: [string trim [lindex [split $reason :] end]]"
	}
}

proc maildir_ready {} {
}

proc maildir_send {letter again} {
	set folder [maildir_name]
	set name [dict get $letter name]
	set recipients [dict get $letter recipients]
	if {$again && [maildir_has $name]} {
		return [all_of $recipients 250 "it was there already"]
	}
	set data [string map {\r\n \n} [letter_data $letter 1]]
	if {[catch {
		set file [open [file join $folder tmp $name] {WRONLY CREAT TRUNC} 0600]
		try {
			chan configure $file -translation binary
			puts -nonewline $file $data
			flush $file
			if {$::can_catch} {
				sync $file
			}
		} finally {
			close $file
		}
		file rename -force [file join $folder tmp $name] [file join $folder new $name]
	} reason]} {
		throw SERVER $reason
	}
	return [all_of $recipients 250 delivered]
}

# A mail reader may have moved it from new to cur, and put its marks behind the name.
proc maildir_has name {
	set folder [maildir_name]
	return [expr {[file exists [file join $folder new $name]]
		|| [llength [glob -nocomplain -directory [file join $folder cur] $name $name:*]] > 0}]
}

proc maildir_close {} {
}

proc all_of {recipients code text} {
	return [concat {*}[lmap recipient $recipients {list $recipient $code $text}]]
}

# One line: "550 no such user", or what went wrong where there was no answer.
proc reason_of {code text} {
	set words [regexp -all -inline {\S+} "[expr {$code ? $code : ""}] $text"]
	return [string range [join $words " "] 0 499]
}

# Signals, the log and the options.

proc need_packages {} {
	foreach {package why} {sqlite3 "" tls "--starttls: "} {
		if {($package ne "tls" || [dict get $::options starttls])
				&& [catch {package require $package}]} {
			throw MISTAKE "${why}the Tcl package $package is not installed"
		}
	}
}

proc catch_signals {} {
	set ::can_catch [expr {![catch {package require Tclx}]}]
	if {$::can_catch} {
		signal -restart trap {SIGTERM SIGINT} {set ::stop 1; set ::wake stop}
	}
}

# Ends early by SIGTERM.
proc wait seconds {
	if {$::stop} {
		return
	}
	set timer [after [expr {int(ceil($seconds * 1000))}] {set ::wake time}]
	vwait ::wake
	after cancel $timer
}

proc now {} {
	return [expr {[clock microseconds] / 1e6}]
}

proc timestamp {} {
	set milliseconds [clock milliseconds]
	return [clock format [expr {$milliseconds / 1000}] -gmt 1 -format %Y-%m-%dT%H:%M:%S][format \
		.%03dZ [expr {$milliseconds % 1000}]]
}

proc log_line {level message args} {
	if {$level ne "debug" || [dict get $::options verbose]} {
		write_log [log_text [timestamp] $level $message $args]
	}
}

proc log_text {time level message pairs} {
	set text "$time $level $message"
	foreach {name value} $pairs {
		append text " $name=[quote $value]"
	}
	return $text
}

proc quote value {
	regsub -all {[^[:print:]]} $value " " text
	if {[regexp {^[^\s"=\\]+$} $text]} {
		return $text
	}
	return "\"[string map {\\ \\\\ \" \\\"} $text]\""
}

# Nobody may listen any more; the table has it all.
proc write_log text {
	catch {
		puts $text
		flush stdout
	}
}

proc complain {message status} {
	puts stderr "mailer: $message"
	return $status
}

# An option's kind, default and help. A flag takes no value.
set known {
	queue {text "" "FILE: Fossil's setting email-send-db"}
	smtp {text "" "HOST:PORT: send by this server"}
	starttls {flag 0 "never without TLS; the certificate is checked"}
	ca-file {text "" "FILE: certificates to trust (PEM), instead of the system's"}
	user {text "" "NAME: log in"}
	password-file {text "" "FILE: its first line is the password"}
	maildir {text "" "DIR: deliver into this maildir instead"}
	once {flag 0 "send what is due, then end; status 1 if something is left"}
	interval {number 1 "SECONDS between two looks at the queue (1)"}
	backoff {number 60 "SECONDS before the second try, doubled before each further one (60)"}
	max-tries {count 30 "N: then a message has failed (30: about four days)"}
	timeout {number 60 "SECONDS for an answer of the server; ten times that for its last (60)"}
	journal {text wal "wal: set the database to WAL mode; keep: leave it as it is"}
	verbose {flag 0 "log connections too"}
}

proc read_options arguments {
	set ::options [dict map {name row} $::known {lindex $row 1}]
	while {[llength $arguments]} {
		set arguments [lassign $arguments argument]
		if {$argument in {-h --help}} {
			throw HELP [help]
		}
		if {![regexp {^--([a-z-]+)(=?)(.*)$} $argument - name equals value]
				|| ![dict exists $::known $name]} {
			throw MISTAKE "unknown option $argument"
		}
		set kind [lindex [dict get $::known $name] 0]
		if {$kind eq "flag"} {
			if {$equals ne ""} {
				throw MISTAKE "--$name takes no value"
			}
			set value 1
		} elseif {$equals eq ""} {
			if {![llength $arguments]} {
				throw MISTAKE "--$name needs a value"
			}
			set arguments [lassign $arguments value]
		}
		if {$kind eq "number" && !([string is double -strict $value] && $value > 0 && $value < 1e6)
				|| $kind eq "count" && !([string is integer -strict $value] && $value > 0)} {
			throw MISTAKE "--$name $value: this is no such number"
		}
		dict set ::options $name $value
	}
	check_options
}

proc check_options {} {
	dict with ::options {}
	if {$queue eq ""} {
		throw MISTAKE "--queue is missing"
	}
	if {($smtp eq "") == ($maildir eq "")} {
		throw MISTAKE "one of --smtp and --maildir is needed"
	}
	if {$journal ni {wal keep}} {
		throw MISTAKE "--journal $journal: wal or keep is wanted"
	}
	if {$smtp ne ""} {
		if {![regexp {^(?:\[([^\]]+)\]|([^:\[\]]+)):(\d{1,5})$} $smtp - six host port]
				|| [scan $port %d] < 1 || [scan $port %d] > 65535} {
			throw MISTAKE "--smtp $smtp: HOST:PORT is wanted"
		}
		set host $six$host
		dict set ::options smtp [list $host [scan $port %d]]
	} elseif {$starttls || $user ne ""} {
		throw MISTAKE "--starttls and --user go with --smtp"
	}
	if {${ca-file} ne "" && !$starttls} {
		throw MISTAKE "--ca-file goes with --starttls"
	}
	if {($user eq "") != (${password-file} eq "")} {
		throw MISTAKE "--user and --password-file go together"
	}
	if {$user ne ""} {
		if {!$starttls && $host ni {localhost 127.0.0.1 ::1}} {
			throw MISTAKE "--user without --starttls would show the password to everybody"
		}
		read_password ${password-file}
	}
}

proc read_password path {
	if {[catch {
		set file [open $path]
		chan configure $file -encoding utf-8
		set password [string trimright [gets $file] \r]
		close $file
	} reason]} {
		throw MISTAKE "--password-file $path: [string trim [lindex [split $reason :] end]]"
	}
	if {$password eq ""} {
		throw MISTAKE "--password-file $path: its first line is empty"
	}
	dict set ::options password $password
}

proc help {} {
	set lines {"usage: mailer --queue FILE (--smtp HOST:PORT | --maildir DIR) \[OPTION]..." ""}
	lappend lines "Send the mail that Fossil stores in a database." ""
	dict for {name row} $::known {
		lappend lines [format "  --%-15s %s" $name [lindex $row 2]]
	}
	return [join $lines \n]
}

chan configure stdout -encoding utf-8 -translation lf
chan configure stderr -encoding utf-8
exit [main $argv]
