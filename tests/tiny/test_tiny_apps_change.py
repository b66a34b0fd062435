"""Apps whose files change: what is used from when on, and what happens when it does not load."""

import datetime
import os
import signal
import time

import pytest

from support import fastcgi
from support.clients import Clients, Versions
from support.processes import lives
from support.waiting import wait_for
from tiny_host import APP, HEAD, LATE_SIGNALS, Asked, Load, put, replace, status

BAD = "load error it is broken\nload exit 1\n"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    put_version(folder, 1)
    put(folder, "query.tiny", APP + HEAD + "env QUERY_STRING\n")
    return folder


def put_version(root, version, more=""):
    put(root, "app.tiny", f"{APP}{more}{HEAD}print {version}\nprocess\n")


def ask(host, target="app.tiny"):
    """The version that answers, and its process."""
    reply = host.get(target)
    assert reply.status == 200, reply
    version, process = reply.text.splitlines()
    return int(version), int(process)


def app_of(root, name="app.tiny"):
    """What the host tells of it."""
    return next((app for app in status(root)["apps"] if app["name"] == name), None)


def test_a_changed_file_is_used_from_the_next_request_on(host, root):
    _, old = ask(host)
    for version in range(2, 8):
        put_version(root, version)
        assert ask(host)[0] == version
    wait_for(lambda: not lives(old), "the end of the old worker")


def test_a_file_that_is_written_in_place_is_used_from_the_next_request_on(host, root):
    assert ask(host)[0] == 1
    path = root / "app.tiny"
    path.write_text(path.read_text().replace("print 1", "print 2 and more"))
    assert host.get("app.tiny").text.startswith("2 and more\n")


def test_a_changed_file_that_the_app_has_loaded_is_used_from_the_next_request_on(host, root):
    replace(root / "part.txt", "first\n")
    put(root, "taker.tiny", APP + "load take part.txt\n" + HEAD + "taken\n")
    assert host.get("taker.tiny").text == "first\n"
    for number in range(5):
        replace(root / "part.txt", f"number {number}\n")
        assert host.get("taker.tiny").text == f"number {number}\n"


def test_a_file_that_was_loaded_during_a_request_counts_too(host, root):
    replace(root / "part.txt", "first\n")
    # A file written a moment ago could change in the same moment again, so it is read twice.
    wait_for(lambda: time.time() - os.stat(root / "part.txt").st_ctime > 0.05, "a settled file")
    put(root, "taker.tiny", APP + HEAD + "when take take part.txt\ncount\ntaken\n")
    assert host.get("taker.tiny?take").text == "1\nfirst\n"
    assert host.get("taker.tiny?no").text == "2\nfirst\n"
    replace(root / "part.txt", "second\n")
    assert host.get("taker.tiny?no").text == "1\n"


def test_a_file_that_is_gone_and_one_that_comes_back_are_changes(host, root):
    replace(root / "part.txt", "first\n")
    put(root, "count.tiny", APP + "load depends part.txt\n" + HEAD + "count\n")
    for _ in range(3):
        assert [host.get("count.tiny").text for _ in range(2)] == ["1\n", "2\n"]
        (root / "part.txt").unlink()
        assert [host.get("count.tiny").text for _ in range(2)] == ["1\n", "2\n"]
        replace(root / "part.txt", "again\n")


def test_files_out_of_the_root_are_passed_over(host, root):
    outside = root.parent / "outside.txt"
    replace(outside, "first\n")
    put(root, "count.tiny", APP + f"load depends {outside}\n" + HEAD + "count\n")
    assert host.get("count.tiny").text == "1\n"
    replace(outside, "second\n")
    assert host.get("count.tiny").text == "2\n"


@pytest.mark.parametrize("name", ["app.tiny", "part.txt"])
def test_a_file_from_a_time_to_come_is_an_ordinary_file(host, root, name):
    replace(root / "part.txt", "first\n")
    put_version(root, 1, "load depends part.txt\n")
    ahead = time.time() + 86400
    os.utime(root / name, (ahead, ahead))
    assert len({ask(host)[1] for _ in range(5)}) == 1


