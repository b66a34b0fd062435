"""
The fronts: each a real server with README's recipe, in the foreground, in a folder of its own, on a
free port. What a front differs in from its recipe stands in COLUMNS.
"""

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from clients import Http1
from http2 import Http2
from support.processes import Program
from readme import PORT, SOCKET, recipe, replaced
from support.servers import APACHE, APACHE_MODULES, NGINX
from support.waiting import free_port, listens, wait_for

WWW_DATA = 33  # on every Debian
OTHERS = "Behind other web servers"
ROOT = os.geteuid() == 0


def _nginx(port, socket, folder, more=""):
    Path(folder, "fastcgi_params").symlink_to("/etc/nginx/fastcgi_params")
    block = replaced(recipe("Behind nginx", "fastcgi_pass"), f"127.0.0.1:{PORT}", f"127.0.0.1:{port}")
    spools = "".join(f"{name}_temp_path {folder}/{name};\n"
                     for name in ("client_body", "fastcgi", "proxy", "uwsgi", "scgi"))
    text = (f"daemon off;\n{'user www-data;' if ROOT else ''}\nworker_processes 1;\npid {folder}/pid;\n"
            f"error_log stderr warn;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{spools}{more}{replaced(block, SOCKET, socket)}}}\n")
    return [NGINX, "-e", "stderr", "-p", folder, "-c"], "nginx.conf", text


def _nginx_kept(port, socket, folder):
    argv, name, text = _nginx(port, socket, folder, f"upstream host {{ server unix:{socket}; keepalive 16; }}\n")
    return argv, name, replaced(text, f"fastcgi_pass unix:{socket};",
                                "fastcgi_pass host; fastcgi_keep_conn on; fastcgi_request_buffering off;")


def _nginx_http2(port, socket, folder):
    argv, name, text = _nginx(port, socket, folder)
    text = replaced(text, f"listen 127.0.0.1:{port};", f"listen 127.0.0.1:{port} http2;")
    return argv, name, replaced(text, "fastcgi_pass", "fastcgi_request_buffering off; fastcgi_pass")


def _apache_frame(port, folder, modules, block):
    loaded = "".join(f"LoadModule {module}_module {APACHE_MODULES}/mod_{module}.so\n"
                     for module in ("mpm_event", "authz_core", *modules))
    text = (f"ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\n"
            f"DefaultRuntimeDir {folder}\nErrorLog /dev/stderr\n"
            f"{f'User #{WWW_DATA}' if ROOT else ''}\n{loaded}ServerLimit 1\nStartServers 1\n"
            f"ThreadsPerChild 64\nMaxRequestWorkers 64\n{block}")
    return [APACHE, "-DFOREGROUND", "-f"], "apache.conf", text


def _apache(port, socket, folder, more=""):
    block = replaced(recipe("Behind Apache", "ProxyPass"), SOCKET, socket)
    return _apache_frame(port, folder, ("proxy", "proxy_fcgi", "setenvif", "http2"), more + block)


def _apache_gathers(port, socket, folder):
    return _apache(port, socket, folder, "SetEnvIf Transfer-Encoding chunked proxy-sendcl\n")


def _apache_http2(port, socket, folder):
    return _apache(port, socket, folder, "Protocols h2c\n")


def _lighttpd(port, socket, folder):
    block = replaced(recipe(OTHERS, "mod_fastcgi"), SOCKET, socket)
    user = 'server.username = "www-data"\nserver.groupname = "www-data"\n' if ROOT else ""
    text = (f'server.bind = "127.0.0.1"\nserver.port = {port}\nserver.document-root = "{folder}"\n'
            f'server.upload-dirs = ( "{folder}" )\n{user}{block}')
    return ["/usr/sbin/lighttpd", "-D", "-f"], "lighttpd.conf", text


def _lighttpd_streams(port, socket, folder):
    argv, name, text = _lighttpd(port, socket, folder)
    return argv, name, text + "server.stream-request-body = 2\nserver.stream-response-body = 2\n"


def _haproxy(port, socket, folder, more=""):  # pylint: disable=unused-argument
    block = replaced(recipe(OTHERS, "use-fcgi-app"), f"127.0.0.1:{PORT}", f"127.0.0.1:{port}{more}")
    text = ("defaults\n    mode http\n    timeout connect 60s\n    timeout client 60s\n"
            f"    timeout server 60s\n{replaced(block, SOCKET, socket)}")
    return ["/usr/sbin/haproxy", "-db", "-f"], "haproxy.cfg", text


def _haproxy_http2(port, socket, folder):
    return _haproxy(port, socket, folder, " proto h2")


def _caddy(port, socket, folder):  # pylint: disable=unused-argument
    block = replaced(recipe(OTHERS, "transport fastcgi"), f":{PORT}", f":{port}")
    text = ("{\n    admin off\n    servers {\n        protocols h1 h2c\n    }\n}\n"
            f"{replaced(block, SOCKET, socket)}")
    return ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config"], "Caddyfile", text


def _h2o(port, socket, folder):  # pylint: disable=unused-argument
    block = replaced(recipe(OTHERS, "fastcgi.connect"), f"port: {PORT}", f"port: {port}")
    user = "user: root\n" if ROOT else ""
    return ["/usr/bin/h2o", "-c"], "h2o.conf", user + replaced(block, SOCKET, socket)


@dataclasses.dataclass(frozen=True)
class Column:
    """A front, as it is set up and spoken to."""

    name: str
    configure: Callable  # (port, socket, folder): what to start, its file's name and text
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


class Front:
    """A started server in front of one socket; ready when the constructor returns."""

    def __init__(self, column, socket):
        self.folder = tempfile.mkdtemp(prefix="xw-", dir="/tmp")
        os.chmod(self.folder, 0o777 if ROOT else 0o755)  # workers are another user then
        self.port = free_port()
        self.program = None
        try:
            argv, name, text = column.configure(self.port, socket, self.folder)
            path = Path(self.folder, name)
            path.write_text(text)
            self.program = Program([*argv, str(path)], cwd=self.folder,
                                   env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": self.folder})
            wait_for(lambda: listens(self.port) or not self.program.running(), f"{column.name} listens", 60)
            assert self.program.running(), "\n".join([f"{column.name} ended:", *self.program.log(), text])
        except BaseException:
            self.stop()
            raise

    def stop(self):
        if self.program:
            self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
