"""
An app's own socket: what it sees there, who may speak to it, and what changes while it serves.
"""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import threading

import pytest

from support import fastcgi
from support.faults import are_quiet, is_refused
from support.held import status_of
from support.host import SUFFIX, environment, put, put_script
from support.marks import LANGUAGES
from support.own_socket import APPS, Serving, other_version, seconds_between
from support.processes import gone, has_open, lives, named
from support.reloading import Configured
from support.users import open_to_all, root_only, speak_as
from support.waiting import free_port, wait_for

NOBODY = 33


@pytest.fixture
def serve(tmp_path):
    made = []

    def start(*options, **more):
        made.append(Serving(tmp_path / f"root{len(made)}", *options, **more))
        return made[-1]
    yield start
    for host in made:
        host.stop()


def variables_of(host, target="/variables", **more):
    reply = host.run("GET", target, **more).reply()
    assert reply.status == 200, reply
    return json.loads(reply.text)


@LANGUAGES
def test_the_whole_path_is_path_info_without_a_prefix(serve, language):
    host = serve(language=language)
    found = variables_of(host, "/a/variables?x=1")
    assert {"SCRIPT_NAME": "", "PATH_INFO": "/a/variables", "QUERY_STRING": "x=1",
            "REQUEST_METHOD": "GET", "SCRIPT_FILENAME": f"{host.root}/{host.name}",
            "DOCUMENT_ROOT": str(host.root)}.items() <= found.items()
    assert not {"HOST_SECRET", "HTTP_PROXY"} & set(found)


@LANGUAGES
def test_a_prefix_is_script_name_and_what_is_not_below_it_is_404(serve, language):
    host = serve("--prefix", "/forum", language=language)
    found = variables_of(host, "/forum/a/variables")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/forum", "/a/variables")
    assert host.get("/other/variables").status == 404
    assert host.get("/forumvariables").status == 404


@LANGUAGES
@pytest.mark.parametrize(
    "info", ["/.hgignore/-1/", "/a b/\u6e2c/", "//~+@:,//", "/.../", "/" + "x" * 6000 + "/"],
    ids=range(5))
def test_path_info_is_whatever_the_web_server_sends(serve, language, info):
    host = serve("--prefix", "/forum", language=language)
    found = variables_of(host, SCRIPT_NAME=f"/forum{info}variables")["PATH_INFO"]
    if language == "python":
        found = found.encode("latin-1").decode()  # PEP 3333's strings
    assert found == f"{info}variables"


@LANGUAGES
def test_an_element_of_the_path_that_leads_up_is_404_as_behind_the_front(serve, language):
    host = serve("--prefix", "/forum", language=language)
    for path in ("/forum/../variables", "/forum/a/./variables", "/forum/a/..", "/forum/.",
                 "/forum/x y/../variables"):
        since = host.log_position()
        assert host.run("GET", "/x", SCRIPT_NAME=path).reply().status == 404
        host.wait_line("status=404", "is . or ..", since=since)


def test_apps_of_a_configuration_have_sockets_limits_and_prefixes_of_their_own(
        tmp_path, start_host):
    root = tmp_path / "root"
    for language, text in APPS.items():
        put(root, f"{language}{SUFFIX[language]}", text, executable=True)
    port = free_port()
    conf = put(tmp_path, "conf", f"""
[app one]
script = python.py
listen = unix:{tmp_path}/one
listen = tcp:127.0.0.1:{port}
workers = 1
prefix = /one
[app two]
script = tcl.tcl
listen = unix:{tmp_path}/two,trust=fossil
workers = 1
[extension python.py]
max-body = 10
""")
    host = start_host(root, "--config", str(conf))
    for name in ("python.py", "tcl.tcl"):
        host.wait_line(f"{name} loaded in process")
    for address in f"{tmp_path}/one", ("127.0.0.1", port):
        assert fastcgi.request(address, "GET", "/one/hello?x").reply().text == "hello x\n"
    assert fastcgi.request(f"{tmp_path}/one", "POST", "/one/echo",
                           body=b"x" * 11).reply().status == 413
    assert fastcgi.request(f"{tmp_path}/two", "POST", "/app", body=b"x" * 11,
                           PATH_INFO="/echo").reply().body == b"x" * 11
    # The very same files answer where everything does, too.
    assert host.get("/tcl.tcl/hello?shared").text == "hello shared\n"


