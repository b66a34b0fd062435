"""A host that says what a test wants it to say, and the relay that asks it."""

import os
import socket
import struct
import subprocess

from support import fastcgi
from support.host import RELAY
from support.waiting import wait_for
from support.web import parse_cgi

PAGE = b"Content-Type: text/plain\n\nhello\n"
PATIENCE = 30


class FakeHost:
    """Listens at .exthost.sock below this root, or elsewhere."""

    def __init__(self, root, path=None, backlog=5):
        self.root = root
        self.path = str(path or f"{root}/.exthost.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(self.path)
        self.listener.listen(backlog)
        self.connection = None
        self._opened = []

    def accept(self):
        """The relay's connection, and its request up to the end of the variables."""
        self.connection = fastcgi.Connection.__new__(fastcgi.Connection)
        self.connection.socket = self.listener.accept()[0]
        self.connection.socket.settimeout(PATIENCE)
        self.connection._received = b""
        self._opened.append(self.connection)
        kind, request_id, content = self.connection.read_record()
        assert (kind, request_id, content[:3]) == (fastcgi.BEGIN_REQUEST, 1, b"\0\1\0")
        return fastcgi.parse_pairs(self.read_stream(fastcgi.PARAMS))

    def read_stream(self, kind):
        """The contents of a stream, to its empty record."""
        data = []
        while True:
            found = self.connection.read_record()
            assert found and found[:2] == (kind, 1), found
            if not found[2]:
                return b"".join(data)
            data.append(found[2])

    def send(self, *records):
        self.connection.socket.sendall(b"".join(records))

    def answer(self, reply=PAGE, status=fastcgi.REQUEST_COMPLETE):
        """Everything that a host says, and close."""
        self.send(*(fastcgi.record(fastcgi.STDOUT, 1, reply[i:i + 65535])
                    for i in range(0, len(reply), 65535)),
                  fastcgi.record(fastcgi.STDOUT, 1), end(status))
        self.connection.close()

    def close(self):
        self.listener.close()
        for connection in self._opened:
            connection.close()


def end(status=fastcgi.REQUEST_COMPLETE):
    return fastcgi.record(fastcgi.END_REQUEST, 1, struct.pack(">IB3x", 0, status))


class Relay:
    """`exthost-cgi` as Fossil starts it, for a script of this root. Its output goes to a pipe."""

    def __init__(self, root, *options, length=None, stdin=subprocess.PIPE, program=RELAY, **more):
        script = f"{root}/page.tiny"
        preexec = more.pop("preexec_fn", None)
        cwd = more.pop("cwd", str(root))
        self.environment = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET",
                            "SCRIPT_FILENAME": script, "DOCUMENT_ROOT": str(root),
                            "CONTENT_TYPE": "text/plain", **more}
        if length is not None:
            self.environment["CONTENT_LENGTH"] = str(length)
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [program, *options, script], env=self.environment, stdin=stdin, cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=preexec)

    def end(self, body=b""):
        """Its reply, when it has ended; what it wrote to standard error is in `errors`."""
        out, errors = self.process.communicate(body, PATIENCE)
        self.errors = errors.decode()
        assert self.process.returncode == 0, (self.process.returncode, self.errors)
        return parse_cgi(out)

    def has_ended(self):
        return wait_for(lambda: self.process.poll() is not None, "the relay's end", PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    pass
        self.process.wait()


def drop_to(uid):
    """For preexec_fn: be this user."""
    def drop():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    return drop
