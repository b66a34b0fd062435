"""
The host with the tiny language: its processes, threads and failures, with no interpreter in it.
"""

import os
import re
import signal
import subprocess
import time

import pytest

from support import fastcgi
from support.processes import lives
from support.waiting import wait_for
from tiny_host import BUSY, HEAD, TINY, Load, begin_in_background, put


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    put(folder, "hello.tiny", HEAD + "print hello\n")
    put(folder, "query.tiny", HEAD + "env QUERY_STRING\n")
    put(folder, "echo.tiny", HEAD + "body\n")
    put(folder, "exit.tiny", HEAD + "exit 3\n")
    put(folder, "crash.tiny", HEAD + "crash\n")
    put(folder, "error.tiny", HEAD + "error something is odd\n")
    put(folder, "nap.tiny", HEAD + "error begun\nsleep 700\nprint well rested\n")
    put(folder, "busy.tiny", HEAD + BUSY)
    put(folder, "cut.tiny", HEAD + "repeat 40000 0123456789\nexit 1\n")
    put(folder, "alpha.tiny", HEAD + "module alpha\n")
    return folder


def test_a_script_answers(host):
    reply = host.get("hello.tiny")
    assert (reply.status, reply.text) == (200, "hello\n")
    assert reply.header("Content-Type") == "text/plain"


def test_a_body_of_a_megabyte_comes_back_as_it_was(host):
    body = os.urandom(1 << 20)
    reply = fastcgi.request(host.socket, "POST", "/echo.tiny", body=body, timeout=60).reply()
    assert reply.status == 200 and reply.body == body


def test_an_exit_status_is_a_500(host):
    assert host.get("exit.tiny").status == 500
    host.wait_line("exit.tiny", "status=500", "exit status 3")


def test_a_crash_is_a_500_and_the_log_names_the_signal(host):
    assert host.get("crash.tiny").status == 500
    host.wait_line("crash.tiny", "status=500", "signal 6")
    assert host.get("hello.tiny").status == 200


def test_standard_error_is_logged_with_request_and_script(host):
    assert host.get("error.tiny").status == 200
    line = host.wait_line("something is odd", "script=error.tiny")
    request = line.partition("[")[2].partition("]")[0]
    assert len(request) == 16
    host.wait_line(f"[{request}]", "GET /error.tiny", "status=200")


def test_sixteen_clients_get_each_their_own_answers(host):
    load = Load(host, clients=16, requests=50)
    assert load.end() == []
    assert load.answered == 800


def test_kept_connections_are_served_side_by_side(host):
    # Longer than a second, after which the front looks at all connections for late ones.
    load = Load(host, clients=8, keep=True)
    began = time.monotonic()
    try:
        wait_for(lambda: time.monotonic() > began + 2.5, "some seconds")
        load.wait_more()
    finally:
        mistakes = load.end()
    assert mistakes == []


def test_a_kept_connection_serves_twenty_requests(host):
    with fastcgi.Connection(host.socket) as connection:
        for number in range(20):
            found = fastcgi.variables("GET", f"/query.tiny?{number}")
            outcome = connection.run(found, request_id=number + 1, flags=fastcgi.KEEP_CONN)
            assert outcome.reply().text == f"{number}\n"


