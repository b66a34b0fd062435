"""Rerun: a plain Tcl CGI script that is run again for each request in a process that stays."""

import os
import zlib

import pytest

from support import fastcgi
from support.host import put_script, run_plain
from support.serving import WAYS, serve
from support.waiting import wait_for

# What a run sees of another one, what it leaves, and then what the query asks for.
SCRIPT = r"""# exthost: rerun
set seen [list \
	global [info exists ::left] \
	command [llength [info commands ::left_over]] \
	variable [info exists env(LEFT)] \
	directory [expr {[pwd] ne [file dirname [file normalize [info script]]]}] \
	timer [llength [after info]] \
	channels [expr {[lsort [chan names]] ne "stderr stdin stdout"}] \
	descriptors [llength [glob -nocomplain -directory /proc/self/fd 1?]] \
	encoding [expr {[encoding system] ne "utf-8"}] \
	mask [expr {[string trim [exec /bin/sh -c umask </dev/null]] ne "0022"}] \
	path [expr {"/left" in $auto_path}] \
	package [expr {[package provide left] ne ""}] \
	children [llength [interp slaves]] \
	puts [llength [info commands left_puts]] \
	precision [expr {[info exists tcl_precision] && $tcl_precision != 0}] \
	error [info exists ::errorInfo]]
if {$env(QUERY_STRING) ne "plain"} {
	set left 1
	proc left_over {} {}
	set env(LEFT) 1
	set opened {}
	for {set i 0} {$i < 12} {incr i} { lappend opened [open /dev/null] }
	after 100000 {puts never}
	lappend auto_path /left
	package provide left 1.0
	interp create child
	set tcl_precision 3
	catch {error caught}
}
puts "Content-Type: application/octet-stream\n"
switch -glob $env(QUERY_STRING) {
	leave { puts $seen; encoding system iso8859-1; rename puts left_puts; cd / }
	plain { puts $seen }
	pid { puts [pid] }
	env { foreach name [lsort [array names env]] { puts "$name $env($name)" } }
	where {
		puts -nonewline "$argv0 [info script] [pwd] $argc $argv $tcl_interactive "
		puts "[info level] [namespace current]"
	}
	body {
		chan configure stdin -translation binary
		set b [read stdin]
		puts "[string length $b] [zlib crc32 $b]"
	}
	program_body { puts [exec /bin/cat] }
	descriptor_0 { set in [open /proc/self/fd/0 rb]; puts [string length [read $in]]; close $in }
	descriptor_1 {
		puts one
		flush stdout
		set out [open /proc/self/fd/1 w]
		puts $out two
		close $out
	}
	program { puts one; flush stdout; exec /bin/echo two >@stdout; puts three }
	bytes { chan configure stdout -translation binary; puts -nonewline \x00\xff }
	close { puts whole; close stdout; close stdin; close stderr; set taken [open /dev/null] }
	complain { puts stderr "a complaint"; puts complained }
	error { puts half; error "a secret went wrong" }
	exit { puts whole; exit; puts "not reached" }
	exit_3 { puts half; exit 3 }
	exit_caught {
		puts whole
		while 1 { catch {exit}; try {exit} on error {} {} finally {puts "not reached"} }
	}
	exit_256 { puts whole; exit 256 }
	exit_late { puts whole; after 10 exit; vwait forever; puts "not reached" }
	exit_deep {
		puts whole
		proc a {} {b}
		proc b {} {uplevel 1 exit}
		lmap x {1 2} {a}
		puts "not reached"
	}
	exit_own { rename exit leave; proc exit {{status 0}} {puts "from the handler"; leave $status} }
	exit_child { puts whole; child eval exit }
	exit_wrong { catch {exit 1 2} message; puts $message }
	exit_word { catch {exit well} message; puts $message }
	return { puts whole; return }
	sleeper { exec /bin/sleep 600 &; puts whole }
	sqlite { package require sqlite3; sqlite3 db [pwd]/db; puts [db eval {SELECT 1 + 1}] }
	clock { puts [clock format 0 -gmt 1 -format %Y] }
	clock_locale {
		package require msgcat
		msgcat::mclocale de
		puts "[clock format 0 -gmt 1 -format %A -locale current] [clock scan 1970-01-02 -gmt 1]"
	}
	clock_error {
		catch {clock format x} message options
		puts "$message [dict get $options -errorcode]"
	}
	procedures {
		foreach name [info procs ::tcl::clock::*] { info body $name }
		foreach name [info commands] { catch {info args $name} }
		puts whole
	}
	package {
		package require json
		package require exthost
		puts [json::json2dict {{"a":[1]}}][exthost user]
	}
	large { puts -nonewline [string repeat 0123456789abcdef 100000] }
	random { puts [expr {int(rand() * 1e9)}] }
	fail_full { puts [string repeat x 5000]; exit 3 }
	full_pipe=* {
		set pipe [open [lindex [split $env(QUERY_STRING) =] 1] w]
		chan configure $pipe -blocking 0
		puts -nonewline $pipe [string repeat x 1000000]
		puts whole
	}
	timer=* { after 1 [list open [lindex [split $env(QUERY_STRING) =] 1] w]; puts whole }
	wait { after 200 {set waited 1}; vwait waited; puts [pid] }
	process {
		package require Tclx
		umask 077
		dup [open /dev/null w] stderr
		alarm 0.1
		puts whole
	}
	limit { exec prlimit --nofile=20 --pid [pid]; puts [pid] }
	spin { proc spin_here {} { while 1 {} }; spin_here }
}
"""