# Each run counts its own; an app counts all.
COUNTS = {"python": """
import os, sys
count = getattr(sys.modules["__main__"], "count", 0) + 1
print(f"Content-Type: text/plain\\n\\n{count} {os.getpid()}")
""", "tcl": """
incr count
puts "Content-Type: text/plain\\n\\n$count [pid]"
"""}


@LANGUAGES
def test_how_an_app_is_run_can_be_set_in_its_section(tmp_path, start_host, language):
    """And holds at its own socket alone, also when it is changed by a reload."""
    root, name = tmp_path / "root", "counts" + SUFFIX[language]
    put_script(root, name, language, COUNTS[language])
    made = Configured(start_host, root, tmp_path, section := f"""
[app counts]
script = {name}
listen = unix:{tmp_path}/own
workers = 1
mode = rerun
""")
    made.host.wait_line("loaded in process")

    def ask(address):
        count, process = fastcgi.request(address, "GET", f"/{name}").reply().text.split()
        assert count == "1"
        return process
    assert len({ask(f"{tmp_path}/own") for _ in range(5)}) == 1
    assert len({ask(made.host.socket) for _ in range(5)}) == 5
    made.apply(section + "max-requests = 1\n")
    wait_for(lambda: ask(f"{tmp_path}/own") != ask(f"{tmp_path}/own"), "a process for each request")


@pytest.mark.parametrize("trusted", [False, True])
@LANGUAGES
def test_what_fossil_says_is_believed_only_where_it_is_said_so(serve, language, trusted):
    host = serve(language=language,
                 listen=["unix:{folder}/s" + (",trust=fossil" if trusted else "")])
    given = {"FOSSIL_USER": "ada", "FOSSIL_CAPABILITIES": "s", "SCRIPT_NAME": "/ext/app",
             "PATH_INFO": "/variables"}
    found = variables_of(host, **given)
    assert {name for name in found if name.startswith("FOSSIL_")} == (
        {"FOSSIL_USER", "FOSSIL_CAPABILITIES"} if trusted else set())
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (
        ("/ext/app", "/variables") if trusted else ("", "/ext/app/variables"))


@LANGUAGES
def test_a_body_larger_than_max_body_is_413_and_the_next_request_is_well(serve, language):
    host = serve("--max-body", "100000", language=language)
    for size, status in (100_000, 200), (100_001, 413), (5_000_000, 413), (99_999, 200):
        body = b"b" * size
        reply = host.run("POST", "/echo", body=body).reply()
        assert reply.status == status
        assert status != 200 or reply.body == body


def test_a_tcp_socket_serves_too(serve):
    host = serve(listen=["tcp:127.0.0.1:0"])
    for n in range(3):
        assert host.get(f"/hello?{n}",
                        address=("127.0.0.1", host.tcp_port())).text == f"hello {n}\n"


@root_only
def test_another_user_is_not_answered_unless_allowed(serve):
    listen = ["unix:{folder}/s,mode=0666"]
    host = serve(listen=listen)
    open_to_all(host.root)
    since = host.log_position()
    assert speak_as(NOBODY, host.socket) == "closed"
    host.wait_line("refused", str(NOBODY), since=since)
    assert speak_as(0, host.socket) == "answered"
    assert speak_as(NOBODY, serve("--allow-uid", str(NOBODY), listen=listen).socket) == "answered"


def test_a_socket_file_that_is_removed_is_bound_anew(serve):
    host = serve()
    with fastcgi.Connection(host.socket) as kept:
        assert kept.run(fastcgi.variables("GET", "/hello?a"), flags=fastcgi.KEEP_CONN).reply()
        os.unlink(host.socket)
        wait_for(lambda: not is_refused(host.socket), "the socket is there again")
        wait_for(lambda: answered(host) == "hello again\n", "an answer")
        # Who was connected is served on.
        assert kept.run(fastcgi.variables("GET", "/hello?b"),
                        flags=fastcgi.KEEP_CONN).reply().text \
            == "hello b\n"


