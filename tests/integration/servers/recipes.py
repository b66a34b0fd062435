"""Servers that are set up with the text of README.md, as a reader would."""

import os
import re
import shlex
import shutil
import tempfile

from support import web
from support.host import REPOSITORY
from support.processes import Program
from support.servers import APACHE, APACHE_MODULES, NGINX, _start
from support.waiting import free_port

README = (REPOSITORY / "README.md").read_text()
WWW_DATA = 33  # as on every Debian
ADA = "ada:{PLAIN}secret\n"  # for nginx


def section(title):
    """The text below a heading, up to the next one."""
    return re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ )", README, re.S | re.M)[1]


def blocks(title):
    """The indented blocks there, each without its indentation."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", section(title), re.M)
    return ["\n".join(line[4:] for line in block.strip("\n").split("\n")) + "\n" for block in found if block.strip()]


def block_with(title, text):
    """The one block there that holds this text."""
    [found] = [block for block in blocks(title) if text in block]
    return found


def host_options(title):
    """What the command `exthost serve` there is given, as {option: value}, less --root."""
    command = block_with(title, "exthost serve").replace("\\\n", " ").replace("$(id -u www-data)", str(WWW_DATA))
    words = shlex.split(command)
    words = words[words.index("serve") + 1:]
    given = dict(zip(words[::2], words[1::2]))
    assert given.pop("--root")
    return given


class _Recipe:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="xr-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        self.program = None

    def put(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, command):
        try:
            self.program = Program(command, env={"PATH": "/usr/bin:/bin"})
            _start(self.program, self.port)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def request(self, method, target, headers=(), body=None, timeout=20.0):
        return web.request(self.port, method, target, headers, body, timeout)

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    def stop(self):
        self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def put_in(text, **values):
    """The text with each of these (a place in it: what to put there); all must be there."""
    for old, new in values.values():
        assert old in text, old
        text = text.replace(old, new)
    return text


class Nginx(_Recipe):
    """nginx as Debian sets it up, with this block as a file of conf.d."""

    MAIN = """\
daemon off;
{user}worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ext.conf;
}}
"""

    def __init__(self, block, socket):
        super().__init__()
        user = "user www-data;\n" if os.geteuid() == 0 else ""
        shutil.copy("/etc/nginx/fastcgi_params", self.folder)
        self.put("htpasswd", ADA)
        block = block.replace("/etc/nginx/ext.htpasswd", f"{self.folder}/htpasswd")
        self.put("ext.conf", put_in(block, port=("127.0.0.1:8081", f"127.0.0.1:{self.port}"),
                                    socket=("/run/exthost/web.sock", socket)))
        path = self.put("nginx.conf", self.MAIN.format(folder=self.folder, user=user))
        self.start([NGINX, "-e", "stderr", "-p", self.folder, "-c", path])


class Apache(_Recipe):
    """Apache with this line in its configuration, and more behind it."""

    MAIN = """\
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog /dev/stderr
{user}LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule auth_basic_module {modules}/mod_auth_basic.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_fcgi_module {modules}/mod_proxy_fcgi.so
"""

    def __init__(self, line, socket, more=""):
        super().__init__()
        user = f"User #{WWW_DATA}\nGroup #{WWW_DATA}\n" if os.geteuid() == 0 else ""
        # {SHA} of "secret"
        self.put("htpasswd", "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
        path = self.put("apache.conf", self.MAIN.format(folder=self.folder, port=self.port, user=user,
                                                        modules=APACHE_MODULES)
                        + put_in(line, socket=("/run/exthost/web.sock", socket))
                        + more.format(folder=self.folder))
        self.start([APACHE, "-f", path, "-DFOREGROUND"])
