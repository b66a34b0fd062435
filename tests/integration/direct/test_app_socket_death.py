"""An app's own socket: which requests suffer when a worker dies or is killed."""

import contextlib
import os
import re
import signal
import socket
import struct
import time

import pytest

from support import fastcgi
from support.clients import Clients
from support.faults import Asked, front_of
from support.host import SUFFIX
from support.log_lines import time_of
from support.own_socket import APPS, Serving, seconds_between, stands_still
from support.processes import descendants, gone, lives, named, status_number
from support.waiting import wait_for
from support.web import BrokenTransfer

LANGUAGES = pytest.mark.parametrize("language", SUFFIX, scope="module")
TIMEOUT = 5  # seconds: what is killed before that must be, on a machine that is busy


@pytest.fixture(scope="module")
def host(language, tmp_path_factory):
    made = Serving(tmp_path_factory.mktemp("root"), "--timeout", str(TIMEOUT), language=language)
    yield made
    made.stop()


class Beside(Clients):
    """
    Clients that keep asking, each on a kept connection, while the block runs; all must be answered.
    """

    def __init__(self, host, count=2):
        self._host, self._kept = host, [None] * count
        super().__init__(self._ask_kept, count, pause=0.005, around=20)

    def _ask_kept(self, client, number):
        connection, self._kept[client] = self._kept[client], None
        connection = connection or fastcgi.Connection(self._host.socket)
        outcome = connection.run(fastcgi.variables("GET", f"/hello?{number}"),
                                 flags=fastcgi.KEEP_CONN)
        assert outcome.reply().text == f"hello {number}\n"
        self._kept[client] = connection

    def end(self):
        super().end()
        for connection in self._kept:
            if connection:
                connection.close()
        return self.mistakes


def replaced(host, since):
    """Workers that die young, one after another, are replaced with a pause; the first at once."""
    wait_for(lambda: host.loaded(since) >= 1, "another worker")
    wait_for(lambda: len(host.workers()) == 2, "two workers")


@LANGUAGES
def test_a_worker_that_is_killed_before_its_reply_costs_a_clean_500_and_nobody_else_anything(host):
    since = host.log_position()
    with Beside(host):
        asked = Asked(host, "/wait")
        pid = host.begun(since)
        os.kill(pid, signal.SIGKILL)
        reply = asked.end().reply()
    assert reply.status == 500 and "</div>" in reply.text
    host.wait_line("status=500", f" pid={pid} ", "ended by signal 9", since=since)
    replaced(host, since)


@LANGUAGES
def test_a_worker_that_is_killed_in_the_middle_of_its_reply_cuts_it(host, start_nginx):
    nginx = start_nginx(host.socket, keepalive=4)
    since = host.log_position()
    with Beside(host):
        with pytest.raises(BrokenTransfer):
            nginx.get(f"/kill_after?{int(signal.SIGKILL)}")
    host.wait_line("kill_after", "ended by signal 9", since=since)
    replaced(host, since)
    assert nginx.get("/hello?after").text == "hello after\n"


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_worker_that_is_killed_within_a_record_cuts_the_reply(host):
    since = host.log_position()
    with Beside(host), fastcgi.Connection(host.socket) as client:
        client.begin()
        client.params(fastcgi.variables("GET", f"/piece?{1 << 20}"))
        client.stdin(b"")
        pid = host.begun(since)
        # It has filled the socket, and stands within a record of 64 KiB.
        wait_for(lambda: stands_still(pid), "it waits for the client")
        os.kill(pid, signal.SIGKILL)
        gone(pid)
        received = b"".join(iter(lambda: client.socket.recv(1 << 20), b""))
    headers = list(record_headers(received))
    assert {version for version, _ in headers[:-1]} == {1}
    assert {kind for _, kind in headers[:-1]} == {fastcgi.STDOUT}
    assert headers[-1][0] == 255
    host.wait_line("piece", "ended by signal 9", since=since)
    replaced(host, since)


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_client_that_takes_nothing_keeps_the_next_worker_waiting_for_seconds_alone(host):
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        client.begin()
        client.params(fastcgi.variables("GET", f"/piece?{1 << 20}"))
        client.stdin(b"")
        pid = host.begun(since)
        wait_for(lambda: stands_still(pid), "it waits for the client")
        os.kill(pid, signal.SIGKILL)
        # Half of the minute that any other client may take.
        host.wait_line("piece", "ended by signal 9", since=since, seconds=30)
        replaced(host, since)


