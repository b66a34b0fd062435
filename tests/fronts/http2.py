"""HTTP/2 in clear text, with prior knowledge: one stream after another on one connection."""

import socket

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from clients import CHUNK, SECONDS, Silence
from support.web import BrokenTransfer, Reply


class Http2:
    """As clients.Http1. A body framed as "chunked" has no content-length, as HTTP/2 allows."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What a server sends is taken as it is, and no header is put in order.
        self._state = h2.connection.H2Connection(h2.config.H2Configuration(
            header_encoding="latin-1", validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False, normalize_outbound_headers=False))
        self._state.initiate_connection()
        self._flush()
        self.open = True
        self._stream = 0
        self._begin()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _flush(self):
        try:
            self._socket.sendall(self._state.data_to_send())
        except (BrokenPipeError, ConnectionResetError):
            pass  # what came before counts

    def _begin(self):
        self._status, self._headers, self._parts, self._size = 0, [], [], 0
        self._ended, self._failed = False, ""

    def send(self, method, target, headers=(), framing="none", body=b""):
        self._begin()
        self._stream = self._state.get_next_available_stream_id()
        sent = [(":method", method), (":scheme", "http"), (":authority", "localhost"),
                (":path", target)]
        sent += [(name.lower(), value) for name, value in headers]
        if framing == "length":
            sent.append(("content-length", str(len(body))))
        self._state.send_headers(self._stream, sent, end_stream=framing == "none")
        self._flush()
        at = 0
        while at < len(body) and not self._ended and not self._failed:
            window = self._state.local_flow_control_window(self._stream)
            size = min(CHUNK, window, self._state.max_outbound_frame_size, len(body) - at)
            if size <= 0:
                self._receive()
                continue
            self._state.send_data(self._stream, body[at:at + size])
            self._flush()
            at += size
        if framing != "none" and not self._ended and not self._failed:
            self._state.end_stream(self._stream)
            self._flush()

    def _receive(self):
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        except TimeoutError:
            raise Silence("nothing more came") from None
        if not data:
            self.open, self._failed = False, self._failed or "the connection ended"
            return
        try:
            events = self._state.receive_data(data)
        except h2.exceptions.ProtocolError as e:
            self.open, self._failed = False, f"not HTTP/2: {e}"
            return
        for event in events:
            self._take(event)
        self._flush()

    def _take(self, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            self.open = False
        elif getattr(event, "stream_id", None) != self._stream:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            found = list(event.headers)
            self._status = int(dict(found)[":status"])
            self._headers = [pair for pair in found if not pair[0].startswith(":")]
        elif isinstance(event, h2.events.DataReceived):
            self._parts.append(event.data)
            self._size += len(event.data)
            self._state.acknowledge_received_data(event.flow_controlled_length, self._stream)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended = True
        elif isinstance(event, h2.events.StreamReset) and not self._ended:
            self._failed = f"the stream was reset, error {event.error_code}"

    def read_reply(self, method):
        while not self._ended and not self._failed:
            self._receive()
        if not self._ended:
            raise BrokenTransfer(f"{self._failed}, status {self._status}, {self._size} bytes")
        body = b"".join(self._parts)
        lengths = [value for name, value in self._headers if name == "content-length"]
        if lengths and method != "HEAD" and self._status != 304 and lengths != [str(len(body))]:
            raise BrokenTransfer(f"content-length {lengths}, {len(body)} bytes came")
        return Reply(self._status, self._headers, body)

    def ask(self, method, target, headers=(), framing="none", body=b""):
        self.send(method, target, headers, framing, body)
        return self.read_reply(method)

    def leave_after(self, size):
        """Close when as many bytes of the reply have come."""
        while self._size < size and not self._ended and not self._failed:
            self._receive()
        self._socket.close()
