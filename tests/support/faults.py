"""
What the tests of faults share: scripts that go wrong, clients that keep asking beside the fault, and
what a host holds before and after it.
"""

import contextlib
import os
import re
import subprocess
import threading
import time

from support import fastcgi
from support.host import SUFFIX, put, put_script
from support.processes import descendants, lives
from support.waiting import wait_for

GROUND = {
    "python": {
        "hello": """
import os
print("Content-Type: text/plain\\n\\nhello", os.environ["QUERY_STRING"])
""",
        # Where it is in the tree of processes.
        "parent": """
import os
print(f"Content-Type: text/plain\\n\\n{os.getppid()}")
""",
        # Say so and wait, after as many bytes of a page as the query says.
        "wait": """
import os, sys, time
size = int(os.environ["QUERY_STRING"] or 0)
if size:
    print("Content-Type: text/plain\\n\\n" + "x" * size, flush=True)
print("begun", os.getpid(), file=sys.stderr, flush=True)
time.sleep(60)
""",
        "echo": """
import os, sys
body = sys.stdin.buffer.read()
sys.stdout.buffer.write(b"Content-Type: text/plain\\n\\n" + body)
print("echoed", len(body), file=sys.stderr)
""",
    },
    "tcl": {
        "hello": """
puts "Content-Type: text/plain\\n\\nhello $env(QUERY_STRING)"
""",
        "parent": """
set f [open /proc/self/stat]
puts "Content-Type: text/plain\\n\\n[lindex [read $f] 3]"
""",
        "wait": """
if {$env(QUERY_STRING) ne ""} {
    puts "Content-Type: text/plain\\n\\n[string repeat x $env(QUERY_STRING)]"
    flush stdout
}
puts stderr "begun [pid]"
after 60000
""",
        "echo": """
chan configure stdin -translation binary
chan configure stdout -translation binary
set body [read stdin]
puts -nonewline "Content-Type: text/plain\\n\\n$body"
puts stderr "echoed [string length $body]"
""",
    },
}


def other(language):
    return {"python": "tcl", "tcl": "python"}[language]


def path(language, name):
    return f"/{language}/{name}{SUFFIX[language]}"


def put_faults(root, *more):
    """GROUND and further scripts of the same shape, below root."""
    for scripts in (GROUND, *more):
        for language, found in scripts.items():
            for name, body in found.items():
                put_script(root, path(language, name)[1:], language, body)
    return root


def put_config(folder, text):
    """A configuration file; the option that names it."""
    return "--config", str(put(folder, "exthost.conf", text))


class Beside:
    """
    Clients that keep asking the script "hello" of these languages while the block runs, each request
    on a connection of its own. In the end every answer must have been complete and right.
    """

    def __init__(self, host, languages=tuple(SUFFIX), clients=3):
        self.answered = 0
        self.mistakes = []
        self._host = host
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(i, languages[i % len(languages)]))
            for i in range(clients)]

    def _ask(self, client, language):
        number = 0
        while not self._stop.is_set():
            number += 1
            wanted = f"hello {client}-{number}\n"
            try:
                reply = self._host.get(f"{path(language, 'hello')}?{client}-{number}")
                wrong = None if (reply.status, reply.text) == (200, wanted) else repr(reply)
            except (OSError, AssertionError) as e:
                wrong = repr(e)
            with self._lock:
                self.answered += 1
                if wrong:
                    self.mistakes.append(f"{language} {wanted.strip()}: {wrong}")
            self._stop.wait(0.02)  # the fault, too, needs a processor

    def wait_more(self, count=9):
        """Until so many more requests have been answered."""
        target = self.answered + count
        wait_for(lambda: self.answered >= target, f"{count} more answers beside the fault")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_more()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.wait_more()
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.mistakes == []


def name_of(pid):
    """The kernel's name of a process, or "" when it is gone."""
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def named(host, name):
    """Those of the host's processes of this name that the master itself has started."""
    return [pid for pid in descendants(host.pid)
            if name_of(pid) == name and _parent(pid) == host.pid and lives(pid)]