@LANGUAGES
def test_connections_that_wait_for_their_next_request_outlive_their_worker(host):
    since = host.log_position()
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(fastcgi.Connection(host.socket)) for _ in range(8)]

        def ask(connection, target):
            found = fastcgi.variables("GET", target)
            return connection.run(found, flags=fastcgi.KEEP_CONN).reply().text
        pid = int([ask(connection, "/process") for connection in kept][0])
        wait_for(lambda: stands_still(pid), "it has done with the last of them")
        os.kill(pid, signal.SIGKILL)
        gone(pid)
        assert [ask(connection, "/hello?kept") for connection in kept] == ["hello kept\n"] * 8
    replaced(host, since)


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_slow_client_of_nginx_too_learns_that_a_reply_is_cut_within_a_record(host, start_nginx):
    nginx = start_nginx(host.socket, more="fastcgi_buffering off;")
    since = host.log_position()
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
        client.sendall(b"GET /piece?100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        pid = host.begun(since)
        wait_for(lambda: stands_still(pid), "it waits for the client")
        os.kill(pid, signal.SIGKILL)
        gone(pid)
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert received.startswith(b"HTTP/1.1 200") and not received.endswith(b"0\r\n\r\n")
    host.wait_line("piece", "ended by signal 9", since=since)
    replaced(host, since)


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_client_that_reads_too_slowly_learns_that_the_reply_is_cut(host):
    since = host.log_position()
    with Beside(host), fastcgi.Connection(host.socket, timeout=30) as client:
        client.begin()
        client.params(fastcgi.variables("GET", "/piece?100000000"))
        client.stdin(b"")
        pid = host.begun(since)
        host.wait_line("GET /piece", "end=timeout", "the client takes no more", since=since)
        received = b"".join(iter(lambda: client.socket.recv(1 << 20), b""))
    headers = list(record_headers(received))
    assert {kind for _, kind in headers[:-1]} == {fastcgi.STDOUT}
    assert headers[-1] == (1, 255)
    assert lives(pid)


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_client_of_nginx_that_reads_too_slowly_learns_that_the_reply_is_cut(host, start_nginx):
    nginx = start_nginx(host.socket, more="fastcgi_buffering off;")
    since = host.log_position()
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
        client.sendall(b"GET /piece?100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        host.wait_line("GET /piece", "end=timeout", "the client takes no more", since=since)
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert received.startswith(b"HTTP/1.1 200") and not received.endswith(b"0\r\n\r\n")


def record_headers(data):
    """(version, type) of each record."""
    at = 0
    while at + 8 <= len(data):
        version, kind, _, length, padding = struct.unpack_from(">BBHHB", data, at)
        yield version, kind
        at += 8 + length + padding


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_segmentation_fault_is_a_500(host):
    since = host.log_position()
    with Beside(host):
        assert host.get("/segv").status == 500
    host.wait_line("status=500", "ended by signal 11", since=since)
    replaced(host, since)


@LANGUAGES
@pytest.mark.parametrize("status", [0, 3])
def test_exit_within_a_request_ends_it_and_its_worker(host, status, language):
    since = host.log_position()
    with Beside(host):
        reply = host.get(f"/sys_exit?{status}")
    # In Tcl what was printed before is a reply; a Python app had still to return one.
    assert reply.status == (200 if language == "tcl" and status == 0 else 500)
    replaced(host, since)


@pytest.mark.parametrize("language", ["python"], scope="module")
@pytest.mark.parametrize("status", [0, 3])
def test_os_exit_within_a_request_is_a_500(host, status):
    since = host.log_position()
    with Beside(host):
        assert host.get(f"/os_exit?{status}").status == 500
    host.wait_line("status=500", f"exit status {status}", since=since)
    replaced(host, since)


def test_a_worker_that_dies_of_the_request_after_one_whose_client_left_owes_that_one_a_500(
        tmp_path):
    """
    Its guardian has seen that the first client is gone, and nothing of the second request but the
    death.
    """
    host = Serving(tmp_path / "root", workers=1)
    guardian = host.guardians()[0]
    try:
        since = host.log_position()
        with fastcgi.Connection(host.socket) as client:
            client.begin()
            client.params(fastcgi.variables("GET", f"/hold?{tmp_path / 'go'}"))
            client.stdin(b"")
            worker = host.begun(since)
        looks = status_number(guardian, "voluntary_ctxt_switches") + 10
        wait_for(lambda: status_number(guardian, "voluntary_ctxt_switches") > looks,
                 "looks of the guardian")
        os.kill(guardian, signal.SIGSTOP)
        asked = Asked(host, "/os_exit?7")
        (tmp_path / "go").touch()
        wait_for(lambda: not lives(worker), "the death of the worker")
        os.kill(guardian, signal.SIGCONT)
        reply = asked.end().reply()
        assert reply.status == 500 and "</div>" in reply.text
        host.wait_line("os_exit", "status=500", "exit status 7", since=since)
    finally:
        if lives(guardian):
            os.kill(guardian, signal.SIGCONT)
        host.stop()


@pytest.mark.parametrize("language", SUFFIX)
def test_an_idle_worker_that_hangs_is_replaced_and_its_clients_are_answered(language, tmp_path):
    host = Serving(tmp_path / "root", "--timeout", "1", language=language, workers=1)
    try:
        since, (worker,) = host.log_position(), host.workers()
        with fastcgi.Connection(host.socket) as kept:
            def ask():
                found = fastcgi.variables("GET", "/hello?kept")
                return kept.run(found, flags=fastcgi.KEEP_CONN).reply().text
            assert ask() == "hello kept\n"
            wait_for(lambda: stands_still(worker), "it waits for requests")
            os.kill(worker, signal.SIGSTOP)
            asked = Asked(host, "/hello?new")
            assert ask() == "hello kept\n"
            assert asked.end().reply().text == "hello new\n"
        host.wait_line(f"worker {worker} was idle and hung for longer than 1 s", since=since)
        gone(worker)
    finally:
        host.stop()


def test_clients_of_an_idle_worker_that_hangs_are_answered_by_another_worker(tmp_path):
    host = Serving(tmp_path / "root", "--timeout", "600")
    try:
        worker = host.workers()[0]
        with contextlib.ExitStack() as stack:
            kept = [stack.enter_context(fastcgi.Connection(host.socket)) for _ in range(8)]

            def ask(connection, target):
                found = fastcgi.variables("GET", target)
                return connection.run(found, flags=fastcgi.KEEP_CONN).reply().text
            worker = int([ask(connection, "/process") for connection in kept][0])
            wait_for(lambda: stands_still(worker), "it waits for requests")
            os.kill(worker, signal.SIGSTOP)
            asked = [Asked(host, "/hello?new") for _ in range(8)]
            assert [ask(connection, "/hello?kept") for connection in kept] == ["hello kept\n"] * 8
            assert [each.end().reply().text for each in asked] == ["hello new\n"] * 8
        assert lives(worker)
    finally:
        os.kill(worker, signal.SIGCONT)
        host.stop()


@LANGUAGES
def test_an_error_costs_no_worker(host):
    since, before = host.log_position(), host.workers()
    with Beside(host):
        assert host.get("/fail").status == 500
    host.wait_line("as it was asked", since=since)
    assert host.workers() == before
    pid = re.search(r" pid=(\d+) ", host.wait_line("GET /fail", since=since))[1]
    assert int(pid) in before


@LANGUAGES
def test_a_loop_without_end_is_a_504_with_the_stack_in_the_log(host):
    since = host.log_position()
    with Beside(host):
        asked = Asked(host, "/spin")
        reply = asked.end().reply()
    assert reply.status == 504 and "</div>" in reply.text
    host.wait_line("status=504", f"longer than {TIMEOUT} s", since=since)
    stack = host.wait_line("stream=stack", host.name, since=since)
    assert "line" in stack or "most recent call first" in stack
    replaced(host, since)


@pytest.mark.parametrize("language", ["python"], scope="module")
def test_a_loop_after_output_is_a_cut_reply(host, start_nginx):
    nginx = start_nginx(host.socket)
    since = host.log_position()
    with Beside(host), pytest.raises(BrokenTransfer):
        nginx.get("/spin_after")
    host.wait_line("spin_after", f"longer than {TIMEOUT} s", since=since)
    replaced(host, since)


def test_workers_that_die_at_every_request_are_started_again_and_again(tmp_path, start_nginx):
    host = Serving(tmp_path / "root")
    try:
        nginx = start_nginx(host.socket, keepalive=2)
        for _ in range(4):
            assert nginx.get("/kill?9").status == 500
        assert nginx.get("/hello?after").text == "hello after\n"
    finally:
        host.stop()


# What of the host dies, and comes again.

@pytest.fixture(params=["python", "tcl"])
def own_host(request, tmp_path):
    made = Serving(tmp_path / "root", language=request.param)
    yield made
    made.kill()


def answers(host):
    try:
        return host.get("/hello?again").text == "hello again\n"
    except (OSError, AssertionError):
        return False


def test_a_worker_of_some_age_that_dies_is_replaced_at_once(own_host):
    """There is no pause of a second, as there is after a worker that died young."""
    def pause():
        """
        Between its death and the moment when its successor began to load, as the log has them.
        """
        loaded = [line for line in own_host.program.log() if "loaded in process" in line][-1]
        wait_for(lambda: time.time() > time_of(loaded) + 1.1, "a worker of some age")
        since = own_host.log_position()
        os.kill(own_host.workers()[0], signal.SIGKILL)
        died = own_host.wait_line("app worker ", "ended by signal 9", since=since)
        loaded = own_host.wait_line("loaded in process", since=since)
        replaced(own_host, since)
        return time_of(loaded) - int(re.search(r"(\d+) ms$", loaded)[1]) / 1000 - time_of(died)
    # What else keeps the machine busy may delay one of them.
    assert min(pause() for _ in range(3)) < 1.0


def test_a_front_that_is_killed_is_replaced_and_its_workers_with_it(own_host):
    workers, since = own_host.workers(), own_host.log_position()
    front = front_of(own_host)
    os.kill(front, signal.SIGKILL)
    wait_for(lambda: front_of(own_host) != front, "another front")
    wait_for(lambda: own_host.loaded(since) == 2, "workers of its own")
    for pid in workers:
        gone(pid)
    assert answers(own_host)
    # No other process answers there either.
    wait_for(lambda: len(own_host.guardians()) == 2, "two guardians")


def test_a_template_that_is_killed_is_replaced_and_so_are_its_workers_that_end_with_it(own_host):
    since = own_host.log_position()
    templates = named(own_host.pid, "exthost-templ")
    for pid in templates:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not set(named(own_host.pid, "exthost-templ")) & set(templates)
             and len(named(own_host.pid, "exthost-templ")) == len(templates), "other templates")
    wait_for(lambda: answers(own_host), "an answer")
    wait_for(lambda: own_host.loaded(since) >= 2, "both workers, of the new template")


def test_a_host_that_stops_while_its_workers_load_does_not_wait_for_them(tmp_path):
    text = APPS["python"].replace("VERSION =",
                                  f"while not os.path.exists({str(tmp_path / 'go')!r}):\n"
                                  "    time.sleep(0.01)\nVERSION =")
    (tmp_path / "go").touch()
    host = Serving(tmp_path / "root", "--grace", "40", text=text, workers=1)
    (tmp_path / "go").unlink()
    since = host.log_position()
    try:
        os.kill(host.workers()[0], signal.SIGKILL)
        host.wait_line("ended by signal 9", since=since)
        wait_for(lambda: len(host.workers()) == 1, "another, that loads")
    finally:
        host.stop()
    assert seconds_between(host, "stopping", "stopped") < 25  # and not the 40 of --grace


def test_a_guardian_that_is_killed_takes_its_worker_with_it_and_both_are_replaced(own_host):
    since = own_host.log_position()
    guardian = own_host.guardians()[0]
    worker = descendants(guardian)[0]
    os.kill(guardian, signal.SIGKILL)
    gone(worker)
    replaced(own_host, since)
    wait_for(lambda: answers(own_host), "an answer")


def test_a_guardian_that_is_killed_costs_its_request_a_500_and_a_line_in_the_log(own_host):
    since = own_host.log_position()
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(fastcgi.Connection(own_host.socket)) for _ in range(4)]

        def ask(connection):
            found = fastcgi.variables("GET", "/hello?kept")
            return connection.run(found, flags=fastcgi.KEEP_CONN).reply().text
        assert [ask(connection) for connection in kept] == ["hello kept\n"] * 4
        asked = Asked(own_host, "/wait")
        worker = own_host.begun(since)
        (guardian,) = [pid for pid in own_host.guardians() if worker in descendants(pid)]
        os.kill(guardian, signal.SIGKILL)
        reply = asked.end().reply()
        assert reply.status == 500 and "</div>" in reply.text
        own_host.wait_line("GET /wait", "status=500", f" pid={worker} ",
                           "guardian of the worker died", since=since)
        gone(worker)
        # And nobody else anything.
        assert [ask(connection) for connection in kept] == ["hello kept\n"] * 4
    replaced(own_host, since)


