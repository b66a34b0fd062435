"""
An app that serves a socket of its own, whose paths do what a test asks of them, in each language.
"""

import re

from support.host import SUFFIX, Host, put
from support.log_lines import time_of
from support.processes import descendants, name_of
from support.waiting import wait_for

APPS = {"python": '''\
# exthost: app
import ctypes
import json
import os
import sys
import time

VERSION = "hello"
PAGE = b"x" * (1 << 20)


def hello(environ):
    return [f"{VERSION} {environ['QUERY_STRING']}\\n".encode()]


def echo(environ):
    body = environ["wsgi.input"].read()
    print("echoed", len(body), file=environ["wsgi.errors"])
    return [body]


def variables(environ):
    return [json.dumps({k: v for k, v in environ.items() if isinstance(v, str)}).encode()]


def process(environ):
    return [b"%d" % os.getpid()]


def wait(environ):
    """Say so and wait for the end, after as many bytes of a page as the query says."""
    size = int(environ["QUERY_STRING"] or 0)
    if size:
        yield b"x" * size
    print("begun", os.getpid(), file=sys.stderr, flush=True)
    time.sleep(60)
    yield b"never"


def hold(environ):
    """Wait until the file that the query names is there."""
    print("begun", os.getpid(), file=sys.stderr, flush=True)
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    yield b"held\\n"


def piece(environ):
    print("begun", os.getpid(), file=sys.stderr, flush=True)
    whole, rest = divmod(int(environ["QUERY_STRING"]), len(PAGE))
    return [PAGE] * whole + ([PAGE[:rest]] if rest else [])


def nap(environ):
    time.sleep(float(environ["QUERY_STRING"]))
    return [b"napped\\n"]


def kill(environ):
    os.kill(os.getpid(), int(environ["QUERY_STRING"]))
    yield b"never"


def kill_after(environ):
    yield b"x" * 1000
    os.kill(os.getpid(), int(environ["QUERY_STRING"]))


def segv(environ):
    return [ctypes.string_at(int(environ["QUERY_STRING"] or 0))]


def spin(environ):
    while True:
        pass


def spin_after(environ):
    yield b"x" * 1000
    yield from spin(environ)


def sys_exit(environ):
    sys.exit(int(environ["QUERY_STRING"] or 0))


def os_exit(environ):
    os._exit(int(environ["QUERY_STRING"] or 0))


def fail(environ):
    raise ValueError("as it was asked")


def application(environ, start_response):
    name = os.path.basename(environ["PATH_INFO"]).partition(".")[0]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return globals()[name](environ)
''', "tcl": '''\
# exthost: app
set version hello

namespace eval page {
    proc hello {} { puts "$::version $::env(QUERY_STRING)" }
    proc echo {} {
        chan configure stdin -translation binary
        chan configure stdout -translation binary
        set body [read stdin]
        puts -nonewline $body
        puts stderr "echoed [string length $body]"
    }
    proc variables {} {
        package require json::write
        json::write indented 0
        set pairs {}
        foreach {name value} [array get ::env] { lappend pairs $name [json::write string $value] }
        puts [json::write object {*}$pairs]
    }
    proc process {} { puts -nonewline [pid] }
    proc wait {} {
        if {$::env(QUERY_STRING) ne ""} {
            puts [string repeat x $::env(QUERY_STRING)]
            flush stdout
        }
        puts stderr "begun [pid]"
        after 60000
    }
    proc hold {} {
        puts stderr "begun [pid]"
        while {![file exists $::env(QUERY_STRING)]} { after 5 }
        puts held
    }
    proc nap {} {
        after [expr {int($::env(QUERY_STRING) * 1000)}]
        puts napped
    }
    proc kill {} { package require Tclx; ::kill $::env(QUERY_STRING) [pid]; after 10000 }
    proc kill_after {} {
        puts -nonewline [string repeat x 1000]
        flush stdout
        kill
    }
    proc spin {} { while 1 {} }
    proc spin_after {} {
        puts -nonewline [string repeat x 1000]
        flush stdout
        spin
    }
    proc sys_exit {} { exit [expr {$::env(QUERY_STRING) + 0}] }
    proc fail {} { error "as it was asked" }
}

proc application {} {
    puts "Content-Type: text/plain\\n"
    page::[file rootname [file tail $::env(PATH_INFO)]]
}
'''}


def other_version(text, version):
    """One of APPS, whose page `hello` says this word instead of "hello"."""
    return text.replace('VERSION = "hello"', f'VERSION = "{version}"') \
        .replace("set version hello", f"set version {version}")


def seconds_between(host, *texts):
    """Seconds, by the host's own log, between the last lines that end with these two texts."""
    first, second = ([line for line in host.program.log() if line.endswith(text)][-1]
                     for text in texts)
    return time_of(second) - time_of(first)


def stands_still(pid):
    """Whether this worker waits: for requests, or for its client to take more."""
    with open(f"/proc/{pid}/wchan") as f:
        return "poll" in f.read()


class Serving(Host):
    """
    `exthost serve --app` with the app of APPS in this language (or `text`), once `expect` (else
    all) of its workers have loaded it, as the log says, which may be in a file of its own
    (loaded_in, a Path).
    """

    def __init__(self, root, *options, language="python", workers=2, text=None, expect=None,
                 loaded_in=None, **more):
        self._loaded_in = loaded_in
        self.name = "app" + SUFFIX[language]
        root.mkdir(exist_ok=True)
        self.put(text or APPS[language], root)
        more.setdefault("listen", ["unix:{folder}/s"])
        super().__init__(root, "--app", f"{root}/{self.name}", "--workers", str(workers),
                         *options, **more)
        try:
            wanted = workers if expect is None else expect
            wait_for(lambda: self.loaded() >= wanted or not self.program.running(), "its workers")
        except BaseException:
            self.kill()
            raise

    def _ready(self):
        return self._loaded_in is not None and self.loaded() or super()._ready()

    def put(self, text, root=None):
        """Replace the app's file."""
        put(root or self.root, self.name, text, executable=True)

    def loaded(self, since=0):
        """How many workers have loaded the app, as the log tells."""
        if self._loaded_in and not self._loaded_in.exists():
            return 0
        log = self._loaded_in.read_text().splitlines() if self._loaded_in else self.program.log(
            since)
        return len([line for line in log if "loaded in process" in line])

    def guardians(self):
        """The process ids of its living guardians."""
        return [pid for pid in self.pids() if name_of(pid) == "exthost-guard"]

    def workers(self):
        """The process ids of the direct workers: each is its guardian's child."""
        return [pid for guardian in self.guardians() for pid in descendants(guardian)[:1]]

    def begun(self, since):
        """The process id that a page which begins and waits has written to the log since."""
        return int(re.search(r"begun (\d+)", self.wait_line("begun ", since=since))[1])
