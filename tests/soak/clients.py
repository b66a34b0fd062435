"""
The clients: each sends one request after another, through Fossil, through nginx or straight over
FastCGI, on a new connection for each request or on a kept connection; apps at their own sockets,
too.
"""

import http.client
import select
import socket
import threading
import time

import kinds
from support import fastcgi
from support import web

WAYS = ("nginx, new", "nginx, kept", "FastCGI, new", "FastCGI, kept")
BY_FOSSIL = 0.15  # the share of the requests that a Fossil can be asked
AT_OWN = 0.6      # the share of those that an app with its own socket can be asked
PATIENCE = 60  # seconds for an answer: far longer than any limit of the host


class Result:
    """What became of a request. own: no front has seen it."""

    def __init__(self, request, way, began):
        self.request, self.way, self.began = request, way, began
        self.own = request.own
        self.ended = self.outcome = None
        self.detail = ""


class Client:
    """done(result) is called with what became of each request."""

    def __init__(self, number, random, places, done, ending):
        """places: where to ask, a soak.Places"""
        self.number, self.random, self.places = number, random, places
        self.done, self.ending = done, ending
        self.http, self.fastcgi = {}, {}  # kept connections, by port and by socket
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def _main(self):
        asked = 0
        while not self.ending.is_set():
            asked += 1
            self._ask(kinds.make(self.random, f"t{self.number}x{asked}x"))
        self._close()

    def _ask(self, request):
        way = self._choose_way(request)
        ask = self._by_fastcgi if way.startswith("FastCGI") else self._by_http
        result = Result(request, way + ", own socket" * request.own, time.monotonic())
        try:
            if request.leaves:
                self._leave(request, way)
                result.outcome = "gone"
            else:
                status, body = ask(request, way)
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
            self._close()
        result.ended = time.monotonic()
        self.done(result)

    def _choose_way(self, request):
        if request.kind in kinds.OF_FOSSIL and self.random.random() < BY_FOSSIL:
            request.from_fossil()
            return "Fossil"
        way = self.random.choice(WAYS)
        if request.kind in kinds.OF_APPS and self.random.random() < AT_OWN:
            request.at_own_socket()
        elif way.startswith("FastCGI") and request.language != "none" and \
                self.random.random() < 0.5:
            request.at_fossils_socket(self.places.root, self.places.repository)
        return way

    def _by_http(self, request, way):
        """(status, body)"""
        port = self.places.port(request, way)
        keep = way.endswith("kept")
        connection = self.http.get(port) if keep else None
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, PATIENCE)
        if keep:
            self.http[port] = connection
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

    def _by_fastcgi(self, request, way):
        """(status, body); web.BrokenTransfer when it was cut"""
        address = self.places.address(request)
        keep = way.endswith("kept") and not request.as_fossil
        connection = self.fastcgi.pop(address, None) if keep else None
        if connection is not None and _is_closed(connection):
            connection.close()
            connection = None
        connection = connection or fastcgi.Connection(address, PATIENCE)
        if keep:
            self.fastcgi[address] = connection
        try:
            outcome = connection.run(request.variables(), request.body,
                                     flags=fastcgi.KEEP_CONN if keep else 0)
            if not outcome.ended:
                raise web.BrokenTransfer(f"closed after {len(outcome.stdout)} bytes of reply")
            reply = outcome.reply()
            return reply.status, reply.body
        finally:
            if not keep:
                connection.close()

    def _leave(self, request, way):
        """Begin, and go away in the middle."""
        if way.startswith("nginx"):
            address, family = ("127.0.0.1", self.places.port(request, way)), socket.AF_INET
            data = (f"{request.method} {request.target} HTTP/1.1\r\nHost: x\r\n"
                    f"Content-Length: {len(request.body)}\r\n\r\n").encode() + request.body
        else:
            address, family = self.places.address(request), socket.AF_UNIX
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

    def _close(self):
        """All kept connections."""
        for connection in [*self.http.values(), *self.fastcgi.values()]:
            connection.close()
        self.http, self.fastcgi = {}, {}


def _is_closed(connection):
    return bool(select.select([connection.socket], [], [], 0)[0])
