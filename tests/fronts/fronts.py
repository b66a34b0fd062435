"""
The fronts: each is a real server with its recipe, in the foreground, in a directory of its own, on
a free port. COLUMNS lists where a front differs from its recipe.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from clients import Http1
from http2 import Http2
from support.documents import PORT, SOCKET, put_in, recipe
from support.servers import ROOT, Server, apache_command, apache_text, nginx_command, nginx_text


def _nginx(port, socket, folder, more=""):
    Path(folder, "fastcgi_params").symlink_to("/etc/nginx/fastcgi_params")
    block = put_in(recipe("nginx"),
                   (f"127.0.0.1:{PORT}", f"127.0.0.1:{port}"), (SOCKET, socket))
    return nginx_command(folder), "nginx.conf", nginx_text(folder, more + block, "www-data")


def _nginx_kept(port, socket, folder):
    argv, name, text = _nginx(
        port, socket, folder, f"upstream host {{ server unix:{socket}; keepalive 16; }}\n")
    return argv, name, put_in(text, (
        f"fastcgi_pass unix:{socket};",
        "fastcgi_pass host; fastcgi_keep_conn on; fastcgi_request_buffering off;"))


def _nginx_http2(port, socket, folder):
    argv, name, text = _nginx(port, socket, folder)
    return argv, name, put_in(
        text, (f"listen 127.0.0.1:{port};", f"listen 127.0.0.1:{port} http2;"),
        ("fastcgi_pass", "fastcgi_request_buffering off; fastcgi_pass"))


def _apache(port, socket, folder, more=""):
    block = put_in(recipe("apache"), (SOCKET, socket))
    text = apache_text(
        folder, port, ("proxy", "proxy_fcgi", "setenvif", "http2"),
        "ServerLimit 1\nStartServers 1\nThreadsPerChild 64\nMaxRequestWorkers 64\n" + more + block)
    return apache_command(folder), "apache.conf", text


def _apache_gathers(port, socket, folder):
    return _apache(port, socket, folder, "SetEnvIf Transfer-Encoding chunked proxy-sendcl\n")


def _apache_http2(port, socket, folder):
    return _apache(port, socket, folder, "Protocols h2c\n")


def _lighttpd(port, socket, folder):
    block = put_in(recipe("lighttpd"), (SOCKET, socket))
    user = 'server.username = "www-data"\nserver.groupname = "www-data"\n' if ROOT else ""
    text = (f'server.bind = "127.0.0.1"\nserver.port = {port}\nserver.document-root = "{folder}"\n'
            f'server.upload-dirs = ( "{folder}" )\n{user}{block}')
    return ["/usr/sbin/lighttpd", "-D", "-f", f"{folder}/lighttpd.conf"], "lighttpd.conf", text


def _lighttpd_streams(port, socket, folder):
    argv, name, text = _lighttpd(port, socket, folder)
    return argv, name, text + "server.stream-request-body = 2\nserver.stream-response-body = 2\n"


def _haproxy(port, socket, folder, more=""):
    block = put_in(recipe("haproxy"),
                   (f"127.0.0.1:{PORT}", f"127.0.0.1:{port}{more}"), (SOCKET, socket))
    text = ("defaults\n    mode http\n    timeout connect 60s\n    timeout client 60s\n"
            f"    timeout server 60s\n{block}")
    return ["/usr/sbin/haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], "haproxy.cfg", text


def _haproxy_http2(port, socket, folder):
    return _haproxy(port, socket, folder, " proto h2")


def _caddy(port, socket, folder):
    block = put_in(recipe("caddy"), (f":{PORT}", f":{port}"),
                   (SOCKET, socket))
    text = ("{\n    admin off\n    servers {\n        protocols h1 h2c\n    }\n}\n"
            f"{block}")
    return ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config",
            f"{folder}/Caddyfile"], "Caddyfile", text


def _h2o(port, socket, folder):
    block = put_in(recipe("h2o"),
                   (f"port: {PORT}", f"port: {port}"), (SOCKET, socket))
    user = "user: root\n" if ROOT else ""
    return ["/usr/bin/h2o", "-c", f"{folder}/h2o.conf"], "h2o.conf", user + block


@dataclasses.dataclass(frozen=True)
class Column:
    """How a front is configured, and how a client connects to it."""

    name: str
    configure: Callable  # (port, socket, directory): the command, its file's name and text
    http2: bool = False

    def connect(self, port):
        return (Http2 if self.http2 else Http1)(port)


COLUMNS = [
    Column("nginx", _nginx),
    Column("nginx kept", _nginx_kept),
    Column("nginx h2", _nginx_http2, True),
    Column("apache", _apache),
    Column("apache sendcl", _apache_gathers),
    Column("apache h2", _apache_http2, True),
    Column("lighttpd", _lighttpd),
    Column("lighttpd stream", _lighttpd_streams),
    Column("lighttpd h2", _lighttpd, True),
    Column("haproxy", _haproxy),
    Column("haproxy h2", _haproxy_http2, True),
    Column("caddy", _caddy),
    Column("caddy h2", _caddy, True),
    Column("h2o", _h2o),
    Column("h2o h2", _h2o, True),
]


class Front(Server):
    """A started server in front of one socket; ready when the constructor returns."""

    def __init__(self, column, socket):
        super().__init__("xw-", 0o777 if ROOT else 0o755)  # workers are another user then
        argv, name, text = column.configure(self.port, socket, self.folder)
        self.put(name, text)
        self.start(argv, 60, cwd=self.folder, name=column.name,
                   env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": self.folder})