def kill(host, kind, worker):
    """Kill this worker, or its guardian, and wait for the worker's end."""
    (guardian,) = [pid for pid in host.guardians() if worker in descendants(pid)]
    os.kill(worker if kind == "worker" else guardian, signal.SIGKILL)
    gone(worker)


@pytest.mark.parametrize("kind", ["worker", "guardian"])
def test_requests_that_have_not_come_whole_get_a_500_and_a_line_in_the_log(own_host, kind):
    since = own_host.log_position()
    body = b"x" * 100000
    with contextlib.ExitStack() as stack:
        def connect():
            return stack.enter_context(fastcgi.Connection(own_host.socket))
        halves = [connect() for _ in range(12)]
        for number, client in enumerate(halves):
            client.begin()
            client.params(fastcgi.variables("POST", f"/echo.half{number}", body))
            client.send(fastcgi.record(fastcgi.STDIN, 1, body[:1000]))
        # All of them are with this worker and the other one, before the next request is.
        waiting = [Asked(own_host, "/wait") for _ in range(2)]
        wait_for(lambda: len([x for x in own_host.program.log(since) if "begun " in x]) == 2,
                 "both workers have read what was sent before")
        for worker in own_host.workers():
            kill(own_host, kind, worker)
        assert [asked.end().reply().status for asked in waiting] == [500, 500]
        for number, client in enumerate(halves):
            assert client.read_outcome().reply().status == 500
            own_host.wait_line(f"POST /echo.half{number} ", "status=500", " pid=", since=since)
    replaced(own_host, since)


