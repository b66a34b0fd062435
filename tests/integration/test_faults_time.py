"""Runs that do not end by themselves, and what runs leave behind."""

import re
import time

import pytest

from faults import Asked, gone, path, put_config, put_faults, untouched
from host import Host, SUFFIX
from processes import lives
from servers import Fossil, Nginx
from web import BrokenTransfer

LANGUAGES = pytest.mark.parametrize("language", SUFFIX)
TIMEOUT = 1.0
GENEROUS = 4.0  # how much later than its deadline an answer may come on a busy machine

SCRIPTS = {
    "python": {
        "loop": """
import os, sys
def round_and_round():
    while True:
        pass
if os.environ["QUERY_STRING"]:
    print("Content-Type: text/plain\\n\\n" + "x" * int(os.environ["QUERY_STRING"]), flush=True)
print("begun", os.getpid(), file=sys.stderr, flush=True)
round_and_round()
""",
        # One instruction of the interpreter's that goes on for ever.
        "expression": """
import os, re, sys
print("begun", os.getpid(), file=sys.stderr, flush=True)
re.match("(a+)+$", "a" * 60 + "b")
""",
        "deaf": """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("begun", os.getpid(), file=sys.stderr, flush=True)
while True:
    time.sleep(60)
""",
        "early": """
import os, sys, time
print("Content-Type: text/plain\\n\\nthat is all")
print("begun", os.getpid(), file=sys.stderr, flush=True)
sys.stdout.flush()
os.close(1)
time.sleep(60)
""",
        "lingering": """
import os, subprocess, sys
apart = os.environ["QUERY_STRING"] == "session"
child = subprocess.Popen(["/bin/sleep", "300"], start_new_session=apart)
print("left", child.pid, file=sys.stderr)
print("Content-Type: text/plain\\n\\nleft one")
""",
        # Its parent is gone before the script is, and it ignores what can be ignored.
        "daemon": """
import os, signal, sys, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(writer, str(os.getpid()).encode())
        time.sleep(300)
    os._exit(0)
os.wait()
print("left", os.read(reader, 20).decode(), file=sys.stderr)
print("Content-Type: text/plain\\n\\nleft one")
""",
        "cpu": """
import os, sys
def burn():
    while True:
        pass
print("begun", os.getpid(), file=sys.stderr, flush=True)
burn()
""",
        "family": """
import os, subprocess, sys, time
child = subprocess.Popen(["/bin/sleep", "300"], start_new_session=True)
print("left", child.pid, file=sys.stderr)
print("begun", os.getpid(), file=sys.stderr, flush=True)
time.sleep(60)
""",
    },
    "tcl": {
        "loop": """
proc round_and_round {} {
    while 1 {}
}
if {$env(QUERY_STRING) ne ""} {
    puts "Content-Type: text/plain\\n\\n[string repeat x $env(QUERY_STRING)]"
    flush stdout
}
puts stderr "begun [pid]"
round_and_round
""",
        # One command that goes on for ever.
        "command": """
puts stderr "begun [pid]"
exec /bin/sleep 60
""",
        "deaf": """
puts stderr "begun [pid]"
while 1 {
    exec /bin/sh -c {trap "" TERM; while :; do /bin/sleep 1; done}
}
""",
        "early": """
puts "Content-Type: text/plain\\n\\nthat is all"
puts stderr "begun [pid]"
close stdout
after 60000
""",
        "lingering": """
if {$env(QUERY_STRING) eq "session"} {
    set child [exec /usr/bin/setsid /bin/sleep 300 &]
} else {
    set child [exec /bin/sleep 300 &]
}
puts stderr "left $child"
puts "Content-Type: text/plain\\n\\nleft one"
""",
        "daemon": """
set command {(trap "" TERM; exec /bin/sleep 300) >/dev/null & echo $!}
puts stderr "left [exec /usr/bin/setsid /bin/sh -c $command]"
puts "Content-Type: text/plain\\n\\nleft one"
""",
        "cpu": """
proc burn {} {
    while 1 {}
}
puts stderr "begun [pid]"
burn
""",
        "family": """
puts stderr "left [exec /usr/bin/setsid /bin/sleep 300 &]"
puts stderr "begun [pid]"
after 60000
""",
        "vwait": """
puts stderr "begun [pid]"
vwait for_ever
""",
        "events": """
puts stderr "begun [pid]"
proc again {} { after 5 again }
again
vwait for_ever
""",
    },
}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("time")
    root = put_faults(folder / "root", SCRIPTS)
    # All others, those that are asked beside the faults, keep the 30 s.
    limited = "".join(f"[extension */{name}.*]\ntimeout = 1\n" for name in (
        "loop", "expression", "command", "deaf", "early", "wait", "vwait", "events", "family"))
    made = Host(root, *put_config(folder, limited + "[extension */cpu.*]\ncpu = 1\n"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def nginx(host):
    made = Nginx(host.socket)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def fossil(host):
    made = Fossil(host.root)
    yield made
    made.stop()


def is_ended_at_its_time(asked, pid, began, more=0.0):
    assert asked.end().reply().status == 504
    took = time.monotonic() - began
    assert TIMEOUT * 0.9 < took < TIMEOUT + more + GENEROUS
    gone(pid)


@LANGUAGES
def test_an_endless_loop_is_504_and_the_log_says_where_it_was(host, language):
    with untouched(host):
        began = time.monotonic()
        asked = Asked(host, path(language, "loop"))
        is_ended_at_its_time(asked, asked.begun(), began)
        name = path(language, "loop")[1:]
        host.wait_line("round_and_round", f"script={name}", "stream=stack", since=asked.since)
        lines = [line for line in host.program.log(asked.since) if "stream=stack" in line]
        assert any(re.search(rf'{re.escape(name)}\D+\d+', line) for line in lines), lines
        host.wait_line("status=504", "end=timeout", "longer than 1 s", name, since=asked.since)


@pytest.mark.parametrize("language, name", [
    ("python", "wait"), ("python", "expression"), ("tcl", "wait"), ("tcl", "vwait"),
    ("tcl", "events")])
def test_a_run_that_never_goes_on_is_504_and_the_log_says_where_it_was(host, language, name):
    with untouched(host):
        began = time.monotonic()
        asked = Asked(host, path(language, name))
        is_ended_at_its_time(asked, asked.begun(), began, more=3.0)
        host.wait_line("status=504", "end=timeout", since=asked.since)
        host.wait_line(path(language, name)[1:], "stream=stack", "line ", since=asked.since)


def test_a_command_of_tcls_that_never_ends_is_504(host):
    with untouched(host):
        began = time.monotonic()
        asked = Asked(host, path("tcl", "command"))
        is_ended_at_its_time(asked, asked.begun(), began, more=3.0)
        host.wait_line("tcl/command.tcl", "did not say where it is", since=asked.since)
        host.wait_line("status=504", "end=timeout", since=asked.since)


@LANGUAGES
def test_an_endless_loop_in_a_streamed_reply_cuts_it(host, language):
    with untouched(host):
        asked = Asked(host, path(language, "loop") + "?400000")
        pid = asked.begun()
        outcome = asked.end()
        assert not outcome.ended and outcome.closed and outcome.records[-1][0] == 255
        host.wait_line("end=timeout", since=asked.since)
        gone(pid)


@LANGUAGES
def test_an_endless_loop_is_504_through_nginx_and_through_fossil(host, nginx, fossil, language):
    with untouched(host):
        assert nginx.get(path(language, "loop")).status == 504
        assert fossil.get(path(language, "loop")).status == 504


@LANGUAGES
def test_nginx_breaks_off_a_streamed_reply_that_takes_too_long(host, nginx, language):
    with pytest.raises(BrokenTransfer):
        nginx.get(path(language, "loop") + "?5000000")


@LANGUAGES
def test_too_much_processor_time_is_504_and_the_log_says_where_it_went(host, language):
    with untouched(host, clients=1):  # the loop needs a processor of its own for a second
        asked = Asked(host, path(language, "cpu"))
        pid = asked.begun()
        assert asked.end().reply().status == 504
        host.wait_line("status=504", "end=cpu", "more than 1 s", since=asked.since)
        host.wait_line("burn", path(language, "cpu")[1:], "stream=stack", since=asked.since)
        gone(pid)


@LANGUAGES
def test_a_run_that_ignores_sigterm_is_killed_soon_after_its_deadline(host, language):
    with untouched(host):
        began = time.monotonic()
        asked = Asked(host, path(language, "deaf"))
        # A second to say where it is, two to end by itself.
        is_ended_at_its_time(asked, asked.begun(), began, more=3.0)
        host.wait_line("status=504", "end=timeout", since=asked.since)


@LANGUAGES
def test_who_closes_its_output_early_is_answered_at_once_and_ended_at_its_time(host, language):
    with untouched(host):
        began = time.monotonic()
        asked = Asked(host, path(language, "early"))
        pid = asked.begun()
        assert asked.end().reply().text == "that is all\n"
        answered = time.monotonic() - began
        assert lives(pid) or answered > TIMEOUT
        gone(pid, TIMEOUT + 3.0 + GENEROUS)
        host.wait_line(path(language, "early")[1:], "end=timeout", since=asked.since)


def left(host, since):
    return int(re.search(r"left (\d+)", host.wait_line("left ", since=since))[1])


@LANGUAGES
@pytest.mark.parametrize("name", ["lingering?group", "lingering?session", "daemon"])
def test_what_a_run_leaves_behind_is_gone_after_it(host, language, name):
    with untouched(host):
        since = host.log_position()
        script, _, query = name.partition("?")
        began = time.monotonic()
        reply = host.get(f"{path(language, script)}?{query}")
        assert (reply.status, reply.text) == (200, "left one\n")
        assert time.monotonic() - began < GENEROUS  # whoever is left holds the pipe, not the reply
        gone(left(host, since))


@LANGUAGES
def test_a_run_ended_at_its_time_takes_its_children_with_it(host, language):
    with untouched(host):
        asked = Asked(host, path(language, "family"))
        child = left(host, asked.since)
        assert lives(child)
        assert asked.end().reply().status == 504
        gone(child)
