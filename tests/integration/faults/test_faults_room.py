"""More clients than --max-connections: they wait, and idle connections make room for them."""

import contextlib

import pytest

from support import fastcgi
from support.fastcgi import KEEP_CONN, Connection
from support.faults import Asked, put_faults
from support.held import status_of
from support.host import SUFFIX, path
from support.waiting import wait_for

LISTEN = ["unix:{folder}/s"]
PLACES = 16


@pytest.fixture
def host(tmp_path, start_host):
    return start_host(put_faults(tmp_path), "--max-connections", str(PLACES), "--queue-timeout",
                      "60", listen=LISTEN)


def assert_all_are_answered(host, count):
    languages = list(SUFFIX)
    asked = [Asked(host, path(languages[number % 2], "hello") + f"?{number}", timeout=120)
             for number in range(count)]
    assert [each.end().reply().text for each in asked] == [
        f"hello {number}\n" for number in range(count)]


def test_three_hundred_clients_at_sixteen_places_are_all_answered(host):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(host.socket)) for _ in range(300)]
        for client in clients:
            client.begin()
            client.params(fastcgi.variables("POST", path("tcl", "echo"), CONTENT_LENGTH="4"))
            assert client.send(fastcgi.record(fastcgi.STDIN, 1, b"bo"))
        # The first ones hold all places while their bodies come.
        wait_for(lambda: status_of(host)["connections"]["idle"] == PLACES, "all places are taken")
        for client in clients:
            client.stdin(b"dy")
        for client in clients:
            assert client.read_outcome().reply().text == "body"
    assert not [line for line in host.program.log() if "refused" in line]


@contextlib.contextmanager
def held(host, take_place):
    """So many connections as there are places, each as take_place leaves it."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(Connection(host.socket)) for _ in range(PLACES)]
        for client in made:
            take_place(client)
        yield made


def nothing(client):
    """It has not sent a byte."""


def half_a_head(client):
    assert client.send(fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, 1, b"x" * 100)[:50])


def kept(client):
    found = fastcgi.variables("GET", path("tcl", "hello") + "?kept")
    assert client.run(found, flags=KEEP_CONN).reply().text == "hello kept\n"


@pytest.mark.parametrize("take_place", [nothing, half_a_head, kept])
def test_connections_that_hold_their_places_for_nothing_make_room(host, take_place):
    with held(host, take_place):
        assert_all_are_answered(host, 20)


def test_the_oldest_of_them_makes_room_and_the_others_stay(host):
    with held(host, kept) as clients:
        assert_all_are_answered(host, 1)
        assert clients[0].is_closed()
        for client in clients[1:]:
            kept(client)


def test_an_unfinished_head_that_made_room_is_in_the_log(host):
    with held(host, half_a_head):
        assert_all_are_answered(host, 1)
    host.wait_line("connection closed: another client takes the place of an unfinished request")
