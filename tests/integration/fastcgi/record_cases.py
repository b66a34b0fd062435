"""
Malformed, interleaved and cut records, and what becomes of them: the same in the front and at an
app's own socket. Each of the cases asks the fixtures `host` and `connection` of its module.
"""

import socket

import pytest

from support import fastcgi
from support.fastcgi import (ABORT_REQUEST, CANT_MPX_CONN, DATA, KEEP_CONN, PARAMS,
                             REQUEST_COMPLETE, STDIN, STDOUT, Connection, pairs, record, stream,
                             variables)
from support.host import path

HELLO = path("python", "hello")
ECHO = path("python", "echo")
MALFORMED = {
    "a BEGIN without a body": record(1, 1),
    "a BEGIN of 16 bytes": record(1, 1, b"\0\1" + bytes(14)),
    "STDOUT from a client": record(STDOUT, 1, b"x"),
    "STDERR from a client": record(7, 1, b"x"),
    "GET_VALUES_RESULT from a client": record(10, 0),
    "UNKNOWN_TYPE from a client": record(11, 0, bytes(8)),
    "GET_VALUES with a cut name": record(9, 0, b"\x0e\x00FCGI_MAX"),
    "a name that is cut by the end of PARAMS": fastcgi.begin()
    + stream(PARAMS, 1, b"\x0e\x02SCRIPT"),
    "a length that is cut by the end of PARAMS": fastcgi.begin() + stream(PARAMS, 1, b"\x80\0"),
    "a value of two gigabytes": fastcgi.begin() + record(PARAMS, 1, b"\x01\xff\xff\xff\xffA"),
    "version 0 behind a good BEGIN": fastcgi.begin() + record(PARAMS, 1, b"", version=0),
    "seventeen records of unknown type": b"".join(record(99, 5, b"x") for _ in range(17)),
}
IGNORED = {
    "an unknown type of a request before one": record(99, 5, b"what"),
    "sixteen records of unknown type": b"".join(record(99, 5, b"x") for _ in range(16)),
    "PARAMS without a BEGIN": record(PARAMS, 4, b"x" * 100) + record(PARAMS, 4),
    "STDIN of no request": record(STDIN, 4, b"x") + record(STDIN, 4),
    "an abort of no request": record(ABORT_REQUEST, 4),
    "GET_VALUES with a request id": record(9, 1, pairs({"FCGI_MAX_CONNS": ""})),
    "DATA of no request": record(DATA, 3, b"x"),
}
BETWEEN = {
    "an unknown type": record(99, 1, b"what"),
    "an unknown type of another id": record(99, 5, b"what"),
    "PARAMS of an id that never began": record(PARAMS, 5, pairs({"QUERY_STRING": "foreign"})),
    "an empty PARAMS of an id that never began": record(PARAMS, 5),
    "STDIN of an id that never began": record(STDIN, 5, b"foreign"),
    "an abort of another id": record(ABORT_REQUEST, 5),
    "DATA": record(DATA, 1, b"x"),
}
MANY = {
    "twenty thousand names": lambda: [(f"HTTP_X_{i}", "v") for i in range(20_000)],
    "sixteen mebibytes": lambda: [("HTTP_X_LONG", "v" * (16 << 20))],
    "a name of a mebibyte": lambda: [("X" * (1 << 20), "v")],
}
CUT_BODY = b"x" * 31  # so long is no other, whose line in the log may still be on its way


def head(query="", request_id=1, flags=KEEP_CONN, **more):
    return fastcgi.begin(request_id, flags=flags) + stream(
        PARAMS, request_id, pairs({**variables("GET", f"{HELLO}?{query}"), **more}))


def whole(query="", request_id=1, flags=KEEP_CONN):
    return head(query, request_id, flags) + record(STDIN, request_id)


def post(body, request_id=1, flags=KEEP_CONN, script=ECHO):
    return fastcgi.begin(request_id, flags=flags) + stream(
        PARAMS, request_id, pairs(variables("POST", script, body)))


def is_usable(connection, request_id=9):
    connection.send(whole("usable", request_id))
    assert connection.read_outcome(request_id).reply().text == "hello usable\n"


def with_body():
    """A request that is whole with its last byte; the end of its STDIN stream may follow."""
    found = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": ECHO, "CONTENT_LENGTH": str(len(CUT_BODY)),
             "QUERY_STRING": ""}
    return fastcgi.begin() + stream(PARAMS, 1, pairs(found)) + record(STDIN, 1, CUT_BODY)


