"""Tcl apps: a script that defines `proc application {}` and stays loaded between requests."""

import os
import zlib

import pytest

from support import fastcgi
from support.host import environment, put_script
from support.servers import Nginx
from support.serving import WAYS, serve
from support.waiting import wait_for
from support.web import BrokenTransfer

# One command for each case; the query is the case and what it needs, and the reply is what it
# prints.
CASES = r"""# exthost: app
package require exthost
package require sqlite3

sqlite3 db :memory:
db eval {CREATE TABLE visits(n)}
set visits 0
set configured [list [chan configure stdin] [chan configure stdout]]

set children [list [interp create child] [interp create {child grandchild}]]
interp create -safe safe
interp alias safe safe_puts {} puts

namespace eval case {
	proc count {} {
		db eval {INSERT INTO visits VALUES(1)}
		puts "[incr ::visits] [db eval {SELECT count(*) FROM visits}]"
	}
	proc pid {} { puts [::pid] }
	proc exists {name} { puts "[info exists ::env($name)] [expr {$name in [array names ::env]}]" }
	proc env {} { foreach name [lsort [array names ::env]] { puts "$name $::env($name)" } }
	proc set_env {} {
		set ::env(LEFT) over
		unset ::env(QUERY_STRING)
		puts [exec /bin/sh -c {echo $LEFT$QUERY_STRING}]
	}
	proc program_env {} { puts [exec /bin/sh -c {echo "[$LEFT]$QUERY_STRING"}] }
	proc body {} {
		chan configure stdin -translation binary
		set body [read stdin]
		puts "[string length $body] [zlib crc32 $body] [eof stdin]"
	}
	proc text {} { puts [read stdin] }
	proc part {} { puts [gets stdin] }
	proc program_body {} { puts [exec /bin/cat] }
	proc bytes {} {
		chan configure stdout -translation binary
		for {set i 0} {$i < 256} {incr i} { puts -nonewline [binary format c $i] }
	}
	proc large {size} {
		chan configure stdout -translation binary
		puts -nonewline [string repeat 0123456789abcdef [expr {$size / 16}]]
	}
	proc resized {} {
		foreach size {1000000 10 300000 1000000} {
			chan configure stdout -buffersize $size
			puts -nonewline [string repeat x 600000]
		}
	}
	proc euro {} { puts \u20ac }
	proc configure_all {} {
		chan configure stdin -translation binary
		chan configure stdout -encoding iso8859-1 -translation crlf -buffering none
		encoding system iso8859-1
	}
	proc close_in {} { close stdin }
	proc close_out {} { puts whole; close stdout }
	proc close_both_and_open {} {
		close stdin
		close stdout
		set ::opened [list [open /dev/null] [open /dev/null w]]
	}
	proc close_errors {} { close stderr; puts closed }
	proc push {} { zlib push gzip stdout; puts pushed }
	proc listen {} {
		chan event stdout writable {incr ::written}
		chan event stdin readable {incr ::read}
	}
	proc copy_on {} {
		chan copy stdin stdout -command {set ::copied}
	}
	proc channels {} {
		puts [expr {[list [chan configure stdin] [lreplace [chan configure stdout] 3 5]]}]
		encoding system utf-8
	}
	proc complain {} { puts stderr "a complaint"; puts complained }
	proc error {} { puts half; ::error "a secret went wrong" "" {MY CODE} }
	proc late_error {} { puts [string repeat x 4000000]; ::error "too late" }
	proc caught {} { catch {::error caught}; puts $::errorInfo }
	proc unshared {} { puts [safe eval {catch {puts unshared}}] }
	proc seen {} { puts "[info exists ::errorInfo] [info exists ::errorCode]" }
	proc break {} { return -level 2 -code break }
	proc continue {} { return -level 2 -code continue }
	proc odd {} { return -level 2 -code 42 }
	proc leave {status} { puts whole; exit $status }
	proc leave_deep {} {
		puts whole
		proc ::deep {} {
			uplevel 1 {lmap x {1 2} {while 1 {catch {try {exit} finally {puts "not reached"}}}}}
		}
		after 5 {::deep}
		vwait forever
	}
	proc where {} { puts "$::argv0 [info script] [pwd] $::argc [list $::argv] $::tcl_interactive" }
	proc who {} { puts "[exthost user]|[exthost capabilities]|[exthost has s]" }
	proc program_out {} { puts one; exec /bin/echo two >@stdout; puts three }
	proc script_out {} { exthost page Title <p>text</p>; set ::paged 1 }
	proc children {} {
		foreach child $::children {
			{*}[list interp eval $child] {set stdin [read stdin]; puts [string length $stdin]}
		}
		safe eval {safe_puts safe}
	}
	proc endless {} {
		if {[catch {while 1 {puts [string repeat x 1000]; flush stdout}} message options]} {
			puts stderr "the client is gone: [dict get $options -errorcode]"
			return -options $options $message
		}
	}
	proc hog {} { lappend all; while 1 { lappend all [string repeat x 1000000] } }
	proc spin {} { spin_here }
	proc spin_here {} { while 1 {} }
	proc spin_in_lines {} {
		namespace eval :: {
			while 1 { set line second }
		}
	}
}

proc application {} {
	set query [expr {[info exists ::env(QUERY_STRING)] ? $::env(QUERY_STRING) : ""}]
	if {$query ne "script_out"} { puts "Content-Type: application/octet-stream\n" }
	namespace eval case [split $query =]
}
"""


