"""
A FastCGI client, from the specification of 1996: whole requests, single records, raw bytes. An
address is a path of a unix socket, or (host, port).
"""

import socket
import struct
import threading

from support.web import parse_cgi

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = range(4)


def record(kind, request_id, content=b"", padding=0, version=1):
    """One record, as bytes, with so many bytes of padding."""
    return struct.pack(">BBHHBx", version, kind, request_id, len(content), padding) \
        + content + bytes(padding)


def begin(request_id=1, role=RESPONDER, flags=0):
    """A BEGIN_REQUEST record, as bytes."""
    return record(BEGIN_REQUEST, request_id, struct.pack(">HB5x", role, flags))


def _length(n):
    return struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 0x80000000)


def pairs(variables):
    """
    Name-value pairs (a dictionary, or a list of pairs), encoded as bytes. str is sent as UTF-8.
    """
    encoded = b""
    items = variables.items() if isinstance(variables, dict) else variables
    for name, value in items:
        name = name.encode() if isinstance(name, str) else name
        value = value.encode() if isinstance(value, str) else value
        encoded += _length(len(name)) + _length(len(value)) + name + value
    return encoded


def parse_pairs(data):
    """
    The encoded pairs, as {name: value} of texts. IndexError or struct.error where they are cut.
    """
    found, at = {}, 0

    def length():
        nonlocal at
        if data[at] & 0x80:
            n = struct.unpack_from(">I", data, at)[0] & 0x7fffffff
            at += 4
        else:
            n = data[at]
            at += 1
        return n
    while at < len(data):
        name, value = length(), length()
        found[data[at:at + name].decode()] = data[at + name:at + name + value].decode()
        at += name + value
    return found


def stream(kind, request_id, data, size=65535):
    """The records of a stream, as bytes, its empty end included; size: of one record's content."""
    parts = [record(kind, request_id, data[i:i + size]) for i in range(0, len(data), size)]
    return b"".join(parts) + record(kind, request_id)


def variables(method, target, body=b"", headers=(), **more):
    """
    What a web server sends for a request, {name: value}, with nginx's habit: the whole path in
    SCRIPT_NAME. headers: (name, value) each; a value may be bytes. more: further variables; None
    leaves one out.
    """
    path, _, query = target.partition("?")
    found = {
        "QUERY_STRING": query, "REQUEST_METHOD": method, "CONTENT_TYPE": "",
        "CONTENT_LENGTH": str(len(body)) if body else "", "SCRIPT_NAME": path,
        "REQUEST_URI": target, "DOCUMENT_URI": path, "DOCUMENT_ROOT": "/somewhere",
        "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_SCHEME": "http", "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "test/1", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000",
        "SERVER_ADDR": "127.0.0.1", "SERVER_PORT": "80", "SERVER_NAME": "localhost",
        "HTTP_HOST": "localhost",
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        found[key if key in ("CONTENT_TYPE",) else "HTTP_" + key] = value
    found.update(more)
    return {name: value for name, value in found.items() if value is not None}


class Outcome:
    """How a request ended, record by record."""

    def __init__(self):
        self.stdout = b""
        self.stderr = b""
        self.app_status = None
        self.protocol_status = None
        self.ended = False      # END_REQUEST came
        self.closed = False     # the connection was closed before it
        self.records = []       # (type, request id, content length)

    def reply(self):
        """
        What was answered, a web.Reply. AssertionError when the request did not come to its end.
        """
        assert self.ended and self.protocol_status == REQUEST_COMPLETE, self
        return parse_cgi(self.stdout)

    def __repr__(self):
        return (f"<ended={self.ended} protocol={self.protocol_status} app={self.app_status} "
                f"closed={self.closed} records={self.records[-8:]} stdout={self.stdout[:300]!r}>")


class Connection:
    """
    A connection to an address; timeout: seconds for each wait, then TimeoutError. OSError when it
    cannot be made.
    """

    def __init__(self, address, timeout=20.0):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self._received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Whether all of it could be sent."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _take(self, size):
        while len(self._received) < size:
            try:
                part = self.socket.recv(1 << 18)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self._received += part
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def read_record(self):
        """The next record: (type, request id, content), or None when the connection was closed."""
        header = self._take(8)
        if header is None:
            return None
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", header)
        assert version == 1 or kind == 255, f"version {version}"
        content = self._take(length + padding)
        return None if content is None else (kind, request_id, content[:length])

    def read_outcome(self, request_id=1):
        """Read to the end of this request, or of the connection; its Outcome."""
        outcome = Outcome()
        stdout = []
        while not outcome.ended:
            found = self.read_record()
            if found is None:
                outcome.closed = True
                break
            kind, other, content = found
            outcome.records.append((kind, other, len(content)))
            if other != request_id:
                continue
            if kind == STDOUT:
                stdout.append(content)
            elif kind == STDERR:
                outcome.stderr += content
            elif kind == END_REQUEST:
                outcome.app_status, outcome.protocol_status = struct.unpack(">IB3x", content)
                outcome.ended = True
        outcome.stdout = b"".join(stdout)
        return outcome

    def is_closed(self):
        """Wait until the host closes; False if it sends something instead."""
        return self._take(1) is None

    def begin(self, request_id=1, role=RESPONDER, flags=0):
        """Send a BEGIN_REQUEST. As the next two: whether all of it could be sent."""
        return self.send(begin(request_id, role, flags))

    def params(self, found, request_id=1):
        """Send the whole PARAMS stream, with these variables."""
        return self.send(stream(PARAMS, request_id, pairs(found)))

    def stdin(self, body, request_id=1):
        """Send the whole STDIN stream."""
        return self.send(stream(STDIN, request_id, body))

    def run(self, found, body=b"", request_id=1, flags=0):
        """
        One whole request with these variables; its Outcome. The body is sent beside the reading, as
        a web server does.
        """
        head = begin(request_id, RESPONDER, flags) + stream(PARAMS, request_id, pairs(found))
        rest = stream(STDIN, request_id, body)
        if len(rest) < 65536:
            self.send(head + rest)
            return self.read_outcome(request_id)
        sender = threading.Thread(target=lambda: self.send(head + rest), daemon=True)
        sender.start()
        outcome = self.read_outcome(request_id)
        sender.join(5)
        return outcome


def request(address, method, target, headers=(), body=b"", timeout=20.0, **more):
    """One request on a connection of its own; its Outcome."""
    with Connection(address, timeout) as connection:
        return connection.run(variables(method, target, body, headers, **more), body)