def test_half_sent_requests_hold_nobody_up(host):
    head = fastcgi.begin() + fastcgi.stream(
        fastcgi.PARAMS, 1, fastcgi.pairs(fastcgi.variables("GET", "/hello.tiny")))
    halves = []
    try:
        for number in range(8):
            halves.append(fastcgi.Connection(host.socket))
            halves[-1].send(head[:(number + 1) * len(head) // 10])
        assert host.get("hello.tiny", timeout=5).status == 200
        halves[0].send(head[len(head) // 10:] + fastcgi.stream(fastcgi.STDIN, 1, b""))
        assert halves[0].read_outcome().reply().text == "hello\n"
    finally:
        for half in halves:
            half.close()


def test_a_sleeping_script_holds_nobody_up(host):
    asked = begin_in_background(host, "nap.tiny")
    assert host.get("hello.tiny").status == 200
    assert asked.outcome is None
    assert asked.end().reply().text == "well rested\n"


def test_a_long_reply_that_fails_is_cut_and_never_whole(host):
    outcome = fastcgi.request(host.socket, "GET", "/cut.tiny")
    assert not outcome.ended and outcome.closed
    assert outcome.records[-1][0] == 255
    host.wait_line("cut.tiny", "exit status 1")


def test_a_client_that_goes_away_ends_the_run(host):
    with fastcgi.Connection(host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", "/busy.tiny"))
        connection.stdin(b"")
        line = host.wait_line("process ", "script=busy.tiny")
        pid = int(re.search(r"process (\d+)", line)[1])
        assert lives(pid)
    host.wait_line("busy.tiny", "status=499")
    wait_for(lambda: not lives(pid), "the end of the run")


def test_sigterm_lets_a_running_request_finish(start):
    host = start()
    asked = begin_in_background(host, "nap.tiny")
    host.stop()
    assert asked.end().reply().text == "well rested\n"


def test_sigterm_ends_a_run_that_outlasts_the_grace_time(start):
    host = start("--grace", "0")
    asked = begin_in_background(host, "busy.tiny")
    host.stop()
    assert not asked.end().ended


def test_sighup_under_load_loses_no_request(host):
    load = Load(host)
    try:
        for _ in range(3):
            load.wait_more()
            old = host.template()
            host.program.send(signal.SIGHUP)
            wait_for(lambda: not lives(old), "the end of the old template")
    finally:
        mistakes = load.end()
    assert mistakes == []


def test_a_killed_template_is_replaced_and_no_later_request_suffers(host):
    for _ in range(10):
        old = host.template()
        os.kill(old, signal.SIGKILL)
        # What it had forked dies with it, so a request can meet a process that is about to.
        wait_for(lambda: not lives(old), "the end of the template")
        assert host.get("hello.tiny").status == 200
        assert host.template() != old
    host.wait_line("template: signal 9")


def test_a_killed_front_is_replaced_and_nobody_is_refused(host):
    old = host.front()
    os.kill(old, signal.SIGKILL)
    for _ in range(5):
        assert host.get("hello.tiny").status == 200
    assert host.front() != old
    host.wait_line("front: signal 9")


def test_a_module_that_scripts_keep_loading_is_preloaded(host):
    assert host.get("alpha.tiny").text == "alpha: loaded\n"
    assert host.get("alpha.tiny").text == "alpha: loaded\n"
    host.wait_line("tiny:alpha is preloaded from now on")
    wait_for(lambda: host.get("alpha.tiny").text == "alpha: was loaded\n", "alpha preloaded")


def test_a_module_is_preloaded_from_the_start_when_told(start):
    host = start("--preload", "tiny:alpha")
    assert host.get("alpha.tiny").text == "alpha: was loaded\n"


def test_a_module_that_starts_a_thread_is_not_preloaded(start):
    host = start("--preload", "tiny:threads", "--preload", "tiny:alpha")
    host.wait_line("tiny:threads starts a thread")
    assert host.get("alpha.tiny").text == "alpha: was loaded\n"


def test_kept_code_is_used_until_the_file_changes(host, root):
    put(root, "kept.tiny", HEAD + "keep\nkept\nprint one\n")
    wait_for(lambda: host.get("kept.tiny").text == "yes\none\n", "kept code")
    put(root, "kept.tiny", HEAD + "keep\nkept\nprint two\n")
    assert host.get("kept.tiny").text == "no\ntwo\n"


def test_the_log_is_opened_again_under_load(start, tmp_path):
    log = tmp_path / "log"
    host = start(log=log)
    load = Load(host)
    try:
        load.wait_more()
        log.rename(tmp_path / "old")
        host.program.send(signal.SIGUSR1)
        wait_for(log.exists, "a new log file")
        load.wait_more()
    finally:
        mistakes = load.end()
    assert mistakes == []
    assert "status=200" in log.read_text()


def test_one_request_without_a_server(root):
    done = subprocess.run([TINY, "request", "/query.tiny?a=b", "--root", str(root)],
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\na=b\n"


def test_the_plain_interpreter_is_a_command(root):
    done = subprocess.run([TINY, "tiny", str(root / "exit.tiny")], capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 3
    assert done.stdout == b"Content-Type: text/plain\n\n"
