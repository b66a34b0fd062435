"""`make run`: the samples answer inside a real Fossil, and the same pages by plain CGI beside them.

Everything lives in one temporary folder and ends with this program: Fossil, the host, the files.
"""

import argparse
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = {"hello": "Hello", "env": "Environment", "form": "Form", "report": "Check-ins"}
LANGUAGES = {"Python": (".py", "python", "/usr/bin/python3"),
             "Tcl": (".tcl", "tcl", "/usr/bin/tclsh")}
# In the past, wherever the clock stands.
COMMITS = [("2025-03-04", "Begin"), ("2025-03-19", "Say what it does"),
           ("2025-04-02", "First version"), ("2025-06-11", "Find a mistake"),
           ("2025-06-12", "Mend it"), ("2025-06-30", "Test it"),
           ("2025-09-01", "Second version"), ("2025-10-20", "Write the manual")]
DEADLINE = 30
ENDING = {signal.SIGINT, signal.SIGTERM}
if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else nohup wants it to go on
    ENDING.add(signal.SIGHUP)


class Trouble(Exception):
    """What a person is told in one line."""


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise Trouble(f"{what}: nothing within {DEADLINE} seconds")
        time.sleep(0.01)


def free_port(wanted):
    """The wanted port or the next free one; any free one for 0."""
    for port in range(wanted, wanted + 100) if wanted else [0]:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                continue
    raise Trouble(f"no free port from {wanted} to {wanted + 99}")


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def ended(program):
    """Without taking its exit status: until then its process group is no one else's."""
    state = os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return state is not None


class Demo:
    """A folder, a repository in it, and the programs started there; clean() ends all of it."""

    def __init__(self, build):
        self.bin = pathlib.Path(build).resolve() / "bin"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="exthost-demo-"))
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "USER": "demo"}
        self.programs = []

    def start(self, *arguments, log):
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
        for program in reversed(self.programs[:]):
            self.stop(program)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fossil(self, *arguments, cwd=None):
        done = subprocess.run(["fossil", *map(str, arguments)], cwd=cwd or self.folder, text=True,
                              env=self.environment, capture_output=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"fossil {arguments[0]}: {(done.stderr or done.stdout).strip()}")

    def make_repository(self):
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
        for name in ("exthost", "exthost-cgi"):
            if not (self.bin / name).exists():
                raise Trouble(f"no {self.bin / name}: build it first, with make")
        program = self.start(self.bin / "exthost", "serve", "--root", root, log="host.log")
        self.wait_ready(program, "exthost", "host.log", lambda: " ready" in self.log("host.log"))

    def start_fossil(self, root, port):
        log = f"fossil-{port}.log"
        program = self.start("fossil", "server", self.folder / "project.fossil", "--port", port,
                             "--localhost", "--nojail", "--extroot", root, log=log)
        self.wait_ready(program, "fossil server", log, lambda: listens(port))
        return program

    def wait_ready(self, program, name, log, condition):
        wait_for(lambda: ended(program) or condition(), name)
        if ended(program):
            raise Trouble(f"{name} ended: {self.log(log).strip() or 'without a word'}")

    def log(self, name):
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")

    def check_served(self, suffix, count):
        """That the host answered, so often: the relay alone would answer too, but cold."""
        line = re.compile(rf" status=200 script=\S*{re.escape(suffix)} ")
        wait_for(lambda: len(line.findall(self.log("host.log"))) >= count,
                 f"{count} requests for {suffix} in the host's log")


def fetch(port, path):
    """(status, title, milliseconds)."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", path)
    reply = connection.getresponse()
    text = reply.read().decode("utf-8", "replace")
    connection.close()
    taken = (time.perf_counter() - began) * 1000
    title = re.search(r"<title>(?:[^<]*: )?([^<]*)</title>", text)
    return reply.status, title[1].strip() if title else "-", taken


def start_plain(demo):
    """Fossil with the same samples as plain CGI programs, for comparison: (program, port)."""
    root = demo.make_root("plain", lambda word, plain: f"#!{plain}")
    for library in ("python/exthost.py", "tcl/exthost.tcl", "tcl/pkgIndex.tcl"):
        shutil.copy(REPOSITORY / "bindings" / library, root)
    port = free_port(0)
    return demo.start_fossil(root, port), port


def compare(demo, port):
    """Fetch each page both ways and print what came. The pages that answered otherwise."""
    plain, plain_port = start_plain(demo)
    for suffix, _, _ in LANGUAGES.values():
        fetch(port, f"/ext/hello{suffix}")
        fetch(plain_port, f"/ext/hello{suffix}")
    print(f"  {'page':<12} {'title':<24} {'language':<9} {'status':>6} {'exthost':>10} "
          f"{'plain CGI':>10}")
    bad = []
    for sample, name in SAMPLES.items():
        for language, (suffix, _, _) in LANGUAGES.items():
            page = sample + suffix
            status, title, taken = fetch(port, f"/ext/{page}")
            plain_status, plain_title, plain_taken = fetch(plain_port, f"/ext/{page}")
            print(f"  {page:<12} {title:<24} {language:<9} {status:>6} {taken:>7.1f} ms "
                  f"{plain_taken:>7.1f} ms")
            expected = (200, f"{name} ({language})")
            if (status, title) != expected:
                bad.append(page)
            if (plain_status, plain_title) != expected:
                bad.append(f"{page} by plain CGI")
    demo.stop(plain)
    return bad


def run(demo, options):
    port = free_port(options.port)
    print("exthost: the samples, once through exthost and once by plain CGI, in a real Fossil.\n"
          "Making a repository and starting both; this takes a few seconds.\n", flush=True)
    demo.make_repository()
    root = demo.make_root("extensions", lambda word, plain: demo.relay_line(word))
    demo.start_host(root)
    demo.start_fossil(root, port)
    bad = compare(demo, port)
    if bad:
        raise Trouble(f"not the page that was expected: {', '.join(bad)}")
    for suffix, _, _ in LANGUAGES.values():
        demo.check_served(suffix, len(SAMPLES) + 1)
    print("\nEach page was fetched once, after one of its language.")
    if not options.once:
        print_addresses(port)
        serve(demo)


def print_addresses(port):
    print("\nSee for yourself:\n")
    print(f"  http://127.0.0.1:{port}/ext/index.html   all samples")
    for sample in SAMPLES:
        print("  " + "   ".join(f"{f'http://127.0.0.1:{port}/ext/{sample}{suffix}':<40}"
                                for suffix, _, _ in LANGUAGES.values()).rstrip())


def serve(demo):
    """Until Ctrl-C. Trouble when a program ends by itself."""
    print("\nCtrl-C ends it and leaves nothing behind.", flush=True)
    awaited = ENDING | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    while not any(ended(program) for program in demo.programs):
        if signal.sigwait(awaited) in ENDING:
            print("\nstopping", flush=True)
            return
    gone = next(program for program in demo.programs if ended(program))
    raise Trouble(f"{os.path.basename(gone.args[0])} ended by itself")


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


def main():
    parser = argparse.ArgumentParser(description="See the samples answer in a real Fossil.")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--once", action="store_true", help="end after the table")
    options = parser.parse_args()
    return with_demo("make run", options.build, lambda demo: run(demo, options))


if __name__ == "__main__":
    sys.exit(main())
