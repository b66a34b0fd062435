"""Clients that go away, and clients that abort."""

import os
import signal
import socket

import pytest

from support import fastcgi
from support.fastcgi import KEEP_CONN, PARAMS, STDIN, pairs, record, stream, variables
from support.faults import ENDLESS, begin, begun, put_faults, untouched
from support.held import find_runs, put_held
from support.host import SUFFIX, Host, path
from support.marks import LANGUAGES
from support.processes import gone, name_of
from support.waiting import wait_for


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """It serves others all the time, and holds nothing of all this afterwards."""
    made = Host(put_faults(tmp_path_factory.mktemp("root"), ENDLESS))
    try:
        with untouched(made, clients=2):
            yield made
    finally:
        made.stop()


def receive(client, size):
    """Read until so much of the reply has come."""
    while size > 0:
        kind, _, content = client.read_record()
        assert kind == fastcgi.STDOUT
        size -= len(content)


def head(language, length, name="echo"):
    found = {**variables("POST", path(language, name)), "CONTENT_LENGTH": str(length)}
    return fastcgi.begin(flags=KEEP_CONN) + stream(PARAMS, 1, pairs(found))


@LANGUAGES
@pytest.mark.parametrize("sent", [0, 100, 70_000])
def test_no_script_begins_for_a_client_that_goes_away_while_it_sends_its_body(host, language, sent):
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        client.send(head(language, 100_000))
        for at in range(0, sent, 10_000):
            client.send(record(STDIN, 1, b"x" * min(10_000, sent - at)))
    host.wait_line("POST", path(language, "echo"), f"the body ends after {sent} bytes", since=since)
    assert not any("echoed" in line for line in host.program.log(since))


@LANGUAGES
def test_no_script_begins_for_a_client_that_goes_away_within_a_record(host, language):
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        client.send(head(language, 1000) + record(STDIN, 1, b"x" * 1000)[:500])
    host.wait_line("POST", path(language, "echo"), "the body ends after", since=since)
    assert not any("echoed" in line for line in host.program.log(since))


@LANGUAGES
@pytest.mark.parametrize("name, size", [("wait", 0), ("wait?1000", 0), ("wait?400000", 300_000),
                                        ("endless", 0), ("endless", 1_000_000)])
def test_a_run_is_ended_when_its_client_goes_away(host, language, name, size):
    script, _, query = name.partition("?")
    since = host.log_position()
    client = begin(host, f"{path(language, script)}?{query}")
    receive(client, size)
    pid = begun(host, since)
    client.close()
    gone(pid)
    host.wait_line("status=499", "end=client", "the client went away", since=since)


