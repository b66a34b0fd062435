"""
What tests of faults share: scripts that go wrong, clients that keep asking beside the fault, and
what a host holds before and after it.
"""

import contextlib
import os
import re
import subprocess
import time

from support import clients, fastcgi
from support.clients import Clients
from support.host import SUFFIX, path, put, put_script
from support.processes import named, processor_time
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
# Say so, and print for ever.
ENDLESS = {
    "python": {
        "endless": """
import os, sys
print("begun", os.getpid(), file=sys.stderr, flush=True)
print("Content-Type: text/plain\\n\\n")
while True:
    sys.stdout.write("0123456789abcdef" * 4096)
""",
    },
    "tcl": {
        "endless": """
puts stderr "begun [pid]"
puts "Content-Type: text/plain\\n\\n"
while 1 {
    puts -nonewline [string repeat 0123456789abcdef 4096]
}
""",
    },
}


def other(language):
    """The other one of the two languages."""
    return {"python": "tcl", "tcl": "python"}[language]


def put_faults(root, *more):
    """
    Write GROUND and further scripts of the same shape ({language: {name: text}}) below root, each
    at path(language, name); root itself.
    """
    for scripts in (GROUND, *more):
        for language, found in scripts.items():
            for name, body in found.items():
                put_script(root, path(language, name)[1:], language, body)
    return root


def put_config(folder, text):
    """Write a configuration file of this text; the two words of the option that names it."""
    return "--config", str(put(folder, "exthost.conf", text))


class Beside(Clients):
    """
    Clients that keep asking the script "hello" of these languages while the block runs, each
    request on a connection of its own. In the end every answer must have been complete and right.
    """

    def __init__(self, host, languages=tuple(SUFFIX), clients=3):
        def ask(client, number):
            reply = host.get(f"{path(languages[client % len(languages)], 'hello')}?{number}")
            assert (reply.status, reply.text) == (200, f"hello {number}\n"), reply
        # With a pause: the fault, too, needs a processor.
        super().__init__(ask, clients, pause=0.02, around=9)


def front_of(host):
    """The process id of a host's front, once there is one."""
    return wait_for(lambda: named(host.pid, "exthost-front"), "a front")[0]


def template_of(host, language):
    """The process id of the language's template, as its script "parent" tells."""
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
    """
    (number of processes, number of descriptors of those that stay, names of files in --tmpdir).
    """
    for language in SUFFIX:
        # After one request alone as many spares are in the front's hands as after the last such.
        assert host.get(path(language, "hello")).status == 200
    stay = [host.pid, *named(host.pid, "exthost-front"), *named(host.pid, "exthost-templ")]
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
    """
    Requests beside the block are all answered, and after it the host holds what it held before.
    """
    before = wait_held(host)
    with Beside(host, languages, clients) as beside:
        yield beside
    after = [None]

    def settled():
        after[0] = held(host)
        # Less is no fault: a spare that is still on its way to the front takes three descriptors
        # with it.
        return after[0][0] <= before[0] and after[0][1] <= before[1] and set(
            after[0][2]) <= set(before[2])
    try:
        wait_for(settled, "")
    except AssertionError:
        raise AssertionError(
            f"processes, descriptors, files: {before} before, {after[0]} after") from None


class Asked(clients.Asked):
    """The same, of a script that writes "begun" and its process id to its standard error."""

    def begun(self):
        """The process that answers it, once it has said so."""
        return begun(self.host, self.since)


def begin(host, target, flags=0):
    """A connection on which a request has been sent whole, and of which nothing is read yet."""
    client = fastcgi.Connection(host.socket)
    client.begin(flags=flags)
    client.params(fastcgi.variables("GET", target))
    client.stdin(b"")
    return client


def begun(host, since, script=""):
    """
    The process id that a script (of any, or of this URL path) has written to the log from `since`
    on.
    """
    line = host.wait_line("begun ", f"script={script}", since=since)
    return int(re.search(r"begun (\d+)", line)[1])


def is_refused(address):
    """Whether connections to this socket (a path, or (host, port)) are refused."""
    try:
        fastcgi.Connection(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


def are_quiet(pids):
    """
    They wait, and use hardly any time: a fifth at most of what a process gets beside them that does
    not wait, whatever the machine is busy with.
    """
    with subprocess.Popen(["/usr/bin/python3", "-IS", "-c", "while True: pass"]) as busy:
        try:
            since, began = processor_time(pids), time.monotonic()
            # Beyond the second after which deadlines are looked at.
            wait_for(lambda: processor_time([busy.pid]) > 0.5 and time.monotonic() > began + 1.5,
                     "a busy process has had some time", 120)
            used, beside = processor_time(pids) - since, processor_time([busy.pid])
        finally:
            busy.kill()
    assert used < beside / 5, (
        f"{used} s of processor time, of processes that wait, beside {beside} s")
