"""
What a Tcl app lets be called later: a request's own callbacks print into its reply, those of others
into the log, and a script that looks at what it has arranged finds what it wrote.
"""

import pytest

from support.serving import WAYS, serve

APP = r"""# exthost: app
proc tick {} { puts "a tick of the app"; after 5 tick }
tick
interp create child

interp create waiter
waiter eval {interp create below}
interp create -safe safe
interp share {} stdout safe
foreach path {waiter {waiter below} safe} {
	interp eval $path {proc tick {} { puts "a tick of an interpreter"; after 5 tick }; tick}
}

proc read_one {channel} { puts "read [gets $channel]"; close $channel; set ::done 1 }
proc greet {channel args} { puts "greeted by [llength $args]"; close $channel; set ::done 1 }
proc copied {bytes args} { puts "copied $bytes"; set ::done 1 }

namespace eval case {
	proc timer {} { after 1 {puts timed; set ::done 1}; vwait ::done }
	proc background_error {} {
		set before [interp bgerror {}]
		interp bgerror {} case::handle
		after 1 {puts one}
		after 10 {error "handled by the app"}
		after 60 {set ::done 1}
		vwait ::done
		interp bgerror {} $before
	}
	proc handle {message options} { puts $message }
	proc timer_of_words {} { after 1 set ::done 1; after 0 puts words; vwait ::done }
	proc idle {} { after idle {puts idle}; update; after idle {puts tasks}; update idletasks }
	proc event {} {
		set pipe [open "|/bin/echo x"]
		chan event $pipe readable [list read_one $pipe]
		vwait ::done
	}
	proc fileevent {} {
		set pipe [open "|/bin/echo x"]
		::fileevent $pipe readable [list read_one $pipe]
		vwait ::done
	}
	proc copy {} {
		set pipe [open "|/bin/echo copy"]
		chan copy $pipe stdout -command copied
		vwait ::done
		close $pipe
	}
	proc copy_from {} {
		set pipe [open "|/bin/echo copy"]
		fcopy $pipe stdout -size 5 -command {copied}
		vwait ::done
		close $pipe
	}
	proc server {} {
		set server [socket -server greet -myaddr 127.0.0.1 0]
		set client [socket 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
		vwait ::done
		close $client
		close $server
	}
	proc coroutines {} {
		coroutine ::worker apply {{} {
			foreach n {1 2 3} { after 1 [info coroutine]; yield; puts $n }
			set ::done 1
		}}
		vwait ::done
	}
	proc nested {} {
		after 1 {
			puts outer
			after 1 {puts inner; set ::inner 1}
			vwait ::inner
			puts again
			set ::done 1
		}
		vwait ::done
	}
	proc writable {} {
		set ::left 3
		chan event stdout writable {
			puts -nonewline $::left
			if {[incr ::left -1] == 0} { chan event stdout writable {}; set ::done 1 }
		}
		vwait ::done
		puts ""
	}
	proc kept_channel {} {
		chan configure stdout -buffering full -translation crlf
		set before [chan configure stdout]
		after 10 {set ::done 1}
		vwait ::done
		puts [expr {[chan configure stdout] eq $before}]
		chan configure stdout -translation lf
		puts [lsort [chan names std*]]
	}
	proc child {} {
		::child eval {puts child}
		after 10 {child eval {puts again}; set ::done 1}
		vwait ::done
	}
	proc timer_of_child {} {
		::child eval {after 1 {puts timed}}
		after 30 {set ::done 1}
		vwait ::done
		::child eval {after 100000 never; after cancel never; puts [llength [after info]]}
	}
	proc info {} {
		set id [after 100000 {some script}]
		set other [after idle some other script]
		puts [list [after info $id] [after info $other]]
		after cancel $id
		after cancel $other
		puts [llength [after info]]
	}
	proc cancel {} {
		set before [after info]
		after 100000 {some script}
		after 100000 some other script
		after idle "an idle one"
		after cancel {some script}
		after cancel some other script
		after cancel {an idle one}
		after cancel {there is none}
		puts [expr {[llength [after info]] == [llength $before]}]
	}
	proc handler {} {
		set pipe [open /dev/null]
		chan event $pipe readable {some handler}
		puts [chan event $pipe readable]
		chan event $pipe readable {}
		puts <[::fileevent $pipe readable]>
		close $pipe
	}
	proc wrong {} {
		foreach script {
			{after} {after x} {after info x} {vwait} {chan event x} {chan copy x} {socket -server}
		} {
			puts [list [catch $script message] $message]
		}
	}
	proc wait_in {path} {
		interp eval $path {
			after 1 {puts own}
			after 30 {set ::done 1}
			vwait ::done
			after idle {puts idle}
			update
			puts [llength [after info]]
		}
	}
	proc child_waits {} { wait_in waiter }
	proc grandchild_waits {} { wait_in {waiter below} }
	proc safe_child_waits {} { wait_in safe }
	proc new_child_waits {} {
		set new [interp create]
		wait_in $new
		interp delete $new
	}
	proc leave {} {
		lassign [chan pipe] read ::left
		chan event $read readable [list apply {{channel} {
			puts "left by [gets $channel]"
			close $channel
			close $::left
			set ::done 1
		}} $read]
	}
	proc meet {} { puts $::left "an earlier request"; flush $::left; vwait ::done }
	proc error_of_a_callback {} {
		after 1 {error "an error of a callback"}
		after 10 {set ::done 1}
		vwait ::done
	}
}

proc application {} {
	puts "Content-Type: text/plain\n"
	unset -nocomplain ::done
	case::$::env(QUERY_STRING)
	puts end
}
"""