def answered(host, target="/hello?again"):
    try:
        return host.get(target, timeout=3).text
    except (OSError, AssertionError):
        return None


@LANGUAGES
def test_the_log_is_opened_again_on_sigusr1(tmp_path, language):
    log = tmp_path / "log"
    host = Serving(tmp_path / "root", "--log", str(log), language=language, workers=1,
                   env=environment(), loaded_in=log)
    try:
        assert host.get("/hello?first").status == 200
        wait_for(lambda: "/hello?first" in log.read_text(), "the request is logged")
        stay = [*host.workers(), *named(host.pid, "exthost-front"),
                *named(host.pid, "exthost-templ")]
        log.rename(tmp_path / "old")
        host.program.send(signal.SIGUSR1)
        wait_for(log.exists, "a new log")

        def logged():
            assert host.get("/hello?second").status == 200
            assert host.run("POST", "/echo?second", body=b"abc").reply().body == b"abc"
            return "/hello?second" in log.read_text() and "echoed 3" in log.read_text()
        wait_for(logged, "requests and what they print are in the new log")
        # Nothing else: each process that would be replaced has the old file open until it is.
        wait_for(lambda: not [pid for pid in stay if has_open(pid, tmp_path / "old")],
                 "the new log alone")
        assert set(stay) <= set(host.pids())
    finally:
        host.stop()


def test_the_oldest_kept_connection_makes_room_for_one_more_than_the_worker_may_have(serve):
    host = serve("--max-connections", "2", workers=1)
    with contextlib.ExitStack() as stack:
        def ask(connection):
            return connection.run(fastcgi.variables("GET", "/hello?x"),
                                  flags=fastcgi.KEEP_CONN).reply().text
        for _ in range(2):
            old, other = (stack.enter_context(fastcgi.Connection(host.socket)) for _ in range(2))
            assert [ask(old), ask(other)] == ["hello x\n"] * 2
            more = stack.enter_context(fastcgi.Connection(host.socket))
            assert ask(more) == "hello x\n"
            assert old.is_closed()
            assert [ask(other), ask(more)] == ["hello x\n"] * 2
            for connection in other, more:
                connection.close()


def test_where_no_connection_is_idle_one_more_waits_until_there_is_room(serve):
    host = serve("--max-connections", "2", workers=1)
    whole = fastcgi.begin() + fastcgi.stream(
        fastcgi.PARAMS, 1, fastcgi.pairs(fastcgi.variables("GET", "/hello?x"))) + fastcgi.record(
            fastcgi.STDIN, 1)
    with contextlib.ExitStack() as stack:
        half = [stack.enter_context(fastcgi.Connection(host.socket)) for _ in range(2)]
        for connection in half:
            connection.send(whole[:20])
        more = stack.enter_context(fastcgi.Connection(host.socket))
        more.send(whole)
        host.wait_line("--max-connections are open; more clients wait")
        are_quiet(host.workers())
        for connection in half:
            connection.send(whole[20:])
            assert connection.read_outcome().reply().text == "hello x\n"
        assert more.read_outcome().reply().text == "hello x\n"


def test_a_request_has_used_no_more_processor_time_than_it_took(serve):
    """What the short ones before it have used is asked for with it."""
    host = serve(workers=1)
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        for target in ["/hello?x"] * 300 + ["/nap?0.002"]:
            client.run(fastcgi.variables("GET", target), flags=fastcgi.KEEP_CONN)
    line = host.wait_line("GET /nap", since=since)
    cpu, whole = (float(re.search(rf" {name}=([0-9.]+)", line)[1]) for name in ("cpu_ms", "ms"))
    assert cpu <= whole


