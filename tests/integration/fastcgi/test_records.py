"""FastCGI records, whole, split, malformed and many: a client that speaks to the host directly."""

import socket
import struct

import pytest

from support import fastcgi
from support.fastcgi import PARAMS, STDIN, Connection, pairs, record, stream, variables
from support.faults import front_of
from support.host import Host, sanitized
from support.processes import descriptor_count, status_number
from support.waiting import wait_for

HELLO = "/python/hello.py"


def head(**more):
    return pairs({**variables("GET", HELLO), **more})


def test_a_params_record_may_be_split_in_every_place(host):
    data = pairs(
        {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/tcl/hello.tcl", "QUERY_STRING": "x" * 130})
    for at in range(1, len(data)):
        with Connection(host.socket) as c:
            c.begin()
            c.send(record(PARAMS, 1, data[:at]))
            c.send(record(PARAMS, 1, data[at:]) + record(PARAMS, 1) + record(STDIN, 1))
            assert c.read_outcome().reply().text == f"Hello from tcl: {'x' * 130}\n"


def test_params_may_come_in_records_of_one_byte(host, connection):
    connection.begin()
    connection.send(b"".join(record(PARAMS, 1, bytes([byte])) for byte in head()) +
                    record(PARAMS, 1) + record(STDIN, 1))
    assert connection.read_outcome().reply().status == 200


@pytest.fixture(scope="module")
def tcp_host(site):
    made = Host(site.root, listen=["tcp:127.0.0.1:0"])
    yield made
    made.stop()


@pytest.fixture(params=["unix", "tcp"])
def address(request, host):
    if request.param == "unix":
        return host.socket
    return ("127.0.0.1", request.getfixturevalue("tcp_host").tcp_port())


# A client that waits until it may write, as every event loop does, may write no more once a few
# dozen small pieces lie unread in a unix socket: what is only looked at fills it.
@pytest.mark.parametrize("value, piece", [(10, 1), (300, 7), (30_000, 512), (60_000, 4096),
                                          (60_000, 65_535), (120_000, 65_535)])
def test_a_request_may_be_written_piece_by_piece(address, value, piece):
    found = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": HELLO, "QUERY_STRING": "slowly",
             "HTTP_X_LONG": "v" * value}
    data = fastcgi.begin() + stream(PARAMS, 1, pairs(found)) + record(STDIN, 1)
    with Connection(address, timeout=4.0) as c:  # well below what a stalled head is given
        for at in range(0, len(data), piece):
            assert c.send(data[at:at + piece])
        assert c.read_outcome().reply().text == "Hello from python: slowly\n"


def test_two_hundred_headers_reach_the_script(host):
    sent = {f"HTTP_X_NUMBER_{i}": f"value {i}" for i in range(200)}
    reply = host.get("/python/env.py", **sent)
    found = dict(line.split(" ", 1) for line in reply.text.splitlines())
    assert {name: bytes.fromhex(found[name]).decode() for name in sent} == sent


def test_a_value_of_60000_bytes_reaches_the_script(host):
    reply = host.get("/python/env.py", HTTP_X_LONG="v" * 60000)
    found = dict(line.split(" ", 1) for line in reply.text.splitlines())
    assert bytes.fromhex(found["HTTP_X_LONG"]) == b"v" * 60000


def test_a_value_of_one_mebibyte_is_431_and_memory_stays_bounded(host):
    assert host.get(HELLO).status == 200
    before = status_number(front_of(host), "VmHWM")
    for _ in range(20):
        assert host.run("GET", HELLO, HTTP_X_LONG="v" * (1 << 20)).reply().status == 431
    if not sanitized():
        assert status_number(front_of(host), "VmHWM") < before + 4096


def test_a_kept_connection_answers_one_request_after_another(connection):
    for i in range(5):
        found = variables("GET", f"{HELLO}?{i}")
        outcome = connection.run(found, flags=fastcgi.KEEP_CONN)
        assert outcome.reply().text == f"Hello from python: {i}\n"


def test_without_keep_conn_the_connection_is_closed_behind_the_reply(connection):
    assert connection.run(variables("GET", HELLO)).reply().status == 200
    assert connection.is_closed()


def test_get_values_is_answered_and_a_request_may_follow(connection):
    names = {"FCGI_MAX_CONNS": "", "FCGI_MAX_REQS": "", "FCGI_MPXS_CONNS": "", "FCGI_OTHER": ""}
    connection.send(record(9, 0, pairs(names)))
    kind, request_id, content = connection.read_record()
    assert (kind, request_id) == (10, 0)
    values = dict(fastcgi.parse_pairs(content))
    assert {k.decode() if isinstance(k, bytes) else k for k in values} == {
        "FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"}
    assert connection.run(variables("GET", HELLO)).reply().status == 200


def test_an_unknown_management_record_is_answered_and_the_connection_stays_usable(connection):
    connection.send(record(99, 0, b"what"))
    kind, request_id, content = connection.read_record()
    assert (kind, request_id, content[0]) == (11, 0, 99)
    assert connection.run(variables("GET", HELLO)).reply().status == 200


@pytest.mark.parametrize("role", [0, 2, 3, 9])
def test_a_role_other_than_responder_is_refused_by_its_status(connection, role):
    connection.begin(role=role)
    outcome = connection.read_outcome()
    assert (outcome.ended, outcome.protocol_status) == (True, fastcgi.UNKNOWN_ROLE)


def test_an_abort_before_the_end_of_params_ends_the_request(connection):
    connection.begin()
    connection.send(record(2, 1))
    outcome = connection.read_outcome()
    assert (outcome.ended, outcome.app_status, outcome.protocol_status) == (True, 0, 0)


BAD = {
    "a parameter without a name": pairs({"": "x"}),
    "an equals sign in a name": pairs({"A=B": "x"}),
    "a zero byte in a name": pairs({"A\0B": "x"}),
    "a zero byte in a path": pairs({"PATH_INFO": "/a\0b"}),
    "no parameters": b"",
}


@pytest.mark.parametrize("what", BAD)
def test_what_no_script_may_see_is_400(host, connection, what):
    data = BAD[what] if what == "no parameters" else head() + BAD[what]
    connection.begin()
    connection.send(stream(PARAMS, 1, data) + record(STDIN, 1))
    assert connection.read_outcome().reply().status == 400


def test_a_body_cut_short_is_400(connection):
    found = variables("POST", "/python/echo.py", b"0123456789")
    outcome = connection.run(found, b"012")
    assert outcome.reply().status == 400


MALFORMED = {
    "version 0": record(1, 1, b"\0\1\0\0\0\0\0\0", version=0),
    "version 2": record(1, 1, b"\0\1\0\0\0\0\0\0", version=2),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a BEGIN of 3 bytes": record(1, 1, b"\0\1\0"),
    "request id 0": record(1, 0, b"\0\1\0\0\0\0\0\0"),
    "a length past the end": fastcgi.begin() + record(PARAMS, 1, b"\x7f\x01A") + record(PARAMS, 1),
    "lengths of two gigabytes": fastcgi.begin() + record(PARAMS, 1, b"\xff" * 8)
    + record(PARAMS, 1),
    "the body before the end of PARAMS": fastcgi.begin() + record(STDIN, 1, b"x"),
    "a second BEGIN of the same id": fastcgi.begin() + fastcgi.begin(),
    "END_REQUEST from a client": record(3, 1, b"\0" * 8),
    "a wrong version in a later record": fastcgi.begin() + record(PARAMS, 1, b"", version=7),
}


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n", b"GET / HT", b"\x16\x03\x01\x02\x00\x01\x00\x01",
              bytes(range(200, 256)) * 100])