class RecordCases:
    """The cases; a test module makes a class of tests of them."""

    @pytest.mark.parametrize("what", MALFORMED)
    def test_what_is_malformed_ends_the_connection_and_is_logged(self, host, connection, what):
        since = host.log_position()
        connection.send(MALFORMED[what])
        assert connection.read_record() is None
        host.wait_line("connection closed:", since=since)

    @pytest.mark.parametrize("what", IGNORED)
    def test_what_belongs_to_no_request_is_ignored(self, connection, what):
        connection.send(IGNORED[what])
        is_usable(connection)

    @pytest.mark.parametrize("what", BETWEEN)
    @pytest.mark.parametrize("where", ["between PARAMS", "behind PARAMS"])
    def test_what_stands_within_a_request_and_is_not_its_own_changes_nothing(
            self, connection, what, where):
        found = list(variables("POST", ECHO, b"body").items())
        parts = [fastcgi.begin(flags=KEEP_CONN), record(PARAMS, 1, pairs(found[:5])),
                 record(PARAMS, 1, pairs(found[5:])), record(PARAMS, 1), record(STDIN, 1, b"bo"),
                 record(STDIN, 1, b"dy"), record(STDIN, 1)]
        if where == "between PARAMS":
            parts.insert(2, BETWEEN[what])
        else:
            parts.insert(5, BETWEEN[what])
        connection.send(b"".join(parts))
        assert connection.read_outcome().reply().text == "body"
        is_usable(connection)

    def test_a_management_record_within_a_request_leaves_it_unharmed(self, connection):
        connection.send(post(b"body") + record(STDIN, 1, b"bo") + record(9, 0) +
                        record(STDIN, 1, b"dy") + record(STDIN, 1))
        assert connection.read_outcome().reply().text == "body"
        is_usable(connection)

    @pytest.mark.parametrize("padding", [1, 7, 255])
    def test_padding_is_accepted_behind_every_record(self, connection, padding):
        found = pairs(variables("POST", ECHO, b"body"))
        connection.send(
            record(1, 1, b"\0\1\1" + bytes(5), padding) + record(PARAMS, 1, found, padding) +
            record(PARAMS, 1, b"", padding) + record(STDIN, 1, b"body", padding) +
            record(STDIN, 1, b"", padding))
        assert connection.read_outcome().reply().text == "body"
        is_usable(connection)

    def test_a_body_may_come_in_records_of_one_byte(self, connection):
        body = bytes(range(256))
        connection.send(post(body) + b"".join(record(STDIN, 1, bytes([b])) for b in body))
        connection.send(record(STDIN, 1))
        assert connection.read_outcome().reply().body == body
        is_usable(connection)

    @pytest.mark.parametrize("rest", ["whole", "only its BEGIN"])
    @pytest.mark.parametrize("where", ["between PARAMS", "in the body"])
    def test_a_second_request_meanwhile_is_told_that_there_is_no_multiplexing(
            self, connection, where, rest):
        second = whole("two", request_id=2) if rest == "whole" else fastcgi.begin(
            2, flags=KEEP_CONN)
        data = post(b"body")
        if where == "between PARAMS":
            connection.send(data[:16] + second + data[16:] + stream(STDIN, 1, b"body"))
        else:
            connection.send(data + record(STDIN, 1, b"bo") + second + record(STDIN, 1, b"dy") +
                            record(STDIN, 1))
        outcomes = {}
        stdout = b""
        while len(outcomes) < 2:
            found = connection.read_record()
            assert found is not None, outcomes
            kind, request_id, content = found
            if kind == STDOUT:
                assert request_id == 1
                stdout += content
            elif kind == fastcgi.END_REQUEST:
                outcomes[request_id] = content[4]
        assert outcomes == {1: REQUEST_COMPLETE, 2: CANT_MPX_CONN}
        assert stdout.endswith(b"\r\n\r\nbody")
        is_usable(connection)

    def test_a_refused_role_leaves_the_connection_usable(self, connection):
        connection.begin(role=fastcgi.AUTHORIZER, flags=KEEP_CONN)
        assert connection.read_outcome().protocol_status == fastcgi.UNKNOWN_ROLE
        connection.send(record(PARAMS, 1, b"x") + record(PARAMS, 1) + record(STDIN, 1))
        is_usable(connection)

    @pytest.mark.parametrize("flags", [0, KEEP_CONN])
    def test_noise_behind_a_request_costs_only_the_connection(self, host, connection, flags):
        connection.send(whole("first", flags=flags) + b"\xff" * 100)
        assert connection.read_outcome().reply().text == "hello first\n"
        assert connection.is_closed()

    def test_records_behind_the_end_of_a_body_are_ignored(self, connection):
        connection.send(post(b"body") + stream(STDIN, 1, b"body") + record(STDIN, 1, b"more") +
                        record(STDIN, 1) + record(PARAMS, 1))
        assert connection.read_outcome().reply().text == "body"
        is_usable(connection)

    def test_more_body_than_announced_is_forgotten(self, connection):
        connection.send(post(b"body") + stream(STDIN, 1, b"body and more"))
        assert connection.read_outcome().reply().text == "body"
        is_usable(connection)

    def test_a_request_cut_after_any_byte_by_a_client_that_closes_runs_nothing(self, host):
        data = with_body()
        since = host.log_position()
        for size in range(len(data)):
            with Connection(host.socket) as client:
                assert client.send(data[:size])
        host.wait_line(f"the body ends after {len(CUT_BODY) - 1} bytes", since=since)
        assert not any(f"echoed {len(CUT_BODY)}" in line for line in host.program.log(since))

    def test_a_request_cut_after_any_byte_by_a_client_that_sends_no_more_is_closed_or_400(
            self, host):
        data = with_body()
        end_of_head = len(data) - len(record(STDIN, 1, CUT_BODY))
        since = host.log_position()
        for size in range(len(data)):
            with Connection(host.socket, timeout=8.0) as client:
                client.send(data[:size])
                client.socket.shutdown(socket.SHUT_WR)
                if size < end_of_head:
                    assert client.is_closed(), size
                else:
                    assert client.read_outcome().reply().status == 400, size
        assert not any(f"echoed {len(CUT_BODY)}" in line for line in host.program.log(since))