@LANGUAGES
def test_status_counts_the_requests_and_those_that_failed(serve, language):
    host = serve(language=language)
    for target, status in ("/hello?x", 200), ("/fail", 500), ("/hello?y", 200):
        assert host.get(target).status == status

    def counted():
        (app,) = status_of(host)["apps"]
        return app if app["requests"] == 3 else None
    assert wait_for(counted, "three requests are counted")["5xx"] == 1


@LANGUAGES
def test_requests_in_flight_end_well_when_the_host_stops(tmp_path, language):
    host = Serving(tmp_path / "root", language=language)
    gate = tmp_path / "go on"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        since = host.log_position()
        replies = [pool.submit(host.get, f"/hold?{gate}", timeout=30) for _ in range(2)]
        wait_for(lambda: len([x for x in host.program.log(since) if "begun " in x]) == 2,
                 "both wait")
        stopper = threading.Thread(target=host.stop)
        stopper.start()
        try:
            host.wait_line("stopping", since=since)
        finally:
            gate.touch()
        assert [reply.result().text for reply in replies] == ["held\n"] * 2
        stopper.join()
    assert host.pids() == []


def test_after_so_many_requests_a_worker_is_replaced_and_none_is_lost(serve, start_nginx):
    host = serve("--max-requests", "50")
    nginx = start_nginx(host.socket, keepalive=4)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        seen = [reply.text for reply in pool.map(lambda _: nginx.get("/process"), range(600))]
    assert all(text.isdigit() for text in seen)
    assert max(seen.count(pid) for pid in set(seen)) <= 50 and len(set(seen)) >= 12
    # None of these ends counts as an early death, after which the next worker starts a second
    # later.
    assert not [line for line in host.program.log()
                if "status=5" in line or ", exit status" in line]


# A changed app.

@LANGUAGES
def test_a_changed_file_is_used_from_the_next_request_on(serve, language):
    host = serve(language=language)
    with fastcgi.Connection(host.socket) as kept:
        for version in "second", "third":
            host.put(other_version(APPS[language], version))
            assert host.get("/hello?x").text == f"{version} x\n"
            assert kept.run(fastcgi.variables("GET", "/hello?y"),
                            flags=fastcgi.KEEP_CONN).reply().text \
                == f"{version} y\n"


@LANGUAGES
def test_a_broken_version_is_told_and_the_old_one_serves_on(serve, language):
    host = serve(language=language)
    since = host.log_position()
    host.put(APPS[language] + "\nif {\n")
    for n in range(5):
        assert host.get(f"/hello?{n}").text == f"hello {n}\n"
    host.wait_line("does not load", since=since)
    host.put(other_version(APPS[language], "mended"))
    assert host.get("/hello?x").text == "mended x\n"


@LANGUAGES
def test_a_broken_version_is_an_error_page_where_reload_is_strict(serve, language):
    host = serve("--reload", "strict", language=language)
    since = host.log_position()
    host.put(APPS[language] + "\nif {\n")
    with fastcgi.Connection(host.socket) as kept:
        for _ in range(3):
            assert host.get("/hello?x").status == 500
            assert kept.run(fastcgi.variables("GET", "/hello?x")).reply().status == 500
            break
    host.wait_line("does not load", since=since)
    host.put(other_version(APPS[language], "mended"))
    wait_for(lambda: answered(host, "/hello?x") == "mended x\n", "the mended one")


