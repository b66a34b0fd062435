"""
What of a FastCGI STDIN stream is the request's body, and what CONTENT_LENGTH says of it: for
programs and apps of each language, in the front and at an app's own socket, however the bytes are
cut.
"""

import pytest

import body_scripts
from body_scripts import APP, WAYS, body_of, put_all
from support import fastcgi
from support.fastcgi import (ABORT_REQUEST, KEEP_CONN, PARAMS, STDIN, Connection, pairs, record,
                             stream, variables)
from support.host import SUFFIX, Host
from support.own_socket import Serving

MAX_BODY = 400_000


class Way:
    """One extension that says what it got: .target at .host."""

    def __init__(self, host, target):
        self.host = host
        self.target = target

    def found(self, **more):
        return variables("POST", self.target, **more)

    def head(self, request_id=1, flags=KEEP_CONN, **more):
        return fastcgi.begin(request_id, flags=flags) + stream(
            PARAMS, request_id, pairs(self.found(**more)))

    def connect(self):
        return Connection(self.host.socket)

    def is_usable(self, client, request_id=9):
        """A further request on the same connection gets its own body, and nothing else."""
        client.send(self.head(request_id, CONTENT_LENGTH="3") + stream(STDIN, request_id, b"own"))
        assert said(client.read_outcome(request_id)) == ("3", b"own")


def said(outcome):
    """(CONTENT_LENGTH, body), as the script got them."""
    reply = outcome.reply()
    assert reply.status == 200, reply
    return body_scripts.said(reply.body)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """The hosts, each started when it is first asked for; by name."""
    made = {}

    def get(name):
        if name not in made and name == "front":
            made[name] = Host(put_all(tmp_path_factory.mktemp("root")), "--max-body", str(MAX_BODY))
        elif name not in made:
            made[name] = Serving(tmp_path_factory.mktemp(name), "--max-body", str(MAX_BODY),
                                 language=name, text=APP[name])
        return made[name]
    yield get
    for host in made.values():
        host.stop()


@pytest.fixture(params=WAYS, ids=[" ".join(way) for way in WAYS])
def way(request, hosts):
    mode, language = request.param
    if mode == "own socket":
        return Way(hosts(language), "/any")
    return Way(hosts("front"), f"/{mode}{SUFFIX[language]}")


UNKNOWN = pytest.mark.parametrize("told", [None, "", "-1"])


@UNKNOWN
@pytest.mark.parametrize("size", [1, 5000, 300_000])
def test_a_body_without_a_length_is_the_whole_stream_and_its_length_is_told(way, told, size):
    body = body_of(size)
    with way.connect() as client:
        outcome = client.run(way.found(CONTENT_LENGTH=told, HTTP_TRANSFER_ENCODING="chunked"), body,
                             flags=KEEP_CONN)
        assert said(outcome) == (str(size), body)
        way.is_usable(client)


@UNKNOWN
def test_a_body_without_a_length_may_come_piece_by_piece(way, told):
    body = bytes(range(256)) * 40
    data = way.head(CONTENT_LENGTH=told) + stream(STDIN, 1, body, 1000)
    with way.connect() as client:
        for at in range(0, len(data), 777):
            client.send(data[at:at + 777])
            if at % (4 * 777) == 0:  # so that it waits between two of them
                with way.connect() as other:
                    way.is_usable(other)
        assert said(client.read_outcome()) == (str(len(body)), body)
        way.is_usable(client)


@pytest.mark.parametrize("told, length",
                         [(None, ("unset", "")), ("", ("",)), ("-1", ("0",)), ("0", ("0",))])
def test_no_body_has_the_length_that_the_web_server_gave_it(way, told, length):
    with way.connect() as client:
        outcome = client.run(way.found(CONTENT_LENGTH=told), flags=KEEP_CONN)
        found, body = said(outcome)
        assert found in length and body == b""
        way.is_usable(client)


@UNKNOWN
@pytest.mark.parametrize("pieces", [1, 20])
def test_max_body_holds_for_a_body_without_a_length(way, told, pieces):
    since = way.host.log_position()
    body = b"x" * (MAX_BODY + 1)
    size = len(body) // pieces + 1
    with way.connect() as client:
        client.send(way.head(CONTENT_LENGTH=told))
        for at in range(0, len(body), size):
            client.send(stream(STDIN, 1, body[at:at + size])[:-8])
        assert client.read_outcome().reply().status == 413
        assert client.is_closed()
    way.host.wait_line("status=413", f"larger than {MAX_BODY} bytes", since=since)


def test_a_body_without_a_length_may_be_as_large_as_max_body(way):
    body = b"y" * MAX_BODY
    with way.connect() as client:
        assert said(client.run(way.found(CONTENT_LENGTH=None), body)) == (str(MAX_BODY), body)


# HAProxy sends 0 for an empty chunked body, and never the end of the stream.

@pytest.mark.parametrize("body", [b"", b"body"])
def test_a_body_is_whole_once_its_length_has_come(way, body):
    with way.connect() as client:
        client.send(way.head(CONTENT_LENGTH=str(len(body))) + stream(STDIN, 1, body)[:-8])
        assert said(client.read_outcome()) == (str(len(body)), body)
        # And the next request may begin without that end.
        way.is_usable(client)


@pytest.mark.parametrize("request_id", [1, 9])
@pytest.mark.parametrize("late", [record(STDIN, 1), record(STDIN, 1, b"", 5),
                                  stream(STDIN, 1, b"more than was announced")])
