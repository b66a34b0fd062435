"""The host with the tiny language: its processes, threads and failures, with no interpreter in it.

Under a sanitizer build the same tests fail on every report. The reports go to files, since the
template and what it forks have no standard error of the host's.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import fastcgi  # noqa: E402
from processes import Program, descendants, lives  # noqa: E402
from waiting import wait_for  # noqa: E402

TINY = os.environ.get("EXTHOST_TINY") or str(
    Path(__file__).resolve().parents[2] / "build" / "release" / "bin" / "exthost-tiny")
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
           "runtime error:")
HEAD = "print Content-Type: text/plain\nprint\n"
BUSY = "pid\nerror begun\nsleep 60000\n"


def put(root, name, text):
    """An executable script in the tiny language; a file that is there is replaced at once."""
    path = Path(root, name)
    fresh = path.with_name("." + path.name)
    fresh.write_text("#!/usr/bin/tiny\n" + text)
    fresh.chmod(0o755)
    fresh.replace(path)


class Host:
    """
    `exthost-tiny serve` at the socket .socket, ready when the constructor returns. Its log is
    standard error, or the file `log`.
    """

    def __init__(self, root, *options, log=None):
        self._file = log
        self.folder = tempfile.mkdtemp(prefix="xt-", dir="/tmp")
        self.socket = f"{self.folder}/s"
        reports = f"log_path={self.folder}/report"
        self.program = Program(
            [TINY, "serve", "--root", str(root), "--listen", f"unix:{self.socket}",
             "--tmpdir", self.folder, *(["--log", str(log)] if log else []), *options],
            env={"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": reports, "UBSAN_OPTIONS": reports,
                 "TSAN_OPTIONS": f"{reports}:atexit_sleep_ms=0"}, cwd="/")
        try:
            wait_for(lambda: any(" ready, " in line for line in self.log())
                     or not self.program.running(), "ready or dead", 30)
            assert self.program.running(), "\n".join(["the host ended:", *self.log()])
        except AssertionError:
            self.stop()
            raise

    def get(self, script, **more):
        return fastcgi.request(self.socket, "GET", f"/{script}", **more).reply()

    def log(self):
        """The lines of its log."""
        lines = self.program.log()
        if self._file and self._file.exists():
            lines = lines + self._file.read_text().splitlines()
        return lines

    def wait_line(self, *texts, since=0):
        return self.program.wait_line(*texts, since=since, seconds=20)

    def pids_named(self, name):
        """Those of the host's processes that have this name, the kernel's: "exthost-front"."""
        found = []
        for pid in descendants(self.program.pid):
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == name and lives(pid):
                    found.append(pid)
            except OSError:
                pass
        return found

    def front(self):
        return wait_for(lambda: self.pids_named("exthost-front"), "a front", 20)[0]

    def template(self):
        """The template that has forked; a request process has its name, but another parent."""
        def look():
            parents = [pid for pid in self.pids_named("exthost-templ")
                       if _parent(pid) == self.program.pid]
            return parents[-1] if parents else None
        return wait_for(look, "a template", 20)

    def reports(self):
        texts = ["\n".join(self.log())]
        texts += [path.read_text(errors="replace") for path in Path(self.folder).glob("report*")]
        return [text for text in texts if any(report in text for report in REPORTS)]

    def stop(self):
        """End it as an administrator does; no process, no socket and no report may be there."""
        if self.folder is None:
            return None
        was_running = self.program.running()
        status, left = self.program.stop(30)
        socket_left = os.path.exists(self.socket)
        reports = self.reports()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None
        tail = "\n".join(self.log()[-30:])
        assert not reports, "\n".join(reports)
        assert was_running, f"the host died (status {status}):\n{tail}"
        assert status == 0, f"exit status {status}:\n{tail}"
        assert left == [], f"processes left: {left}\n{tail}"
        assert not socket_left, "the socket is left"
        return status


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    put(folder, "hello.tiny", HEAD + "print hello\n")
    put(folder, "query.tiny", HEAD + "env QUERY_STRING\n")
    put(folder, "echo.tiny", HEAD + "body\n")
    put(folder, "exit.tiny", HEAD + "exit 3\n")
    put(folder, "crash.tiny", HEAD + "crash\n")
    put(folder, "error.tiny", HEAD + "error something is odd\n")
    put(folder, "nap.tiny", HEAD + "error begun\nsleep 700\nprint well rested\n")
    put(folder, "busy.tiny", HEAD + BUSY)
    put(folder, "cut.tiny", HEAD + "repeat 40000 0123456789\nexit 1\n")
    put(folder, "alpha.tiny", HEAD + "module alpha\n")
    return folder


@pytest.fixture
def start(root):
    """Starts hosts, and stops them whatever happens."""
    hosts = []

    def make(*options, **more):
        hosts.append(Host(root, *options, **more))
        return hosts[-1]
    yield make
    errors = []
    for host in hosts:
        try:
            host.stop()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def host(start):
    return start()


class Load:
    """
    Clients that ask one after another, for so many requests or until told to end; each on a
    connection of its own that is kept, or on a new one each time.
    """

    def __init__(self, host, clients=4, requests=None, keep=False):
        self.host = host
        self.answered = 0
        self._mistakes = []
        self._requests = requests
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i, keep))
                         for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, client, keep):
        kept = fastcgi.Connection(self.host.socket, 60) if keep else None
        number = 0
        while not self._stopped.is_set() and number != self._requests:
            number += 1
            wanted = f"{client}-{number}"
            target = f"query.tiny?{wanted}"
            try:
                reply = self._ask_kept(kept, target) if keep else self.host.get(target, timeout=60)
                good = reply.status == 200 and reply.text == wanted + "\n"
                mistake = None if good else f"{wanted}: {reply}"
            except (OSError, AssertionError) as e:
                mistake = f"{wanted}: {e!r}"
            with self._lock:
                self.answered += 1
                if mistake:
                    self._mistakes.append(mistake)
        if keep:
            kept.close()

    @staticmethod
    def _ask_kept(connection, target):
        return connection.run(fastcgi.variables("GET", "/" + target),
                              flags=fastcgi.KEEP_CONN).reply()

    def wait_more(self, count=10):
        """Until so many more requests have been answered."""
        wanted = self.answered + count
        wait_for(lambda: self.answered >= wanted, f"{count} more answers", 60)

    def end(self):
        """The wrong answers; there must be none."""
        if self._requests is None:
            self._stopped.set()
        for thread in self._threads:
            thread.join()
        return self._mistakes


def begin_in_background(host, script):
    """Ask for a script that writes "begun" to its standard error; the outcome comes in a list."""
    outcomes = []
    since = host.program.log_position()
    thread = threading.Thread(
        target=lambda: outcomes.append(fastcgi.request(host.socket, "GET", f"/{script}")))
    thread.start()
    host.wait_line("begun", since=since)
    return thread, outcomes


def test_a_script_answers(host):
    reply = host.get("hello.tiny")
    assert (reply.status, reply.text) == (200, "hello\n")
    assert reply.header("Content-Type") == "text/plain"


def test_a_body_of_a_megabyte_comes_back_as_it_was(host):
    body = os.urandom(1 << 20)
    reply = fastcgi.request(host.socket, "POST", "/echo.tiny", body=body, timeout=60).reply()
    assert reply.status == 200 and reply.body == body


def test_an_exit_status_is_a_500(host):
    assert host.get("exit.tiny").status == 500
    host.wait_line("exit.tiny", "status=500", "exit status 3")


def test_a_crash_is_a_500_and_the_log_names_the_signal(host):
    assert host.get("crash.tiny").status == 500
    host.wait_line("crash.tiny", "status=500", "signal 6")
    assert host.get("hello.tiny").status == 200


def test_standard_error_is_logged_with_request_and_script(host):
    assert host.get("error.tiny").status == 200
    line = host.wait_line("something is odd", "script=error.tiny")
    request = line.partition("[")[2].partition("]")[0]
    assert len(request) == 16
    host.wait_line(f"[{request}]", "GET /error.tiny", "status=200")


def test_sixteen_clients_get_each_their_own_answers(host):
    load = Load(host, clients=16, requests=50)
    assert load.end() == []
    assert load.answered == 800


def test_kept_connections_are_served_side_by_side(host):
    # Longer than a second, after which the front looks at all connections for late ones.
    load = Load(host, clients=8, keep=True)
    try:
        time.sleep(2.5)
    finally:
        mistakes = load.end()
    assert mistakes == []


def test_a_kept_connection_serves_twenty_requests(host):
    with fastcgi.Connection(host.socket) as connection:
        for number in range(20):
            found = fastcgi.variables("GET", f"/query.tiny?{number}")
            outcome = connection.run(found, request_id=number + 1, flags=fastcgi.KEEP_CONN)
            assert outcome.reply().text == f"{number}\n"


def test_half_sent_requests_hold_nobody_up(host):
    head = fastcgi.begin() + fastcgi.stream(
        fastcgi.PARAMS, 1, fastcgi.pairs(fastcgi.variables("GET", "/hello.tiny")))
    halves = []
    try:
        for number in range(8):
            halves.append(fastcgi.Connection(host.socket))
            halves[-1].send(head[:(number + 1) * len(head) // 10])
        assert host.get("hello.tiny", timeout=5).status == 200
        halves[0].send(head[len(head) // 10:] + fastcgi.stream(fastcgi.STDIN, 1, b""))
        assert halves[0].read_outcome().reply().text == "hello\n"
    finally:
        for half in halves:
            half.close()


def test_a_sleeping_script_holds_nobody_up(host):
    thread, outcomes = begin_in_background(host, "nap.tiny")
    assert host.get("hello.tiny").status == 200
    assert outcomes == []
    thread.join()
    assert outcomes[0].reply().text == "well rested\n"


def test_a_long_reply_that_fails_is_cut_and_never_whole(host):
    outcome = fastcgi.request(host.socket, "GET", "/cut.tiny")
    assert not outcome.ended and outcome.closed
    assert outcome.records[-1][0] == 255
    host.wait_line("cut.tiny", "exit status 1")


def test_a_client_that_goes_away_ends_the_run(host):
    with fastcgi.Connection(host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", "/busy.tiny"))
        connection.stdin(b"")
        line = host.wait_line("process ", "script=busy.tiny")
        pid = int(re.search(r"process (\d+)", line)[1])
        assert lives(pid)
    host.wait_line("busy.tiny", "status=499")
    wait_for(lambda: not lives(pid), "the end of the run")


def test_sigterm_lets_a_running_request_finish(start):
    host = start()
    thread, outcomes = begin_in_background(host, "nap.tiny")
    host.stop()
    thread.join()
    assert outcomes[0].reply().text == "well rested\n"


def test_sigterm_ends_a_run_that_outlasts_the_grace_time(start):
    host = start("--grace", "0")
    thread, outcomes = begin_in_background(host, "busy.tiny")
    host.stop()
    thread.join()
    assert not outcomes[0].ended


def test_sighup_under_load_loses_no_request(host):
    load = Load(host)
    try:
        for _ in range(3):
            load.wait_more()
            old = host.template()
            host.program.send(signal.SIGHUP)
            wait_for(lambda: not lives(old), "the end of the old template", 30)
    finally:
        mistakes = load.end()
    assert mistakes == []


def test_a_killed_template_is_replaced_and_no_later_request_suffers(host):
    for _ in range(10):
        old = host.template()
        os.kill(old, signal.SIGKILL)
        # What it had forked dies with it, so a request can meet a process that is about to.
        wait_for(lambda: not lives(old), "the end of the template")
        assert host.get("hello.tiny").status == 200
        assert host.template() != old
    host.wait_line("template: signal 9")


def test_a_killed_front_is_replaced_and_nobody_is_refused(host):
    old = host.front()
    os.kill(old, signal.SIGKILL)
    for _ in range(5):
        assert host.get("hello.tiny").status == 200
    assert host.front() != old
    host.wait_line("front: signal 9")


def test_a_module_that_scripts_keep_loading_is_preloaded(host):
    assert host.get("alpha.tiny").text == "alpha: loaded\n"
    assert host.get("alpha.tiny").text == "alpha: loaded\n"
    host.wait_line("tiny:alpha is preloaded from now on")
    wait_for(lambda: host.get("alpha.tiny").text == "alpha: was loaded\n", "alpha preloaded", 20)


def test_a_module_is_preloaded_from_the_start_when_told(start):
    host = start("--preload", "tiny:alpha")
    assert host.get("alpha.tiny").text == "alpha: was loaded\n"


def test_a_module_that_starts_a_thread_is_not_preloaded(start):
    host = start("--preload", "tiny:threads", "--preload", "tiny:alpha")
    host.wait_line("tiny:threads starts a thread")
    assert host.get("alpha.tiny").text == "alpha: was loaded\n"


def test_kept_code_is_used_until_the_file_changes(host, root):
    put(root, "kept.tiny", HEAD + "keep\nkept\nprint one\n")
    wait_for(lambda: host.get("kept.tiny").text == "yes\none\n", "kept code", 10)
    put(root, "kept.tiny", HEAD + "keep\nkept\nprint two\n")
    assert host.get("kept.tiny").text == "no\ntwo\n"


def test_the_log_is_opened_again_under_load(start, tmp_path):
    log = tmp_path / "log"
    host = start(log=log)
    load = Load(host)
    try:
        load.wait_more()
        log.rename(tmp_path / "old")
        host.program.send(signal.SIGUSR1)
        wait_for(log.exists, "a new log file")
        load.wait_more()
    finally:
        mistakes = load.end()
    assert mistakes == []
    assert "status=200" in log.read_text()


def test_one_request_without_a_server(root):
    done = subprocess.run([TINY, "request", "/query.tiny?a=b", "--root", str(root)],
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().replace("\r", "") == "Content-Type: text/plain\n\na=b\n"


def test_the_plain_interpreter_is_a_command(root):
    done = subprocess.run([TINY, "tiny", str(root / "exit.tiny")], capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 3
    assert done.stdout == b"Content-Type: text/plain\n\n"
