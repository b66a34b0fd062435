"""Reloads in the middle of load: each request is answered, wholly and by its own run."""

import threading

import pytest

from support.clients import Clients
from support.held import status_of, wait_counted
from support.host import copy_scripts, sanitized
from support.processes import descriptor_count, lives, named
from support.reloading import Configured, templates_of
from support.waiting import wait_for

CLIENTS = 16
REQUESTS = 2000 if not sanitized() else 400
BY_FOSSIL = REQUESTS
RELOADS = 6
# What they change: interpreters are started afresh each time, with these preloaded.
TEXTS = ["spares = 4\npreload = python:wave\n", "spares = 1\nlane = 16\n",
         "spares = 2\ntimeout = 20\n[extension tcl/*]\nlane = 4\ntimeout = 10\n"]


class Load(Clients):
    """
    Clients that ask for hello, each time with another query, until lost_none() is called and at
    least `least` requests were sent. So all that a test does before falls between requests.
    """

    def __init__(self, get, least=REQUESTS):
        self._get, self._least_in_all = get, least
        super().__init__(self._hello, CLIENTS, least=least)
        self.start()

    def _hello(self, client, number):
        del client
        language, suffix = ("python", "py") if number % 2 else ("tcl", "tcl")
        reply = self._get(f"/{language}/hello.{suffix}?n={number}")
        assert (reply.status, reply.text) == (200, f"Hello from {language}: n={number}\n"), reply

    def wait_until(self, part):
        """This part of the least number of requests has been answered."""
        self.wait_answered(self._least_in_all * part)

    def lost_none(self):
        """Lets the clients end. Returns the number of their requests."""
        mistakes = self.end()
        assert mistakes == [], f"{len(mistakes)} of {self.asked}: {mistakes[:5]}"
        return self.asked


@pytest.fixture
def made(start_host, tmp_path):
    return Configured(start_host, copy_scripts(tmp_path / "root"), tmp_path)


def reload_in_the_middle(made, load):
    first = templates_of(made.host)
    for number in range(RELOADS):
        load.wait_until((number + 1) / (RELOADS + 2))
        made.apply(TEXTS[number % len(TEXTS)])
    asked = load.lost_none()
    wait_for(lambda: not set(first.values()) & set(templates_of(made.host).values()),
             "the first templates are replaced")
    wait_for(lambda: not any(lives(pid) for pid in first.values()), "and gone")
    told = wait_counted(made.host, asked)
    assert sum(x["answers"]["2xx"] for x in told["extensions"]) == asked
    assert sum(x["requests"] for x in told["extensions"]) == asked
    assert [line for line in made.host.program.log() if " error " in line] == []


def test_no_request_is_lost_from_fossil_through_the_relay(made, start_fossil):
    fossil = start_fossil(made.host.root)
    # Some of the first requests to a new repository, made at once, are 400 by Fossil's own doing.
    assert fossil.get("/python/static.txt").status == 200
    reload_in_the_middle(made, Load(fossil.get, BY_FOSSIL))


def test_no_request_is_lost_from_nginx_on_new_connections(made, start_nginx):
    reload_in_the_middle(made, Load(start_nginx(made.host.socket).get))


def test_no_request_is_lost_from_nginx_on_kept_connections(made, start_nginx):
    reload_in_the_middle(made, Load(start_nginx(made.host.socket, keepalive=CLIENTS).get))


def test_a_hundred_sighups_in_a_second_lose_nothing_and_leave_nothing(made, start_nginx):
    nginx = start_nginx(made.host.socket)
    front = status_of(made.host)["processes"][1]["pid"]

    def has_spares():
        return set(status_of(made.host)["spares"].values()) == {3}
    made.apply("spares = 3\n")
    wait_for(has_spares, "3 spares")
    before = descriptor_count([made.host.pid, front])
    load = Load(nginx.get, REQUESTS // 4)
    load.wait_until(0.1)
    pause = threading.Event()
    for _ in range(100):
        made.hang_up()
        pause.wait(0.01)
    made.apply("spares = 3\n")
    load.lost_none()
    wait_for(has_spares, "3 spares again")
    assert status_of(made.host)["processes"][1]["pid"] == front
    wait_for(lambda: sorted(named(made.host.pid, "exthost-templ"))
             == sorted(templates_of(made.host).values()), "no template but the present ones")
    wait_for(lambda: descriptor_count([made.host.pid, front]) <= before + 4,
             "no more descriptors than before")
