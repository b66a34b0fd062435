"""
An app that uses up, closes or shuts down the file descriptors of its worker: the worker is replaced
and no client waits for long.
"""

import contextlib
import os
import signal

import pytest

from support import fastcgi
from support.faults import are_quiet, front_of
from support.marks import LANGUAGES
from support.own_socket import APPS, Serving
from support.waiting import wait_for

# Pages more, for workers of 300 descriptors.
TEXT = {"python": APPS["python"] + """

import resource
import socket

resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
KEPT = []


def leak(environ):
    try:
        while True:
            KEPT.append(open("/dev/null"))
    except OSError:
        return [b"leaked\\n"]


def lower(environ):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(environ["QUERY_STRING"]), 300))
    return [b"lowered\\n"]


def listening():
    for fd in os.listdir("/proc/self/fd"):
        try:
            copy = socket.socket(fileno=os.dup(int(fd)))
        except OSError:
            continue
        with copy:
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield int(fd), copy


def shut(environ):
    for _, copy in listening():
        copy.shutdown(socket.SHUT_RDWR)
    return [b"shut\\n"]


def close(environ):
    for fd, _ in listening():
        os.close(fd)
    return [b"closed\\n"]


def close_all(environ):
    os.closerange(3, 4096)
    return [b"closed\\n"]
""", "tcl": APPS["tcl"] + """
exec prlimit --nofile=300 --pid [pid]

proc page::leak {} {
    while {![catch {lappend ::kept [open /dev/null]}]} {}
    puts leaked
}
proc page::lower {} {
    exec prlimit --nofile=$::env(QUERY_STRING) --pid [pid]
    puts lowered
}
"""}


@pytest.fixture
def serve(tmp_path):
    with contextlib.ExitStack() as stack:
        def start(language="python", **more):
            host = Serving(tmp_path / "root", language=language, text=TEXT[language], **more)
            stack.callback(host.stop)
            return host
        yield start


def status_at(host, address):
    try:
        return host.get("/hello?x", address=address, timeout=3).status
    except (OSError, AssertionError):
        return None


def answers(host, address=None):
    try:
        return host.get("/hello?x", address=address or host.socket, timeout=3).text == "hello x\n"
    except (OSError, AssertionError):
        return False


@LANGUAGES
def test_a_worker_without_a_free_descriptor_is_replaced_and_no_client_is_lost(serve, language):
    host = serve(language)
    since = host.log_position()
    found = fastcgi.variables("GET", "/hello?x")
    assert host.get("/leak").text == "leaked\n"
    with contextlib.ExitStack() as stack:
        def another_loaded():
            kept = stack.enter_context(fastcgi.Connection(host.socket))
            assert kept.run(found, flags=fastcgi.KEEP_CONN).reply().text == "hello x\n"
            return host.loaded(since) == 1
        wait_for(another_loaded, "another worker")
    host.wait_line("out of file descriptors", since=since)
    assert answers(host)
    are_quiet(host.workers())


@LANGUAGES
def test_a_worker_whose_app_lowers_the_limit_of_descriptors_is_replaced(serve, language):
    host = serve(language, workers=1)
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        def ask(target):
            return client.run(fastcgi.variables("GET", target), flags=fastcgi.KEEP_CONN).reply()
        assert ask("/lower?10").text == "lowered\n"
        assert ask("/hello?x").text == "hello x\n"
    wait_for(lambda: host.loaded(since) == 1, "another worker")


@pytest.mark.parametrize("listen", ["unix:{folder}/s", "tcp:127.0.0.1:0"])
def test_a_socket_that_an_app_shuts_down_is_bound_again(serve, listen):
    host = serve(listen=[listen])
    address = ("127.0.0.1", host.tcp_port()) if listen.startswith("tcp") else host.socket
    since, front = host.log_position(), front_of(host)
    with fastcgi.Connection(address) as kept:
        assert kept.run(fastcgi.variables("GET", "/hello?x"), flags=fastcgi.KEEP_CONN).reply()
        host.get("/shut", address=address)
        host.wait_line("was shut down; it is bound again", since=since)
        wait_for(lambda: answers(host, address), "an answer")
        assert kept.run(fastcgi.variables("GET", "/hello?y"),
                        flags=fastcgi.KEEP_CONN).reply().text == "hello y\n"
    wait_for(lambda: host.loaded(since) == 2 and len(host.workers()) == 2, "other workers")
    are_quiet([front_of(host), *host.workers()])
    assert answers(host, address)
    assert front_of(host) == front

    # Where no worker can answer, the front does, at the new socket.
    host.put("# exthost: app\n1 / 0\n")
    for pid in host.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: status_at(host, address) == 500, "a 500 of the front")


def test_a_worker_whose_app_closes_its_socket_is_replaced(serve):
    host = serve()
    since = host.log_position()
    assert host.get("/close").text == "closed\n"

    def another_loaded():
        assert answers(host)
        return host.loaded(since) == 1
    wait_for(another_loaded, "another worker")
    host.wait_line("the app has closed the socket of its worker", since=since)
    assert answers(host)
    are_quiet(host.workers())


def test_a_worker_whose_app_closes_all_its_descriptors_is_replaced(serve):
    host = serve()
    since = host.log_position()
    host.run("GET", "/close_all")
    wait_for(lambda: host.loaded(since) == 1 and len(host.workers()) == 2, "another worker")
    wait_for(lambda: answers(host), "an answer")
    are_quiet(host.workers())
