"""The nginx in front: one worker, unix sockets, a location for each contestant."""

import os
import pathlib
import re

from support.waiting import free_port, listens

STOCK = pathlib.Path("/etc/nginx/fastcgi_params")

# Request bodies and replies stay in memory, so that no disk is measured.
MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/octet-stream;
    client_max_body_size 8m;
    client_body_buffer_size 2m;
    fastcgi_max_temp_file_size 0;
    proxy_max_temp_file_size 0;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    {upstreams}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        {locations}
    }}
}}
"""
KEPT = """
    upstream kept-{name} {{ server {address}; keepalive 64; keepalive_requests 1000000000; }}"""
FASTCGI = """
        location /{name}/ {{
            include {folder}/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME "{script}";
            {keep}
            fastcgi_pass {address};
        }}"""
PROXY = """
        location /{name}/ {{ proxy_pass {address}; }}"""


class Contestant:
    """A program that answers at an address: FastCGI, about a script perhaps, or HTTP."""

    def __init__(self, name, program, address, *, page="hello", script="", http=False, kept=False,
                 counts=True):
        self.name, self.pid, self.address = name, program.pid, address
        self.page, self.script, self.http, self.kept = page, script, http, kept
        self.counts = counts  # its processor time is known
        self.port = None

    @property
    def socket(self):
        return self.address.removeprefix("unix:")

    @property
    def path(self):
        return f"/{self.name}/{self.page}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.path}"


def location(folder, contestant):
    if contestant.http:
        return PROXY.format(name=contestant.name, address=contestant.address)
    return FASTCGI.format(
        name=contestant.name, folder=folder, script=contestant.script,
        keep="fastcgi_keep_conn on;" if contestant.kept else "",
        address=f"kept-{contestant.name}" if contestant.kept else contestant.address)


def write_params(folder):
    """nginx's own, but that the path is PATH_INFO, since WSGI applications route by it."""
    text = re.sub(r"^(fastcgi_param\s+SCRIPT_NAME\s+)\S+;", r'\1"";\nfastcgi_param PATH_INFO $uri;',
                  STOCK.read_text(encoding="utf-8"), flags=re.M)
    (folder / "fastcgi_params").write_text(text, encoding="utf-8")


def start(demo, contestants):
    """Each contestant has its port then."""
    port = free_port()
    write_params(demo.folder)
    configuration = demo.folder / "nginx.conf"
    configuration.write_text(MAIN.format(
        folder=demo.folder, port=port, user="user root;" if os.geteuid() == 0 else "",
        upstreams="".join(KEPT.format(name=c.name, address=c.address)
                          for c in contestants if c.kept),
        locations="".join(location(demo.folder, c) for c in contestants)), encoding="utf-8")
    program = demo.start("/usr/sbin/nginx", "-p", demo.folder, "-e",
                         demo.folder / "nginx-error.log", "-c", configuration, log="nginx.log")
    demo.wait_ready(program, "nginx", "nginx.log", lambda: listens(port))
    for contestant in contestants:
        contestant.port = port
    return program