def front_of(host):
    return wait_for(lambda: named(host, "exthost-front"), "a front")[0]


def template_of(host, language):
    return int(host.get(path(language, "parent")).text)


def _descriptors(pid):
    """How many are open, but for the compiled code that is kept for scripts."""
    count = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                count += "exthost-code" not in os.readlink(f"/proc/{pid}/fd/{name}")
    return count


def held(host):
    """Processes, descriptors of those that stay, and files in --tmpdir."""
    for language in SUFFIX:
        # After one request alone as many spares are in the front's hands as after the last such.
        assert host.get(path(language, "hello")).status == 200
    stay = [host.pid, *named(host, "exthost-front"), *named(host, "exthost-templ")]
    files = [name for name in os.listdir(host.folder) if name not in ("s", "t")]
    return len(host.pids()), sum(_descriptors(pid) for pid in stay), files


def wait_held(host):
    """What it holds once nothing is on its way any more: the same twice, a moment apart."""
    whole = 2 + 3 * len(SUFFIX)  # master, front; of each language a template and two spares
    last = [None]

    def same():
        before, last[0] = last[0], held(host)
        return before if before == last[0] and before[0] == whole else None
    return wait_for(same, "processes and descriptors stay the same")


@contextlib.contextmanager
def untouched(host, languages=tuple(SUFFIX), clients=3):
    """Requests beside the block are all answered, and after it the host holds what it held before."""
    before = wait_held(host)
    with Beside(host, languages, clients) as beside:
        yield beside
    after = [None]

    def settled():
        after[0] = held(host)
        # Less is no fault: a spare that is still on its way to the front takes three descriptors with it.
        return after[0][0] <= before[0] and after[0][1] <= before[1] and set(after[0][2]) <= set(before[2])
    try:
        wait_for(settled, "")
    except AssertionError:
        raise AssertionError(
            f"processes, descriptors, files: {before} before, {after[0]} after") from None


class Asked:
    """A request under way; .outcome once it has ended."""

    def __init__(self, host, target, address=None, method="GET", body=b"", timeout=40.0):
        self.since = host.log_position()
        self.outcome = None
        self.error = None
        self._host = host
        self._run = (address or host.socket, method, target, (), body, timeout)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self):
        try:
            self.outcome = fastcgi.request(*self._run)
        except OSError as e:
            self.error = e

    def begun(self):
        return begun(self._host, self.since)

    def end(self):
        """Wait for its end; the Outcome."""
        self._thread.join()
        if self.error:
            raise self.error
        return self.outcome


def begin(host, target, flags=0):
    """A connection on which a request has been sent whole, and of which nothing is read yet."""
    client = fastcgi.Connection(host.socket)
    client.begin(flags=flags)
    client.params(fastcgi.variables("GET", target))
    client.stdin(b"")
    return client


def begun(host, since, script=""):
    """The process id that a script has written to the log."""
    line = host.wait_line("begun ", f"script={script}", since=since)
    return int(re.search(r"begun (\d+)", line)[1])


def gone(pid):
    wait_for(lambda: not lives(pid), f"the end of process {pid}")


def is_refused(address):
    """Whether nobody listens there any more."""
    try:
        fastcgi.Connection(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


def are_quiet(pids):
    """
    They wait, and use hardly any time: a fifth at most of what a process gets beside them that does not
    wait, whatever the machine is busy with.
    """
    with subprocess.Popen(["/usr/bin/python3", "-IS", "-c", "while True: pass"]) as busy:
        try:
            since, began = _processor_time(pids), time.monotonic()
            # Beyond the second after which deadlines are looked at.
            wait_for(lambda: _processor_time([busy.pid]) > 0.5 and time.monotonic() > began + 1.5,
                     "a busy process has had some time", 120)
            used, beside = _processor_time(pids) - since, _processor_time([busy.pid])
        finally:
            busy.kill()
    assert used < beside / 5, f"{used} s of processor time, of processes that wait, beside {beside} s"


def _processor_time(pids):
    """Seconds that these processes have used."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")

