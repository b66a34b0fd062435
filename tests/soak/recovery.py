"""
`make recovery`: how long a host that is idle takes from the death or hang of one of its processes
to the next right answer. Of each kind of process there is one alone, so nothing else can answer.

A client asks from that moment on, one request after another. If a request is lost (it was handed to
what hangs, and ends at TIMEOUT), its time counts. RECOVERY_ROUNDS sets how often each is done;
EXTHOST_BUILD is the build tree, else build/release.
"""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import fastcgi
from support.host import Host, put, put_script
from support.processes import lives
from support.waiting import wait_for
from tree import KINDS, Tree

TIMEOUT = 1       # seconds: --timeout
PATIENCE = 15     # seconds for one answer
LEAST_AGE = 1.3   # seconds: a process that dies younger is replaced with a pause
SLOWEST = 30      # seconds to the next right answer, or the host is not what it should be

PAGE = 'import os\nprint(f"Content-Type: text/plain\\n\\nright {os.getppid()}")\n'
APP = """# exthost: app
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"right %d" % os.getpid()]
"""
CONFIG = """\
timeout = {timeout}
spares = 1
workers = 1
[app own]
script = own.py
listen = unix:{folder}/own
workers = 1
"""
SIGNALS = {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}


class Ground:
    """One idle host, with one process of each kind."""

    def __init__(self, folder):
        root = folder / "root"
        put_script(root, "page.py", "python", PAGE)
        put_script(root, "app.py", "python", APP)
        put_script(root, "own.py", "python", APP)
        put(root, ".conf", CONFIG.format(timeout=TIMEOUT, folder=folder))
        self.own = f"{folder}/own"
        self.host = Host(root, "--config", str(root / ".conf"))

    def ask(self, name):
        """
        The number in a right answer: the template's process id (page), or the worker's; or None.
        """
        address = self.own if name == "own" else self.host.socket
        try:
            reply = fastcgi.request(address, "GET", f"/{name}.py", timeout=PATIENCE).reply()
        except (OSError, AssertionError):
            return None
        word, _, pid = reply.text.partition(" ")
        return int(pid) if reply.status == 200 and word == "right" else None

    def settle(self):
        """
        {kind: process id} when there is exactly one of each, all of some age and nothing on its
        way; else None.
        """
        template = self.ask("page")
        if not all(self.ask(name) for name in ("app", "own")):
            return None
        before = self._one_of_each(template)
        time.sleep(LEAST_AGE)
        return before if before == self._one_of_each(template) else None

    def _one_of_each(self, template):
        tree = Tree(self.host.pid)
        found = {kind: [pid for pid in tree.of(kind)
                        if kind == "front" or tree.template_of(pid) == template] for kind in KINDS}
        if any(len(pids) != 1 for pids in found.values()):
            return None
        return {kind: pids[0] for kind, pids in found.items()}


# For each kind of process the script that it answers.
ANSWERS = {"spare or run": "page", "plain worker": "app", "direct worker": "own", "guardian": "own",
         "template": "page", "front": "page"}


def measure(ground, kind, number):
    """Seconds from the signal to the next right answer."""
    pid = wait_for(ground.settle, "one process of each kind", SLOWEST)[kind]
    began = time.monotonic()
    os.kill(pid, number)
    wait_for(lambda: ground.ask(ANSWERS[kind]), f"a right answer after the {kind}", SLOWEST)
    taken = time.monotonic() - began
    if number == signal.SIGSTOP and lives(pid):
        os.kill(pid, signal.SIGKILL)
    return taken


def print_row(kind, found):
    columns = "".join(f"{1000 * statistics.median(found[how]):>14.0f}{1000 * max(found[how]):>8.0f}"
                      for how in SIGNALS)
    print(f"{kind:<16}{columns}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("RECOVERY_ROUNDS") or 20))
    parser.add_argument("kinds", nargs="*", metavar="KIND",
                        help=f"of {', '.join(KINDS)}; else all")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="exthost-recovery-", dir="/tmp"))
    ground = None
    try:
        ground = Ground(folder)
        print(f"milliseconds from the signal to the next right answer; {options.rounds} rounds, "
              f"timeout {TIMEOUT} s")
        print(f"{'':<16}" + "".join(f"{how + ' median':>14}{'worst':>8}" for how in SIGNALS))
        for kind in options.kinds or KINDS:
            print_row(kind, {how: [measure(ground, kind, number) for _ in range(options.rounds)]
                             for how, number in SIGNALS.items()})
        return 0
    except AssertionError as e:
        print("\n".join([f"recovery: {e}", *(ground.host.program.log()[-20:] if ground else [])]))
        return 1
    finally:
        if ground:
            ground.host.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
