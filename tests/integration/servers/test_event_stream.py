"""
Replies that stream: server-sent events reach curl and a browser through nginx as they are written.
Each event is made only when the one before it has arrived, so nothing on the way can hold it back.
"""

import os
import shutil
import subprocess
import tempfile

import pytest

from support.host import Host, put, relay_line
from support.processes import Program
from support.servers import Nginx
from support.waiting import wait_for

CHROMIUM = "/usr/bin/chromium"
EVENTS = 5

PAGE = """<!doctype html><title>events</title><script>
var source = new EventSource("events?run=%s&header=no");
var seen = [];
source.onmessage = function (event) {
    seen.push(event.data.split(" ")[0]);
    if (event.lastEventId == "last") source.close();
    fetch("arrived?run=%s&n=" + event.data.split(" ")[0] + (event.lastEventId == "last"
        ? "&seen=" + seen.join("-") : ""));
};
source.onerror = function () { fetch("arrived?run=%s&n=error"); };
</script>"""

# events: EVENTS of them, each once a file says that the one before has arrived; pings: without end.
APPS = {"python": r'''
# exthost: app
import os
import time
from urllib.parse import parse_qs

PAGE = """@PAGE@"""


def application(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    name = os.path.basename(environ["PATH_INFO"])
    type = "text/html" if name == "page" else "text/event-stream"
    headers = [("Content-Type", type), ("Cache-Control", "no-cache")]
    if "header" in query:
        headers.append(("X-Accel-Buffering", "no"))
    start_response("200 OK", headers)
    return globals()[name](query)


def page(query):
    return [PAGE.replace("%s", query["run"]).encode()]


def path(query, word):
    return f"@GATES@/{query['run']}-{word}"


def events(query):
    for n in range(@EVENTS@):
        last = "id: last\n" if n == @EVENTS@ - 1 else ""
        yield f"{last}data: {n} {time.monotonic()}\n\n".encode()
        while not os.path.exists(path(query, n)):
            time.sleep(0.002)


def pings(query):
    try:
        while True:
            yield b": ping\n\n"
            time.sleep(0.02)
    finally:
        open(path(query, "closed"), "x").close()


def arrived(query):
    with open(path(query, query["n"]), "w") as f:
        f.write(query.get("seen", ""))
    return [b""]
''', "tcl": r'''
# exthost: app
set page {@PAGE@}

proc application {} {
    set query {}
    foreach pair [split $::env(QUERY_STRING) &] {
        dict set query {*}[split $pair =]
    }
    set name [file tail $::env(PATH_INFO)]
    puts "Content-Type: [expr {$name eq "page" ? "text/html" : "text/event-stream"}]"
    puts "Cache-Control: no-cache"
    if {[dict exists $query header]} { puts "X-Accel-Buffering: no" }
    puts ""
    answer::$name $query
}

namespace eval answer {
    proc page {query} { puts [string map [list %s [dict get $query run]] $::page] }
    proc path {query word} { return "@GATES@/[dict get $query run]-$word" }
    proc events {query} {
        for {set n 0} {$n < @EVENTS@} {incr n} {
            if {$n == @EVENTS@ - 1} { puts "id: last" }
            set f [open /proc/uptime]
            puts "data: $n [lindex [read $f] 0]\n"
            close $f
            flush stdout
            while {![file exists [path $query $n]]} { after 2 }
        }
    }
    proc pings {query} {
        try {
            while 1 {
                puts ": ping\n"
                flush stdout
                after 20
            }
        } finally {
            close [open [path $query closed] {WRONLY CREAT EXCL}]
        }
    }
    proc arrived {query} {
        set f [open [path $query [dict get $query n]] w]
        if {[dict exists $query seen]} { puts -nonewline $f [dict get $query seen] }
        close $f
    }
}
'''}


