#!/usr/bin/exthost-cgi tcl
# Check-ins per month, read from the Fossil repository: a bar chart (SVG) and a table.
#
# The repository is opened read-only, and only for users who may read it: Fossil runs an extension
# for everybody, so each must ask FOSSIL_CAPABILITIES itself.

set months_shown 24 ;# at most, and
set months_least 12 ;# at least, so that one busy month is no lonely block
set names {Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec}

# event.mtime is a Julian day, in UTC.
set query {
	SELECT strftime('%Y-%m', mtime) AS month, count(*) AS checkins,
	       count(DISTINCT coalesce(euser, user)) AS people
	  FROM event WHERE type = 'ci' GROUP BY month ORDER BY month
}

# The chart, in its own units: where the bars stand and how high they can be.
lassign {720 260 44 712 14 214} width height left right top bottom

proc main {} {
	try {
		set body [report [read_months]]
	} trap REFUSED {sentence options} {
		set status [lindex [dict get $options -errorcode] 1]
		reply "Check-ins (Tcl)" "<p>[escape $sentence]</p>\n" $status
	} on ok {} {
		reply "Check-ins (Tcl)" $body
	}
}

proc refuse {status sentence} {
	throw [list REFUSED $status] $sentence
}

proc variable_or_empty name {
	return [expr {[info exists ::env($name)] ? $::env($name) : ""}]
}

# A dict: 2024-03 {check-ins people}, only of months with check-ins, the oldest first.
proc read_months {} {
	set repository [variable_or_empty FOSSIL_REPOSITORY]
	if {$repository eq ""} {
		refuse "404 Not Found" "There is no repository here: this page needs Fossil."
	}
	if {[string first o [variable_or_empty FOSSIL_CAPABILITIES]] < 0} {
		refuse "403 Forbidden" \
			"This page is for users who may read the check-ins (capability \u201co\u201d)."
	}
	package require sqlite3
	try {
		sqlite3 database $repository -readonly 1
		# A large repository is sorted in memory: there may be no directory for temporary files.
		database eval {PRAGMA temp_store = MEMORY}
		set months {}
		database eval $::query {
			dict set months $month [list $checkins $people]
		}
		return $months
	} on error message {
		refuse "503 Service Unavailable" "The repository cannot be read now: $message."
	}
}

proc report months {
	if {![dict size $months]} {
		return "<p>There are no check-ins yet.</p>\n"
	}
	set total 0
	foreach pair [dict values $months] {
		incr total [lindex $pair 0]
	}
	set shown [months_to_show [dict keys $months]]
	set first [lindex [dict keys $months] 0]
	return "<p>Check-ins since $first: $total.</p>\n<div class=\"wide\">\n[chart $shown \
		[counts_of $months $shown]]</div>\n[table $months $shown]"
}

# The months up to the last with a check-in, none left out, as 2024-03.
proc months_to_show months {
	set last [month_number [lindex $months end]]
	set first [expr {max([month_number [lindex $months 0]], $last - $::months_shown + 1)}]
	set first [expr {min($first, $last - $::months_least + 1)}]
	set shown {}
	for {set number $first} {$number <= $last} {incr number} {
		lappend shown [format %04d-%02d [expr {$number / 12}] [expr {$number % 12 + 1}]]
	}
	return $shown
}

proc month_number month {
	scan $month %d-%d year number
	return [expr {$year * 12 + $number - 1}]
}

proc counts_of {months shown} {
	return [lmap month $shown {
		expr {[dict exists $months $month] ? [lindex [dict get $months $month] 0] : 0}
	}]
}

proc chart {months counts} {
	set most [tcl::mathfunc::max {*}$counts]
	set busiest [lindex $months [lsearch $counts $most]]
	set sum [tcl::mathop::+ {*}$counts]
	set tick [tick_distance $most]
	set largest [expr {($most + $tick - 1) / $tick * $tick}]
	set unit [expr {double($::bottom - $::top) / $largest}]
	set step [expr {double($::right - $::left) / [llength $months]}]
	append svg "<svg viewBox=\"0 0 $::width $::height\" role=\"img\"" \
		" aria-labelledby=\"chart-title chart-text\" font-size=\"12\" fill=\"currentColor\">\n" \
		"<title id=\"chart-title\">Check-ins per month</title>\n" \
		"<desc id=\"chart-text\">From [lindex $months 0] to [lindex $months end]: $sum," \
		" the most in $busiest: $most.</desc>\n"
	for {set value 0} {$value <= $largest} {incr value $tick} {
		append svg [grid_line $value [expr {$::bottom - $value * $unit}]]
	}
	set index 0
	foreach month $months count $counts {
		set x [expr {$::left + $index * $step}]
		append svg [bar $month $count $x $step [expr {$count * $unit}]]
		# The first month tells its year too, where there is room before January's.
		if {[string match *-01 $month]
				|| $index == 0 && ![string match *-01 [lindex $months 1]]} {
			append svg [year_label $month [expr {$x + $step * .5}]]
		}
		incr index
	}
	return "$svg</svg>\n"
}

proc grid_line {value y} {
	return [format {<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="currentColor"\
		stroke-opacity=".2"/>%s<text x="%d" y="%.1f" text-anchor="end">%d</text>%s} \
		$::left $y $::right $y \n [expr {$::left - 8}] [expr {$y + 4}] $value \n]
}

proc bar {month count x step height} {
	set name [lindex $::names [string trimleft [string range $month 5 end] 0]-1]
	return [format {<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill-opacity=".6"><title>%s:\
		%d</title></rect>%s<text x="%.1f" y="%d" text-anchor="middle">%s</text>%s} \
		[expr {$x + $step * .15}] [expr {$::bottom - $height}] [expr {$step * .7}] $height \
		$month $count \n [expr {$x + $step * .5}] [expr {$::bottom + 18}] $name \n]
}

proc year_label {month x} {
	return [format {<text x="%.1f" y="%d" text-anchor="middle" font-weight="bold">%s</text>%s} \
		$x [expr {$::bottom + 36}] [string range $month 0 3] \n]
}

# 1, 2, 5, 10, 20, 50 ...: the first by which no more than five steps reach the largest.
proc tick_distance largest {
	for {set distance 1} 1 {set distance [expr {$distance * 10}]} {
		foreach factor {1 2 5} {
			if {$largest <= 5 * $factor * $distance} {
				return [expr {$factor * $distance}]
			}
		}
	}
}

proc table {months shown} {
	set timeline [escape [variable_or_empty FOSSIL_URI]/timeline]
	append html "<h2>In numbers</h2>\n<table>\n<thead><tr><th>Month</th>" \
		"<th class=\"number\">Check-ins</th><th class=\"number\">People</th></tr>" \
		"</thead>\n<tbody>\n"
	foreach month [lreverse $shown] {
		if {![dict exists $months $month]} {
			continue
		}
		lassign [dict get $months $month] checkins people
		append html "<tr><th scope=\"row\">" \
			"<a href=\"$timeline?y=ci&amp;ym=$month\">$month</a></th>" \
			"<td class=\"number\">$checkins</td><td class=\"number\">$people</td></tr>\n"
	}
	return "$html</tbody>\n</table>\n"
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
