"""
Tcl apps and time: the event loop within a request and between requests, and replies that stream.
"""

import socket

import pytest

from support import fastcgi
from support.host import put_script
from support.processes import lives
from support.servers import Nginx
from support.serving import WAYS, serve
from support.waiting import wait_for

APP = r"""# exthost: app
set ticks 0
proc tick {} { incr ::ticks; after 5 tick }
tick

set server [socket -server greet -myaddr 127.0.0.1 0]
proc greet {channel args} {
	chan configure $channel -blocking 0
	chan event $channel readable [list answer $channel]
}
proc answer {channel} {
	puts $channel "[string toupper [gets $channel]]"
	close $channel
}

namespace eval case {
	proc ticks {} { puts $::ticks }
	proc port {} { puts [lindex [chan configure $::server -sockname] 2] }
	proc wait {} { puts one; after 20 {puts two; set ::done 1}; vwait ::done; puts three }
	proc pipe {} {
		set ::read ""
		set pipe [open "|/bin/sh -c {echo a; sleep 0.05; echo b}"]
		chan configure $pipe -blocking 0
		chan event $pipe readable [list case::read_pipe $pipe]
		vwait ::pipe_done
		puts $::read
	}
	proc read_pipe {pipe} {
		append ::read [read $pipe]
		if {[eof $pipe]} { chan close $pipe; set ::pipe_done 1 }
	}
	proc two_pipes {} {
		lassign [chan pipe] first to_first
		lassign [chan pipe] second to_second
		chan event $first readable {set ::came first}
		chan event $second readable {set ::came second}
		chan event $first readable {}
		puts $to_second x
		flush $to_second
		vwait ::came
		foreach channel [list $first $to_first $second $to_second] { close $channel }
		puts $::came
	}
	proc many {} {
		set ::came {}
		for {set i 0} {$i < 40} {incr i} {
			lassign [chan pipe] read write
			lappend pipes $read $write
			chan event $read readable [list case::read_one $read $i]
		}
		foreach {read write} $pipes { puts $write x; flush $write }
		while {[llength $::came] < 40} { vwait ::came }
		foreach channel $pipes { close $channel }
		puts [lsort -integer $::came]
	}
	proc read_one {channel number} { gets $channel; lappend ::came $number }
	proc both_ways {} {
		set socket [socket 127.0.0.1 [lindex [chan configure $::server -sockname] 2]]
		chan configure $socket -blocking 0 -buffering line
		chan event $socket readable [list case::hear $socket]
		chan event $socket writable [list case::say $socket]
		vwait ::heard
		close $socket
		puts $::heard
	}
	proc hear {socket} { if {[gets $socket line] >= 0} { set ::heard $line } }
	proc say {socket} { puts $socket both; chan event $socket writable {} }
	proc taken_away {} {
		set channel [chan create read case::told]
		chan event $channel readable {some handler}
		puts <$::told>
		chan event $channel readable {}
		puts <$::told>
		close $channel
	}
	proc told {verb channel args} {
		if {$verb eq "watch"} { set ::told [lindex $args 0] }
		return [expr {$verb eq "initialize" ? {initialize finalize watch read} : ""}]
	}
	proc late_read {first} {
		if {$first} { gets stdin }
		puts now
		after 20 {puts stderr "read later: [string length [read stdin]] bytes"}
	}
	proc body_events {} {
		set ::read ""
		chan configure stdin -blocking 0
		chan event stdin readable {
			append ::read [read stdin 1000]
			if {[eof stdin]} { chan event stdin readable {}; set ::body_done 1 }
		}
		vwait ::body_done
		puts [string length $::read]
	}
	proc copy {} {
		chan configure stdin -translation binary
		chan configure stdout -translation binary
		chan copy stdin stdout -command {set ::copied}
		vwait ::copied
	}
	proc late {} { after 30 {puts "printed too late"; puts -nonewline "and not whole"}; puts now }
	proc late_error {} { after 30 {error "a background error"}; puts now }
	proc late_exit {} { after 30 {exit 3}; puts [::pid] }
	proc own_handler {} {
		interp bgerror {} case::handle
		after 10 {error "caught by the app"}
		puts now
	}
	proc handle {message options} { puts stderr "handled: $message"; interp bgerror {} "" }
	proc pid {} { puts [::pid] }
	proc complain {} { puts stderr ", a complaint"; puts complained }
	proc stream {flag} {
		puts [string repeat x 5000]
		flush stdout
		while {![file exists $flag]} { after 5 {set ::again 1}; vwait ::again }
		puts "the end"
	}
	proc coroutines {} {
		coroutine ::worker apply {{} {
			foreach n {1 2 3} { after 5 [info coroutine]; yield; puts $n }
			set ::worked 1
		}}
		vwait ::worked
	}
	proc fail_full {} { puts [string repeat x 5000]; exit 3 }
	proc never {} { vwait ::never }
}

proc application {} {
	# nginx buffers a response unless this header forbids it.
	puts "Content-Type: application/octet-stream\nX-Accel-Buffering: no\n"
	namespace eval case [split $::env(QUERY_STRING) =]
}
"""


