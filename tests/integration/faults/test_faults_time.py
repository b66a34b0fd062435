"""Runs that do not end by themselves, and what runs leave behind."""

import re
import socket
import time

import pytest

from support.fastcgi import STDOUT
from support.faults import Asked, begin, begun, put_config, put_faults, untouched
from support.host import Host, path
from support.marks import LANGUAGES
from support.processes import gone
from support.web import BrokenTransfer

TIMEOUT = 3  # seconds: until then a script must have come to where it waits, on a busy machine too

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
        # More than any socket takes.
        "flood": """
import sys
print("Content-Type: text/plain\\n")
while True:
    sys.stdout.write("0123456789abcdef" * 4096)
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
        "flood": """
puts "Content-Type: text/plain\\n"
while 1 { puts -nonewline [string repeat 0123456789abcdef 4096] }
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

# A run that must have sent its page before its time is over, however busy the machine is.
for scripts in SCRIPTS.values():
    scripts["stream"] = scripts["loop"]

# These only wait, so they all do it at the same time.
WAITING = [("python", "wait"), ("tcl", "wait"), ("tcl", "vwait"), ("tcl", "command"),
           ("python", "deaf"), ("tcl", "deaf"), ("python", "early"), ("tcl", "early"),
           ("python", "family"), ("tcl", "family")]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """It serves others all the time, and holds nothing of all this afterwards."""
    folder = tmp_path_factory.mktemp("time")
    root = put_faults(folder / "root", SCRIPTS)
    # All other scripts, which answer beside the faults, keep the 30 s.
    limited = "".join(f"[extension */{name}.*]\ntimeout = {TIMEOUT}\n" for name in (
        "loop", "expression", "command", "deaf", "wait", "vwait", "events", "family", "flood"))
    made = Host(root, *put_config(folder, limited + """\
[extension */cpu.*]
cpu = 1
timeout = 120
[extension */early.*]
timeout = 4
[extension */stream.*]
timeout = 12
"""))
    try:
        with untouched(made, clients=2):
            yield made
    finally:
        made.stop()


class Timed(Asked):
    """A request of a script that says when it has begun, and what it is known by in the log."""

    def __init__(self, host, language, name, query=""):
        self.began = time.monotonic()
        self.script = path(language, name)[1:]
        super().__init__(host, f"{path(language, name)}?{query}", timeout=120)

    def _ask(self):
        super()._ask()
        self.took = time.monotonic() - self.began
        self.answered = self.host.log_position()

    def said(self, *texts):
        """The line of the log about this script that holds these texts, when it is there."""
        return self.host.wait_line(f"script={self.script}", *texts, since=self.since)

    def is_ended_at_its_time(self):
        assert self.end().reply().status == 504
        assert self.took > TIMEOUT * 0.9
        self.said("status=504", "end=timeout", f"longer than {TIMEOUT} s")
        gone(begun(self.host, self.since, self.script))


@pytest.fixture(scope="module")
def waiting(host):
    """The Timed of each of WAITING, all begun."""
    found = {each: Timed(host, *each) for each in WAITING}
    for asked in found.values():
        begun(host, asked.since, asked.script)
    yield found
    for asked in found.values():
        asked.end()


@pytest.mark.parametrize("language, name", [("python", "wait"), ("tcl", "wait"), ("tcl", "vwait")])
def test_a_run_that_waits_for_ever_is_504_and_the_log_says_where_it_was(waiting, language, name):
    asked = waiting[language, name]
    asked.is_ended_at_its_time()
    asked.said("stream=stack", "line ", asked.script)


def test_a_command_of_tcls_that_never_ends_is_504(host, waiting):
    asked = waiting["tcl", "command"]
    asked.is_ended_at_its_time()
    host.wait_line(f"{asked.script} did not say where it is", since=asked.since)


@LANGUAGES
def test_a_run_that_ignores_sigterm_is_killed_soon_after_its_deadline(waiting, language):
    waiting[language, "deaf"].is_ended_at_its_time()


@LANGUAGES
def test_a_run_ended_at_its_time_takes_its_children_with_it(host, waiting, language):
    asked = waiting[language, "family"]
    child = left(host, asked.since, asked.script)
    asked.is_ended_at_its_time()
    gone(child)


