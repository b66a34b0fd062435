"""
The versions of an app, behind the front and with a socket of its own: what is held against a
version that does not load, and from when on its mended successor answers.
"""

import os
import random
import signal
import time

import pytest

from support.clients import Asked, Clients
from support.host import SUFFIX, Host, put
from support.log_lines import time_of
from support.marks import LANGUAGES
from support.own_socket import Serving
from support.processes import children_of, gone, name_of
from support.reloading import templates_of
from support.waiting import wait_for

WORKERS = 4
APPS = {"python": """\
# exthost: app
import os, sys, time
{before}
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{word}"]
""", "tcl": """\
# exthost: app
{before}
proc application {{}} {{
    puts -nonewline "Content-Type: text/plain\\n\\n{word}"
}}
"""}
# What stands before: it tells that it loads, and {}.
TELL = {"python": 'print("it loads", os.getpid(), file=sys.stderr, flush=True)\n',
        "tcl": 'puts stderr "it loads [pid]"\n'}
WAIT = {"python": "while not os.path.exists({!r}):\n    time.sleep(0.005)\n",
        "tcl": "while {{![file exists {}]}} {{ after 5 }}\n"}
BREAK = {"python": 'raise ValueError("broken")\n', "tcl": 'error "broken"\n'}
SLOW = {"python": "time.sleep(0.3)\n", "tcl": "after 300\n"}
PART = {"python": "import part\n",
        "tcl": "source [file join [file dirname [info script]] part.tcl]\n"}


class Versioned:
    """A host with an app (.put) that is asked by .get, in this way: "shared" or "own" socket."""

    def __init__(self, folder, way, language, *more):
        self.root = folder / "root"
        self.root.mkdir()
        self.language, self.go = language, folder / "go"
        self.loads = 1 if way == "shared" else WORKERS  # of a version, by one request
        self.name = "app" + SUFFIX[language]
        self.put("first")
        options = ("--workers", str(WORKERS), *more)
        self.host = Host(self.root, *options) if way == "shared" else \
            Serving(self.root, *options, language=language, text=self.text("first"),
                    workers=WORKERS)
        self.url = "/" + self.name
        # The first load has ended, and the files are as old as a load needs.
        assert self.get() == "first"

    def text(self, word, before=""):
        return APPS[self.language].format(before=before, word=word)

    def put(self, word, *before):
        """Write the app, which answers this word; before: pieces of text, each by language."""
        put(self.root, self.name,
            self.text(word, "".join(self.piece(each) for each in before)), executable=True)

    def piece(self, texts):
        return texts[self.language].format(str(self.go)) if texts is WAIT \
            else texts[self.language]

    def put_part(self, *pieces):
        put(self.root, "part" + SUFFIX[self.language], "import os, sys, time\n" * (
            self.language == "python") + "".join(self.piece(each) for each in pieces))

    def get(self):
        reply = self.host.get(self.url, timeout=40)
        assert reply.status == 200, reply
        return reply.text

    def lines(self, text, since):
        return [line for line in self.host.program.log(since) if text in line]

    def wait_loaded(self, since):
        """Until all workers have loaded the version that a request has asked for."""
        wait_for(lambda: len(self.lines("loaded in process", since)) >= self.loads, "its workers")

    def loading(self, since):
        """The process id of the worker that has told since that it loads."""
        line = self.host.wait_line("it loads", since=since)
        return int(line.partition("it loads ")[2].split()[0])


@pytest.fixture(params=["shared", "own"])
def app(request, tmp_path, language):
    made = Versioned(tmp_path, request.param, language)
    yield made
    made.host.stop()


def check(app, expected):
    def ask(*_):
        assert app.get() == expected
    return ask


@LANGUAGES
def test_a_broken_version_is_loaded_once_whatever_the_number_of_workers_and_requests(app):
    with Clients(check(app, "first"), 8) as clients:
        clients.wait_more(20)
        since = app.host.log_position()
        app.put("second", TELL, BREAK)
        app.host.wait_line("does not load", since=since)
        clients.wait_more(400)
    refused = [time_of(line) for line in app.lines("does not load", since)]
    assert len(app.lines("it loads", since)) == len(refused)
    # Where the fault is unknown, it is tried again, but seconds later.
    assert all(later - earlier > 1.9 for earlier, later in zip(refused, refused[1:])), refused


@LANGUAGES
def test_requests_that_wait_for_a_version_that_does_not_load_are_answered_by_one_load(
        tmp_path, language):
    app = Versioned(tmp_path, "shared", language)
    try:
        name = "new" + SUFFIX[language]
        since = app.host.log_position()
        put(app.root, name, app.text("new", app.piece(TELL) + app.piece(WAIT)
                                     + app.piece(BREAK)), executable=True)
        asked = [Asked(app.host, "/" + name) for _ in range(2 * WORKERS)]
        app.loading(since)
        wait_for(lambda: len(app.lines("it loads", since)) == 1, "one load")
        app.go.touch()
        assert [each.end().reply().status for each in asked] == [500] * 2 * WORKERS
        assert len(app.lines("it loads", since)) == len(app.lines("does not load: ", since)) - len(
            app.lines("status=500", since)) == 1
    finally:
        app.host.stop()