@pytest.fixture(scope="module", params=WAYS)
def cases(request, tmp_path_factory):
    made = serve(request.param, tmp_path_factory.mktemp("root"), "cases.tcl", CASES)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """Behind a front that listens for Fossil too."""
    made = serve("front", tmp_path_factory.mktemp("root"), "cases.tcl", CASES)
    yield made
    made.stop()


def ask(host, case, **more):
    """What the case prints."""
    reply = host.get(f"/cases.tcl?{case}", **more)
    assert reply.status == 200, (case, reply)
    return reply.text


def test_an_app_keeps_its_variables_and_databases_between_requests(cases):
    first = [int(word) for word in ask(cases, "count").split()]
    assert [int(word) for word in ask(cases, "count").split()] == [n + 1 for n in first]


def test_the_environment_is_the_requests(cases):
    told = ask(cases, "env", headers=[("X-Thing", "caf\u00e9".encode())])
    assert "HTTP_X_THING caf\u00e9\n" in told and "QUERY_STRING env\n" in told
    assert "PATH /usr/bin:/bin\n" in told and "HOST_SECRET" not in told


def test_a_variable_of_one_request_is_not_there_in_the_next(cases):
    assert ask(cases, "exists=HTTP_X_ONE", headers=[("X-One", "1")]) == "1 1\n"
    assert ask(cases, "exists=HTTP_X_ONE") == "0 0\n"
    assert ask(cases, "exists=HTTP_X_ONE", headers=[("X-One", "1")]) == "1 1\n"


def test_variables_that_come_in_another_order_are_all_there(cases):
    for reverse in (False, True, False):
        query = "exists=HTTP_X_TWO" if reverse else "exists=HTTP_X_ONE"
        found = fastcgi.variables("GET", f"/cases.tcl?{query}",
                                  headers=[("X-One", "1"), ("X-Two", "2")])
        with fastcgi.Connection(cases.socket) as client:
            told = client.run(dict(sorted(found.items(), reverse=reverse))).reply().text
        assert told == "1 1\n"


def test_what_a_request_sets_in_the_environment_is_not_seen_by_the_next(cases):
    for _ in range(3):
        assert ask(cases, "set_env") == "over\n"
        assert ask(cases, "exists=LEFT") == "0 0\n"
        assert ask(cases, "program_env") == "[]program_env\n"