@pytest.fixture(scope="module", params=WAYS)
def rerun(request, tmp_path_factory):
    made = serve(request.param, tmp_path_factory.mktemp("root"), "script.tcl", SCRIPT)
    yield made
    made.stop()


def ask(host, case, **more):
    """What the case prints."""
    reply = host.get(f"/script.tcl?{case}", **more)
    assert reply.status == 200, (case, reply)
    return reply.text


def test_nothing_that_one_run_does_is_seen_by_the_next_in_the_same_process(rerun):
    worker = ask(rerun, "pid")
    for case in ("leave", "plain", "leave", "close", "plain"):
        told = ask(rerun, case).split()
        seen = dict(zip(told[::2], told[1::2]))
        assert case == "close" or (len(seen) > 12 and set(seen.values()) == {"0"}), seen
    assert ask(rerun, "pid") == worker


def test_the_environment_is_that_of_a_cgi_run(rerun):
    told = ask(rerun, "env", headers=[("X-One", "1")])
    assert "HTTP_X_ONE 1\n" in told and "HOST_SECRET" not in told
    assert "HTTP_X_ONE" not in ask(rerun, "env")


def test_variables_that_come_in_another_order_are_all_there(rerun):
    found = fastcgi.variables("GET", "/script.tcl?env", headers=[("X-One", "1"), ("X-Two", "2")])
    replies = []
    for order in (list(found), list(reversed(found)), sorted(found)):
        with fastcgi.Connection(rerun.socket) as client:
            told = client.run({name: found[name] for name in order}).reply().text.splitlines()
        replies.append([line for line in told if not line.startswith("REMOTE_PORT")])
    assert "HTTP_X_TWO 2" in replies[0] and replies[0] == replies[1] == replies[2]


def test_the_script_is_started_as_under_cgi(rerun):
    script = rerun.root / "script.tcl"
    plain = run_plain("tcl", script, {"QUERY_STRING": "where"})
    for _ in range(2):
        assert ask(rerun, "where") == plain.stdout.decode().split("\n\n", 1)[1]


def test_standard_input_is_the_body_for_the_script_and_for_its_programs(rerun):
    body = os.urandom(70_000)
    for _ in range(2):
        reply = rerun.run("POST", "/script.tcl?body", body=body).reply()
        assert reply.text == f"{len(body)} {zlib.crc32(body)}\n"
        assert rerun.run("POST", "/script.tcl?program_body", body=b"cat").reply().text == "cat\n"
        assert rerun.run("POST", "/script.tcl?descriptor_0", body=b"12345").reply().text == "5\n"
        assert ask(rerun, "body") == "0 0\n"


def test_output_of_all_kinds_is_the_reply(rerun):
    for _ in range(2):
        assert ask(rerun, "program") == "one\ntwo\nthree\n"
        assert ask(rerun, "descriptor_1") == "one\ntwo\n"
        assert rerun.get("/script.tcl?bytes").body == b"\0\xff"
        assert ask(rerun, "large") == "0123456789abcdef" * 100_000
        assert ask(rerun, "close") == "whole\n"


def test_standard_error_goes_to_the_log(rerun):
    for _ in range(2):
        assert ask(rerun, "close") == "whole\n"
        since = rerun.log_position()
        assert ask(rerun, "complain") == "complained\n"
        rerun.wait_line("a complaint", "script.tcl", since=since)


def test_an_error_is_a_500_with_errorinfo_in_the_log(rerun):
    worker, since = ask(rerun, "pid"), rerun.log_position()
    reply = rerun.get("/script.tcl?error")
    assert reply.status == 500 and "half" not in reply.text
    rerun.wait_line('"error "a secret went wrong"', since=since)
    assert ask(rerun, "pid") == worker


@pytest.mark.parametrize(
    "how", ["exit", "exit_256", "exit_caught", "exit_late", "exit_deep", "return"])
def test_every_way_to_end_well_ends_the_request_and_not_the_process(rerun, how):
    worker = ask(rerun, "pid")
    for _ in range(2):
        assert ask(rerun, how) == "whole\n"
    assert ask(rerun, "pid") == worker


def test_any_other_exit_is_a_500_and_ends_no_process(rerun):
    worker = ask(rerun, "pid")
    assert rerun.get("/script.tcl?exit_3").status == 500
    assert ask(rerun, "exit_own") == "from the handler\n"
    assert ask(rerun, "exit_wrong") == 'wrong # args: should be "exit ?returnCode?"\n'
    assert ask(rerun, "exit_word") == 'expected integer but got "well"\n'
    assert ask(rerun, "pid") == worker


