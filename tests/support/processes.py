"""Started programs: their log, their processes, and their end, always by process id.

A program's processes are found in two ways: as descendants of the one that was started, and by a
variable in the environment it was started with, which tells even those whose parent has died.
"""

import datetime
import os
import signal
import subprocess
import threading
import uuid

from support.waiting import wait_for

MARK = "EXTHOST_TEST_MARK"


def inside(argv, cwd=None):
    """The command for a program of the image under test, where the suite is run for one: see tests/image."""
    pid = os.environ.get("EXTHOST_INSIDE")
    if not pid:
        return argv
    return ["nsenter", "--target", pid, "--mount", "--root", f"--wdns={cwd or '/'}", "--", *argv]


def _stat(pid):
    """(parent, state) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0].decode()


def has_open(pid, path):
    """Whether it has this file open, by whatever name it was opened."""
    wanted = os.stat(path)
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:
        return False  # it has ended
    for name in names:
        try:
            found = os.stat(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(pid):
    """The process ids below pid, children before grandchildren."""
    parents = {}
    for other in all_pids():
        stat = _stat(other)
        if stat:
            parents.setdefault(stat[0], []).append(other)
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(0), [])
        found += children
        todo += children
    return found


def marked(mark):
    """The living processes whose environment, as they were started, holds this mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in all_pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if wanted in f.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


def lives(pid):
    """Whether any of its threads does: the first may have ended, and the process show as a zombie."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    states = [_stat(f"{pid}/task/{task}") for task in tasks]
    return any(stat is not None and stat[1] not in "ZX" for stat in states)


def condition(pid):
    """Where a process is, in one line, for a message about one that should have ended."""
    found = [f"{pid}"]
    for name in ("comm", "wchan", "syscall"):
        try:
            with open(f"/proc/{pid}/{name}") as f:
                found.append(f.read().strip())
        except OSError as e:
            found.append(f"{name}: {e.strerror}")
    try:
        with open(f"/proc/{pid}/status") as f:
            found += [" ".join(line.split()) for line in f
                      if line.startswith(("State", "SigPnd", "ShdPnd", "SigBlk"))]
    except OSError:
        pass
    return ", ".join(found)


def status_number(pid, field):
    """A number from /proc/PID/status ("VmHWM", in KiB), or 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def descriptor_count(pids):
    count = 0
    for pid in pids:
        try:
            count += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    return count


def time_of(line):
    """When a line of the host's log was written, in seconds."""
    return datetime.datetime.fromisoformat(line.split()[0]).timestamp()


class Program:
    """A program that runs beside the test. Its standard error is its log."""

    def __init__(self, argv, env=None, cwd=None, name=None, pass_fds=()):
        self.name = name or os.path.basename(argv[0])
        self.mark = uuid.uuid4().hex
        environment = dict(os.environ if env is None else env)
        environment[MARK] = self.mark
        self._lines = []
        self.hung = []
        self._process = subprocess.Popen(
            inside(argv, cwd), env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=pass_fds)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def log(self, since=0):
        """The lines of its log."""
        return self._lines[since:]

    def log_position(self):
        """To be given to log() and wait_line() later: only what comes after now."""
        return len(self._lines)

    def forget(self, kept):
        """Drop all lines of its log but the last ones; earlier positions mean nothing then."""
        del self._lines[:-kept]

    def wait_line(self, *texts, since=0, seconds=30.0):
        """The first log line that holds all these texts, once it is there."""
        def look():
            for line in self.log(since):
                if all(text in line for text in texts):
                    return line
            return None
        try:
            return wait_for(look, "", seconds)
        except AssertionError:
            tail = "\n".join(self.log(since)[-40:])
            raise AssertionError(f"no line of {self.name}'s log holds {texts!r}:\n{tail}") from None

    def running(self):
        return self._process.poll() is None

    def pids(self):
        """All living processes of this program, the started one first."""
        found = [self.pid, *descendants(self.pid), *marked(self.mark)]
        return [pid for pid in dict.fromkeys(found) if lives(pid)]

    def send(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, seconds=60.0):
        """Its exit status, negative for a signal."""
        status = self._process.wait(seconds)
        self._reader.join(1)
        return status

    def stop(self, seconds=60.0):
        """
        SIGTERM, then wait. Returns (exit status, processes that were left). What is left, or does
        not end in time, is killed, each by its process id; .hung then tells where each of them was.
        """
        before = self.pids()
        if self.running():
            self.send(signal.SIGTERM)
        try:
            status = self.wait_exit(seconds)
        except subprocess.TimeoutExpired:
            status = None
            self.hung = [condition(pid) for pid in self.pids()]

        def rest():
            pids = dict.fromkeys([*before, *marked(self.mark)])
            return [pid for pid in pids if lives(pid)]
        try:
            wait_for(lambda: not rest(), "")
            left = []
        except AssertionError:
            left = rest()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if status is None:
            self._process.wait(5)
        self._process.stdout.close() if not left else None
        return status, left
