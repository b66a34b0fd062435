"""Apps that a test writes for itself, each in a file of its own, in a host that serves them all."""

import itertools
import textwrap

from support import fastcgi
from support.host import Host, put
from support.processes import Program

_BEGINNING = """\
import os, sys, time
TEXT = [("Content-Type", "text/plain")]
"""


class Apps:
    """
    A Host for WSGI apps below .root. validate: run each app in wsgiref.validate's validator.
    """

    def __init__(self, folder, *options, validate=False):
        self.root = folder / "root"
        self.root.mkdir()
        self.validate = validate
        self._numbers = itertools.count(1)
        # No app's worker stays much longer than its test: it may be idle within that for some
        # seconds, on a machine that has other work.
        self.host = Host(self.root, "--min-workers", "0", "--idle-exit", "15",
                         *(["--validate"] if validate else []), *options)

    def put(self, body, before="", name=None):
        """
        Write an app whose application(environ, start_response) has this body, with this before it;
        its URL.
        """
        name = name or f"app{next(self._numbers)}.wsgi"
        put(self.root, name, _BEGINNING + textwrap.dedent(before)
            + "\ndef application(environ, start_response):\n"
            + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n", executable=True)
        return "/" + name

    def run(self, target, method="GET", body=b"", headers=(), **more):
        """One request; its fastcgi.Outcome, record by record."""
        return self.host.run(method, target, headers, body, **more)

    def get(self, target, method="GET", body=b"", headers=(), **more):
        """One request; its web.Reply."""
        return self.run(target, method, body, headers, **more).reply()

    def answer(self, body, method="GET", before="", **more):
        """The reply of an app with this body, asked once."""
        return self.get(self.put(body, before), method, **more)

    def fails(self, body, *lines, before="", method="GET", target=""):
        """Ask an app with this body, which must be a 500 with these texts in the log; the Reply."""
        since = self.host.log_position()
        reply = self.get(self.put(body, before) + target, method)
        assert reply.status == 500, reply
        for line in lines:
            self.host.wait_line(line, since=since)
        return reply

    def stop(self):
        self.host.stop()


class _Logs:
    """The logs of hosts that came one after another, as if it were one."""

    name = "exthost"
    wait_line = Program.wait_line

    def __init__(self):
        self.programs = []

    def log(self, since=0):
        return [line for program in self.programs for line in program.log()][since:]

    def log_position(self):
        return len(self.log())


class OwnSockets(Apps):
    """The same, and each app has a host and a socket of its own while it is asked."""

    def __init__(self, folder, *options):  # pylint: disable=super-init-not-called
        self.root = folder / "root"
        self.root.mkdir()
        self.validate = False
        self.host = self
        self.program = _Logs()
        self.log_position, self.wait_line = self.program.log_position, self.program.wait_line
        self._numbers = itertools.count(1)
        self._options = options
        self._started = self._name = None

    @property
    def socket(self):
        """The socket of the host that runs now."""
        return self._started.socket

    def put(self, body, before="", name=None):
        url = super().put(body, before, name)
        self._serve(url)
        return url

    def _serve(self, target):
        name = "/".join(target.partition("?")[0].split("/")[1:2])
        if "/" in target[1:] and (self.root / name).is_dir():
            name = target[1:].partition("?")[0]
        if self._name == name:
            return
        self.stop()
        self._started = Host(self.root, "--app", str(self.root / name), "--prefix", f"/{name}",
                             "--workers", "1", *self._options, listen=["unix:{folder}/s"])
        self._name = name
        self.program.programs.append(self._started.program)

    def run(self, target, method="GET", body=b"", headers=(), **more):
        self._serve(target)
        return fastcgi.request(self.socket, method, target, headers, body, **more)

    def stop(self):
        if self._started:
            self._started.stop()
        self._started = self._name = None