@pytest.mark.parametrize("size", [1, 4096, 4097, 70_000, 1_000_000])
def test_standard_input_is_the_body_and_then_its_end(cases, size):
    body = os.urandom(size)
    reply = cases.run("POST", "/cases.tcl?body", body=body).reply()
    assert reply.text == f"{size} {zlib.crc32(body)} 1\n"


def test_without_a_body_standard_input_is_at_its_end(cases):
    assert ask(cases, "body") == "0 0 1\n"


def test_a_body_is_text_in_utf_8_unless_told(cases):
    reply = cases.run("POST", "/cases.tcl?text", body="gr\u00fc\u00dfe".encode()).reply()
    assert reply.text == "gr\u00fc\u00dfe\n"


def test_a_body_that_is_not_read_is_not_seen_by_the_next_request(cases):
    reply = cases.run("POST", "/cases.tcl?part", body=b"first\n" + b"rest\n" * 10_000).reply()
    assert reply.text == "first\n"
    assert ask(cases, "body") == "0 0 1\n"


def test_a_program_that_the_app_starts_has_the_body_too(cases):
    reply = cases.run("POST", "/cases.tcl?program_body", body=b"for cat").reply()
    assert reply.text == "for cat\n"


def test_output_can_be_bytes_and_is_utf_8_otherwise(cases):
    assert cases.get("/cases.tcl?bytes").body == bytes(range(256))
    assert cases.get("/cases.tcl?euro").body == "\u20ac\n".encode()


@pytest.mark.parametrize("size", [16, 262_144, 8_000_000])
def test_output_of_any_size_comes_whole(cases, size):
    assert cases.get(f"/cases.tcl?large={size}").body == b"0123456789abcdef" * (size // 16)


def test_output_comes_whole_whatever_size_a_request_gives_its_buffer(cases):
    assert ask(cases, "resized") == "x" * 2_400_000


def test_what_a_program_prints_stands_in_its_place(cases):
    assert ask(cases, "program_out") == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    "what", ["configure_all", "close_in", "close_out", "close_both_and_open", "push",
             "listen", "copy_on"])
def test_what_a_request_does_to_its_channels_is_not_seen_by_the_next(cases, what):
    usual = ask(cases, "channels")
    worker = ask(cases, "pid")
    for _ in range(3):
        # A copy that goes on has the reply, and it is never whole.
        assert cases.get(f"/cases.tcl?{what}").status == (500 if what == "copy_on" else 200)
        assert ask(cases, "channels") == usual
        assert ask(cases, "euro") == "\u20ac\n"
        reply = cases.run("POST", "/cases.tcl?text", body=b"text").reply()
        assert reply.text == "text\n"
    assert ask(cases, "pid") == worker


def test_a_closed_standard_error_is_open_again_for_the_next_request(cases):
    assert ask(cases, "close_errors") == "closed\n"
    since = cases.log_position()
    assert ask(cases, "complain") == "complained\n"
    cases.wait_line("a complaint", "cases.tcl", since=since)


def test_an_app_that_closes_its_output_has_answered(cases):
    assert ask(cases, "close_out") == "whole\n"


def test_an_error_is_a_500_with_errorinfo_in_the_log_and_the_worker_goes_on(cases):
    worker, since = ask(cases, "pid"), cases.log_position()
    reply = cases.get("/cases.tcl?error")
    assert reply.status == 500 and "secret" not in reply.text and "half" not in reply.text
    cases.wait_line("a secret went wrong", "cases.tcl", since=since)
    cases.wait_line('(procedure "error" line 1)', since=since)
    cases.wait_line("status=500", since=since)
    assert ask(cases, "pid") == worker


def test_what_an_app_writes_to_standard_error_is_tagged_with_the_request(trusting):
    since = trusting.log_position()
    assert ask(trusting, "complain") == "complained\n"
    line = trusting.wait_line("a complaint", "cases.tcl", since=since)
    trusting.wait_line(line.split("[")[1].split("]")[0], "status=200", since=since)