@pytest.mark.parametrize("kind", ["worker", "guardian"])
def test_connections_closed_within_a_head_have_a_line_in_the_log(own_host, kind):
    since = own_host.log_position()
    with contextlib.ExitStack() as stack:
        heads = [stack.enter_context(fastcgi.Connection(own_host.socket)) for _ in range(12)]
        for client in heads:
            client.begin()
        waiting = [Asked(own_host, "/wait") for _ in range(2)]
        wait_for(lambda: len([x for x in own_host.program.log(since) if "begun " in x]) == 2,
                 "both workers have read what was sent before")
        for worker in own_host.workers():
            kill(own_host, kind, worker)
        assert [asked.end().reply().status for asked in waiting] == [500, 500]
        assert [client.is_closed() for client in heads] == [True] * 12
        lines = [re.search(r"(\d+) connections were closed in the middle of a request's head", line)
                 for line in own_host.program.log(since)]
        assert sum(int(found[1]) for found in lines if found) == 12
    replaced(own_host, since)


@pytest.mark.parametrize("kind", ["worker", "guardian"])
def test_the_connection_of_a_request_that_gets_a_500_for_its_dead_worker_is_kept(own_host, kind):
    since = own_host.log_position()
    with fastcgi.Connection(own_host.socket) as client:
        client.send(fastcgi.begin(flags=fastcgi.KEEP_CONN))
        client.params(fastcgi.variables("GET", "/wait"))
        client.stdin(b"")
        kill(own_host, kind, own_host.begun(since))
        assert client.read_outcome().reply().status == 500
        for number in range(3):
            found = fastcgi.variables("GET", f"/hello?{number}")
            assert client.run(found, flags=fastcgi.KEEP_CONN).reply().text == f"hello {number}\n"
    replaced(own_host, since)


