"""
Load: many kept-alive HTTP clients that ask over and over, all in one thread, so that they wait for
the server and not for each other.
"""

import collections
import re
import selectors
import socket
import time

from support import web

Sample = collections.namedtuple("Sample", "name began seconds")


class _Client:
    def __init__(self, port, name, target, answer):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setblocking(False)
        self.name, self.target, self.answer = name, target, answer
        self.asked = 0

    def ask(self):
        self.asked += 1
        self.token = f"{self.socket.fileno()}-{self.asked}"
        self.received = b""
        self.began = time.monotonic()
        sent = self.socket.send(f"GET {self.target}?{self.token} HTTP/1.1\r\n"
                                "Host: 127.0.0.1\r\n\r\n".encode())
        assert sent > len(self.target)

    def take(self):
        """
        What has come; True once the answer is complete. An answer that is wrong fails the test.
        """
        part = self.socket.recv(1 << 16)
        self.received += part
        head, blank, body = self.received.partition(b"\r\n\r\n")
        assert part, f"{self.target} ends after {self.received[:300]!r}"
        if not blank:
            return False
        assert head.startswith(b"HTTP/1.1 200 ") and b"connection: close" not in head.lower(), head
        body = _whole(head, body)
        if body is None:
            return False
        assert body == self.answer(self.token), f"{self.target}?{self.token}: {body[:300]!r}"
        return True


def _whole(head, raw):
    """The body, once all of it is there; else None."""
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    if length:
        return raw if len(raw) >= int(length[1]) else None
    assert re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I), head
    body, whole = web.unchunked(raw)
    return body if whole else None


def ask_for(seconds, port, clients, between=lambda: None):
    """
    All clients ask for so long, each again as soon as it was answered. clients: a (name, target,
    answer) each; answer(query) is the body that this query must get. between() is called from time
    to time. Returns the Samples; fails if an answer is not whole and right.
    """
    samples = []
    with selectors.DefaultSelector() as selector:
        asking = [_Client(port, *client) for client in clients]
        try:
            for client in asking:
                selector.register(client.socket, selectors.EVENT_READ, client)
            end = time.monotonic() + seconds
            for client in asking:
                client.ask()
            open_answers = len(asking)
            while open_answers > 0:
                ready = selector.select(20)
                assert ready, f"{open_answers} answers do not come"
                for key, _ in ready:
                    client = key.data
                    if not client.take():
                        continue
                    now = time.monotonic()
                    samples.append(Sample(client.name, client.began, now - client.began))
                    if now < end:
                        client.ask()
                    else:
                        open_answers -= 1
                between()
        finally:
            for client in asking:
                client.socket.close()
    return samples
