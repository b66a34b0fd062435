"""
Started programs: their log, their processes, and their end, always by process id; and what the
kernel tells of a process in /proc.

A program's processes are found in two ways: as descendants of the started one, and by a variable in
the environment it was started with, which tells even those whose parent has died.
"""

import contextlib
import os
import signal
import subprocess
import threading
import uuid

from support.waiting import wait_for

MARK = "EXTHOST_TEST_MARK"


def inside(argv, cwd=None):
    """
    The command (a list of words) that runs argv in the container image under test, where a suite is
    run for one (EXTHOST_INSIDE is set: see tests/image); else argv itself.
    """
    pid = os.environ.get("EXTHOST_INSIDE")
    if not pid:
        return argv
    return ["nsenter", "--target", pid, "--mount", "--root", f"--wdns={cwd or '/'}", "--", *argv]


def _stat(pid):
    """
    The fields of /proc/PID/stat from the third on (proc(5)), or None when the process is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()
    except OSError:
        return None


def name_of(pid):
    """The kernel's name of a process (15 bytes at most: "exthost-front"), or "" when it is gone."""
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def parent_of(pid):
    """The process id of its parent, or None when it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def state_of(pid):
    """
    The state of its first thread, one letter of proc(5) ("T": stopped), or None when it is gone.
    """
    fields = _stat(pid)
    return fields[0].decode() if fields else None


def children_of(pid):
    """
    The process ids of the living children that its first thread has started, the oldest first.
    """
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def processor_time(pids):
    """Seconds, user and system together, that these processes themselves have used."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def has_open(pid, path):
    """
    Whether it has this file open, by whatever name it was opened. OSError when there is no such
    file.
    """
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
    """The process ids of all processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(pid):
    """The process ids below pid, children before grandchildren."""
    parents = {}
    for other in all_pids():
        parent = parent_of(other)
        if parent is not None:
            parents.setdefault(parent, []).append(other)
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
    """
    Whether any of its threads lives: the first may have ended, and the process show as a zombie.
    """
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    states = [state_of(f"{pid}/task/{task}") for task in tasks]
    return any(state is not None and state not in "ZX" for state in states)


def gone(pid):
    """Wait until this process lives no more. AssertionError after 30 seconds."""
    wait_for(lambda: not lives(pid), f"the end of process {pid}")


def named(pid, name):
    """The living children of this process that have this name (of the kernel), as process ids."""
    return [child for child in descendants(pid)
            if name_of(child) == name and parent_of(child) == pid and lives(child)]


def carries_sanitizer(program, *names):
    """
    Whether this executable file was built with one of these sanitizers ("asan", "tsan"; none given:
    with any). False when there is no such file: each test will say so itself.
    """
    try:
        with open(program, "rb") as f:
            data = f.read()
    except OSError:
        return False
    return any(f"__{name}_init".encode() in data for name in names or ("asan", "tsan"))


def condition(pid):
    """
    Where a process is (name, kernel function, system call, signals), in one line, for a message
    about a process that should have ended.
    """
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
    """How many file descriptors these processes have open, all together."""
    count = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            count += len(os.listdir(f"/proc/{pid}/fd"))
    return count


class Program:
    """
    A program that runs beside the test. Its standard output and its standard error are its log.

    argv: its words, the first a path; env: the whole environment, else the test's; name: what
    messages call it; pass_fds: descriptors that it keeps. .pid is its process id. OSError when it
    cannot start.
    """

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
        """The lines of its log, without their ends, from a log_position() on."""
        return self._lines[since:]

    def log_position(self):
        """To be given to log() and wait_line() later: only what comes after now."""
        return len(self._lines)

    def forget(self, kept):
        """Drop all lines of its log but the last ones; earlier positions mean nothing then."""
        del self._lines[:-kept]

    def wait_line(self, *texts, since=0, seconds=30.0):
        """
        The first log line from `since` on that holds all these texts, once it is there.
        AssertionError, with the end of the log, after so many seconds.
        """
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
        """Whether the started process itself has not ended yet."""
        return self._process.poll() is None

    def pids(self):
        """All living processes of this program, the started one first."""
        found = [self.pid, *descendants(self.pid), *marked(self.mark)]
        return [pid for pid in dict.fromkeys(found) if lives(pid)]

    def send(self, number):
        """Send the started process a signal. ProcessLookupError when it was waited for already."""
        os.kill(self.pid, number)

    def wait_exit(self, seconds=60.0):
        """
        Its exit status, negative for a signal. subprocess.TimeoutExpired after so many seconds.
        """
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
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if status is None:
            self._process.wait(5)
        self._process.stdout.close() if not left else None
        return status, left