def test_what_is_no_fastcgi_at_all_is_closed_at_once(connection, noise):
    connection.socket.settimeout(1.0)  # far below the time a silent client is given
    connection.send(noise)
    assert connection.is_closed()


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_is_closed_and_logged_and_the_host_serves_on(host, connection, what):
    since = host.log_position()
    connection.send(MALFORMED[what])
    record_or_end = connection.read_record()
    assert record_or_end is None or what == "lengths of two gigabytes"
    host.wait_line("unix:" if record_or_end is None else "431", since=since)
    assert host.get(HELLO).status == 200


def test_eight_half_sent_requests_do_not_stop_a_good_one(host):
    stalled = []
    try:
        for _ in range(8):
            c = Connection(host.socket)
            stalled.append(c)
            c.send(struct.pack(">BBHH", 1, 1, 1, 8))
        assert host.run("GET", HELLO, timeout=2.0).reply().status == 200
    finally:
        for c in stalled:
            c.close()


def test_a_head_cut_by_a_closing_client_is_closed(host):
    since = host.log_position()
    with Connection(host.socket) as c:
        c.begin()
        c.socket.shutdown(socket.SHUT_WR)
        assert c.is_closed()
    host.wait_line("middle of a request", since=since)


def left_over(host):
    pids = host.pids()
    return len(pids), descriptor_count(pids), sum(status_number(p, "VmRSS") for p in pids)


@pytest.mark.parametrize("language, suffix", [("python", "py"), ("tcl", "tcl")])
def test_a_thousand_requests_leave_no_descriptor_process_or_memory(
        start_host, site, language, suffix):
    host = start_host(site.root, listen=["unix:{folder}/s"])
    for i in range(50):
        assert host.run("GET", f"/{language}/hello.{suffix}").reply().status == 200
    processes, descriptors, memory = wait_settled(host)
    for i in range(1000):
        reply = host.run("GET", f"/{language}/hello.{suffix}?{i}").reply()
        assert reply.text == f"Hello from {language}: {i}\n"
    wait_for(lambda: left_over(host)[0] <= processes, "the same number of processes")
    after = wait_settled(host)
    assert after[0] <= processes
    # Those of a spare may or may not have been taken out of the template's channel yet: 4 each.
    assert after[1] <= descriptors + 16
    if not sanitized():
        assert after[2] <= memory * 1.1 + 2048


def wait_settled(host):
    """What is left over once nothing moves any more: the same number twice, a moment apart."""
    last = [None]

    def same():
        now = left_over(host)
        settled = now[:2] == last[0]
        last[0] = now[:2]
        return now if settled else None
    return wait_for(same, "processes and descriptors stay the same")
