"""
Fossil, nginx and Apache, each with folders and a configuration of its own, on the loopback interface.
"""

import os
import shutil
import subprocess
import tempfile

from support import web
from support.processes import Program, inside
from support.waiting import free_port, listens, wait_for

FOSSIL = "/usr/bin/fossil"
NGINX = "/usr/sbin/nginx"
APACHE = "/usr/sbin/apache2"
APACHE_MODULES = "/usr/lib/apache2/modules"


def _start(program, port):
    try:
        wait_for(lambda: listens(port) or not program.running(), f"{program.name} listens")
        assert program.running(), "\n".join([f"{program.name} ended:", *program.log()])
    except BaseException:
        program.stop()
        raise


class Fossil:
    """
    `fossil server` with an extension root. Everybody may read; the user "admin" may do everything
    and logs in with log_in(). relative: the repository is named as a relative path.
    """

    PASSWORD = "correct horse"

    def __init__(self, extroot, relative=False):
        self.folder = tempfile.mkdtemp(prefix="xf-", dir="/tmp")
        self.repository = f"{self.folder}/project.fossil"
        self.env = {"HOME": self.folder, "PATH": "/usr/bin:/bin", "USER": "admin",
                    "GATEWAY_SECRET": "of fossil"}
        self._fossil("init", "-A", "admin", self.repository)
        self._fossil("user", "password", "admin", self.PASSWORD, "-R", self.repository)
        self._fossil("user", "capabilities", "nobody", "jorz", "-R", self.repository)
        # Else Fossil leaves a process behind a request, and stop() would wait for it.
        self._fossil("settings", "backoffice-disable", "1", "-R", self.repository)
        # Else a process that does Fossil's chores outlives the server by a minute.
        self._fossil("settings", "backoffice-disable", "1", "-R", self.repository)
        self.port = free_port()
        name = "project.fossil" if relative else self.repository
        self.program = Program(
            [FOSSIL, "server", name, "--port", str(self.port), "--localhost", "--nojail",
             "--extroot", str(extroot)], env=self.env, cwd=self.folder)
        _start(self.program, self.port)

    def _fossil(self, *arguments):
        subprocess.run(inside([FOSSIL, *arguments], self.folder), env=self.env, cwd=self.folder, check=True,
                       capture_output=True, timeout=30)

    def request(self, method, target, headers=(), body=None, timeout=20.0):
        """A request below /ext."""
        return web.request(self.port, method, "/ext" + target, headers, body, timeout)

    def get(self, target, headers=(), timeout=20.0):
        return self.request("GET", target, headers, timeout=timeout)

    def log_in(self):
        """Headers that make a request the administrator's."""
        form = f"u=admin&p={self.PASSWORD.replace(' ', '+')}&in=Login".encode()
        reply = web.request(self.port, "POST", "/login", body=form, headers=[
            ("Content-Type", "application/x-www-form-urlencoded")])
        cookie = reply.header("Set-Cookie")
        assert cookie, f"Fossil refused the login: {reply}"
        return [("Cookie", cookie.partition(";")[0])]

    def stop(self):
        # A plain CGI program that hangs hangs for ever; so nothing is demanded here.
        self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx:
    """
    nginx with Debian's own fastcgi_params, which hands everything to one FastCGI socket. keepalive:
    how many connections it may keep open there between requests; more: further directives.
    """

    CONFIGURATION = """\
daemon off;
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    fastcgi_buffer_size 64k;
    fastcgi_buffers 8 64k;
    upstream host {{
        server unix:{socket};
        {keepalive}
    }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_keep_conn {keep};
            fastcgi_pass host;
            {more}
        }}
    }}
}}
"""

    def __init__(self, socket, keepalive=0, more=""):
        self.folder = tempfile.mkdtemp(prefix="xn-", dir="/tmp")
        self.port = free_port()
        # Started by root, its workers must still be a user whom the host lets in.
        user = "user root;\n" if os.geteuid() == 0 else ""
        path = f"{self.folder}/nginx.conf"
        with open(path, "w") as f:
            f.write(self.CONFIGURATION.format(
                folder=self.folder, port=self.port, socket=socket, user=user, more=more,
                keep="on" if keepalive else "off",
                keepalive=f"keepalive {keepalive};" if keepalive else ""))
        self.program = Program([NGINX, "-e", "stderr", "-p", self.folder, "-c", path])
        _start(self.program, self.port)

    def request(self, method, target, headers=(), body=None, timeout=20.0):
        return web.request(self.port, method, target, headers, body, timeout)

    def get(self, target, headers=(), timeout=20.0):
        return self.request("GET", target, headers, timeout=timeout)

    def stop(self):
        self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Apache:
    """
    Apache httpd, whose mod_proxy_fcgi hands everything below /ext/ to one FastCGI socket, and keeps
    the connections open between requests. It does not run as root; so started by root it is USER,
    whom the host must be told to answer.
    """

    USER = 33  # www-data, on every Debian

    CONFIGURATION = """\
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog /dev/stderr
{user}LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_fcgi_module {modules}/mod_proxy_fcgi.so
ServerLimit 1
StartServers 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
MaxKeepAliveRequests 0
KeepAliveTimeout 60
ProxyPass /ext/ unix:{socket}|fcgi://localhost/ext/ enablereuse=on
"""

    def __init__(self, socket):
        self.folder = tempfile.mkdtemp(prefix="xa-", dir="/tmp")
        self.port = free_port()
        user = f"User #{self.USER}\nGroup #{self.USER}\n" if os.geteuid() == 0 else ""
        path = f"{self.folder}/apache.conf"
        with open(path, "w") as f:
            f.write(self.CONFIGURATION.format(folder=self.folder, port=self.port, socket=socket,
                                              user=user, modules=APACHE_MODULES))
        self.program = Program([APACHE, "-f", path, "-DFOREGROUND"],
                               env={"PATH": "/usr/bin:/bin"})
        _start(self.program, self.port)

    def request(self, method, target, headers=(), body=None, timeout=20.0):
        """A request below /ext."""
        return web.request(self.port, method, "/ext" + target, headers, body, timeout)

    def get(self, target, headers=(), timeout=20.0):
        return self.request("GET", target, headers, timeout=timeout)

    def stop(self):
        self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