class Streams:
    """Both apps behind one nginx each: at the host's socket, and at sockets of their own."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="xs-", dir="/tmp")
        self.gates = f"{self._folder.name}/gates"
        os.mkdir(self.gates)
        root = f"{self._folder.name}/root"
        conf = "".join(
            f"[app {language}]\nscript = {language}.app\nworkers = 2\n"
            f"listen = unix:{self._folder.name}/{language}\nprefix = /{language}.app\n"
            for language in APPS)
        for language, text in APPS.items():
            for name, value in ("PAGE", PAGE), ("GATES", self.gates), ("EVENTS", str(EVENTS)):
                text = text.replace(f"@{name}@", value)
            put(root, f"{language}.app", relay_line(language) + text)
        self._servers = []
        self.host = Host(root, "--workers", "3", "--config",
                         str(put(self._folder.name, "conf", conf)))
        self._servers.append(self.host)
        self.ports = {}
        for more in "", "fastcgi_buffering off;":
            for kind in "shared", *APPS:
                socket = self.host.socket if kind == "shared" else f"{self._folder.name}/{kind}"
                self._servers.append(Nginx(socket, keepalive=2, more=more))
                self.ports[kind, bool(more)] = self._servers[-1].port

    def url(self, language, where, unbuffered=False):
        port = self.ports["shared" if where == "shared" else language, unbuffered]
        return f"http://127.0.0.1:{port}/{language}.app"

    def gate(self, run, word):
        return f"{self.gates}/{run}-{word}"

    def stop(self):
        for server in reversed(self._servers):
            server.stop()
        self._folder.cleanup()


@pytest.fixture(scope="module")
def streams():
    made = Streams()
    yield made
    made.stop()


@pytest.fixture(params=["shared", "own"])
def where(request):
    return request.param


class Curl:
    """curl, reading what comes as it comes."""

    def __init__(self, url):
        self._process = subprocess.Popen(
            ["/usr/bin/curl", "-sS", "-N", "--noproxy", "*", "--max-time", "20", url],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def event(self):
        """The fields of the next event, "" for a comment; None at the end."""
        found = {}
        for line in self._process.stdout:
            if not line.strip():
                return found
            name, _, value = line.decode().rstrip("\n").partition(": ")
            found[name] = value
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.stdout.close()
        self._process.wait()


@pytest.mark.parametrize("how", ["by nginx's word", "by the reply's word"])
def test_each_event_arrives_before_the_next_is_made(streams, language, where, how):
    run = f"curl-{language}-{where}-{how[3]}".replace(" ", "-")
    unbuffered = how == "by nginx's word"
    url = streams.url(language, where, unbuffered)
    with Curl(f"{url}/events?run={run}" + ("" if unbuffered else "&header=no")) as curl:
        for n in range(EVENTS):
            event = curl.event()
            # The next one is not made before this one has come.
            assert int(event["data"].split()[0]) == n
            open(streams.gate(run, n), "x").close()
        assert curl.event() is None


def test_a_client_that_goes_away_ends_the_generator(streams, language, where):
    run = f"gone-{language}-{where}"
    with Curl(f"{streams.url(language, where, True)}/pings?run={run}") as curl:
        assert curl.event() is not None and curl.event() is not None
        assert not os.path.exists(streams.gate(run, "closed"))
    wait_for(lambda: os.path.exists(streams.gate(run, "closed")), "the generator is closed")


@pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="chromium is not installed")
def test_a_browsers_eventsource_gets_them_as_they_are_made(streams, language, where):
    run = f"browser-{language}-{where}"
    profile = tempfile.mkdtemp(prefix="xc-", dir="/tmp")
    browser = Program(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--no-proxy-server", "--remote-debugging-port=0", f"--user-data-dir={profile}",
         f"{streams.url(language, where)}/page?run={run}"], env={**os.environ, "HOME": profile})
    try:
        last = streams.gate(run, EVENTS - 1)
        wait_for(lambda: os.path.exists(last) and os.path.getsize(last) or not browser.running(),
                 "the last event")
        assert browser.running(), "\n".join(browser.log())
        with open(last) as f:
            assert f.read() == "-".join(map(str, range(EVENTS)))
        assert not os.path.exists(streams.gate(run, "error"))
    finally:
        browser.stop()
        shutil.rmtree(profile, ignore_errors=True)
