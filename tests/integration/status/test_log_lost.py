"""
A log that takes no lines for a while says afterwards how many it has lost, whether the front or a
direct worker wrote them.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from support import fastcgi
from support.host import EXTHOST, environment, put
from support.waiting import wait_for

REQUESTS = 20
SCRIPTS = {
    "front": ("page.tcl", '#!/usr/bin/tclsh\nputs "Content-Type: text/plain\\n\\nhello"\n', ()),
    "own socket": ("app.tcl", """#!/usr/bin/tclsh
# exthost: app
proc application {} { puts "Content-Type: text/plain\\n\\nhello" }
""", ("--app", "{root}/app.tcl", "--workers", "1")),
}


class Log:
    """
    Standard error of a host: a pipe that is read when the test wants to, and never waited for.
    """

    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.text = ""

    def read(self):
        try:
            while data := os.read(self.reader, 65536):
                self.text += data.replace(b"\0", b"").decode()
        except BlockingIOError:
            pass
        return self.text

    def fill(self):
        for size in (4096, 1):
            try:
                while True:
                    os.write(self.writer, bytes(size))
            except BlockingIOError:
                pass

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


@pytest.mark.parametrize("where", SCRIPTS)
def test_lines_that_are_lost_are_told_when_the_log_takes_lines_again(where):
    root = tempfile.mkdtemp(prefix="xl-", dir="/tmp")
    name, text, options = SCRIPTS[where]
    put(root, name, text, executable=True)
    log = Log()
    with subprocess.Popen(
            [EXTHOST, "serve", "--root", root, "--listen", f"unix:{root}/.s", "--tmpdir", root,
             *(option.format(root=root) for option in options)],
            env=environment(), cwd="/", stderr=log.writer, stdin=subprocess.DEVNULL) as host:
        try:
            ready = "loaded in process" if options else " ready, "
            wait_for(lambda: ready in log.read() or host.poll() is not None, "ready or dead", 30)
            log.fill()
            _ask(root, name, REQUESTS)
            # A line is written behind its reply, that of the last request perhaps only now.
            wait_for(lambda: _ask(root, name, 1) or "could not be written" in log.read(),
                     "what was lost", 30)
            found = re.findall(r"(\d+) lines before this could not be written to the log", log.text)
            lines = [line for line in log.text.splitlines() if f"GET /{name}" in line]
            asked = _ask.asked
            assert len(found) == 1
            assert int(found[0]) >= 1
            wait_for(lambda: len([line for line in log.read().splitlines()
                                  if f"GET /{name}" in line]) == asked - int(found[0]),
                     f"each line that is not lost is there once: {found}, {asked}, {lines}", 30)
        finally:
            host.send_signal(signal.SIGTERM)
            host.wait(30)
            log.close()
            shutil.rmtree(root)


def _ask(root, name, count):
    for _ in range(count):
        assert fastcgi.request(f"{root}/.s", "GET", f"/{name}").reply().text == "hello\n"
        _ask.asked += 1


_ask.asked = 0


@pytest.fixture(autouse=True)
def none_asked():
    _ask.asked = 0
