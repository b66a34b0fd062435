"""
Malformed, interleaved, cut and stalled records: what becomes of them, and that the host serves on.
"""

import threading
import time

import pytest

from record_cases import HELLO, MANY, RecordCases, head, is_usable, post, whole
from support import fastcgi
from support.fastcgi import KEEP_CONN, PARAMS, STDIN, Connection, pairs, record, stream, variables
from support.faults import front_of, put_faults, untouched
from support.host import Host, path, sanitized
from support.marks import LANGUAGES
from support.processes import status_number


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """It serves other clients throughout, and holds nothing of these faults at the end."""
    made = Host(put_faults(tmp_path_factory.mktemp("root")))
    try:
        with untouched(made, clients=2):
            yield made
    finally:
        made.stop()


STALLED = {
    "in the first header": fastcgi.begin()[:4],
    "in BEGIN": fastcgi.begin()[:12],
    "behind BEGIN": fastcgi.begin(),
    "in a header": head()[:20],
    "in PARAMS": head()[:60],
    "before the end of PARAMS": head()[:-8],
    "in padding": record(1, 1, b"\0\1" + bytes(6), padding=200)[:-100],
}


class Stalled:
    """A client that stops within a head, and a thread that waits for its end."""

    def __init__(self, host, data):
        self._client = Connection(host.socket, timeout=60)
        self._client.send(data)
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self):
        with self._client:
            self.closed = self._client.is_closed()
        self.lasted = time.monotonic() - self._began

    def end(self):
        """Whether it was closed, and after how many seconds."""
        self._thread.join()
        return self.closed, self.lasted


@pytest.fixture(scope="module", autouse=True)
def stalled(host):
    """Clients that stopped within a head. They wait while all the others ask."""
    clients = {what: Stalled(host, data) for what, data in STALLED.items()}
    yield clients
    for client in clients.values():
        client.end()


class TestRecords(RecordCases):
    pass


def test_params_behind_their_end_are_ignored(connection):
    connection.send(post(b"body") + record(PARAMS, 1, pairs({"QUERY_STRING": "late"})) +
                    stream(STDIN, 1, b"body"))
    assert connection.read_outcome().reply().text == "body"
    is_usable(connection)


@LANGUAGES
def test_two_requests_sent_at_once_are_answered_both_and_in_their_order(host, connection, language):
    echo = path(language, "echo")
    connection.send(post(b"one", 1, script=echo) + stream(STDIN, 1, b"one") +
                    post(b"second", 2, script=echo) + stream(STDIN, 2, b"second")
                    + whole("three", 3))
    assert connection.read_outcome(1).reply().text == "one"
    assert connection.read_outcome(2).reply().text == "second"
    assert connection.read_outcome(3).reply().text == "hello three\n"


@LANGUAGES
def test_a_body_that_no_script_reads_is_drained(host, connection, language):
    found = variables("POST", f"{path(language, 'hello')}?unread", b"x" * 300_000)
    outcome = connection.run(found, b"x" * 300_000, flags=KEEP_CONN)
    assert outcome.reply().text == "hello unread\n"
    is_usable(connection)


@pytest.mark.parametrize("what", MANY)
def test_too_many_params_are_431_and_memory_stays_bounded(host, connection, what):
    before = status_number(front_of(host), "VmHWM")
    outcome = connection.run([*variables("GET", HELLO).items(), *MANY[what]()])
    assert outcome.reply().status == 431
    if not sanitized():
        assert status_number(front_of(host), "VmHWM") < before + 4096


@pytest.mark.slow
def test_who_stops_within_a_head_is_closed_after_ten_seconds(stalled):
    for what, client in stalled.items():
        closed, lasted = client.end()
        assert closed and lasted > 9.0, (what, lasted)