def test_under_load_no_request_is_lost_and_no_client_sees_an_older_version_again(start, root):
    host = start("--workers", "2")
    clients = Versions(lambda: ask(host)[0])
    with clients:
        for version in range(2, 22):
            clients.wait_answered((version - 1) * 90)
            put_version(root, version)
            clients.written = version
    assert clients.answered == 2000
    assert ask(host)[0] == 21


def test_an_app_that_does_not_load_is_500_and_the_log_says_why(host, root):
    put_version(root, 2, BAD)
    for _ in range(2):
        reply = host.get("app.tiny")
        assert reply.status == 500 and "broken" not in reply.text
    host.wait_line("it is broken", "script=app.tiny", "stream=stderr")
    host.wait_line("app.tiny does not load: exit status 1")
    host.wait_line("GET /app.tiny status=500", "app.tiny does not load: exit status 1", "end=host")
    put_version(root, 3)
    assert ask(host)[0] == 3


def test_a_crash_on_loading_is_500_and_the_log_names_the_signal(host, root):
    put_version(root, 2, "load crash\n")
    assert host.get("app.tiny").status == 500
    host.wait_line("app.tiny does not load: ended by signal 6")
    assert host.get("query.tiny?beside").text == "beside\n"


@LATE_SIGNALS
def test_an_app_that_never_comes_to_its_end_while_it_loads_is_504_and_the_log_says_where_it_was(
        start, root):
    put_version(root, 2, "load spin\n")
    host = start("--timeout", "1")
    assert host.get("app.tiny").status == 504
    host.wait_line(" spin ", "script=app.tiny", "stream=stack")
    host.wait_line("app.tiny does not load: it takes too long")
    put_version(root, 3)
    assert ask(host)[0] == 3


@pytest.mark.parametrize("capabilities, sees", [("hjs", True), ("hja", True), ("hjorz", False)])
def test_what_it_wrote_is_on_the_page_for_those_alone_who_may_see_it(
        start, root, tmp_path, capabilities, sees):
    put_version(root, 2, BAD)
    trusted = str(tmp_path / "t")
    start("--listen", f"unix:{trusted},trust=fossil")
    reply = fastcgi.request(trusted, "GET", "/app.tiny", SCRIPT_FILENAME=f"{root}/app.tiny",
                            FOSSIL_CAPABILITIES=capabilities).reply()
    assert reply.status == 500
    assert ("it is broken" in reply.text, "does not load" in reply.text) == (sees, sees)


def test_a_version_that_does_not_load_leaves_the_old_one_serving(host, root):
    _, old = ask(host)
    put_version(root, 2, BAD)
    for _ in range(5):
        assert ask(host) == (1, old)
    host.wait_line("app.tiny does not load: exit status 1")
    app = app_of(root)
    assert app["error"] == "exit status 1" and abs(app["error_time"] - time.time()) < 60
    put_version(root, 3)
    assert ask(host)[0] == 3
    assert "error" not in app_of(root)
    wait_for(lambda: not lives(old), "the end of the old worker")


def test_all_old_workers_serve_on_and_each_notices_that_the_file_is_mended(start, root):
    put(root, "held.tiny", APP + HEAD + "process\npid\nwhen held await go\nprint 1\n")
    host = start("--workers", "3")
    held = [Asked(host, "held.tiny?held") for _ in range(3)]
    wait_for(lambda: len([x for x in host.log() if "process " in x and "stderr" in x]) == 3,
             "three begun")
    put(root, "held.tiny", APP + BAD)
    (root / "go").touch()
    assert all(asked.end().reply().status == 200 for asked in held)
    # One of the three has learnt that the new version does not load; the mended one is used by all.
    assert host.get("held.tiny").text.endswith("\n1\n")
    put(root, "held.tiny", APP + HEAD + "print 2\n")
    assert [host.get("held.tiny").text for _ in range(6)] == ["2\n"] * 6


