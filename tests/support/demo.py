"""
A Fossil with the samples and a host beside it, for a person who tries or measures them (tests/demo
and tests/bench): one temporary directory, and programs that end with this program.
"""

import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support import waiting
from support.waiting import listens

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = {"hello": "Hello", "env": "Environment", "form": "Form", "report": "Check-ins"}
LANGUAGES = {"Python": (".py", "python", "/usr/bin/python3"),
             "Tcl": (".tcl", "tcl", "/usr/bin/tclsh")}
# In the past, wherever the clock stands.
COMMITS = [("2025-03-04", "Begin"), ("2025-03-19", "Say what it does"),
           ("2025-04-02", "First version"), ("2025-06-11", "Find a mistake"),
           ("2025-06-12", "Mend it"), ("2025-06-30", "Test it"),
           ("2025-09-01", "Second version"), ("2025-10-20", "Write the manual")]
DEADLINE = 30  # seconds
ENDING = {signal.SIGINT, signal.SIGTERM}
if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else nohup wants it to go on
    ENDING.add(signal.SIGHUP)


class Trouble(Exception):
    """An error whose message is one line for a person."""


def wait_for(condition, what):
    """As waiting.wait_for, for DEADLINE seconds; Trouble when it does not come."""
    try:
        return waiting.wait_for(condition, what, DEADLINE)
    except waiting.Overdue:
        raise Trouble(f"{what}: nothing within {DEADLINE} seconds") from None


def ended(program):
    """
    Whether a subprocess.Popen has ended. Its exit status is not taken, so that its process group's
    number is not used again.
    """
    state = os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return state is not None


class Demo:
    """A directory, a repository in it, and the programs started there; clean() ends all of it."""

    def __init__(self, build):
        self.bin = pathlib.Path(build).resolve() / "bin"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="exthost-demo-"))
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "USER": "demo"}
        self.programs = []

    def start(self, *arguments, log):
        """
        Start a program (its words) with its output in a file of this name; the subprocess.Popen.
        clean() ends it.
        """
        # A signal that came between start and append would leave the program behind.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            with open(self.folder / log, "wb") as output:
                # A session of its own: Ctrl-C is for this program, which ends the others in order.
                program = subprocess.Popen(
                    [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=output,
                    stderr=output, cwd=self.folder, env=self.environment, start_new_session=True,
                    preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask))
            self.programs.append(program)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return program

    def stop(self, program):
        """End one of them: SIGTERM, then SIGKILL for all of its process group."""
        os.kill(program.pid, signal.SIGTERM)
        try:
            wait_for(lambda: ended(program), "")
        except Trouble:
            pass
        # Fossil leaves processes behind that finish its chores.
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        self.programs.remove(program)

    def clean(self):
        """End all programs, the last one first, and remove the directory."""
        for program in reversed(self.programs[:]):
            self.stop(program)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fossil(self, *arguments, cwd=None):
        """Run Fossil to its end. Trouble when it fails."""
        done = subprocess.run(["fossil", *map(str, arguments)], cwd=cwd or self.folder, text=True,
                              env=self.environment, capture_output=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"fossil {arguments[0]}: {(done.stderr or done.stdout).strip()}")

    def make_repository(self):
        """Make project.fossil in the temporary directory, with COMMITS."""
        work = self.folder / "work"
        work.mkdir()
        self.fossil("init", "--date-override", "2025-03-01", "project.fossil")
        self.fossil("setting", "backoffice-disable", "1", "-R", "project.fossil")
        self.fossil("open", "../project.fossil", cwd=work)
        for date, comment in COMMITS:
            with open(work / "notes.txt", "a", encoding="utf-8") as f:
                f.write(f"{date} {comment}\n")
            self.fossil("addremove", cwd=work)
            self.fossil("commit", "--no-warnings", "--date-override", f"{date}T12:00:00", "-m",
                        comment, cwd=work)
        self.fossil("close", "--force", cwd=work)

    def relay_line(self, word):
        """A first line for the relay: a link, since a long path or a blank would not do there."""
        link = self.folder / "exthost-cgi"
        if not link.is_symlink():
            link.symlink_to(self.bin / "exthost-cgi")
        return f"#!{link} {word}"

    def make_root(self, name, first_line):
        """The samples with a first line of this kind: first_line(language word, interpreter)."""
        root = self.folder / name
        root.mkdir()
        for source in (REPOSITORY / "extensions").iterdir():
            if source.stem in SAMPLES:
                text = source.read_text(encoding="utf-8").split("\n", 1)[1]
                _, word, plain = next(v for v in LANGUAGES.values() if v[0] == source.suffix)
                page = root / source.name
                page.write_text(f"{first_line(word, plain)}\n{text}", encoding="utf-8")
                page.chmod(0o755)
            elif source.suffix in (".html", ".css", ".wiki"):
                shutil.copy(source, root)
        return root

    def start_host(self, root):
        """
        Start `exthost serve` for this extension root, and wait until it is ready. Trouble when it
        ends.
        """
        for name in ("exthost", "exthost-cgi"):
            if not (self.bin / name).exists():
                raise Trouble(f"no {self.bin / name}: build it first, with make")
        program = self.start(self.bin / "exthost", "serve", "--root", root, log="host.log")
        self.wait_ready(program, "exthost", "host.log", lambda: " ready" in self.log("host.log"))

    def start_fossil(self, root, port):
        """
        Start a Fossil with this extension root at this port, and wait until it listens; the Popen.
        """
        log = f"fossil-{port}.log"
        program = self.start("fossil", "server", self.folder / "project.fossil", "--port", port,
                             "--localhost", "--nojail", "--extroot", root, log=log)
        self.wait_ready(program, "fossil server", log, lambda: listens(port))
        return program

    def wait_ready(self, program, name, log, condition):
        """Wait until condition(). Trouble, with what it wrote to this log, when it ends before."""
        wait_for(lambda: ended(program) or condition(), name)
        if ended(program):
            raise Trouble(f"{name} ended: {self.log(log).strip() or 'without a word'}")

    def log(self, name):
        """What a program has written so far to its log of this name, as text."""
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")

    def check_served(self, suffix, count):
        """That the host answered, so often: the relay alone would answer too, but cold."""
        line = re.compile(rf" status=200 script=\S*{re.escape(suffix)} ")
        wait_for(lambda: len(line.findall(self.log("host.log"))) >= count,
                 f"{count} requests for {suffix} in the host's log")


def fetch(port, path):
    """GET a path at this port: (status, title of the page, milliseconds)."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", path)
    reply = connection.getresponse()
    text = reply.read().decode("utf-8", "replace")
    connection.close()
    taken = (time.perf_counter() - began) * 1000
    title = re.search(r"<title>(?:[^<]*: )?([^<]*)</title>", text)
    return reply.status, title[1].strip() if title else "-", taken


def with_demo(name, build, work):
    """work(demo), and an end to all that was started, whatever happens. The exit status."""
    def interrupted(*_):
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # once is enough: nothing disturbs the end
        raise KeyboardInterrupt

    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for number in ENDING:
        signal.signal(number, interrupted)
    demo = Demo(build)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        work(demo)
        return 0
    except (Trouble, OSError, http.client.HTTPException, subprocess.SubprocessError) as e:
        sys.stdout.flush()
        print(f"{name}: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        demo.clean()