def test_an_app_that_never_loaded_is_an_error_page_and_the_mended_one_answers_the_next_request(
        tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with contextlib.ExitStack() as stack:
        host = Serving(root, text="# exthost: app\nif {\n", expect=0)
        stack.callback(host.stop)
        host.wait_line("does not load")
        for _ in range(3):
            reply = host.run("GET", "/hello?x").reply()
            assert reply.status == 500, reply
        host.put(APPS["python"])
        assert host.run("GET", "/hello?again").reply().text == "hello again\n"


@LANGUAGES
def test_a_client_that_goes_away_while_the_app_writes_nothing_ends_the_request(serve, language):
    """Long before its time is up, and the worker is replaced."""
    host = serve(language=language)
    since = host.log_position()
    with fastcgi.Connection(host.socket, 20) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", "/wait"))
        connection.stdin(b"")
        worker = host.begun(since)
    host.program.wait_line("status=499", "the client went away", since=since, seconds=15)
    wait_for(lambda: not lives(worker), "its end")
    assert host.run("GET", "/hello?x").reply().text == "hello x\n"


@LANGUAGES
@pytest.mark.parametrize("cut", [0, 1, 5])
def test_an_abort_of_which_a_piece_came_with_the_request_ends_it(serve, language, cut):
    host = serve(language=language)
    since = host.log_position()
    found = fastcgi.pairs(fastcgi.variables("GET", "/wait"))
    abort = fastcgi.record(fastcgi.ABORT_REQUEST, 1)
    with fastcgi.Connection(host.socket, 20) as client:
        client.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, 1, found)
                    + fastcgi.record(fastcgi.STDIN, 1) + abort[:cut])
        host.begun(since)
        client.send(abort[cut:])
        host.program.wait_line("status=499", "the client aborted the request", since=since,
                               seconds=15)


@LANGUAGES
def test_connections_that_are_kept_need_not_wait_for_a_request_that_takes_its_time(
        serve, tmp_path, language):
    """They move to the worker that is free, whichever they were with."""
    host = serve(language=language)
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(fastcgi.Connection(host.socket, 20)) for _ in range(8)]

        def ask(connection, target):
            found = fastcgi.variables("GET", target)
            return connection.run(found, flags=fastcgi.KEEP_CONN).reply()
        for connection in kept:
            assert ask(connection, "/hello?x").status == 200
        gate, since = tmp_path / "go on", host.log_position()
        slow = threading.Thread(target=ask, args=(kept[0], f"/hold?{gate}"))
        slow.start()
        try:
            host.begun(since)
            for connection in kept[1:]:
                assert ask(connection, "/hello?y").text == "hello y\n"
        finally:
            gate.touch()
            slow.join()


# A request that comes in pieces, while the worker must go.

@LANGUAGES
@pytest.mark.parametrize("what", ["SIGHUP", "a changed file"])
def test_a_request_that_has_begun_to_come_is_answered_after_all(serve, language, what):
    host = serve(language=language)
    since = host.log_position()
    body = b"b" * 50_000
    with fastcgi.Connection(host.socket) as client:
        found = fastcgi.variables("POST", "/echo", body)
        client.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, 1, fastcgi.pairs(found)))
        client.send(fastcgi.record(fastcgi.STDIN, 1, body[:30_000]))
        before = host.workers()
        assert host.get("/hello?x").text == "hello x\n"
        if what == "SIGHUP":
            host.program.send(signal.SIGHUP)
        else:
            host.put(other_version(APPS[language], "second"))
            assert host.get("/hello?x").text == "second x\n"
        wait_for(lambda: host.loaded(since) >= 2, "new workers")
        assert len(before) == 2
        client.send(fastcgi.stream(fastcgi.STDIN, 1, body[30_000:]))
        assert client.read_outcome().reply().body == body
    for pid in before:
        gone(pid)


def test_waiting_costs_a_worker_no_time(serve):
    """
    While half of a request has come, on an idle connection, and after a version that did not load.
    """
    host = serve()
    with socket.socket(socket.AF_UNIX) as half, socket.socket(socket.AF_UNIX) as idle:
        half.connect(host.socket)
        half.sendall(fastcgi.begin()[:12])
        idle.connect(host.socket)
        since = host.log_position()
        host.put(APPS["python"] + "\nif {\n")
        assert host.get("/hello?x").text == "hello x\n"
        host.wait_line("does not load", since=since)
        host.put(APPS["python"])
        wait_for(lambda: host.loaded(since) >= 2, "the mended one")
        are_quiet(host.workers())


def test_a_client_that_stops_half_way_does_not_keep_a_worker_from_ending(tmp_path):
    host = Serving(tmp_path / "root", "--grace", "1")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(host.socket)
        client.sendall(fastcgi.begin()[:12])
        assert host.get("/hello?x").status == 200
        host.stop()
    # Long before the ten seconds that a client may take for what it sends.
    assert seconds_between(host, "stopping", "stopped") < 8
