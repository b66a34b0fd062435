"""The clients: each sends one request after another, through nginx or straight over FastCGI, on a
new connection for each request or on a kept connection."""

import http.client
import select
import socket
import threading
import time

import kinds
from support import fastcgi
from support import web

WAYS = ("nginx, new", "nginx, kept", "direct, new", "direct, kept")
PATIENCE = 60  # seconds for an answer: far longer than any limit of the host


class Result:
    """What became of a request. body: of an error page, for its request id."""

    def __init__(self, request, way, began):
        self.request, self.way, self.began = request, way, began
        self.ended = self.outcome = None
        self.detail = ""


class Client:
    """done(result) is called with what became of each request."""

    def __init__(self, number, random, places, done, ending):
        """
        places: nginx's port, the host's socket and the one for Fossil, the root, a repository.
        """
        self.number, self.random, self.places = number, random, places
        self.done, self.ending = done, ending
        self.http = self.fastcgi = None
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def _main(self):
        asked = 0
        while not self.ending.is_set():
            asked += 1
            self._ask(kinds.make(self.random, f"t{self.number}x{asked}x"))
        self._close_http()
        self._close_fastcgi()

    def _ask(self, request):
        way = self.random.choice(WAYS)
        ask = self._by_http if way.startswith("nginx") else self._by_fastcgi
        if not way.startswith(
                "nginx") and request.language != "none" and self.random.random() < 0.5:
            request.at_fossils_socket(self.places.root, self.places.repository)
        result = Result(request, way, time.monotonic())
        try:
            if request.leaves:
                self._leave(request, way)
                result.outcome = "gone"
            else:
                status, body = ask(request, way.endswith("kept"))
                result.outcome = str(status)
                if status == 200 and not request.is_right(body):
                    result.outcome = "wrong"
                if result.outcome != "200":
                    result.detail = body[:3000].decode("latin-1")
        except (TimeoutError, socket.timeout):
            result.outcome = "no answer"
        except (http.client.HTTPException, web.BrokenTransfer, OSError) as e:
            result.outcome, result.detail = "cut", repr(e)
        if result.outcome in ("cut", "no answer"):
            self._close_http()
            self._close_fastcgi()
        result.ended = time.monotonic()
        self.done(result)

    def _by_http(self, request, keep):
        """(status, body)"""
        connection = self.http if keep else None
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.places.port, PATIENCE)
        if keep:
            self.http = connection
        try:
            try:
                connection.request(request.method, request.target,
                                   request.body if request.method == "POST" else None,
                                   dict(request.headers))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have answered all the same
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            if not keep:
                connection.close()

    def _by_fastcgi(self, request, keep):
        """(status, body); web.BrokenTransfer when it was cut"""
        fossil = bool(request.as_fossil)
        connection = self.fastcgi if keep and not fossil else None
        if connection is None or _is_closed(connection):
            connection = fastcgi.Connection(
                self.places.trusted if fossil else self.places.socket, PATIENCE)
        kept = keep and not fossil
        if kept and self.fastcgi is not connection:
            self._close_fastcgi()
            self.fastcgi = connection
        try:
            outcome = connection.run(request.variables(), request.body,
                                     flags=fastcgi.KEEP_CONN if kept else 0)
            if not outcome.ended:
                raise web.BrokenTransfer(f"closed after {len(outcome.stdout)} bytes of reply")
            reply = outcome.reply()
            return reply.status, reply.body
        finally:
            if not kept:
                connection.close()

    def _leave(self, request, way):
        """Begin, and go away in the middle."""
        if way.startswith("nginx"):
            address, family = ("127.0.0.1", self.places.port), socket.AF_INET
            data = (f"{request.method} {request.target} HTTP/1.1\r\nHost: x\r\n"
                    f"Content-Length: {len(request.body)}\r\n\r\n").encode() + request.body
        else:
            address, family = self.places.socket, socket.AF_UNIX
            data = fastcgi.begin() + fastcgi.stream(
                fastcgi.PARAMS, 1, fastcgi.pairs(request.variables())) + fastcgi.stream(
                fastcgi.STDIN, 1, request.body)
        with socket.socket(family) as s:
            s.settimeout(PATIENCE)
            s.connect(address)
            if request.leaves == "before":
                s.sendall(data[:self.random.randrange(1, len(data))])
                return
            s.sendall(data)
            if request.leaves == "reading":
                s.recv(self.random.randrange(1, 100_000))
            else:
                time.sleep(self.random.random() * 0.15)

    def _close_http(self):
        if self.http is not None:
            self.http.close()
            self.http = None

    def _close_fastcgi(self):
        if self.fastcgi is not None:
            self.fastcgi.close()
            self.fastcgi = None


def _is_closed(connection):
    return bool(select.select([connection.socket], [], [], 0)[0])