@LANGUAGES
def test_a_run_is_ended_when_nginx_says_that_its_client_went_away(host, nginx, language):
    since = host.log_position()
    with socket.create_connection(("127.0.0.1", nginx.port)) as client:
        client.sendall(f"GET {path(language, 'wait')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        pid = begun(host, since)
    gone(pid)
    host.wait_line("status=499", "end=client", since=since)


@LANGUAGES
def test_a_run_is_ended_when_its_relay_is_killed(host, start_fossil, language):
    fossil = start_fossil(host.root)
    since = host.log_position()
    with socket.create_connection(("127.0.0.1", fossil.port)) as client:
        client.sendall(f"GET /ext{path(language, 'wait')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        pid = begun(host, since)
        # The kernel gives it the name of the script whose first line named it.
        (relay,) = [each for each in fossil.program.pids()
                    if name_of(each) == f"wait{SUFFIX[language]}"]
        os.kill(relay, signal.SIGKILL)
        gone(pid)
        host.wait_line("status=499", "end=client", since=since)


@LANGUAGES
def test_a_client_that_only_ends_its_sending_is_answered(host, language):
    with begin(host, path(language, "hello") + "?half") as client:
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_outcome().reply().text == "hello half\n"


@LANGUAGES
@pytest.mark.parametrize("name, size", [("wait", 0), ("wait?1000", 0), ("wait?400000", 300_000),
                                        ("endless", 1_000_000)])
def test_an_abort_ends_the_run_and_the_connection_stays_usable(host, language, name, size):
    script, _, query = name.partition("?")
    since = host.log_position()
    with begin(host, f"{path(language, script)}?{query}", KEEP_CONN) as client:
        receive(client, size)
        pid = begun(host, since)
        client.send(record(fastcgi.ABORT_REQUEST, 1))
        outcome = client.read_outcome()
        assert (outcome.ended, outcome.protocol_status) == (True, fastcgi.REQUEST_COMPLETE)
        gone(pid)
        host.wait_line("status=499", "end=abort", since=since)
        reply = client.run(variables("GET", path(language, "hello") + "?next"),
                           request_id=2, flags=KEEP_CONN).reply()
        assert reply.text == "hello next\n"


@LANGUAGES
def test_an_abort_without_keep_conn_ends_the_run_and_closes(host, language):
    since = host.log_position()
    with begin(host, path(language, "wait")) as client:
        pid = begun(host, since)
        client.send(record(fastcgi.ABORT_REQUEST, 1))
        assert client.read_outcome().ended
        assert client.is_closed()
        gone(pid)


@LANGUAGES
def test_an_abort_of_another_request_changes_nothing(host, language):
    with begin(host, path(language, "hello") + "?mine", KEEP_CONN) as client:
        client.send(record(fastcgi.ABORT_REQUEST, 7))
        assert client.read_outcome().reply().text == "hello mine\n"
        reply = client.run(variables("GET", path(language, "hello") + "?next")).reply()
        assert reply.text == "hello next\n"


@LANGUAGES
@pytest.mark.parametrize("pieces", [False, True])
def test_an_abort_while_the_body_is_expected_ends_the_request_and_no_script_begins(
        host, language, pieces):
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        data = head(language, 1000)
        # What comes in pieces is decoded in another way.
        data += record(STDIN, 1, b"x" * 10)
        abort = record(fastcgi.ABORT_REQUEST, 1)
        if pieces:
            client.send(data[:20])
            host.get(path(language, "hello"))
            client.send(data[20:])
            host.get(path(language, "hello"))
            client.send(abort)
        else:
            client.send(data + abort)
        outcome = client.read_outcome()
        assert (outcome.ended, outcome.app_status, outcome.protocol_status) == (True, 0, 0)
        reply = client.run(variables("GET", path(language, "hello") + "?next"), request_id=2)
        assert reply.reply().text == "hello next\n"
    assert not any("echoed" in line for line in host.program.log(since))


# What a client sends behind a body whose length it has told is no part of it, and an abort may
# follow.

def post_wait(language):
    """A request that a script is at for long, whole but for the end of its STDIN stream."""
    found = variables("POST", path(language, "wait"), CONTENT_LENGTH="4")
    return fastcgi.begin(flags=KEEP_CONN) + stream(PARAMS, 1, pairs(found)) + record(
        STDIN, 1, b"body")


@LANGUAGES
@pytest.mark.parametrize(
    "before", [b"", record(STDIN, 1), record(STDIN, 1, b"more") + record(STDIN, 1)])
@pytest.mark.parametrize(
    "after", [b"", record(STDIN, 1), record(STDIN, 1, b"more") + record(STDIN, 1)])
def test_an_abort_is_heard_behind_the_end_of_a_body(host, language, before, after):
    if before and after:
        before, after = before[:-8], after[-8:]  # one end is enough
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        data = post_wait(language) + before
        client.send(data[:20])  # in two pieces, so that it is not libfcgi that reads it
        host.get(path(language, "hello"))
        client.send(data[20:])
        pid = begun(host, since)
        client.send(after)
        client.send(record(fastcgi.ABORT_REQUEST, 1))
        outcome = client.read_outcome()
        assert (outcome.ended, outcome.protocol_status) == (True, fastcgi.REQUEST_COMPLETE)
        gone(pid)
        host.wait_line("status=499", "end=abort", since=since)
        reply = client.run(variables("GET", path(language, "hello") + "?next"), request_id=2)
        assert reply.reply().text == "hello next\n"


@LANGUAGES
@pytest.mark.parametrize("cut", [1, 5])
def test_an_abort_in_two_pieces_is_heard(host, language, cut):
    since = host.log_position()
    abort = record(fastcgi.ABORT_REQUEST, 1)
    with begin(host, path(language, "wait"), KEEP_CONN) as client:
        pid = begun(host, since)
        client.send(abort[:cut])
        for _ in range(3):
            host.get(path(language, "hello"))
        client.send(abort[cut:])
        outcome = client.read_outcome()
        assert (outcome.ended, outcome.protocol_status) == (True, fastcgi.REQUEST_COMPLETE)
        gone(pid)
        host.wait_line("status=499", "end=abort", since=since)
        reply = client.run(variables("GET", path(language, "hello") + "?next"), request_id=2)
        assert reply.reply().text == "hello next\n"


@LANGUAGES
@pytest.mark.parametrize("cut", [1, 5, 20])
def test_the_next_request_may_begin_to_come_while_one_is_answered(host, language, cut, tmp_path):
    flag = tmp_path / "go on"
    url = put_held(host.root, language)
    first = fastcgi.begin(1, flags=KEEP_CONN) + stream(
        PARAMS, 1, pairs(variables("GET", f"{url}?{flag}"))) + record(STDIN, 1)
    second = fastcgi.begin(2) + stream(
        PARAMS, 2, pairs(variables("GET", path(language, "hello") + "?second"))) + record(STDIN, 2)
    with fastcgi.Connection(host.socket) as client:
        client.send(first)
        wait_for(lambda: find_runs(host, "runs", url), "it runs")
        client.send(second[:cut])
        for _ in range(3):
            host.get(path(language, "hello"))
        flag.write_text("")
        assert client.read_outcome(1).reply().text == "held\n"
        client.send(second[cut:])
        assert client.read_outcome(2).reply().text == "hello second\n"


@LANGUAGES
def test_what_looks_like_an_abort_within_the_next_request_is_none(host, language, tmp_path):
    flag = tmp_path / "go on"
    url = put_held(host.root, language)
    first = fastcgi.begin(1, flags=KEEP_CONN) + stream(
        PARAMS, 1, pairs(variables("GET", f"{url}?{flag}"))) + record(STDIN, 1)
    abort = record(fastcgi.ABORT_REQUEST, 1)
    found = variables("POST", path(language, "echo"), abort)
    second = fastcgi.begin(2) + stream(PARAMS, 2, pairs(found)) + record(
        STDIN, 2, abort) + record(STDIN, 2)
    cut = len(second) - 16
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        client.send(first + second[:cut])
        client.send(second[cut:])
        wait_for(lambda: find_runs(host, "runs", url), "it runs")
        host.get(path(language, "hello"))
        flag.write_text("")
        assert client.read_outcome(1).reply().text == "held\n"
        assert client.read_outcome(2).reply().body == abort
    assert not any("end=abort" in line for line in host.program.log(since))
