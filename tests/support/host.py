"""
The host under test, and the extension roots it serves. BUILD is the build tree under test:
EXTHOST_BUILD, else build/release.
"""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from support import fastcgi
from support.processes import Program, carries_sanitizer, inside
from support.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = REPOSITORY / "tests"
BUILD = Path(os.environ.get("EXTHOST_BUILD", REPOSITORY / "build" / "release")).resolve()
EXTHOST = str(BUILD / "bin" / "exthost")
RELAY = str(BUILD / "bin" / "exthost-cgi")
SCRIPTS = TESTS / "scripts"
SUFFIX = {"python": ".py", "tcl": ".tcl"}
PLAIN = {"python": "/usr/bin/python3", "tcl": "/usr/bin/tclsh"}

# What a host is started with: little, as in a container, and two things no extension may ever see.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HTTP_PROXY": "http://proxy.invalid/",
               "HOST_SECRET": "not for extensions"}
_PASSED_ON = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR")


def environment(**more):
    """The whole environment that a host is started with, {name: value}: ENVIRONMENT, and more."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if sanitized():
        # CPython's own tests ask for too much memory on purpose. What the interpreters never free
        # is listed in tests/lsan.supp; any other leak is reported and fails the test.
        passed.setdefault("ASAN_OPTIONS", "allocator_may_return_null=1")
    return {**ENVIRONMENT, **passed, **more}


@functools.cache
def sanitized():
    """Whether the build carries a sanitizer, which makes numbers of memory meaningless."""
    return carries_sanitizer(EXTHOST)


def relay_line(language, options=""):
    """The first line of a script for the relay of this build, without its end."""
    return f"#!{RELAY} {options + ' ' if options else ''}{language}"


def put(root, name, text, executable=None):
    """
    Write a file (text or bytes) below an extension root; its path. A file of that name is replaced
    at once. It is executable if it begins with #!, or as `executable` says.
    """
    path = Path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    # Under another name first: a file that is being run must change at once.
    fresh = path.with_name("." + path.name + ".new")
    fresh.write_bytes(data)
    fresh.chmod(0o755 if data.startswith(b"#!") and executable is None or executable else 0o644)
    fresh.replace(path)
    return path


def put_script(root, name, language, body, plain=False):
    """
    Write a script of this body, with a first line for the relay or (plain) for the interpreter
    itself; its path.
    """
    first = f"#!{PLAIN[language]}" if plain else relay_line(language)
    return put(root, name, first + "\n" + body)


def copy_scripts(root, plain=False, options=""):
    """
    The scripts of tests/scripts in root/python and root/tcl, with a first line that fits: the relay
    of this build (options: of it), or (plain) the interpreter itself for comparison. root as a
    Path.
    """
    for language in ("python", "tcl"):
        for source in sorted((SCRIPTS / language).iterdir()):
            if source.is_dir():
                continue
            data = source.read_bytes()
            if data.startswith(b"#!"):
                first = f"#!{PLAIN[language]}" if plain else relay_line(language, options)
                data = first.encode() + b"\n" + data.split(b"\n", 1)[1]
            put(root, f"{language}/{source.name}", data)
    return Path(root)


def path(language, name):
    """The URL path of a script of copy_scripts, or of faults.put_faults: "/tcl/hello.tcl"."""
    return f"/{language}/{name}{SUFFIX[language]}"


def environment_bytes(reply):
    """The environment that the script env of tests/scripts has printed, as {name: bytes}."""
    assert reply.status == 200, reply
    pairs = [line.partition(" ") for line in reply.text.splitlines()]
    return {name: bytes.fromhex(value) for name, _, value in pairs}


def environment_of(reply):
    """The same, as {name: text}."""
    return {name: value.decode() for name, value in environment_bytes(reply).items()}


def run_plain(language, script, variables, body=b"", timeout=10):
    """
    The same script under the plain interpreter as a CGI program, with these variables beside PATH
    and LANG: what is to be expected, as a subprocess.CompletedProcess of bytes.
    """
    return subprocess.run(
        [PLAIN[language], str(script)], input=body, capture_output=True, timeout=timeout,
        cwd=os.path.dirname(script), check=False,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **variables})


def run_exthost(*arguments, timeout=30, **more):
    """
    Run `exthost` with these arguments to its end; the subprocess.CompletedProcess, of bytes. more:
    as for subprocess.run. subprocess.TimeoutExpired after so many seconds.
    """
    more.setdefault("env", environment())
    if "input" not in more:
        more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(inside([EXTHOST, *arguments], more.get("cwd")), capture_output=True,
                          timeout=timeout,
                          check=False, **more)


class Host:
    """
    `exthost serve` with these options, ready when the constructor returns. It listens at .socket (a
    web server's), .trusted (trust=fossil) and for the relay, unless other listeners are given
    ("{folder}" in them stands for its temporary directory). `before` is a command that becomes the
    host, and pass_fds are descriptors for it. .program is the started Program. AssertionError, with
    the log, when it ends at once.
    """

    def __init__(self, root, *options, listen=None, env=None, before=(), pass_fds=()):
        self.root = Path(root)
        self._ended = False
        self.folder = tempfile.mkdtemp(prefix="xh-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.socket = f"{self.folder}/s"
        self.trusted = f"{self.folder}/t"
        if listen is None:
            listen = [f"unix:{self.socket}", f"unix:{self.trusted},trust=fossil", "relay"]
        addresses = [part.format(folder=self.folder) for part in listen]
        argv = [*before, EXTHOST, "serve", "--root", str(root), "--tmpdir", self.folder]
        for address in addresses:
            argv += ["--listen", address]
        self.program = None
        try:
            self.program = Program([*argv, *options], env=env or environment(), cwd="/",
                                   pass_fds=pass_fds)
            wait_for(lambda: self._ready() or not self.program.running(), "ready or dead")
            assert self.program.running(), "\n".join(["exthost serve ended:", *self.program.log()])
        except BaseException:
            if self.program:
                self.program.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _ready(self):
        return any(re.search(r"\bready\b", line) for line in self.program.log())

    @property
    def pid(self):
        """The master's process id."""
        return self.program.pid

    def pids(self):
        """The process ids of all its living processes, the master's first."""
        return self.program.pids()

    def log_position(self):
        """The place in its log that is now, for wait_line and program.log; see Program."""
        return self.program.log_position()

    def wait_line(self, *texts, since=0, seconds=30.0):
        """The first line of its log that holds all these texts; see Program."""
        return self.program.wait_line(*texts, since=since, seconds=seconds)

    def tcp_port(self):
        """The port behind tcp:127.0.0.1:0, from the log."""
        for line in self.program.log():
            found = re.search(r"127\.0\.0\.1:([1-9]\d*)", line)
            if found:
                return int(found[1])
        raise AssertionError("\n".join(["no TCP port in the log:", *self.program.log()]))

    def run(self, method, target, headers=(), body=b"", address=None, timeout=20.0, **more):
        """
        One request straight over FastCGI, to .socket or another address; its fastcgi.Outcome. more:
        as for fastcgi.variables.
        """
        return fastcgi.request(address or self.socket, method, target, headers, body, timeout,
                               **more)

    def get(self, target, headers=(), **more):
        """A GET request, as run(); its web.Reply."""
        return self.run("GET", target, headers, **more).reply()

    def as_fossil(self, method, script, path_info="", query="", body=b"", headers=(), **more):
        """One request as the relay makes it for Fossil, at the trusted listener; its Outcome."""
        url = f"/ext/{script}"
        given = {"SCRIPT_NAME": url, "SCRIPT_FILENAME": f"{self.root}/{script}",
                 "DOCUMENT_ROOT": str(self.root), "PATH_INFO": path_info,
                 "SCRIPT_DIRECTORY": str(self.root), "QUERY_STRING": query,
                 "FOSSIL_CAPABILITIES": "hjorz", "FOSSIL_NONCE": "0123456789abcdef",
                 "FOSSIL_REPOSITORY": "/tmp/r.fossil", "FOSSIL_URI": "",
                 "SERVER_SOFTWARE": "fossil version 2.21", "DOCUMENT_URI": None,
                 "REQUEST_URI": url + path_info, "SERVER_PROTOCOL": None, "SERVER_PORT": None}
        given.update(more)
        return fastcgi.request(self.trusted, method, url, headers, body, **given)

    def stop(self):
        """
        End it as an administrator does, by SIGTERM. AssertionError, with the log, when it had died,
        when its exit status is another than 0, or when a process or a socket of it is left.
        """
        if self._ended:
            return
        self._ended = True
        was_running = self.program.running()
        status, left = self.program.stop()
        sockets = [name for name in (self.socket, self.trusted) if os.path.exists(name)]
        shutil.rmtree(self.folder, ignore_errors=True)
        tail = "\n".join([*self.program.hung, *self.program.log()[-30:]])
        assert was_running, f"the host died (status {status}):\n{tail}"
        assert status == 0, f"exit status {status} after SIGTERM:\n{tail}"
        assert left == [], f"processes left after SIGTERM: {left}\n{tail}"
        assert sockets == [], f"sockets left after SIGTERM: {sockets}"

    def kill(self):
        """For a host that a test has killed: no demands, but nothing stays behind."""
        self._ended = True
        self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
