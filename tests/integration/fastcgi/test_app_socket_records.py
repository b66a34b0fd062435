"""
The same malformed, interleaved, cut and stalled records as in the front, at an app's own socket.
"""

import time

import pytest

from record_cases import ECHO, HELLO, MANY, RecordCases, is_usable, post, whole
from support import fastcgi
from support.fastcgi import KEEP_CONN, PARAMS, STDIN, Connection, pairs, stream, variables
from support.own_socket import Serving


@pytest.fixture(scope="module", params=["python", "tcl"])
def host(request, tmp_path_factory):
    made = Serving(tmp_path_factory.mktemp("root"), language=request.param)
    before = made.workers()
    # A client that stops within its first record, for the last test.
    made.stalled, made.stalled_at = Connection(made.socket), time.monotonic()
    made.stalled.send(fastcgi.begin()[:12])
    yield made
    made.stalled.close()
    try:
        assert made.workers() == before, "none of this costs a worker"
    finally:
        made.stop()


class TestRecords(RecordCases):
    """`host` and `connection` are an app's here."""


@pytest.mark.parametrize("what", MANY)
def test_too_many_params_are_431(host, what):
    with Connection(host.socket) as client:
        assert client.run([*variables("GET", HELLO).items(), *MANY[what]()]).reply() \
            .status == 431


def test_two_requests_sent_at_once_are_answered_both_and_in_their_order(connection):
    connection.send(post(b"one", 1) + stream(STDIN, 1, b"one") + post(b"second", 2) +
                    stream(STDIN, 2, b"second") + whole("three", 3))
    assert connection.read_outcome(1).reply().text == "one"
    assert connection.read_outcome(2).reply().text == "second"
    assert connection.read_outcome(3).reply().text == "hello three\n"


def test_a_body_that_nobody_reads_is_drained(connection):
    body = b"x" * 300_000
    outcome = connection.run(variables("POST", HELLO + "?unread", body), body, flags=KEEP_CONN)
    assert outcome.reply().text == "hello unread\n"
    is_usable(connection)


def test_who_is_slow_or_stops_keeps_nobody_waiting(host):
    """Many more than there are workers, each stopped somewhere; the others are answered at once."""
    body = b"b" * 1000
    found = pairs(variables("POST", ECHO, body))
    whole = fastcgi.begin() + stream(PARAMS, 1, found) + stream(STDIN, 1, body)
    cuts = [1, 8, 12, 16, 20, 100, len(found), len(whole) - len(body) - 20, len(whole) - 500,
            len(whole) - 8, len(whole) - 1]
    slow = [Connection(host.socket) for _ in cuts]
    try:
        for client, cut in zip(slow, cuts):
            client.send(whole[:cut])
        for n in range(50):
            assert host.get(f"/hello?{n}").text == f"hello {n}\n"
        # And they are answered too, once they have sent the rest, piece by piece.
        for client, cut in zip(slow, cuts):
            for at in range(cut, len(whole), 211):
                client.send(whole[at:at + 211])
                assert host.get("/hello?between").status == 200
            assert client.read_outcome().reply().body == body
    finally:
        for client in slow:
            client.close()


@pytest.mark.slow
def test_who_stops_within_a_head_is_closed_after_ten_seconds(host):
    host.stalled.socket.settimeout(20)
    assert host.stalled.is_closed()
    assert time.monotonic() - host.stalled_at > 9.0
    host.wait_line("connection closed: the head of a request was not whole after 10 s")


ENDLESS = {"python": """\
# exthost: app
import time
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/hello":
        return [b"hello\\n"]
    return (b"more\\n" for _ in iter(lambda: time.sleep(0.005), 1))
""", "tcl": """\
# exthost: app
proc application {} {
    puts "Content-Type: text/plain\\n"
    if {$::env(PATH_INFO) eq "/hello"} { puts hello; return }
    while 1 { puts more; flush stdout; after 5 }
}
"""}


@pytest.fixture(scope="module", params=["python", "tcl"])
def endless(request, tmp_path_factory):
    made = Serving(tmp_path_factory.mktemp("endless"), "--timeout", "60", language=request.param,
                   workers=1, text=ENDLESS[request.param])
    yield made
    made.stop()


@pytest.mark.parametrize("rest", [b"", fastcgi.record(STDIN, 1)])
def test_a_request_that_is_aborted_ends_and_the_next_is_answered(endless, rest):
    since = endless.log_position()
    with Connection(endless.socket) as client:
        head = fastcgi.begin(flags=KEEP_CONN) + stream(PARAMS, 1, pairs(
            variables("POST", "/endless", CONTENT_LENGTH="4")))
        client.send(head + fastcgi.record(STDIN, 1, b"body"))
        assert client.read_record()[0] == fastcgi.STDOUT
        client.send(rest + fastcgi.record(fastcgi.ABORT_REQUEST, 1))
        outcome = client.read_outcome()
        assert (outcome.ended, outcome.protocol_status) == (True, fastcgi.REQUEST_COMPLETE)
        client.begin(2, flags=KEEP_CONN)
        client.send(stream(PARAMS, 2, pairs(variables("GET", "/hello"))) + stream(STDIN, 2, b""))
        assert client.read_outcome(2).reply().text == "hello\n"
    assert "status=499" in endless.wait_line("POST", "ms=", since=since)
    assert len(endless.workers()) == 1
