"""The host with the tiny language, and clients of it.

Under a sanitizer build the same tests fail on every report. The reports go to files, since the
template and what it forks have no standard error of the host's.
"""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from support import fastcgi
from support.processes import Program, descendants, lives
from support.waiting import wait_for

TINY = os.environ.get("EXTHOST_TINY") or str(
    Path(__file__).resolve().parents[2] / "build" / "release" / "bin" / "exthost-tiny")
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
           "runtime error:")
APP = "# exthost: app\n"
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
            env={"PATH": "/usr/bin:/bin", "UBSAN_OPTIONS": reports,
                 "ASAN_OPTIONS": f"{reports}:allocator_may_return_null=1",
                 "TSAN_OPTIONS": f"{reports}:atexit_sleep_ms=0:allocator_may_return_null=1"}, cwd="/")
        try:
            wait_for(lambda: any(" ready, " in line for line in self.log())
                     or not self.program.running(), "ready or dead")
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
        return self.program.wait_line(*texts, since=since)

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
        return wait_for(lambda: self.pids_named("exthost-front"), "a front")[0]

    def template(self):
        """The template that has forked; a request process has its name, but another parent."""
        def look():
            parents = [pid for pid in self.pids_named("exthost-templ")
                       if _parent(pid) == self.program.pid]
            return parents[-1] if parents else None
        return wait_for(look, "a template")

    def reports(self):
        texts = ["\n".join(self.log())]
        texts += [path.read_text(errors="replace") for path in Path(self.folder).glob("report*")]
        return [text for text in texts if any(report in text for report in REPORTS)]

    def stop(self):
        """End it as an administrator does; no process, no socket and no report may be there."""
        if self.folder is None:
            return None
        was_running = self.program.running()
        status, left = self.program.stop()
        socket_left = os.path.exists(self.socket)
        reports = self.reports()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None
        tail = "\n".join([*self.program.hung, *self.log()[-30:]])
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


class Asked:
    """A request under way; its outcome is there once it has ended."""

    def __init__(self, host, target, **more):
        self.outcome = None
        self.since = host.program.log_position()
        self._host = host
        self._error = None
        self._thread = threading.Thread(target=self._ask, args=(host, target, more))
        self._thread.start()

    def _ask(self, host, target, more):
        try:
            self.outcome = fastcgi.request(host.socket, "GET", f"/{target}", timeout=60, **more)
        except OSError as e:
            self._error = e

    def begun(self):
        """The process that has written its number to the log since."""
        line = self._host.wait_line("process ", "stream=stderr", since=self.since)
        return int(line.partition("process ")[2].split()[0])

    def end(self):
        self._thread.join()
        if self._error:
            raise self._error
        return self.outcome


def status(root):
    """What the host that serves this root tells of itself."""
    done = subprocess.run([TINY, "status", "--json", "--root", str(root)], capture_output=True,
                          timeout=30, check=True)
    return json.loads(done.stdout)


def sanitizer(*names):
    """Whether the program carries one of these: "asan", "tsan"."""
    program = Path(TINY).read_bytes()
    return any(f"__{name}_init".encode() in program for name in names or ("asan", "tsan"))


LATE_SIGNALS = pytest.mark.skipif(
    sanitizer("tsan"), reason="the thread sanitizer holds a signal back until the next system call")


def replace(path, text):
    """A file that is there with its whole text, or not at all."""
    fresh = Path(path).with_name(".fresh")
    fresh.write_text(text)
    fresh.replace(path)
