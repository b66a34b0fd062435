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
SAMPLES = ["hello", "env", "form", "report"]
LANGUAGES = {"Python": (".py", "python", "/usr/bin/python3"), "Tcl": (".tcl", "tcl", "/usr/bin/tclsh")}
COMMITS = [("2026-03-04", "Begin"), ("2026-03-19", "Say what it does"), ("2026-04-02", "First version"),
           ("2026-06-11", "Find a mistake"), ("2026-06-12", "Mend it"), ("2026-06-30", "Test it"),
           ("2026-09-01", "Second version"), ("2026-10-20", "Write the manual")]
DEADLINE = 30


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


class Demo:
    def __init__(self, build):
        self.bin = pathlib.Path(build).resolve() / "bin"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="exthost-demo-"))
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "USER": "demo"}
        self.programs = []

    def start(self, *arguments, log):
        with open(self.folder / log, "wb") as output:
            # A session of its own: Ctrl-C is for this program, which then ends the others in order.
            program = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, cwd=self.folder,
                                       env=self.environment, start_new_session=True)
        self.programs.append(program)
        return program

    def stop(self, program):
        self.programs.remove(program)
        # The whole group: Fossil leaves processes of its own behind that finish its chores.
        os.killpg(program.pid, signal.SIGTERM)
        try:
            program.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()

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
        self.fossil("init", "--date-override", "2026-03-01", "project.fossil")
        self.fossil("setting", "backoffice-disable", "1", "-R", "project.fossil")
        self.fossil("open", "../project.fossil", cwd=work)
        for date, comment in COMMITS:
            with open(work / "notes.txt", "a", encoding="utf-8") as f:
                f.write(f"{date} {comment}\n")
            self.fossil("addremove", cwd=work)
            self.fossil("commit", "--no-warnings", "--date-override", f"{date}T12:00:00", "-m",
                        comment, cwd=work)
        self.fossil("close", "--force", cwd=work)

    def make_root(self, name, first_line):
        """The samples with a first line of this kind: first_line(language word, interpreter)."""
        root = self.folder / name
        root.mkdir()
        for source in (REPOSITORY / "extensions").iterdir():
            if source.suffix in (".py", ".tcl"):
                text = source.read_text(encoding="utf-8").split("\n", 1)[1]
                _, word, plain = next(v for v in LANGUAGES.values() if v[0] == source.suffix)
                (root / source.name).write_text(f"#!{first_line(word, plain)}\n{text}", encoding="utf-8")
                (root / source.name).chmod(0o755)
            elif source.suffix in (".html", ".css", ".wiki"):
                shutil.copy(source, root)
        return root

    def start_host(self, root):
        program = self.start(self.bin / "exthost", "serve", "--root", root, log="host.log")
        log = self.folder / "host.log"
        wait_for(lambda: " ready" in log.read_text() or program.poll() is not None, "exthost")
        if program.poll() is not None:
            raise Trouble(f"exthost: {log.read_text().strip()}")

    def start_fossil(self, root, port):
        program = self.start("fossil", "server", self.folder / "project.fossil", "--port", port,
                             "--localhost", "--nojail", "--extroot", root, log=f"fossil-{port}.log")
        wait_for(lambda: listens(port) or program.poll() is not None, "fossil server")
        if program.poll() is not None:
            raise Trouble(f"fossil server: {(self.folder / f'fossil-{port}.log').read_text().strip()}")
        return program


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


def compare(demo, port):
    """Fetch each page both ways, print what came. True if every page answered as it should."""
    plain_root = demo.make_root("plain", lambda word, plain: plain)
    for library in ("python/exthost.py", "tcl/exthost.tcl", "tcl/pkgIndex.tcl"):
        shutil.copy(REPOSITORY / "bindings" / library, plain_root)
    plain_port = free_port(0)
    plain = demo.start_fossil(plain_root, plain_port)
    for suffix, _, _ in LANGUAGES.values():
        fetch(port, f"/ext/hello{suffix}")
        fetch(plain_port, f"/ext/hello{suffix}")
    print(f"  {'page':<12} {'language':<9} {'title':<34} {'status':>6} {'exthost':>10} {'plain CGI':>10}")
    good = True
    for sample in SAMPLES:
        for language, (suffix, _, _) in LANGUAGES.items():
            path = f"/ext/{sample}{suffix}"
            status, title, taken = fetch(port, path)
            plain_status, plain_title, plain_taken = fetch(plain_port, path)
            print(f"  {sample + suffix:<12} {language:<9} {title:<34} {status:>6} {taken:>7.1f} ms"
                  f" {plain_taken:>7.1f} ms")
            good = good and status == plain_status == 200 and title == plain_title and language in title
    demo.stop(plain)
    return good


def run(demo, options):
    port = free_port(options.port)
    print("exthost: the samples, once through exthost and once by plain CGI, in a real Fossil.\n"
          "Making a repository and starting both; this takes a few seconds.\n", flush=True)
    demo.make_repository()
    root = demo.make_root("extensions", lambda word, plain: f"{demo.bin / 'exthost-cgi'} {word}")
    demo.start_host(root)
    demo.start_fossil(root, port)
    if not compare(demo, port):
        raise Trouble("not every page answered as it should")
    print("\nEach page was fetched once, after one of its language.")
    if options.once:
        return
    print("\nSee for yourself:\n")
    print(f"  http://127.0.0.1:{port}/ext/index.html   all samples")
    for sample in SAMPLES:
        print("  " + "   ".join(f"http://127.0.0.1:{port}/ext/{sample}{v[0]}" for v in LANGUAGES.values()))
    print("\nCtrl-C ends it and leaves nothing behind.", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    print("\nstopping")


def main():
    parser = argparse.ArgumentParser(description="See the samples answer in a real Fossil.")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--once", action="store_true", help="end after the table")
    options = parser.parse_args()

    def interrupted(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    demo = Demo(options.build)
    try:
        run(demo, options)
        return 0
    except Trouble as e:
        print(f"make run: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        demo.clean()


if __name__ == "__main__":
    sys.exit(main())
