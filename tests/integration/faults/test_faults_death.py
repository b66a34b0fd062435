"""Processes that die by a signal: a run, an app worker, the front, a template, the master."""

import os
import signal
import subprocess

import pytest

from support import fastcgi
from support.faults import (Asked, begun, front_of, is_refused, other, put_faults, template_of,
                            untouched)
from support.host import SUFFIX, Host, path
from support.marks import LANGUAGES
from support.processes import gone, lives
from support.waiting import wait_for

SCRIPTS = {
    "python": {
        "family": """
import os, subprocess, sys, time
apart = os.environ["QUERY_STRING"] == "session"
child = subprocess.Popen(["/bin/sleep", "300"], start_new_session=apart)
print("left", child.pid, file=sys.stderr)
print("begun", os.getpid(), file=sys.stderr, flush=True)
time.sleep(60)
""",
        # It leaves a process that catches the signal by which a direct worker is known.
        "pretender": """
import os, signal, sys, time
signal.signal(signal.SIGRTMAX - 1, lambda *_: None)
child = os.fork()
if child == 0:
    os.setsid()
    while True:
        time.sleep(60)
print("left", child, file=sys.stderr)
print("begun", os.getpid(), file=sys.stderr, flush=True)
time.sleep(60)
""",
        # Its process and how many requests that has had; or as the script "wait".
        "app": """
# exthost: app
import os, sys, time
count = 0
def application(environ, start_response):
    global count
    count += 1
    size = environ["QUERY_STRING"]
    head = [("Content-Type", "text/plain")]
    if not size:
        start_response("200 OK", head)
        return [f"{os.getpid()} {count}".encode()]
    if size != "0":
        start_response("200 OK", head)(b"x" * int(size))
    print("begun", os.getpid(), file=sys.stderr, flush=True)
    time.sleep(60)
""",
    },
    "tcl": {
        "family": """
if {$env(QUERY_STRING) eq "session"} {
    puts stderr "left [exec /usr/bin/setsid /bin/sleep 300 &]"
} else {
    puts stderr "left [exec /bin/sleep 300 &]"
}
puts stderr "begun [pid]"
after 60000
""",
        "app": """
# exthost: app
set count 0
proc application {} {
    incr ::count
    set size $::env(QUERY_STRING)
    if {$size eq ""} {
        puts -nonewline "Content-Type: text/plain\n\n[pid] $::count"
        return
    }
    if {$size} {
        puts "Content-Type: text/plain\n\n[string repeat x $size]"
        flush stdout
    }
    puts stderr "begun [pid]"
    after 60000
}
""",
    },
}
SIGNALS = pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return put_faults(tmp_path_factory.mktemp("root"), SCRIPTS)


@pytest.fixture(scope="module")
def host(root):
    # No app worker stays for long, so that what is held beside a fault can be compared.
    made = Host(root, "--min-workers", "0", "--idle-exit", "1")
    for language in SUFFIX:
        app(made, language)
    yield made
    made.stop()


def app(host, language):
    """The process of the app, and how many requests it has had."""
    reply = host.get(path(language, "app"))
    assert reply.status == 200, reply
    pid, count = reply.text.split()
    return int(pid), int(count)


@LANGUAGES
@SIGNALS
def test_an_app_worker_killed_before_its_reply_is_500_and_replaced(host, language, number):
    with untouched(host):
        asked = Asked(host, path(language, "app") + "?0")
        pid = asked.begun()
        os.kill(pid, number)
        assert asked.end().reply().status == 500
        host.wait_line("status=500", "end=signal", f"signal {int(number)} ",
                       path(language, "app")[1:], since=asked.since)
        gone(pid)
        assert app(host, language)[1] == 1


@LANGUAGES
@SIGNALS
def test_an_app_worker_killed_in_a_streamed_reply_cuts_it(host, language, number):
    with untouched(host):
        asked = Asked(host, path(language, "app") + "?400000")
        os.kill(asked.begun(), number)
        outcome = asked.end()
        assert not outcome.ended and outcome.closed
        assert outcome.records[-1][0] == 255
        assert len(outcome.stdout) > 300_000
        host.wait_line("end=signal", f"signal {int(number)} ", path(language, "app")[1:],
                       since=asked.since)
        assert app(host, language)[1] == 1


