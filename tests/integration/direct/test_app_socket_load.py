"""
An app's own socket under load: kept connections over reloads, and many more of them than workers.
"""

import signal

import pytest

from support.clients import Clients
from support.host import sanitized
from support.load import ask_for
from support.marks import LANGUAGES
from support.own_socket import APPS, Serving, other_version
from support.waiting import wait_for

CLIENTS = 16
REQUESTS = 2000 if not sanitized() else 400
CHANGES = 5


class Load(Clients):
    """
    Clients that ask nginx, each time with a query of its own: REQUESTS times, and on until
    lost_none, so that what the test waits for meets requests on a slow machine too. .seen are the
    versions that came.
    """

    def __init__(self, nginx, versions):
        self._nginx, self._versions, self.seen = nginx, versions, set()
        super().__init__(self._hello, CLIENTS, least=REQUESTS)
        self.start()

    def _hello(self, client, number):
        del client
        reply = self._nginx.get(f"/hello?{number}")
        version, _, rest = reply.text.partition(" ")
        self.seen.add(version)
        assert reply.status == 200 and version in self._versions and rest == f"{number}\n", reply

    def wait_until(self, part):
        """This part of REQUESTS has been answered."""
        self.wait_answered(REQUESTS * part)

    def lost_none(self):
        mistakes = self.end()
        assert mistakes == [], f"{len(mistakes)} of {self.asked}: {mistakes[:5]}"


@pytest.fixture
def host(language, tmp_path):
    made = Serving(tmp_path / "root", language=language)
    yield made
    made.stop()


@LANGUAGES
def test_no_request_on_kept_connections_is_lost_over_reloads(host, start_nginx):
    load = Load(start_nginx(host.socket, keepalive=CLIENTS), ["hello"])
    for number in range(CHANGES):
        load.wait_until((number + 1) / (CHANGES + 2))
        since, before = host.log_position(), set(host.workers())
        host.program.send(signal.SIGHUP)
        wait_for(lambda: host.loaded(since) >= 2 and not before & set(host.workers()),
                 "other workers")
    load.lost_none()


@LANGUAGES
def test_no_request_on_kept_connections_is_lost_over_changed_files(host, start_nginx, language):
    versions = ["hello", *(f"v{n}" for n in range(CHANGES))]
    load = Load(start_nginx(host.socket, keepalive=CLIENTS), versions)
    for number in range(CHANGES):
        load.wait_until((number + 1) / (CHANGES + 2))
        host.put(other_version(APPS[language], f"v{number}"))
        wait_for(lambda: f"v{number}" in load.seen, "the new version answers")
    load.lost_none()
    assert load.seen == set(versions)


def test_no_request_is_lost_while_the_changed_versions_do_not_load(tmp_path, start_nginx):
    host = Serving(tmp_path / "root")
    try:
        load = Load(start_nginx(host.socket, keepalive=CLIENTS), ["hello", "v1"])
        for number in range(3):
            load.wait_until((number + 1) / 6)
            since = host.log_position()
            host.put(APPS["python"] + f"\nif {number} {{\n")
            host.wait_line("does not load", since=since)
        host.put(other_version(APPS["python"], "v1"))
        wait_for(lambda: "v1" in load.seen, "the mended version answers")
        load.lost_none()
    finally:
        host.stop()


def answer(word):
    return lambda query: f"{word} {query}\n".encode()


@pytest.mark.parametrize("language", ["python"])
def test_many_kept_connections_on_two_workers_are_all_answered(host, start_nginx):
    nginx = start_nginx(host.socket, keepalive=64, more="keepalive_requests 1000000;")
    samples = ask_for(2, nginx.port, [("fast", "/hello", answer("hello"))] * 64)
    times = sorted(sample.seconds for sample in samples)
    assert len(times) > 64
    if not sanitized():
        # The slowest one waits for its turn, and not for ever.
        assert times[len(times) * 99 // 100] < max(0.25, 20 * times[len(times) // 2])