def test_a_guardian_that_is_killed_in_the_middle_of_a_reply_cuts_it(own_host, start_nginx):
    nginx = start_nginx(own_host.socket, more="fastcgi_buffering off;")
    since = own_host.log_position()
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
        client.sendall(b"GET /wait?100000 HTTP/1.1\r\nHost: a\r\n\r\n")
        worker = own_host.begun(since)
        (guardian,) = [pid for pid in own_host.guardians() if worker in descendants(pid)]
        os.kill(guardian, signal.SIGKILL)
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert received.startswith(b"HTTP/1.1 200") and not received.endswith(b"0\r\n\r\n")
    own_host.wait_line("GET /wait", "the guardian of the worker died", since=since)
    replaced(own_host, since)


def test_when_the_master_is_killed_nothing_is_left(own_host):
    before = own_host.pids()
    assert set(descendants(own_host.pid)) >= set(own_host.workers())
    os.kill(own_host.pid, signal.SIGKILL)
    wait_for(lambda: not [pid for pid in before if lives(pid)], "the end of all its processes")


@LANGUAGES
@pytest.mark.parametrize("capabilities", ["hjorz", "s"])
def test_the_log_has_the_standard_error_of_a_request_whose_worker_is_killed(
        language, capabilities, tmp_path):
    """Also where it was kept back, as Fossil's admin may see it on an error page."""
    host = Serving(tmp_path / "root", "--timeout", "1", language=language, workers=1,
                   listen=["unix:{folder}/s", "unix:{folder}/t,trust=fossil"])
    try:
        since = host.log_position()
        outcome = host.as_fossil("GET", host.name, path_info="/wait",
                                 FOSSIL_CAPABILITIES=capabilities)
        assert outcome.reply().status == 504
        line = host.wait_line("status=504", since=since)
        assert f"GET /ext/{host.name}/wait status" in line
        request = re.search(r"\[[0-9a-f]{16}\]", line)[0]
        host.wait_line("begun", "stream=stderr", request, since=since)
    finally:
        host.stop()