@LANGUAGES
@SIGNALS
def test_nobody_notices_that_an_idle_app_worker_is_killed(host, language, number):
    with untouched(host):
        for _ in range(10):
            pid, _ = app(host, language)
            os.kill(pid, number)
            other_pid, count = app(host, language)
            assert other_pid != pid and count == 1


@LANGUAGES
@pytest.mark.parametrize("size, ends", [("0", (0, "500")), ("5000000", (18, "200"))])
def test_nginx_gets_500_for_a_killed_app_worker_and_breaks_off_a_streamed_reply(
        host, nginx, language, size, ends):
    with untouched(host):
        since = host.log_position()
        client = curl(nginx.port, f"{path(language, 'app')}?{size}")
        os.kill(begun(host, since), signal.SIGKILL)
        said = client.communicate(timeout=20)[0]
        assert (client.returncode, said) == ends


@LANGUAGES
def test_fossil_gets_500_for_an_app_worker_killed_at_any_time(host, fossil, language):
    with untouched(host):
        since = host.log_position()
        client = curl(fossil.port, f"/ext{path(language, 'app')}?400000")
        os.kill(begun(host, since), signal.SIGKILL)
        assert client.communicate(timeout=20)[0] == "500"
        host.wait_line("status=500", "signal 9 ", since=since)


@LANGUAGES
@SIGNALS
def test_a_run_killed_before_any_output_is_500(host, language, number):
    with untouched(host):
        asked = Asked(host, path(language, "wait"))
        pid = asked.begun()
        os.kill(pid, number)
        assert asked.end().reply().status == 500
        host.wait_line("status=500", "end=signal", f"signal {int(number)} ", since=asked.since)
        gone(pid)


@LANGUAGES
@SIGNALS
def test_a_run_killed_in_a_streamed_reply_cuts_it(host, language, number):
    with untouched(host):
        asked = Asked(host, path(language, "wait") + "?400000")
        os.kill(asked.begun(), number)
        outcome = asked.end()
        assert not outcome.ended and outcome.closed
        assert outcome.records[-1][0] == 255
        assert len(outcome.stdout) > 300_000
        host.wait_line("end=signal", f"signal {int(number)} ", path(language, "wait")[1:],
                       since=asked.since)


def curl(port, target):
    return subprocess.Popen(
        ["/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
         f"http://127.0.0.1:{port}{target}"], stdout=subprocess.PIPE, text=True)


@LANGUAGES
@pytest.mark.parametrize("size, ends", [("", (0, "500")), ("5000000", (18, "200"))])
def test_nginx_gets_500_for_a_killed_run_and_breaks_off_a_streamed_reply(
        host, nginx, language, size, ends):
    with untouched(host):
        since = host.log_position()
        client = curl(nginx.port, f"{path(language, 'wait')}?{size}")
        pid = begun(host, since)
        os.kill(pid, signal.SIGKILL)
        said = client.communicate(timeout=20)[0]
        # 18: a partial file. 0 with 200 would be a complete reply.
        assert (client.returncode, said) == ends


@LANGUAGES
def test_fossil_gets_500_for_a_run_killed_at_any_time(host, fossil, language):
    with untouched(host):
        since = host.log_position()
        client = curl(fossil.port, f"/ext{path(language, 'wait')}?400000")
        pid = begun(host, since)
        os.kill(pid, signal.SIGKILL)
        assert client.communicate(timeout=20)[0] == "500"
        host.wait_line("status=500", "signal 9 ", since=since)


@LANGUAGES
def test_a_killed_template_is_replaced_and_the_other_language_never_notices(host, language):
    with untouched(host, languages=(other(language),)):
        since = host.log_position()
        old = template_of(host, language)
        running = Asked(host, path(language, "wait"))
        pid = running.begun()
        os.kill(old, signal.SIGKILL)
        assert running.end().reply().status == 500
        gone(pid)
        assert host.get(path(language, "hello")).status == 200
        host.wait_line(f"{language} template: signal 9", since=since)
        assert template_of(host, language) != old