def test_an_exit_in_another_interpreter_ends_the_process_too(start_host, tmp_path):
    put_script(tmp_path, "script.tcl", "tcl", SCRIPT)
    host = start_host(tmp_path, "--workers", "1")
    worker = ask(host, "pid")
    assert ask(host, "exit_child") == "whole\n"
    assert ask(host, "pid") != worker


def test_a_limit_of_descriptors_that_is_lowered_retires_the_worker(rerun):
    worker = ask(rerun, "pid")
    assert ask(rerun, "limit") == worker
    assert ask(rerun, "pid") != worker


def test_a_process_that_is_left_behind_retires_the_worker(rerun):
    worker = ask(rerun, "pid")
    assert ask(rerun, "sleeper") == "whole\n"
    wait_for(lambda: ask(rerun, "pid") != worker, "another worker")


def test_a_channel_that_cannot_be_written_yet_retires_the_worker(rerun, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        worker = ask(rerun, "pid")
        assert ask(rerun, f"full_pipe={tmp_path}/pipe") == "whole\n"
        assert ask(rerun, "pid") != worker
    finally:
        os.close(reader)


def test_a_timer_of_one_run_does_nothing_in_the_next(rerun, tmp_path):
    worker = ask(rerun, "pid")
    for _ in range(2):
        assert ask(rerun, f"timer={tmp_path}/made") == "whole\n"
        assert ask(rerun, "wait") == worker
    assert not (tmp_path / "made").exists()


def test_what_one_run_does_to_the_process_is_undone(rerun):
    worker = ask(rerun, "pid")
    assert ask(rerun, "process") == "whole\n"
    since = rerun.log_position()
    assert ask(rerun, "complain") == "complained\n"
    rerun.wait_line("a complaint", since=since)
    told = ask(rerun, "plain").split()
    assert told[told.index("mask") + 1] == "0"
    assert ask(rerun, "wait") == worker


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_fails_sends_nothing_of_what_it_has_not_flushed(tmp_path, way):
    host = serve(way, tmp_path, "script.tcl", SCRIPT, "--reply-buffer", "4k")
    try:
        reply = host.get("/script.tcl?fail_full")
        assert reply.status == 500 and "xxx" not in reply.text
    finally:
        host.stop()


def test_packages_and_databases_work_in_every_run(rerun):
    worker = ask(rerun, "pid")
    for _ in range(3):
        assert ask(rerun, "sqlite") == "2\n"
        assert ask(rerun, "clock") == "1970\n"
        assert ask(rerun, "package") == "a 1\n"
    assert ask(rerun, "pid") == worker


def test_clock_is_that_of_tclsh(rerun):
    for _ in range(2):
        assert ask(rerun, "clock_locale") == "Donnerstag 86400\n"
        assert ask(rerun, "clock") == "1970\n"
        assert ask(rerun, "clock_error") == 'expected integer but got "x" TCL VALUE NUMBER\n'
        assert ask(rerun, "procedures") == "whole\n"


@pytest.mark.parametrize("mode", ["cgi", "rerun"])
def test_clock_has_the_locale_of_the_requests_environment(start_host, tmp_path, mode):
    put_script(tmp_path, "script.tcl", "tcl",
               f"# exthost: {mode}\n" + 'puts "Content-Type: text/plain\\n"\n'
               "puts [clock format 0 -gmt 1 -format %A -locale current]\n")
    host = start_host(tmp_path, "--workers", "1")
    for language, day in (("C", "Thursday"), ("de_DE.UTF-8", "Donnerstag"),
                          ("C.UTF-8", "Thursday")):
        given = {**fastcgi.variables("GET", "/script.tcl"), "LANG": language}
        with fastcgi.Connection(host.socket) as client:
            assert client.run(given).reply().text == day + "\n"


def test_random_numbers_differ_from_run_to_run(rerun):
    assert len({ask(rerun, "random") for _ in range(8)}) == 8


def test_a_changed_script_is_used_from_the_next_request_on(start_host, tmp_path):
    text = '# exthost: rerun\nputs "Content-Type: text/plain\\n\\n%s"\n'
    host = None
    for word in ("old", "new", "newer"):
        put_script(tmp_path, "page", "tcl", text % word)
        host = host or start_host(tmp_path)
        assert host.get("/page").text == word + "\n"


def test_the_log_tells_where_a_script_was_when_its_time_was_over(start_host, tmp_path):
    put_script(tmp_path, "script.tcl", "tcl", SCRIPT)
    host = start_host(tmp_path, "--timeout", "1")
    assert host.get("/script.tcl?spin").status == 504
    host.wait_line("spin_here")
    assert ask(host, "return") == "whole\n"


def test_a_script_answers_the_same_under_nginx_and_under_fossil(
        start_host, start_nginx, start_fossil, tmp_path):
    put_script(tmp_path, "script.tcl", "tcl", SCRIPT)
    host = start_host(tmp_path)
    for server in (start_nginx(host.socket), start_fossil(host.root)):
        for _ in range(2):
            assert server.get("/script.tcl?bytes").body == b"\0\xff"
            assert server.get("/script.tcl?exit").text == "whole\n"
            assert server.get("/script.tcl?error").status == 500