EXPECTED = {
    "timer": "timed\n", "background_error": "one\n", "timer_of_words": "words\n",
    "idle": "idle\ntasks\n", "event": "read x\n",
    "fileevent": "read x\n", "copy": "copy\ncopied 5\n", "copy_from": "copy\ncopied 5\n",
    "server": "greeted by 2\n", "coroutines": "1\n2\n3\n", "nested": "outer\ninner\nagain\n",
    "writable": "321\n", "kept_channel": "1\r\nstderr stdin stdout\n", "child": "child\nagain\n",
    "timer_of_child": "timed\n0\n",
    "info": "{{some script} timer} {{some other script} idle}\n1\n", "cancel": "1\n",
    "handler": "some handler\n<>\n", "error_of_a_callback": "",
    "child_waits": "own\nidle\n1\n", "grandchild_waits": "own\nidle\n1\n",
    "safe_child_waits": "own\nidle\n1\n", "new_child_waits": "own\nidle\n0\n",
    "wrong": "1 {wrong # args: should be \"after option ?arg ...?\"}\n"
             "1 {bad argument \"x\": must be cancel, idle, info, or an integer}\n"
             "1 {event \"x\" doesn't exist}\n1 {wrong # args: should be \"vwait name\"}\n"
             "1 {wrong # args: should be \"chan event channelId event ?script?\"}\n"
             "1 {wrong # args: should be \"chan copy input output ?-size size? ?-command "
             "callback?\"}\n"
             "1 {no argument given for -server option}\n",
}


@pytest.fixture(scope="module", params=WAYS)
def later(request, tmp_path_factory):
    made = serve(request.param, tmp_path_factory.mktemp("root"), "later.tcl", APP)
    yield made
    made.stop()


@pytest.mark.parametrize("case", EXPECTED)
def test_what_a_request_arranges_for_itself_prints_into_its_reply_and_nothing_else_does(
        later, case):
    for _ in range(3):
        reply = later.get(f"/later.tcl?{case}")
        assert (reply.status, reply.text) == (200, EXPECTED[case] + "end\n")


def test_what_the_app_prints_by_itself_is_in_the_log(later):
    later.wait_line("a tick of the app")
    later.wait_line("a tick of an interpreter")


def test_an_error_of_a_callback_has_the_trace_of_tclsh(later):
    since = later.log_position()
    later.get("/later.tcl?error_of_a_callback")
    later.wait_line("an error of a callback", since=since)
    later.wait_line('("after" script)', since=since)


def test_a_callback_that_an_earlier_request_left_prints_into_no_other_one_s_reply(later):
    for _ in range(2):
        since = later.log_position()
        assert later.get("/later.tcl?leave").text == "end\n"
        assert later.get("/later.tcl?meet").text == "end\n"
        later.wait_line("left by an earlier request", since=since)
