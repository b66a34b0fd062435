"""The host with the tiny language, and clients of it.

Under a sanitizer build the same tests fail on every report. The reports go to files, since the
template and what it forks have no standard error of the host's.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support import clients, fastcgi
from support.clients import Clients
from support.processes import Program, carries_sanitizer, descendants, lives, name_of, named
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
                 "TSAN_OPTIONS": f"{reports}:atexit_sleep_ms=0:allocator_may_return_null=1"},
            cwd="/")
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

    def log_position(self):
        return self.program.log_position()

    def wait_line(self, *texts, since=0):
        return self.program.wait_line(*texts, since=since)

    def pids_named(self, name):
        """Those of the host's processes that have this name, the kernel's: "exthost-front"."""
        return [pid for pid in descendants(self.program.pid) if name_of(pid) == name and lives(pid)]

    def front(self):
        return wait_for(lambda: self.pids_named("exthost-front"), "a front")[0]

    def template(self):
        """The template that has forked; a request process has its name, but another parent."""
        return wait_for(lambda: named(self.program.pid, "exthost-templ"), "a template")[-1]

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


class Load(Clients):
    """
    Clients that ask one after another, for so many requests each or until told to end; each on a
    connection of its own that is kept, or on a new one each time. They begin at once.
    """

    def __init__(self, host, clients=4, requests=None, keep=False):
        self._host = host
        self._kept = [fastcgi.Connection(host.socket, 60) for _ in range(clients)] if keep else []
        super().__init__(self._ask_query, clients, each=requests)
        self.start()

    def _ask_query(self, client, number):
        target = f"query.tiny?{client}-{number}"
        reply = self._ask_kept(client, target) if self._kept else self._host.get(target, timeout=60)
        assert reply.status == 200 and reply.text == f"{client}-{number}\n", reply

    def _ask_kept(self, client, target):
        return self._kept[client].run(fastcgi.variables("GET", "/" + target),
                                      flags=fastcgi.KEEP_CONN).reply()

    def wait_more(self, count=10, seconds=60.0):
        super().wait_more(count, seconds)

    def end(self):
        mistakes = super().end()
        for connection in self._kept:
            connection.close()
        return mistakes


class Asked(clients.Asked):
    """A request under way, for a script of the tiny language ("nap.tiny")."""

    def __init__(self, host, target, **more):
        super().__init__(host, f"/{target}", **{"timeout": 60, **more})

    def begun(self):
        """The process that has written its number to the log since."""
        line = self.host.wait_line("process ", "stream=stderr", since=self.since)
        return int(line.partition("process ")[2].split()[0])


def begin_in_background(host, script):
    """Ask for a script that writes "begun" to its standard error, and wait for that; the Asked."""
    asked = Asked(host, script)
    host.wait_line("begun", since=asked.since)
    return asked


def status(root):
    """What the host that serves this root tells of itself."""
    done = subprocess.run([TINY, "status", "--json", "--root", str(root)], capture_output=True,
                          timeout=30, check=True)
    return json.loads(done.stdout)


def sanitizer(*names):
    """Whether the program carries one of these: "asan", "tsan"; none given: any."""
    return carries_sanitizer(TINY, *names)


LATE_SIGNALS = pytest.mark.skipif(
    sanitizer("tsan"), reason="the thread sanitizer holds a signal back until the next system call")


def replace(path, text):
    """A file that is there with its whole text, or not at all."""
    fresh = Path(path).with_name(".fresh")
    fresh.write_text(text)
    fresh.replace(path)