def test_an_error_after_the_first_bytes_have_left_breaks_the_transfer(cases):
    nginx = Nginx(cases.socket)
    try:
        with pytest.raises(BrokenTransfer):
            nginx.get("/cases.tcl?late_error")
        assert nginx.get("/cases.tcl?euro").text == "\u20ac\n"
    finally:
        nginx.stop()


@pytest.mark.parametrize("how", ["break", "continue", "odd"])
def test_any_other_odd_way_to_return_is_an_error_too(cases, how):
    worker = ask(cases, "pid")
    assert cases.get(f"/cases.tcl?{how}").status == 500
    assert ask(cases, "pid") == worker


def test_an_error_of_one_request_is_not_seen_by_the_next(cases):
    assert "caught" in ask(cases, "caught")
    assert ask(cases, "seen") == "0 0\n"
    assert cases.get("/cases.tcl?error").status == 500
    assert ask(cases, "seen") == "0 0\n"


def test_exit_0_ends_the_request_well_and_the_worker_which_is_replaced(cases):
    worker = ask(cases, "pid")
    assert ask(cases, "leave=0") == "whole\n"
    worker_2 = ask(cases, "pid")
    assert ask(cases, "leave_deep") == "whole\n"
    assert len({worker, worker_2, ask(cases, "pid")}) == 3


def test_any_other_exit_is_a_failure(cases):
    worker, since = ask(cases, "pid"), cases.log_position()
    assert cases.get("/cases.tcl?leave=1").status == 500
    cases.wait_line("exit status 1", since=since)
    assert ask(cases, "pid") != worker


def test_interpreters_that_the_app_keeps_have_each_requests_channels(cases):
    for size in (5, 6, 7):
        reply = cases.run("POST", "/cases.tcl?children", body=b"x" * size).reply()
        assert reply.text == f"{size}\n0\nsafe\n"
    assert ask(cases, "children") == "0\n0\nsafe\n"


def test_a_safe_interpreter_has_no_channel_that_the_app_has_not_given_it(cases):
    for _ in range(2):
        assert ask(cases, "unshared") == "1\n"


def test_the_script_is_named_as_under_cgi(cases):
    script = cases.root / "cases.tcl"
    assert ask(cases, "where") == f"{script} {script} {cases.root} 0 {{}} 0\n"


def test_the_library_tells_about_each_request(trusting):
    def who(user, capabilities):
        return trusting.as_fossil("GET", "cases.tcl", query="who", FOSSIL_USER=user,
                                  FOSSIL_CAPABILITIES=capabilities).reply().text
    assert who("ada", "hjs") == "ada|hjs|1\n"
    assert who("bob", "h") == "bob|h|0\n"


def test_the_librarys_page_is_in_fossils_skin_under_fossil_and_whole_elsewhere(trusting):
    for _ in range(2):
        inside = trusting.as_fossil("GET", "cases.tcl", query="script_out").reply()
        assert "<div class='fossil-doc'" in inside.text
        assert trusting.get("/cases.tcl?script_out").text.startswith("<!DOCTYPE html>")


def test_an_app_is_told_that_its_client_is_gone_and_its_worker_goes_on(cases):
    worker, since = ask(cases, "pid"), cases.log_position()
    with fastcgi.Connection(cases.socket) as connection:
        connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, 1, fastcgi.pairs(
            fastcgi.variables("GET", "/cases.tcl?endless")))
                        + fastcgi.stream(fastcgi.STDIN, 1, b""))
        assert connection.read_record()
    cases.wait_line("status=499", "endless", since=since)
    cases.wait_line("the client is gone: POSIX EPIPE", since=since)
    assert ask(cases, "pid") == worker


def test_an_app_answers_under_nginx_and_under_fossil(trusting, start_nginx, start_fossil):
    for server in (start_nginx(trusting.socket), start_fossil(trusting.root)):
        body = os.urandom(100_000)
        reply = server.request("POST", "/cases.tcl?body",
                               [("Content-Type", "application/octet-stream")], body)
        assert (reply.status, reply.text) == (200, f"{len(body)} {zlib.crc32(body)} 1\n")
        assert server.get("/cases.tcl?error").status == 500
        assert server.get("/cases.tcl?bytes").body == bytes(range(256))


