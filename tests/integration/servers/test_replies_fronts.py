"""What the rules for a reply to a web server do on the wire, behind real ones."""

import os
import socket

import pytest

from support import fastcgi
from support import web
from support.host import Host, put_script
from support.servers import Apache, Nginx

# What README gives nginx for a header block.
BUFFERS = "fastcgi_buffer_size 32k; fastcgi_buffers 8 32k;"

PAGE = {"python": 'print("Content-Type: text/plain\\n\\n" + "page\\n" * 10_000)\n',
        "tcl": 'puts "Content-Type: text/plain\\n\\n[string repeat page\\n 10000]"\n'}
SCRIPTS = {
    "moved.py": ("python", 'print("Location: /elsewhere\\n")\n'),
    "moved.tcl": ("tcl", 'puts "Location: /elsewhere\\n"\n'),
    "made.py": ("python", 'print("Status: 201 Created\\nLocation: /made\\n\\nmade")\n'),
    "cookie.py": ("python", """
import os
size = int(os.environ["QUERY_STRING"])
print("Content-Type: text/plain")
for i in range(7):
    print(f"Set-Cookie: c{i}=" + "a" * size)
print("\\npage")
"""),
    "early.py": ("python", 'print("Status: 103 Early Hints\\nLink: </x>\\n\\nnever")\n'),
    "status.py": (
        "python", 'import os\nprint("Status: " + os.environ["QUERY_STRING"] + "\\n\\nbody")\n'),
    "cut.py": ("python", 'print("Content-Length: 4\\n\\npage and more")\n'),
    "hello.py": ("python", 'print("Content-Type: text/plain\\n\\nhello")\n'),
    "echo.py": ("python", """
import os, sys
body = sys.stdin.buffer.read()
print("Content-Type: text/plain\\n\\n" + os.environ.get("HTTP_EXPECT", "none"), len(body))
"""),
    "page.py": ("python", PAGE["python"]),
    "page.tcl": ("tcl", PAGE["tcl"]),
    "rerun.py": ("python", "# exthost: rerun\n" + PAGE["python"]),
    "app.tcl": ("tcl", "# exthost: app\nproc application {} {" + PAGE["tcl"].rstrip() + "}\n"),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replies")
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    for name, (language, body) in SCRIPTS.items():
        put_script(folder / "root", name, language, body)
    made = Host(folder / "root", "--allow-uid", str(Apache.USER), "--max-body", "1000",
                "--max-header", "16k", listen=[
        "unix:{folder}/s,mode=0666", "unix:{folder}/t,mode=0666,prefix=/ext"])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def nginx(host):
    made = Nginx(host.socket, keepalive=1, more=BUFFERS)
    yield made
    made.stop()


@pytest.fixture(scope="module", params=["nginx", "apache"])
def front(request, host):
    """Either web server."""
    made = Nginx(host.socket, more=BUFFERS) if request.param == "nginx" else Apache(host.trusted)
    yield made
    made.stop()


class Client:
    """One kept HTTP connection."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def ask(self, method, target, headers=b"", body=b""):
        """(status, body), by what HTTP says of its length and by nothing else."""
        self._socket.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: a\r\n".encode() + headers + b"\r\n" + body)
        return self.answer(method)

    def send(self, data):
        self._socket.sendall(data)

    def answer(self, method):
        status, found = self.head()
        if method == "HEAD" or status in (204, 304):
            return status, b""
        if found.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._file.readline(), 16):
                body += self._file.read(size + 2)[:-2]
            self._file.readline()
            return status, body
        return status, self._file.read(int(found["content-length"]))

    def head(self):
        first = self._file.readline()
        assert first.startswith(b"HTTP/1.1 "), first
        lines = iter(self._file.readline, b"\r\n")
        return int(first.split()[1]), {name.lower(): value for name, value in
                                       web.parse_headers(b"".join(lines))}


@pytest.mark.parametrize("name", ["moved.py", "moved.tcl"])
def test_a_location_alone_is_a_redirect(front, name):
    reply = front.get(f"/{name}")
    assert reply.status == 302 and reply.header("Location").endswith("/elsewhere")


def test_201_with_a_location_stays_201(front):
    reply = front.get("/made.py")
    assert (reply.status, reply.body) == (201, b"made\n")
    assert reply.header("Location").endswith("/made")


@pytest.mark.parametrize("size", [1000, 4096])
def test_long_cookies_arrive(front, size):
    reply = front.get(f"/cookie.py?{size}")
    assert (reply.status, reply.body) == (200, b"page\n")
    assert [len(cookie) for cookie in reply.all("Set-Cookie")] == [size + len("c0=")] * 7


def test_an_interim_status_as_the_last_is_a_500(front):
    reply = front.get("/early.py")
    assert reply.status == 500 and reply.raw.count(b"HTTP/1.1") == 1 and b"never" not in reply.raw


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_there_must_be_none_does_not_reach_the_client(front, status):
    reply = front.get(f"/status.py?{status}")
    assert (reply.status, reply.body) == (status, b"")


def test_a_body_is_never_longer_than_its_length(front):
    reply = front.get("/cut.py")
    assert (reply.status, reply.body) == (200, b"page")
    assert b"and more" not in reply.raw


@pytest.mark.parametrize("name", ["page.py", "page.tcl", "rerun.py", "app.tcl"])
def test_after_head_the_next_reply_on_each_connection_is_right(host, nginx, name):
    with Client(nginx.port) as client:
        for _ in range(3):
            assert client.ask("HEAD", f"/{name}") == (200, b"")
            assert client.ask("GET", "/hello.py") == (200, b"hello\n")
    # nginx itself closes its connection to the host after each HEAD, other web servers do not.
    with fastcgi.Connection(host.socket) as connection:
        for _ in range(3):
            head = connection.run(fastcgi.variables("HEAD", f"/{name}"), flags=fastcgi.KEEP_CONN)
            assert (head.reply().status, head.reply().body) == (200, b"")
            found = connection.run(fastcgi.variables("GET", "/hello.py"), flags=fastcgi.KEEP_CONN)
            assert found.reply().body == b"hello\n"


def test_a_body_that_is_sent_after_100_continue_arrives(nginx):
    with Client(nginx.port) as client:
        client.send(b"POST /echo.py HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        assert client.head()[0] == 100
        client.send(b"body")
        assert client.answer("POST") == (200, b"100-continue 4\n")
        assert client.ask("GET", "/hello.py") == (200, b"hello\n")


@pytest.mark.parametrize("what", [413, 431])
def test_after_an_early_refusal_the_next_request_of_the_client_is_answered_as_itself(nginx, what):
    body = b"GET /moved.py HTTP/1.1\r\nHost: a\r\n\r\n" * 100
    many = b"".join(b"X-%d: %s\r\n" % (i, b"x" * 7000) for i in range(3))
    with Client(nginx.port) as client:
        for _ in range(3):
            if what == 413:
                status, _ = client.ask("POST", "/echo.py",
                                       b"Content-Length: %d\r\n" % len(body), body)
            else:
                status, _ = client.ask("GET", "/hello.py", many)
            assert status == what
            assert client.ask("GET", "/hello.py") == (200, b"hello\n")


def whole(target, request_id, body=b"", size=None):
    """The bytes of a request that wants its connection kept."""
    found = {**fastcgi.variables("POST", target, body), "CONTENT_LENGTH": str(size or len(body))}
    return (fastcgi.begin(request_id, flags=fastcgi.KEEP_CONN)
            + fastcgi.stream(fastcgi.PARAMS, request_id, fastcgi.pairs(found))
            + fastcgi.stream(fastcgi.STDIN, request_id, body))


@pytest.mark.parametrize("what", ["a body that is too long", "a length that is too long",
                                  "too many variables"])
@pytest.mark.parametrize("served", ["shared", "own socket"])
def test_no_byte_of_a_refused_request_is_read_as_another_one(host, tmp_path, served, what):
    put_script(tmp_path, "app.tcl", "tcl", SCRIPTS["app.tcl"][1].replace(
        "proc application {} {", "proc application {} {puts stderr ran;"))
    made = host if served == "shared" else Host(
        tmp_path, "--app", f"{tmp_path}/app.tcl", "--max-body", "1000", "--max-header", "16k",
        listen=["unix:{folder}/s"])
    hidden = whole("/app.tcl", 1, b"hidden")
    try:
        since = made.log_position()
        with fastcgi.Connection(made.socket) as connection:
            if what == "a body that is too long":
                connection.send(whole("/app.tcl", 1, hidden * 10))
            elif what == "a length that is too long":
                connection.send(whole("/app.tcl", 1, hidden, 10_000))
            else:
                # In the value, too, stands a whole request.
                found = {**fastcgi.variables("GET", "/app.tcl"), "X": b"x" * 20_000 + hidden * 100}
                connection.send(fastcgi.begin(flags=fastcgi.KEEP_CONN) + fastcgi.stream(
                    fastcgi.PARAMS, 1, fastcgi.pairs(found))
                                + fastcgi.stream(fastcgi.STDIN, 1, hidden))
            outcome = connection.read_outcome()
            assert outcome.reply().status == (431 if "variables" in what else 413)
            assert connection.is_closed()
        made.wait_line("status=4", since=since)
        # The line of an earlier test's request may come late.
        assert len([line for line in made.program.log(since)
                    if "status=" in line and "/hello.py" not in line]) == 1
        assert not [line for line in made.program.log(since) if " ran" in line]
    finally:
        if made is not host:
            made.stop()
