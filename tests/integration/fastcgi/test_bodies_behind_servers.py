"""
Bodies whose length the web server does not know, as real ones send them on: in chunks (nginx that
does not buffer, Apache from 16 KiB on, Caddy, HAProxy) and over HTTP/2.
"""

import os
import socket
import subprocess

import pytest

from body_scripts import APP, WAYS, body_of, put_all, said
from support import web
from support.host import SUFFIX, Host, put
from support.own_socket import Serving
from support.servers import Apache, Nginx, Server
from support.waiting import free_port

SIZES = pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
UNBUFFERED = "fastcgi_request_buffering off;"


def in_chunks(body, piece=4000):
    parts = [body[at:at + piece] for at in range(0, len(body), piece)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def post(port, target, body):
    """(CONTENT_LENGTH, body) as the script got them from a client that sends in chunks."""
    head = (f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()
    raw = web.exchange(port, head + in_chunks(body))
    block, _, rest = raw.partition(b"\r\n\r\n")
    assert b" 200 " in block.split(b"\r\n")[0], raw[:500]
    if b"transfer-encoding: chunked" in block.lower():
        rest, whole = web.unchunked(rest)
        assert whole, raw[-500:]
    return said(rest)


def expected(size, empty=("", "unset", "0")):
    """The allowed (CONTENT_LENGTH, body): web servers announce an empty body differently."""
    return [(length, body_of(size)) for length in ([str(size)] if size else empty)]


class Proxy(Server):
    """Another web server, from a configuration of its own."""

    def __init__(self, argv, configuration, **values):
        super().__init__("xp-")
        path = self.put("conf", configuration.format(folder=self.folder, port=self.port, **values))
        self.start([part.format(conf=path) for part in argv],
                   env={"PATH": "/usr/bin:/bin", "HOME": self.folder})


HAPROXY = """\
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 5s
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    use-fcgi-app a
    server s unix@{socket} proto fcgi
fcgi-app a
    docroot /srv
    option keep-conn
"""
CADDY = """\
{{
    admin off
    auto_https off
}}
:{port} {{
    bind 127.0.0.1
    reverse_proxy unix/{socket} {{
        transport fastcgi
    }}
}}
"""
OTHERS = {"haproxy": (["/usr/sbin/haproxy", "-db", "-f", "{conf}"], HAPROXY),
          "caddy": (["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", "{conf}"],
                    CADDY)}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """
    The host of this name, started when it is first asked for: the front's, or a language's own
    socket.
    """
    made = {}

    def get(name):
        if name not in made and name == "front":
            made[name] = Host(put_all(tmp_path_factory.mktemp("root")))
        elif name not in made:
            made[name] = Serving(tmp_path_factory.mktemp(name), language=name, text=APP[name])
        return made[name]
    yield get
    for host in made.values():
        host.stop()


@pytest.fixture(scope="module")
def servers(hosts):
    """A web server of this kind before that host, each started once."""
    made = {}

    def get(kind, name):
        if (kind, name) not in made:
            socket_path = hosts(name).socket
            if kind == "nginx":
                made[kind, name] = Nginx(socket_path, keepalive=4, more=UNBUFFERED)
            else:
                argv, configuration = OTHERS[kind]
                if not os.path.exists(argv[0]):
                    pytest.skip(f"there is no {argv[0]}")
                made[kind, name] = Proxy(argv, configuration, socket=socket_path)
        return made[kind, name]
    yield get
    for server in made.values():
        server.stop()


@pytest.fixture(params=WAYS, ids=[" ".join(way) for way in WAYS])
def way(request):
    """(name of the host, URL path of what says what it got)."""
    mode, language = request.param
    return (language, "/any") if mode == "own socket" else ("front", f"/{mode}{SUFFIX[language]}")


# HAProxy 2.6 itself answers 400 to a chunked body that its buffer, of 16 KiB, does not hold.
@pytest.mark.parametrize("kind, size", [(kind, size) for kind in ("nginx", "caddy", "haproxy")
                                        for size in (0, 1, 5000, 300_000)
                                        if kind != "haproxy" or size < 10_000])
def test_a_chunked_body_comes_whole_with_its_length(servers, way, kind, size):
    host, target = way
    for _ in range(3):  # on a kept connection, where the server keeps them
        assert post(servers(kind, host).port, target, body_of(size)) in expected(size)


@pytest.fixture(scope="module")
def apache(tmp_path_factory):
    host = Host(put_all(tmp_path_factory.mktemp("root")), "--prefix", "/ext", "--allow-uid",
                str(Apache.USER), listen=["unix:{folder}/s,mode=0666"])
    try:
        made = Apache(host.socket)
        yield made
        made.stop()
    finally:
        host.stop()


@SIZES
@pytest.mark.parametrize("mode", ["cgi", "rerun", "app"])
def test_a_chunked_body_comes_whole_with_its_length_from_apache(apache, language, mode, size):
    target = f"/ext/{mode}{SUFFIX[language]}"
    for _ in range(3):
        assert post(apache.port, target, body_of(size)) in expected(size)


def with_http2(port):
    """A second server in nginx's configuration, which speaks HTTP/2."""
    return UNBUFFERED + """
        }
    }
    server {
        listen 127.0.0.1:%d http2;
        client_max_body_size 0;
        location / {
            include /etc/nginx/fastcgi_params;
            fastcgi_pass host;
            fastcgi_request_buffering off;
""" % port


@SIZES
def test_a_body_over_http2_without_a_length_comes_whole_with_its_length(
        hosts, start_nginx, way, size):
    host, target = way
    port = free_port()
    start_nginx(hosts(host).socket, keepalive=4, more=with_http2(port))
    done = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-T", "-", "-H", "Expect:",
         f"http://127.0.0.1:{port}{target}"],
        input=body_of(size), capture_output=True, timeout=30, check=True)
    assert said(done.stdout) in expected(size)


@pytest.mark.parametrize("buffering", ["", UNBUFFERED])
def test_a_client_that_asks_for_100_continue_behind_nginx_is_answered(
        hosts, start_nginx, way, buffering):
    host, target = way
    nginx = start_nginx(hosts(host).socket, keepalive=4, more=buffering)
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
        client.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                       "Expect: 100-continue\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += client.recv(1)
        assert received.startswith(b"HTTP/1.1 100 ")
        client.sendall(b"body")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 ") and b"4 unset\nbody" in received


def test_flask_reads_a_chunked_body(tmp_path, start_host, start_nginx):
    pytest.importorskip("flask")
    put(tmp_path, "a.py", "#!/usr/bin/exthost-cgi python\n" + """# exthost: app
from flask import Flask, request
application = Flask(__name__)

@application.post("/")
def read():
    return request.get_data()
""")
    host = start_host(tmp_path, listen=["unix:{folder}/s"])
    for more in ("", UNBUFFERED):
        nginx = start_nginx(host.socket, more=more)
        head = ("POST /a.py/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                "Transfer-Encoding: chunked\r\n\r\n").encode()
        raw = web.exchange(nginx.port, head + in_chunks(body_of(300_000)))
        assert b" 200 " in raw.split(b"\r\n")[0] and raw.endswith(body_of(300_000))
