"""
A client that hides nothing: HTTP/1.1 on a kept connection, byte by byte. HTTP/2 is in http2.py.

A body is framed as "length" (Content-Length), "chunked" (in chunks of 10,000 bytes, each sent by
itself), or "none" (no word of a body at all).
"""

import os
import re
import socket

from support.web import BrokenTransfer, Reply, parse_headers

SECONDS = float(os.environ.get("FRONTS_SECONDS", 60))
CHUNK = 10_000


class Silence(Exception):
    """Nothing more came for a whole minute."""


def head_of(method, target, headers, framing, body):
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: localhost"]
    lines += [f"{name}: {value}".encode() for name, value in headers]
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Http1:
    """One connection; ask() sends a request and reads its reply to the last byte and no further."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.open = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, method, target, headers=(), framing="none", body=b""):
        self._socket.sendall(head_of(method, target, headers, framing, body))
        if framing == "length" and body:
            self._socket.sendall(body)
        elif framing == "chunked":
            for at in range(0, len(body), CHUNK):
                part = body[at:at + CHUNK]
                self._socket.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            self._socket.sendall(b"0\r\n\r\n")

    def ask(self, method, target, headers=(), framing="none", body=b""):
        self.send(method, target, headers, framing, body)
        return self.read_reply(method)

    def read_reply(self, method):
        status = 100
        while 100 <= status < 200:  # what comes before the final response
            block = self._until(b"\r\n\r\n")
            first, _, lines = block.partition(b"\r\n")
            found = re.fullmatch(rb"HTTP/1\.[01] (\d{3})(?: .*)?", first)
            if not found:
                raise BrokenTransfer(f"no status line: {first[:200]!r}")
            status = int(found[1])
        headers = parse_headers(lines)
        named = {name.lower(): value.lower() for name, value in headers}
        body = self._body(method, status, named)
        if named.get("connection") == "close" or first.startswith(b"HTTP/1.0"):
            self.open = False
        if self._received:
            raise BrokenTransfer(f"bytes behind the reply: {self._received[:200]!r}")
        return Reply(status, headers, body)

    def _body(self, method, status, named):
        if method == "HEAD" or status in (204, 304):
            return b""
        if named.get("transfer-encoding") == "chunked":
            parts = []
            while True:
                size = int(self._until(b"\r\n").partition(b";")[0], 16)
                parts.append(self._take(size))
                if self._take(2) != b"\r\n":
                    raise BrokenTransfer("a chunk has no end")
                if size == 0:
                    return b"".join(parts)
        if "content-length" in named:
            return self._take(int(named["content-length"]))
        self.open = False
        while self._more():
            pass
        body, self._received = self._received, b""
        return body

    def _more(self):
        try:
            part = self._socket.recv(1 << 18)
        except ConnectionResetError:
            raise BrokenTransfer("reset") from None
        except TimeoutError:
            raise Silence("nothing more came") from None
        self._received += part
        self.open = bool(part)
        return self.open

    def _until(self, end):
        while end not in self._received:
            if not self._more():
                raise BrokenTransfer(f"ended early: {self._received[:200]!r}")
        found, _, self._received = self._received.partition(end)
        return found

    def _take(self, size):
        parts, left = [self._received], size - len(self._received)
        while left > 0:
            self._received = b""
            if not self._more():
                raise BrokenTransfer(f"{size - left} of {size} bytes came")
            parts.append(self._received)
            left -= len(self._received)
        data = b"".join(parts)
        self._received = data[size:]
        return data[:size]

    def leave_after(self, size):
        """Close when as many bytes of the reply have come."""
        while len(self._received) < size and self._more():
            pass
        self._socket.close()


def ask(connect, port, following, *request):
    """
    (reply, second): one request, and a GET of `following` on the same connection, or on another one
    where the server has closed it. A reply may be a BrokenTransfer. Raises Silence.
    """
    with connect(port) as connection:
        try:
            reply = connection.ask(*request)
        except (BrokenTransfer, ConnectionError) as e:
            reply, connection.open = BrokenTransfer(str(e)), False
        if connection.open:
            try:
                return reply, connection.ask("GET", following)
            except (BrokenTransfer, ConnectionError) as e:
                return reply, BrokenTransfer(f"on the same connection: {e}")
    with connect(port) as connection:
        return reply, connection.ask("GET", following)
