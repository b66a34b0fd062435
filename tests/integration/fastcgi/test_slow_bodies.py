"""
Bodies that come slowly, or never: what becomes of them, and that they hold no thread of the host's,
which answers `exthost status` whatever its clients do.
"""

import contextlib
import socket
import time

import pytest

from support import fastcgi
from support.fastcgi import KEEP_CONN, PARAMS, STDIN, Connection, pairs, record, stream, variables
from support.faults import begin, front_of, put_config, put_faults
from support.held import status_of
from support.host import path
from support.marks import LANGUAGES
from support.own_socket import Serving
from support.processes import status_number
from support.waiting import wait_for

LISTEN = ["unix:{folder}/s"]
TIMEOUT = 1
PIECE = record(STDIN, 1, b"x")


@pytest.fixture
def root(tmp_path):
    return put_faults(tmp_path / "root")


@pytest.fixture(params=["front", "own socket"])
def start(request, root, start_host, tmp_path, language):
    """Starts a host with these options; (host, the URL path of what echoes a body)."""
    made = []

    def go(*options):
        if request.param == "front":
            return start_host(root, *options, listen=LISTEN), path(language, "echo")
        made.append(Serving(tmp_path / "own", *options, language=language, workers=1))
        return made[0], "/echo"
    yield go
    for host in made:
        host.stop()


def post(target, length, flags=KEEP_CONN):
    """The head of a request with a body of so many bytes; None: it does not say."""
    found = variables("POST", target, CONTENT_LENGTH=None if length is None else str(length))
    return fastcgi.begin(flags=flags) + stream(PARAMS, 1, pairs(found))


@contextlib.contextmanager
def slow(host, target, count, length=1000):
    """So many clients, each of which has sent the first byte of its body."""
    with contextlib.ExitStack() as clients:
        made = [clients.enter_context(Connection(host.socket)) for _ in range(count)]
        for client in made:
            client.send(post(target, length) + PIECE)
        yield made


@pytest.mark.parametrize("length", [1000, None])
def test_a_body_that_is_late_is_408_and_its_connection_is_closed(start, length):
    host, target = start("--body-timeout", str(TIMEOUT))
    since = host.log_position()
    began = time.monotonic()
    with slow(host, target, 1, length) as (client,):
        assert client.read_outcome().reply().status == 408
        assert time.monotonic() - began > 0.9 * TIMEOUT
        client.send(PIECE * 10 + post(target, 0))
        assert client.is_closed()
    line = host.wait_line("status=408", since=since)
    assert "the body has 1 bytes yet" in line and f"--body-timeout {TIMEOUT} s" in line
    assert not any("echoed" in line for line in host.program.log(since))
    assert host.run("POST", target, body=b"next").reply().body == b"next"


@pytest.mark.parametrize("within", [True, False])
def test_no_byte_that_comes_behind_a_late_bodys_408_is_read_as_a_request(start, within):
    """Requests as contents of the body that was announced (within), and as records of their own."""
    host, target = start("--body-timeout", str(TIMEOUT))
    hidden = post(target, 6) + stream(fastcgi.STDIN, 1, b"hidden")
    since = host.log_position()
    with slow(host, target, 1, 1 + 20 * len(hidden)) as (client,):
        assert client.read_outcome().reply().status == 408
        client.send(stream(fastcgi.STDIN, 1, hidden * 20) if within else hidden * 20)
        assert client.is_closed()
    assert host.run("POST", f"{target}?next", body=b"next").reply().body == b"next"
    host.wait_line("?next", "status=200", since=since)
    requests = [line for line in host.program.log(since) if "status=" in line]
    assert len(requests) == 2 and "status=408" in requests[0], requests