@pytest.fixture(scope="module", params=WAYS)
def events(request, tmp_path_factory):
    made = serve(request.param, tmp_path_factory.mktemp("root"), "events.tcl", APP,
                 "--reply-buffer", "4k")
    yield made
    made.stop()


def ask(host, case, **more):
    """What the case prints."""
    reply = host.get(f"/events.tcl?{case}", **more)
    assert reply.status == 200, (case, reply)
    return reply.text


def test_an_app_can_wait_for_events_within_a_request(events):
    assert ask(events, "wait") == "one\ntwo\nthree\n"
    assert ask(events, "pipe") == "a\nb\n\n"
    assert ask(events, "coroutines") == "1\n2\n3\n"


def test_a_handler_goes_on_when_one_that_was_made_before_it_is_taken_away(events):
    assert ask(events, "two_pipes") == "second\n"


def test_an_app_waits_for_any_number_of_channels(events):
    assert ask(events, "many") == " ".join(str(number) for number in range(40)) + "\n"


def test_a_channel_can_be_waited_for_in_both_directions_at_once(events):
    assert ask(events, "both_ways") == "BOTH\n"


def test_a_channel_whose_handler_is_taken_away_is_not_watched_any_more(events):
    assert ask(events, "taken_away") == "<read>\n<>\n"


@pytest.mark.parametrize("first", [0, 1])
def test_a_body_cannot_be_read_after_its_request(events, first):
    for body in (b"first\nrest\n", b"first\n" + b"rest\n" * 100_000):
        since = events.log_position()
        assert events.run("POST", f"/events.tcl?late_read={first}",
                          body=body).reply().text == "now\n"
        events.wait_line("read later: 0 bytes", since=since)


def test_the_body_and_the_reply_can_be_copied_by_events(events):
    body = bytes(range(256)) * 500
    reply = events.run("POST", "/events.tcl?body_events", body=b"x" * 100_000).reply()
    assert reply.text == "100000\n"
    assert events.run("POST", "/events.tcl?copy", body=body).reply().body == body


def test_timers_go_on_between_requests(events):
    first = int(ask(events, "ticks"))
    wait_for(lambda: int(ask(events, "ticks")) > first + 20, "the timer goes on")


def test_a_server_of_the_app_answers_between_requests(events):
    port = int(ask(events, "port"))
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(b"hello\n")
            assert s.makefile().readline() == "HELLO\n"


def test_what_is_printed_between_requests_goes_to_the_log_and_into_no_reply(events):
    since = events.log_position()
    assert ask(events, "late") == "now\n"
    events.wait_line("printed too late", since=since)
    assert ask(events, "complain") == "complained\n"
    events.wait_line("and not whole", since=since)


def test_a_background_error_goes_to_the_log_and_the_worker_goes_on(events):
    worker, since = ask(events, "pid"), events.log_position()
    assert ask(events, "late_error") == "now\n"
    events.wait_line("a background error", since=since)
    events.wait_line('("after" script)', since=since)
    assert ask(events, "own_handler") == "now\n"
    events.wait_line("handled: caught by the app", since=since)
    assert ask(events, "pid") == worker


def test_an_exit_between_requests_ends_the_worker_and_no_request(events):
    for _ in range(3):
        worker = int(ask(events, "late_exit"))
        wait_for(lambda old=worker: not lives(old), "the worker ends")
        assert int(ask(events, "pid")) != worker


def test_an_exit_that_fails_sends_nothing_of_what_was_printed(events):
    reply = events.get("/events.tcl?fail_full")
    assert reply.status == 500 and "xxx" not in reply.text


def test_a_request_that_waits_for_ever_is_ended_and_the_log_tells_where(start_host, tmp_path):
    put_script(tmp_path, "events.tcl", "tcl", APP)
    host = start_host(tmp_path, "--timeout", "1")
    assert host.get("/events.tcl?never").status == 504
    host.wait_line("vwait ::never")


def read_until(read, wanted):
    """What has come when `wanted` has."""
    received = b""
    while wanted not in received:
        part = read()
        assert part, f"the reply ends before {wanted!r}: {received[-100:]!r}"
        received += part
    return received


def test_a_flush_streams(events, tmp_path):
    flag = tmp_path / "flag"
    with fastcgi.Connection(events.socket) as connection:
        connection.send(
            fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, 1, fastcgi.pairs(
                fastcgi.variables("GET", f"/events.tcl?stream={flag}")))
            + fastcgi.stream(fastcgi.STDIN, 1, b""))
        read_until(lambda: connection.read_record()[2], b"x\n")
        flag.write_text("")
        assert connection.read_outcome().stdout.endswith(b"the end\n")


def test_a_flush_streams_through_nginx(events, tmp_path):
    flag = tmp_path / "flag"
    nginx = Nginx(events.socket)
    try:
        with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as s:
            s.sendall(f"GET /events.tcl?stream={flag} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            read_until(lambda: s.recv(65536), b"x\n")
            flag.write_text("")
            read_until(lambda: s.recv(65536), b"the end\n")
    finally:
        nginx.stop()