def test_the_end_of_a_body_that_comes_after_the_reply_is_no_part_of_the_next_request(
        way, late, request_id):
    with way.connect() as client:
        client.send(way.head(CONTENT_LENGTH="4") + record(STDIN, 1, b"body"))
        assert said(client.read_outcome()) == ("4", b"body")
        client.send(late)
        way.is_usable(client, request_id)
        client.send(way.head(CONTENT_LENGTH="0"))
        assert said(client.read_outcome()) == ("0", b"")
        for at in range(len(late)):
            client.send(late[at:at + 1])
        way.is_usable(client, request_id)


@pytest.mark.parametrize("body", [b"", b"own"])
def test_the_end_of_a_body_is_taken_before_a_connection_that_is_not_kept_is_closed(way, body):
    """Else Caddy's write of it fails, and nginx reads a reset in the place of the reply's end."""
    with way.connect() as client:
        client.send(way.head(flags=0, CONTENT_LENGTH=str(len(body))))
        if body:
            client.send(record(STDIN, 1, body))
        assert said(client.read_outcome()) == (str(len(body)), body)
        client.socket.sendall(record(STDIN, 1))  # raises if the other end is closed
        assert client.read_record() is None


def test_a_record_that_is_longer_than_the_body_is_taken_to_its_end(way):
    with way.connect() as client:
        data = way.head(CONTENT_LENGTH="4") + record(STDIN, 1, b"body and more", 3)
        client.send(data[:-10])
        with way.connect() as other:
            way.is_usable(other)
        client.send(data[-10:])
        assert said(client.read_outcome()) == ("4", b"body")
        way.is_usable(client)


def test_an_abort_that_comes_with_a_body_without_its_end_is_heard(way):
    with way.connect() as client:
        client.send(way.head(CONTENT_LENGTH="4") + record(STDIN, 1, b"body") +
                    record(ABORT_REQUEST, 1))
        outcome = client.read_outcome()
        assert (outcome.ended, outcome.protocol_status, outcome.stdout) == (True, 0, b"")
        way.is_usable(client)


@pytest.mark.parametrize("told, length", [("010", 10), ("0000", 0), ("0" * 30 + "8", 8)])
def test_a_length_with_zeros_in_front_is_told_as_the_number_that_it_is(way, told, length):
    body = b"x" * length
    with way.connect() as client:
        assert said(client.run(way.found(CONTENT_LENGTH=told), body, flags=KEEP_CONN)) == (
            str(length), body)
        way.is_usable(client)


BAD = {"abc": (400, "CONTENT_LENGTH 'abc' is no number of bytes"),
       "-2": (400, "CONTENT_LENGTH '-2' is no number of bytes"),
       "+1": (400, "CONTENT_LENGTH '+1' is no number of bytes"),
       " 1": (400, "CONTENT_LENGTH ' 1' is no number of bytes"),
       "1 ": (400, "CONTENT_LENGTH '1 ' is no number of bytes"),
       "0x4": (400, "CONTENT_LENGTH '0x4' is no number of bytes"),
       str(MAX_BODY + 1): (413, f"the body has {MAX_BODY + 1} bytes, allowed are {MAX_BODY}"),
       "9" * 40: (413, f"the body has {'9' * 40} bytes, allowed are {MAX_BODY}")}


@pytest.mark.parametrize("sent", ["with its body", "before its body"])
@pytest.mark.parametrize("told", BAD)
def test_a_wrong_length_is_refused_with_its_reason_in_the_log(way, told, sent):
    status, reason = BAD[told]
    since = way.host.log_position()
    with way.connect() as client:
        client.send(
            way.head(CONTENT_LENGTH=told) + (stream(STDIN, 1, b"body") if "with" in sent else b""))
        # A client that waits for leave to send its body is answered, too.
        assert client.read_outcome().reply().status == status
        assert client.is_closed()
    way.host.wait_line(f"status={status}", f'reason="{reason}"', since=since)


@pytest.mark.parametrize("told, status", [(str(MAX_BODY + 1), 413), ("abc", 400)])
def test_nothing_that_comes_behind_a_refusal_is_taken_for_a_request(way, told, status):
    since = way.host.log_position()
    with way.connect() as client:
        client.send(way.head(CONTENT_LENGTH=told))
        assert client.read_outcome().reply().status == status
        hidden = way.head(5, CONTENT_LENGTH="0") + record(STDIN, 5)
        client.send(hidden)  # as contents of the body, it would seem, and as a request
        client.send(stream(STDIN, 1, hidden * 20) + hidden)
        assert client.is_closed()
    way.host.wait_line(f"status={status}", since=since)
    with way.connect() as client:
        way.is_usable(client)
    way.host.wait_line("POST", "status=200", since=since)
    requests = [line for line in way.host.program.log(since) if "POST" in line]
    assert len(requests) == 2, requests


def test_a_head_that_is_too_large_is_answered_and_nothing_behind_it_is_a_request(way):
    since = way.host.log_position()
    with way.connect() as client:
        client.send(way.head(HTTP_X_LONG="x" * 200_000) + record(STDIN, 1))
        client.send(way.head(5, CONTENT_LENGTH="0"))
        assert client.read_outcome().reply().status == 431
        assert client.is_closed()
    with way.connect() as client:
        way.is_usable(client)
    way.host.wait_line("POST", "status=200", since=since)
    requests = [line for line in way.host.program.log(since) if "POST" in line]
    assert len(requests) == 1, requests


def test_expect_reaches_the_script_as_a_variable_at_most_and_nothing_waits(way):
    with way.connect() as client:
        outcome = client.run(way.found(CONTENT_LENGTH="4", HTTP_EXPECT="100-continue"), b"body",
                             flags=KEEP_CONN)
        assert said(outcome) == ("4", b"body")
        way.is_usable(client)
