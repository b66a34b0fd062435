"""Apps that a test writes for itself, each in a file of its own, in a host that serves them all."""

import itertools
import textwrap

from host import Host, put

_BEGINNING = """\
import os, sys, time
TEXT = [("Content-Type", "text/plain")]
"""


class Apps:
    """A host for WSGI apps; debug: with every app in wsgiref.validate's validator."""

    def __init__(self, folder, *options, debug=False):
        self.root = folder / "root"
        self.root.mkdir()
        self.debug = debug
        self._numbers = itertools.count(1)
        # No app's worker stays longer than its test.
        self.host = Host(self.root, "--min-workers", "0", "--idle-exit", "1",
                         *(["--debug"] if debug else []), *options)

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
        """One request; its Outcome, record by record."""
        return self.host.run(method, target, headers, body, **more)

    def get(self, target, method="GET", body=b"", headers=(), **more):
        return self.run(target, method, body, headers, **more).reply()

    def answer(self, body, method="GET", before="", **more):
        """The reply of an app with this body, asked once."""
        return self.get(self.put(body, before), method, **more)

    def fails(self, body, *lines, before="", method="GET", target=""):
        """Ask an app with this body, which must be a 500 with these in the log."""
        since = self.host.log_position()
        reply = self.get(self.put(body, before) + target, method)
        assert reply.status == 500, reply
        for line in lines:
            self.host.wait_line(line, since=since)
        return reply

    def stop(self):
        self.host.stop()