def test_a_killed_template_costs_none_of_the_requests_that_come_after(host):
    for language in SUFFIX:
        for _ in range(5):
            old = template_of(host, language)
            os.kill(old, signal.SIGKILL)
            gone(old)
            assert host.get(path(language, "hello")).status == 200


@LANGUAGES
def test_a_killed_front_is_replaced_and_its_runs_end_with_it(host, language):
    running = Asked(host, path(language, "wait"))
    pid = running.begun()
    since = host.log_position()
    templates = {template_of(host, name) for name in SUFFIX}
    old = front_of(host)
    os.kill(old, signal.SIGKILL)
    for _ in range(20):
        assert host.get(path(language, "hello")).status == 200
        assert host.get(path(other(language), "hello")).status == 200
    outcome = running.end()
    assert outcome.closed and not outcome.ended
    assert front_of(host) != old
    host.wait_line("front: signal 9", since=since)
    gone(pid)
    for template in templates:
        gone(template)


@LANGUAGES
@pytest.mark.parametrize("who, kin", [("run", "group"), ("run", "session"), ("template", "group"),
                                      ("template", "session"),
                                      ("front", "group"), ("front", "session")])
def test_what_a_run_has_started_is_gone_when_it_is_killed_or_who_stands_above_it(
        host, language, who, kin):
    running = Asked(host, f"{path(language, 'family')}?{kin}")
    pid = running.begun()
    left = int(host.wait_line("left ", since=running.since).partition("left ")[2].split()[0])
    os.kill({"run": lambda: pid, "template": lambda: template_of(host, language),
             "front": lambda: front_of(host)}[who](), signal.SIGKILL)
    running.end()
    gone(pid)
    gone(left)


@pytest.mark.parametrize("who", ["run", "template"])
def test_what_a_run_has_started_gets_no_more_than_a_moment_by_looking_like_a_direct_worker(
        host, who):
    running = Asked(host, path("python", "pretender"))
    pid = running.begun()
    left = int(host.wait_line("left ", since=running.since).partition("left ")[2].split()[0])
    os.kill(pid if who == "run" else template_of(host, "python"), signal.SIGKILL)
    running.end()
    gone(pid)
    gone(left)


@LANGUAGES
def test_nginx_gets_502_for_a_request_whose_front_was_killed(host, nginx, language):
    since = host.log_position()
    client = curl(nginx.port, path(language, "wait"))
    pid = begun(host, since)
    os.kill(front_of(host), signal.SIGKILL)
    assert client.communicate(timeout=20)[0] == "502"
    assert nginx.get(path(language, "hello")).status == 200
    gone(pid)


def test_a_killed_master_takes_everything_with_it_and_the_socket_refuses(root):
    host = Host(root, listen=["unix:{folder}/s"])
    try:
        asked = [Asked(host, path(language, "wait")) for language in SUFFIX]
        for language, each in zip(SUFFIX, asked):
            begun(host, each.since, path(language, "wait")[1:])
        pids = host.pids()
        assert len(pids) >= 6  # master, front, two templates, two runs
        os.kill(host.pid, signal.SIGKILL)
        for each in asked:
            outcome = each.end()
            assert outcome.closed and not outcome.ended
        wait_for(lambda: not any(lives(pid) for pid in pids), "all of its processes end")
        wait_for(lambda: host.pids() == [], "processes begun until then end too")
        assert is_refused(host.socket)
        with pytest.raises(ConnectionRefusedError):
            fastcgi.request(host.socket, "GET", path("python", "hello"))
    finally:
        host.kill()


def test_a_host_starts_again_at_the_socket_that_a_killed_one_left(root, tmp_path):
    socket = f"{tmp_path}/s"
    first = Host(root, listen=[f"unix:{socket}"])
    try:
        os.kill(first.pid, signal.SIGKILL)
        first.program.wait_exit()
        assert os.path.exists(socket)
        second = Host(root, listen=[f"unix:{socket}"])
        try:
            assert fastcgi.request(socket, "GET", path("tcl", "hello")).reply().status == 200
        finally:
            second.stop()
    finally:
        first.kill()
