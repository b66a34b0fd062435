"""What a host tells of itself, and requests that go on until the test lets them end."""

import concurrent.futures
import json

from support.host import SUFFIX, put_script, run_exthost
from support.waiting import wait_for

# They wait, in a function of its own, until the file that the query names is there.
BODY = {
    "python": """\
import os
import time


def hold(path):
    while not os.path.exists(path):
        time.sleep(0.01)


hold(os.environ["QUERY_STRING"])
print("Content-Type: text/plain\\n\\nheld")
""",
    "tcl": """\
proc hold {path} {
    while {![file exists $path]} {
        after 10
    }
}
hold $env(QUERY_STRING)
puts "Content-Type: text/plain\\n\\nheld"
"""}


def put_held(root, language, name="held"):
    """The script, as held.py or held.tcl; its URL."""
    put_script(root, name + SUFFIX[language], language, BODY[language])
    return f"/{name}{SUFFIX[language]}"


def ask_status(host, *options):
    """What `exthost status` does with this host: the finished process."""
    return run_exthost("status", "--root", str(host.root), *options)


def status_of(host):
    """
    What `exthost status --json` tells of the host of this .root, parsed. AssertionError when it
    fails.
    """
    done = ask_status(host, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_counted(host, requests):
    """Its status once so many requests are counted: each is just after its reply has left."""
    def look():
        told = status_of(host)
        return told if sum(x["requests"] for x in told["extensions"]) >= requests else None
    return wait_for(look, f"{requests} requests are counted")


def find_runs(host, state, url=None):
    """
    Those of its runs that are in this state ("runs", "waits"), of this extension (a URL path) or of
    all: what the status tells of each, a list of dictionaries.
    """
    return [run for run in status_of(host)["runs"]
            if run["state"] == state and url in (None, "/" + run["extension"])]


class Held:
    """
    Requests to held scripts (put_held), which go on until end(); the end of a `with` also waits for
    them.
    """

    def __init__(self, host, folder):
        self._host = host
        self._flag = folder / "go on"
        self._pool = concurrent.futures.ThreadPoolExecutor(64)
        self._replies = []

    def begin(self, url, state="runs", **more):
        """
        One more request, to this URL path; when it is in this state, the future of its web.Reply.
        AssertionError when that does not come.
        """
        before = len(find_runs(self._host, state, url))
        reply = self._pool.submit(self._host.get, f"{url}?{self._flag}", timeout=60, **more)
        self._replies.append(reply)
        wait_for(lambda: reply.done() or len(find_runs(self._host, state, url)) > before,
                 f"{url} {state}")
        return reply

    def end(self):
        """Let all of them go on."""
        self._flag.write_text("")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self._pool.shutdown()