def test_the_log_tells_where_an_app_was_when_its_time_was_over(start_host, tmp_path):
    put_script(tmp_path, "cases.tcl", "tcl", CASES)
    host = start_host(tmp_path, "--timeout", "1")
    assert host.get("/cases.tcl?spin").status == 504
    host.wait_line("spin_here")
    assert ask(host, "euro") == "\u20ac\n"


def test_a_command_of_many_lines_is_one_line_of_where_an_app_was(start_host, tmp_path):
    put_script(tmp_path, "cases.tcl", "tcl", CASES)
    host = start_host(tmp_path, "--timeout", "1")
    assert host.get("/cases.tcl?spin_in_lines").status == 504
    host.wait_line(": namespace eval :: {")
    assert not [line for line in host.program.log() if "set line second" in line]


def test_the_log_has_fifty_levels_of_where_an_app_was(start_host, tmp_path):
    put_script(tmp_path, "deep.tcl", "tcl", """# exthost: app
proc deep {n} { if {$n > 0} { deep [expr {$n - 1}] } else { while 1 {} } }
proc application {} { deep 200 }
""")
    host = start_host(tmp_path, "--timeout", "1")
    assert host.get("/deep.tcl").status == 504
    host.wait_line("status=504")
    assert len([line for line in host.program.log() if "stream=stack" in line]) == 50


def test_an_app_that_wants_too_much_memory_is_a_500_with_the_reason_in_the_log(
        start_host, tmp_path):
    put_script(tmp_path, "cases.tcl", "tcl", CASES)
    # A sanitizer would keep what the app frees when it has failed.
    host = start_host(tmp_path, "--memory", "64m", env=environment(
        ASAN_OPTIONS="allocator_may_return_null=1:quarantine_size_mb=0"))
    since = host.log_position()
    assert host.get("/cases.tcl?hog").status == 500
    host.wait_line("status=500", "end=memory", since=since)
    assert ask(host, "euro") == "\u20ac\n"


ENDS = """# exthost: app
set journal [open journal w]
rename exit really_exit
proc exit args { puts $::journal "exit $args"; really_exit {*}$args }
proc application {} {
	puts $::journal $::env(QUERY_STRING)
	puts "Content-Type: text/plain\\n\\nnoted"
	if {$::env(QUERY_STRING) eq "leave"} { exit }
}
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_is_ended_writes_what_it_has_buffered_and_calls_exit_once(tmp_path, way):
    host = serve(way, tmp_path, "app", ENDS)
    try:
        assert host.get("/app?one").text == "noted\n"
    finally:
        host.stop()
    assert (tmp_path / "journal").read_text() == "one\nexit 0\n"


def test_a_worker_that_exits_writes_what_it_has_buffered_and_calls_exit_once(start_host, tmp_path):
    put_script(tmp_path, "app", "tcl", ENDS.replace("journal w", "journal a"))
    host = start_host(tmp_path, "--min-workers", "0", "--workers", "1")
    assert host.get("/app?leave").text == "noted\n"
    wait_for(lambda: (tmp_path / "journal").read_text(), "the journal is written")
    assert (tmp_path / "journal").read_text() == "leave\nexit \n"


@pytest.mark.parametrize("body, reason", [
    ("set x 1\n", "an app must define proc application {}"),
    ("error oops\nproc application {} {}\n", '"error oops"'),
    ("proc application {} {}\nexit\n", "it calls exit while it is loaded"),
    ("proc application {", "missing close-brace")])
def test_an_app_that_does_not_load_says_why(start_host, tmp_path, body, reason):
    put_script(tmp_path, "app", "tcl", "# exthost: app\n" + body)
    host = start_host(tmp_path)
    assert host.get("/app").status == 500
    host.wait_line(reason)