def test_no_request_waits_for_further_tries_of_a_version_that_does_not_load(host, root):
    assert ask(host)[0] == 1
    (root / "go").touch()
    put_version(root, 2, "load error it tries\nload await go\n" + BAD)
    since = host.program.log_position()
    assert ask(host)[0] == 1
    host.wait_line("app.tiny does not load", since=since)
    (root / "go").unlink()
    since = host.program.log_position()

    def tried_again():
        assert ask(host)[0] == 1
        return [x for x in host.program.log(since) if "it tries" in x]
    wait_for(tried_again, "another try")
    assert [ask(host)[0] for _ in range(10)] == [1] * 10
    assert not [x for x in host.program.log(since) if "app.tiny does not load" in x]
    (root / "go").touch()
    host.wait_line("app.tiny does not load", since=since)


def test_a_load_begins_when_its_files_times_can_tell_what_it_has_read(host, root):
    """So that one which fails has proved something; and one is enough."""
    assert ask(host)[0] == 1
    for version in range(2, 8):
        since = host.program.log_position()
        put_version(root, version, BAD)
        changed = os.stat(root / "app.tiny").st_ctime
        assert ask(host)[0] == 1
        line = host.wait_line("it is broken", since=since)
        began = datetime.datetime.fromisoformat(line.split()[0]).timestamp()
        assert began >= changed + 0.010 - 0.001, (began, changed)


def test_with_reload_strict_a_version_that_does_not_load_is_500(start, root):
    host = start("--reload", "strict")
    assert ask(host)[0] == 1
    put_version(root, 2, BAD)
    for _ in range(3):
        assert host.get("app.tiny").status == 500
    assert app_of(root)["error"] == "exit status 1"
    put_version(root, 3)
    assert ask(host)[0] == 3


def test_what_is_mended_in_a_file_that_nobody_knows_of_is_used_within_seconds(host, root):
    assert ask(host)[0] == 1
    put_version(root, 2, "load needs unknown.txt\n")
    assert ask(host)[0] == 1
    host.wait_line("there is no unknown.txt", "script=app.tiny")
    (root / "unknown.txt").touch()
    wait_for(lambda: ask(host)[0] == 2, "the mended version")


def test_a_broken_version_under_load_costs_no_request(host, root):
    ask(host)
    with Clients(lambda *_: ask(host), 4):
        for version in range(2, 8):
            since = host.program.log_position()
            put_version(root, version, BAD)
            host.wait_line("app.tiny does not load", since=since)
            put_version(root, version)
            wait_for(lambda: ask(host)[0] == version, f"version {version}")


def test_sighup_with_a_version_that_does_not_load_keeps_the_old_one(host, root):
    assert ask(host)[0] == 1
    put_version(root, 2, BAD)
    assert ask(host)[0] == 1
    load = Load(host)
    since = host.program.log_position()
    host.program.send(signal.SIGHUP)
    host.wait_line("query.tiny loaded in process", since=since)
    host.wait_line("app.tiny does not load", since=since)
    assert load.end() == []
    assert ask(host)[0] == 1
    put_version(root, 3)
    assert ask(host)[0] == 3


def test_a_script_that_becomes_an_app_and_is_one_no_more_is_that_from_the_next_request_on(
        host, root):
    put(root, "both.tiny", HEAD + "count\n")
    for _ in range(2):
        assert [host.get("both.tiny").text for _ in range(2)] == ["0\n", "0\n"]
        put(root, "both.tiny", APP + HEAD + "count\n")
        assert [host.get("both.tiny").text for _ in range(2)] == ["1\n", "2\n"]
        put(root, "both.tiny", HEAD + "count\n")


def test_an_app_that_is_removed_is_404_and_the_next_of_that_name_is_its_own(host, root):
    _, old = ask(host)
    (root / "app.tiny").unlink()
    assert host.get("app.tiny").status == 404
    put_version(root, 2)
    version, new = ask(host)
    assert version == 2 and new != old
