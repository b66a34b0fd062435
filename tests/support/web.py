"""
Replies, and a small HTTP client that hides nothing: every header as it came, a cut reply told from
a whole one, any number of headers.
"""

import socket


class BrokenTransfer(Exception):
    """The reply ended before its end."""


class Reply:
    """
    A reply, however it came: .status, a number; .headers, (name, value) each in their order; .body
    and .raw (all that came), as bytes.
    """

    def __init__(self, status, headers, body, raw=b""):
        self.status = status
        self.headers = headers
        self.body = body
        self.raw = raw

    def all(self, name):
        """All values of a header (its name in any case), a list in their order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The one value of a header, or None. AssertionError when there are more."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def text(self):
        """The body as UTF-8; what is none is replaced."""
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:600]!r} ({len(self.body)} bytes)>"


def parse_headers(block):
    """[(name, value)] from the lines of a header block; bytes above 127 as Latin-1."""
    headers = []
    for line in block.split(b"\n"):
        line = line.rstrip(b"\r")
        if line:
            name, _, value = line.partition(b":")
            headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return headers


def parse_cgi(output):
    """
    The Reply in a CGI program's output (RFC 3875, section 6): header block, blank line, body.
    AssertionError when there is no blank line.
    """
    block, separator, body = output.partition(b"\n\n")
    block_crlf, separator_crlf, body_crlf = output.partition(b"\r\n\r\n")
    if separator_crlf and len(block_crlf) <= len(block):
        block, separator, body = block_crlf, separator_crlf, body_crlf
    assert separator, f"no blank line in {output[:500]!r}"
    headers = parse_headers(block)
    status = 200
    for name, value in headers:
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name.lower() == "location" and status == 200:
            status = 302
    return Reply(status, headers, body, output)


def unchunked(raw):
    """
    (body, whole) of what has come of a body in chunks (RFC 9112, section 7.1): the contents of all
    complete chunks, and whether the last one is among them.
    """
    body = b""
    while True:
        size, end, raw = raw.partition(b"\r\n")
        length = int(size, 16) if end else 0
        if not end or len(raw) < length + 2:
            return body, False
        if length == 0:
            return body, True
        body += raw[:length]
        raw = raw[length + 2:]


def _body(head_headers, raw, method, status):
    find = {name.lower(): value for name, value in head_headers}
    if method == "HEAD" or status in (204, 304):
        return raw
    if find.get("transfer-encoding", "").lower() == "chunked":
        body, whole = unchunked(raw)
        if not whole:
            raise BrokenTransfer(f"chunks end after {len(body)} bytes")
        return body
    if "content-length" in find:
        length = int(find["content-length"])
        if len(raw) < length:
            raise BrokenTransfer(f"{len(raw)} of {length} bytes came")
        return raw[:length]
    return raw


def exchange(port, data, timeout=20.0):
    """
    Send these bytes to a port of the loopback interface; the bytes that come back until the end.
    TimeoutError when nothing comes for so many seconds.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered without reading all of it: the answer counts
        received = []
        try:
            while part := s.recv(1 << 18):
                received.append(part)
        except ConnectionResetError:
            if not received:
                raise
        return b"".join(received)


def request(port, method, target, headers=(), body=None, timeout=20.0):
    """
    One HTTP/1.1 request to a port of the loopback interface, on a connection of its own; its Reply.
    headers: (name, value) each; body: bytes, or None for none. BrokenTransfer when the reply is
    cut.
    """
    as_bytes = [(n, v if isinstance(v, bytes) else str(v).encode()) for n, v in headers]
    names = {name.lower() for name, _ in as_bytes}
    if "host" not in names:
        as_bytes.insert(0, ("Host", f"127.0.0.1:{port}".encode()))
    if body is not None:
        as_bytes.append(("Content-Length", str(len(body)).encode()))
    as_bytes.append(("Connection", b"close"))
    head = f"{method} {target} HTTP/1.1\r\n".encode("latin-1")
    head += b"".join(name.encode() + b": " + value + b"\r\n" for name, value in as_bytes)
    raw = exchange(port, head + b"\r\n" + (body or b""), timeout)
    block, separator, rest = raw.partition(b"\r\n\r\n")
    if not separator:
        raise BrokenTransfer(f"no complete header block: {raw[:300]!r}")
    first, _, lines = block.partition(b"\r\n")
    status = int(first.split()[1])
    found = parse_headers(lines)
    return Reply(status, found, _body(found, rest, method, status), raw)
