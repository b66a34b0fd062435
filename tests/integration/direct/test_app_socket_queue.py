"""
An app's own socket when more clients come than its workers can serve at once: they wait, and none
is closed unanswered.
"""

import contextlib
import os
import re
import signal

import pytest

from support import fastcgi
from support.held import status_of
from support.marks import LANGUAGES
from support.own_socket import Serving, stands_still
from support.processes import gone
from support.waiting import wait_for


@pytest.fixture
def serve(tmp_path):
    made = []

    def start(*options, **more):
        made.append(Serving(tmp_path / "root", *options, **more))
        return made[-1]
    yield start
    for host in made:
        host.stop()


def whole(target):
    """A request as bytes."""
    return fastcgi.begin() + fastcgi.stream(
        fastcgi.PARAMS, 1, fastcgi.pairs(fastcgi.variables("GET", target))) + fastcgi.record(
            fastcgi.STDIN, 1)


def connect(stack, host, count):
    return [stack.enter_context(fastcgi.Connection(host.socket, 60)) for _ in range(count)]


def count_answered(clients, text):
    """How many get a reply with this text; the others were closed without one."""
    outcomes = [client.read_outcome() for client in clients]
    return len([x for x in outcomes if x.ended and x.reply().text == text])


@LANGUAGES
def test_clients_that_come_at_once_are_all_answered_by_workers_that_are_busy(serve, language):
    """Many more than fit into the socket between the workers."""
    host = serve(language=language, workers=4)
    with contextlib.ExitStack() as stack:
        clients = connect(stack, host, 500)
        for client in clients:
            client.send(whole("/nap?0.02"))
        assert count_answered(clients, "napped\n") == 500
    assert [app["lost"] for app in status_of(host)["apps"]] == [0]


def test_clients_that_connect_at_once_and_send_later_are_all_answered(serve):
    """More than --max-connections of all workers."""
    host = serve()
    with contextlib.ExitStack() as stack:
        clients = connect(stack, host, 600)
        host.wait_line("--max-connections are open; more clients wait")
        for client in clients:
            client.send(whole("/hello?x"))
        assert count_answered(clients, "hello x\n") == 600


@LANGUAGES
def test_clients_need_not_wait_for_a_request_that_takes_its_time(serve, language, tmp_path):
    """Nor do those that came while both workers were busy."""
    host = serve(language=language)
    gates, since = [tmp_path / "one", tmp_path / "two"], host.log_position()
    with contextlib.ExitStack() as stack:
        slow = connect(stack, host, 2)
        for client, gate in zip(slow, gates):
            client.send(whole(f"/hold?{gate}"))
        wait_for(lambda: len([x for x in host.program.log(since) if "begun " in x]) == 2,
                 "both are busy")
        clients = connect(stack, host, 50)
        for client in clients:
            client.send(whole("/hello?x"))
        try:
            gates[0].touch()
            assert count_answered(slow[:1], "held\n") == 1
            assert count_answered(clients, "hello x\n") == 50
        finally:
            gates[1].touch()
        assert count_answered(slow[1:], "held\n") == 1


def test_connections_that_no_worker_can_take_are_logged_and_counted(serve):
    """The worker dies with more of them than fit into the socket between the workers."""
    host = serve("--max-connections", "1000", workers=1)
    found, since = fastcgi.variables("GET", "/process"), host.log_position()
    with contextlib.ExitStack() as stack:
        clients = connect(stack, host, 450)
        pids = {client.run(found, flags=fastcgi.KEEP_CONN).reply().text for client in clients}
        pid = int(pids.pop())
        wait_for(lambda: stands_still(pid), "it has done with the last of them")
        os.kill(pid, signal.SIGKILL)
        line = host.wait_line("connections were closed: no other worker", since=since)
        lost = int(re.search(r"(\d+) connections were closed", line)[1])
        wait_for(lambda: host.loaded(since) == 1, "another worker")
        assert not pids and 0 < lost < 450
        answered = [client.run(found, flags=fastcgi.KEEP_CONN).ended for client in clients]
        assert answered.count(False) == lost
    wait_for(lambda: [app["lost"] for app in status_of(host)["apps"]] == [lost], "it is counted")


def test_a_worker_that_is_killed_while_clients_wait_costs_its_own_request_alone(serve):
    host = serve()
    with contextlib.ExitStack() as stack:
        since = host.log_position()
        slow = connect(stack, host, 2)
        for client in slow:
            client.send(whole("/wait"))
        wait_for(lambda: len([x for x in host.program.log(since) if "begun " in x]) == 2,
                 "both are busy")
        clients = connect(stack, host, 400)
        for client in clients:
            client.send(whole("/hello?x"))
        for pid in host.workers():
            os.kill(pid, signal.SIGKILL)
            gone(pid)
        assert [client.read_outcome().reply().status for client in slow] == [500, 500]
        assert count_answered(clients, "hello x\n") == 400