@LANGUAGES
def test_each_broken_version_of_a_part_is_loaded_once_from_the_next_request_on(app):
    """
    The load waits until the clock of file times has ticked: within a tick of the change it would
    prove nothing, and be repeated.
    """
    since = app.host.log_position()
    app.put_part()
    app.put("first", TELL, PART)
    assert app.get() == "first"
    app.wait_loaded(since)
    for _ in range(10):
        since = app.host.log_position()
        app.put_part(BREAK)
        assert app.get() == "first"
        app.host.wait_line("does not load", since=since)
        assert app.get() == "first"
        assert len(app.lines("it loads", since)) == len(app.lines("does not load", since)) == 1


@LANGUAGES
@pytest.mark.parametrize("where", ["script", "part"])
def test_a_mended_version_is_loaded_though_no_request_comes(app, where):
    app.put_part(*([BREAK] if where == "part" else []))
    since = app.host.log_position()
    app.put("second", *([BREAK] if where == "script" else []), PART)
    assert app.get() == "first"
    app.host.wait_line("does not load", since=since)
    since = app.host.log_position()
    if where == "part":
        app.put_part()
    else:
        app.put("second", PART)
    app.host.wait_line("loaded in process", since=since)
    assert app.get() == "second"


@LANGUAGES
@pytest.mark.parametrize("way", ["shared", "own"])
def test_old_workers_do_not_retire_while_the_new_version_does_not_load(tmp_path, way, language):
    app = Versioned(tmp_path, way, language, "--max-requests", "3")
    try:
        since = app.host.log_position()
        app.put("second", BREAK)
        assert [app.get() for _ in range(10 * WORKERS)] == ["first"] * 10 * WORKERS
        app.host.wait_line("does not load", since=since)
        app.put("second")
        assert app.get() == "second"
    finally:
        app.host.stop()


@LANGUAGES
def test_an_app_that_lacks_a_module_is_loaded_once_the_module_is_there_though_no_request_comes(app):
    since = app.host.log_position()
    app.put("second", PART)
    assert app.get() == "first"
    app.host.wait_line("does not load", since=since)
    since = app.host.log_position()
    app.put_part()
    app.host.wait_line("loaded in process", since=since)
    assert app.get() == "second"


@LANGUAGES
def test_a_load_that_began_before_the_file_was_mended_answers_no_request(app):
    since = app.host.log_position()
    app.put("second", TELL, WAIT, BREAK)
    asked = Asked(app.host, app.url)
    app.loading(since)
    app.put("third")
    later = Asked(app.host, app.url)
    app.go.touch()
    assert asked.end().reply().text == later.end().reply().text == "third"
    assert app.lines("does not load:", since) == []


@LANGUAGES
@pytest.mark.parametrize("victim", ["template", "worker"])
def test_what_dies_while_it_loads_is_no_failure_of_the_app_and_the_request_is_answered(
        app, victim):
    since = app.host.log_position()
    app.put("second", TELL, WAIT)
    asked = Asked(app.host, app.url)
    loading = app.loading(since)
    pid = templates_of(app.host)[app.language] if victim == "template" else loading
    os.kill(pid, signal.SIGKILL)
    gone(pid)
    app.go.touch()
    reply = asked.end().reply()
    assert (reply.status, reply.text) == (200, "second")
    assert app.lines("does not load:", since) == []


def templates(host):
    return [pid for pid in children_of(host.pid) if name_of(pid) == "exthost-templ"]


READ = {"python": "word = open('data.txt').read()\n",
        "tcl": "set file [open data.txt]; set word [read -nonewline $file]; close $file\n"}


@LANGUAGES
def test_a_data_file_that_the_app_has_read_counts_once_the_script_is_touched(app):
    """An app may write what it reads, so that does not have it loaded again."""
    word = {"python": '" + word.encode() + b"', "tcl": "$::word"}[app.language]
    since = app.host.log_position()
    put(app.root, "data.txt", "old")
    app.put(word, READ)
    assert app.get() == "old"
    app.wait_loaded(since)
    put(app.root, "data.txt", "new")
    assert [app.get() for _ in range(2 * WORKERS)] == ["old"] * 2 * WORKERS
    os.utime(app.root / app.name)
    assert app.get() == "new"


@pytest.mark.parametrize("language", ["python"])
def test_twenty_kills_of_the_template_cost_an_own_socket_the_requests_in_hand_alone(
        tmp_path, language):
    app = Versioned(tmp_path, "own", language)
    app.put("first", SLOW)
    failed = []

    def ask(*_):
        try:
            reply = app.host.get(app.url, timeout=40)
            assert (reply.status, reply.text) == (200, "first")
        except Exception as e:
            failed.append(repr(e))
    clients = Clients(ask, WORKERS).start()
    try:
        since = app.host.log_position()
        for _ in range(20):
            # While it starts, or its workers load or answer.
            for pid in templates(app.host):
                os.kill(pid, signal.SIGKILL)
            time.sleep(random.uniform(0.1, 0.6))
        clients.wait_more(100)
    finally:
        clients.end()
        app.host.stop()
    print(len(failed), "of", clients.answered, failed[:3])
    assert len(failed) <= 20 * WORKERS, failed[:5]
    assert app.lines("does not load", since) == []