def test_a_body_that_goes_on_coming_but_too_slowly_is_408(start):
    host, target = start("--body-timeout", str(TIMEOUT))
    with slow(host, target, 1) as (client,):
        client.socket.settimeout(0.05)
        received = b""
        while not received:
            client.send(PIECE)
            with contextlib.suppress(TimeoutError):
                received = client.socket.recv(1000)
        assert b"Status: 408" in received


def test_records_without_end_that_are_no_body_make_it_no_younger(start):
    host, target = start("--body-timeout", str(TIMEOUT))
    with slow(host, target, 1) as (client,):
        client.socket.settimeout(0.05)
        received = b""
        while not received:
            with contextlib.suppress(TimeoutError):
                client.send(record(fastcgi.DATA, 1, b"x" * 60_000))
                received = client.socket.recv(1000)
        assert b"Status: 408" in received


@pytest.mark.slow
def test_a_head_that_goes_on_coming_byte_by_byte_is_given_ten_seconds_in_all(start):
    host, target = start()
    data = post(target, 4)
    since = host.log_position()
    with Connection(host.socket) as client:
        began = time.monotonic()
        client.socket.settimeout(0.2)
        for at in range(len(data)):
            with contextlib.suppress(TimeoutError):
                if not client.send(data[at:at + 1]) or client.socket.recv(1) == b"":
                    break
        assert 9.0 < time.monotonic() - began < 40
    host.wait_line("the head of a request was not whole after 10 s", since=since)


def test_each_kib_that_has_come_gives_a_body_a_second_more(start):
    host, target = start("--body-timeout", str(TIMEOUT))
    body = b"0123456789abcdef" * 64 * 30  # 30 KiB: half a minute
    began = time.monotonic()
    with slow(host, target, 1) as (late,), Connection(host.socket) as client:
        client.send(post(target, len(body)) + stream(STDIN, 1, body[:-1])[:-8])
        # When the other's time is over, so would be this one's.
        assert late.read_outcome().reply().status == 408
        assert time.monotonic() - began > 0.9 * TIMEOUT
        client.send(stream(STDIN, 1, body[-1:]))
        assert client.read_outcome().reply().body == body


def test_many_bodies_that_come_slowly_hold_no_thread(root, start_host):
    host = start_host(root, "--max-connections", "64", listen=LISTEN)
    front = front_of(host)
    target = path("python", "echo")
    assert host.run("POST", target, body=b"first").reply().body == b"first"
    before = status_number(front, "Threads")
    with contextlib.ExitStack() as stack:
        clients = []
        # One after the other, since as many threads as have work at once are started.
        for count in range(1, 31):
            clients.append(stack.enter_context(Connection(host.socket)))
            clients[-1].send(post(target, 3) + PIECE)
            wait_for(lambda: status_of(host)["connections"]["idle"] == count, "it waits")
        assert host.run("POST", target, body=b"between").reply().body == b"between"
        assert status_number(front, "Threads") < before + 10
        for client in clients:
            client.send(PIECE + PIECE)
        for client in clients:
            assert client.read_outcome().reply().body == b"xxx"


@LANGUAGES
def test_one_worker_with_its_own_socket_answers_others_while_bodies_come_slowly(tmp_path, language):
    host = Serving(tmp_path / "own", language=language, workers=1)
    try:
        with slow(host, "/echo", 20, 2) as clients:
            for n in range(20):
                assert host.get(f"/hello?{n}").text == f"hello {n}\n"
            for client in clients:
                client.send(PIECE)
            for client in clients:
                assert client.read_outcome().reply().body == b"xx"
    finally:
        host.stop()


def answers(host):
    """`exthost status` does, and says how many connections are open."""
    return status_of(host)["connections"]["open"]


def test_status_answers_when_every_connection_sends_its_body_slowly(root, start_host):
    host = start_host(root, "--max-connections", "4", listen=LISTEN)
    with slow(host, path("python", "echo"), 4):
        wait_for(lambda: answers(host) == 4, "all four are open")