@LANGUAGES
def test_an_endless_loop_is_504_and_the_log_says_where_it_was(host, language):
    asked = Timed(host, language, "loop")
    asked.is_ended_at_its_time()
    asked.said("round_and_round", "stream=stack")
    lines = [line for line in host.program.log(asked.since) if "stream=stack" in line]
    assert any(re.search(rf"{re.escape(asked.script)}\D+\d+", line) for line in lines), lines


@pytest.mark.parametrize("language, name", [("python", "expression"), ("tcl", "events")])
def test_a_run_that_never_comes_to_its_end_is_504_and_the_log_says_where_it_was(
        host, language, name):
    asked = Timed(host, language, name)
    asked.is_ended_at_its_time()
    asked.said("stream=stack", "line ", asked.script)


@LANGUAGES
def test_an_endless_loop_in_a_streamed_reply_cuts_it(host, language):
    asked = Timed(host, language, "stream", "400000")
    outcome = asked.end()
    assert not outcome.ended and outcome.closed and outcome.records[-1][0] == 255
    asked.said("end=timeout")
    asked.said("round_and_round", "stream=stack")
    gone(begun(host, asked.since, asked.script))


@LANGUAGES
def test_who_reads_too_slowly_learns_that_the_reply_is_cut(host, language):
    since = host.log_position()
    with begin(host, path(language, "flood")) as client:
        host.wait_line(path(language, "flood"), "the client takes no more", since=since)
        outcome = client.read_outcome()
    assert not outcome.ended and outcome.closed
    assert {kind for kind, _, _ in outcome.records[:-1]} == {STDOUT} and len(outcome.records) > 3
    assert outcome.records[-1][0] == 255


@LANGUAGES
def test_who_reads_too_slowly_through_nginx_learns_that_the_reply_is_cut(
        host, start_nginx, language):
    nginx = start_nginx(host.socket, more="fastcgi_buffering off;")
    since = host.log_position()
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
        client.sendall(f"GET {path(language, 'flood')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        host.wait_line(path(language, "flood"), "the client takes no more", since=since)
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert received.startswith(b"HTTP/1.1 200") and not received.endswith(b"0\r\n\r\n")


@LANGUAGES
def test_who_closes_its_output_early_is_answered_at_once_and_ended_at_its_time(
        host, waiting, language):
    asked = waiting[language, "early"]
    assert asked.end().reply().text == "that is all\n"
    line = asked.said("status=200", "end=timeout", "longer than 4 s")
    # The run's end was logged when its reply had long been there.
    assert host.program.log().index(line) >= asked.answered
    assert float(re.search(r"run_ms=([\d.]+)", line)[1]) > 4 * 900
    gone(begun(host, asked.since, asked.script))


@LANGUAGES
def test_an_endless_loop_is_504_through_nginx_and_through_fossil(nginx, fossil, language):
    assert nginx.get(path(language, "loop")).status == 504
    assert fossil.get(path(language, "loop")).status == 504


@LANGUAGES
def test_nginx_breaks_off_a_streamed_reply_that_takes_too_long(nginx, language):
    with pytest.raises(BrokenTransfer):
        nginx.get(path(language, "stream") + "?5000000")


@LANGUAGES
def test_too_much_processor_time_is_504_and_the_log_says_where_it_went(host, language):
    asked = Timed(host, language, "cpu")
    assert asked.end().reply().status == 504
    asked.said("status=504", "end=cpu", "more than 1 s of processor time")
    asked.said("burn", "stream=stack")
    gone(begun(host, asked.since, asked.script))


def left(host, since, script):
    """The process that a script has left behind."""
    return int(
        re.search(r"left (\d+)", host.wait_line("left ", f"script={script}", since=since))[1])


@LANGUAGES
@pytest.mark.parametrize("name", ["lingering?group", "lingering?session", "daemon"])
def test_what_a_run_leaves_behind_is_gone_after_it(host, language, name):
    script, _, query = name.partition("?")
    since = host.log_position()
    # A process that is left holds the pipe, but not the reply.
    reply = host.get(f"{path(language, script)}?{query}")
    assert (reply.status, reply.text) == (200, "left one\n")
    gone(left(host, since, path(language, script)[1:]))