@LANGUAGES
def test_status_answers_when_every_thread_guards_a_run(root, start_host, language):
    host = start_host(root, "--max-connections", "4", listen=LISTEN)
    since = host.log_position()
    clients = [begin(host, path(language, "wait")) for _ in range(4)]
    try:
        wait_for(lambda: sum("begun" in line for line in host.program.log(since)) == 4, "four runs")
        assert answers(host) == 4
    finally:
        for client in clients:
            client.close()


def test_status_answers_when_every_thread_waits_in_a_lane(root, start_host, tmp_path):
    host = start_host(root, "--max-connections", "4", *put_config(
        tmp_path, "[extension python/wait.py]\nlane = 1\n"), listen=LISTEN)
    clients = [begin(host, path("python", "wait")) for _ in range(4)]
    try:
        wait_for(lambda: status_of(host)["queue"]["waiting"] == 3, "three wait")
        assert answers(host) == 4
    finally:
        for client in clients:
            client.close()


def test_the_places_of_bodies_that_are_late_are_given_to_others(root, start_host):
    host = start_host(root, "--max-connections", "4", "--body-timeout", str(TIMEOUT), listen=LISTEN)
    with slow(host, path("python", "echo"), 4) as clients:
        for client in clients:
            assert client.read_outcome().reply().status == 408
            client.close()
        assert host.get(path("python", "hello") + "?next").text == "hello next\n"


def test_clients_that_drip_on_behind_a_refusal_are_closed(root, start_host):
    host = start_host(root, "--max-connections", "4", listen=LISTEN)
    target = path("python", "echo")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(host.socket)) for _ in range(4)]
        for client in clients:
            client.send(post(target, "no number"))
        deadline = time.monotonic() + 40
        while any([client.send(PIECE) for client in clients]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for client in clients:
            assert client.read_outcome().reply().status == 400
    assert host.get(path("python", "hello") + "?next").text == "hello next\n"


@pytest.mark.parametrize("place", ["front", "own socket"])
def test_a_client_that_sends_its_body_before_it_reads_gets_the_refusal_over_tcp_and_no_reset(
        root, start_host, tmp_path, place):
    tcp = {"listen": ["tcp:127.0.0.1:0"]}
    host = start_host(root, **tcp) if place == "front" else Serving(
        tmp_path / "own", workers=1, **tcp)
    try:
        with Connection(("127.0.0.1", host.tcp_port())) as client:
            client.send(post(path("python", "echo"), "no number"))
            for _ in range(40):
                assert client.send(record(STDIN, 1, b"x" * 60_000))
            assert client.read_outcome().reply().status == 400
    finally:
        host.stop()


def test_a_client_that_sends_on_and_on_behind_a_refusal_is_cut_off(start):
    host, target = start()
    with Connection(host.socket) as client:
        client.send(post(target, "no number"))
        data = b"".join([record(STDIN, 1, b"x" * 65_000)] * 16)
        assert not all(client.send(data) for _ in range(64))  # a mebibyte each
        assert client.read_outcome().reply().status == 400


def test_what_has_not_been_answered_when_the_host_stops_is_let_go_at_the_end_of_the_grace_time(
        root, start_host):
    host = start_host(root, "--grace", "1", listen=LISTEN)
    with slow(host, path("python", "echo"), 2) as clients:
        host.stop()
        assert clients[0].is_closed()


@LANGUAGES
def test_a_client_of_nginx_that_sends_too_slowly_reads_408(root, start_host, start_nginx, language):
    host = start_host(root, "--body-timeout", str(TIMEOUT), listen=LISTEN)
    nginx = start_nginx(host.socket, keepalive=4, more="fastcgi_request_buffering off;")
    target = path(language, "echo")
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
        client.sendall(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx".encode())
        assert client.recv(12) == b"HTTP/1.1 408"
    for n in range(8):  # on whichever connection nginx keeps
        assert nginx.request("POST", target, body=b"%d" % n).body == b"%d" % n
