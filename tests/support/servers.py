"""
Fossil, nginx and Apache, each with a directory and a configuration of its own, on the loopback
interface; and a base class for any other server that a test starts.
"""

import os
import shutil
import subprocess
import tempfile

from support import web
from support.processes import Program, inside
from support.waiting import free_port, listens, wait_started

FOSSIL = "/usr/bin/fossil"
NGINX = "/usr/sbin/nginx"
APACHE = "/usr/sbin/apache2"
APACHE_MODULES = "/usr/lib/apache2/modules"
WWW_DATA = 33  # the user of a web server's workers, on every Debian
ROOT = os.geteuid() == 0


class Server:
    """
    A server with a temporary directory below /tmp (mode: of the directory), which a subclass fills,
    and a free .port of the loopback interface, at which start() begins to serve. .program is the
    started Program.
    """

    MOUNT = ""  # what request() puts before each target

    def __init__(self, prefix, mode=0o700):
        self.folder = tempfile.mkdtemp(prefix=prefix, dir="/tmp")
        os.chmod(self.folder, mode)
        self.port = free_port()
        self.program = None

    def put(self, name, text):
        """Write a file into the temporary directory; its path."""
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self, argv, seconds=30.0, **more):
        """
        Start the program, and wait until it listens. When it ends before or is not ready after so
        many seconds, AssertionError, and nothing is left. more: as for Program.
        """
        try:
            self.program = Program(argv, **more)
            wait_started(self.program, lambda: listens(self.port), seconds)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def request(self, method, target, headers=(), body=None, timeout=20.0):
        """One request below MOUNT, on a connection of its own; its web.Reply, as of web.request."""
        return web.request(self.port, method, self.MOUNT + target, headers, body, timeout)

    def get(self, target, headers=(), timeout=20.0):
        """A GET request; its web.Reply."""
        return self.request("GET", target, headers, timeout=timeout)

    def stop(self):
        """End the program, whatever its exit status, and remove the temporary directory."""
        if self.program:
            self.program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Fossil(Server):
    """
    `fossil server` with an extension root. Everybody may read; the user "admin" may do everything
    and logs in with log_in(). relative: the repository is named as a relative path. request() asks
    below /ext.
    """

    PASSWORD = "correct horse"
    MOUNT = "/ext"

    def __init__(self, extroot, relative=False):
        super().__init__("xf-")
        self.repository = f"{self.folder}/project.fossil"
        self.env = {"HOME": self.folder, "PATH": "/usr/bin:/bin", "USER": "admin",
                    "GATEWAY_SECRET": "of fossil"}
        self._fossil("init", "-A", "admin", self.repository)
        self._fossil("user", "password", "admin", self.PASSWORD, "-R", self.repository)
        self._fossil("user", "capabilities", "nobody", "jorz", "-R", self.repository)
        # Else Fossil leaves a process behind a request, whose chores outlive the server by a
        # minute, and stop() would wait for it.
        self._fossil("settings", "backoffice-disable", "1", "-R", self.repository)
        name = "project.fossil" if relative else self.repository
        self.start([FOSSIL, "server", name, "--port", str(self.port), "--localhost", "--nojail",
                    "--extroot", str(extroot)], env=self.env, cwd=self.folder)

    def _fossil(self, *arguments):
        subprocess.run(inside([FOSSIL, *arguments], self.folder), env=self.env, cwd=self.folder,
                       check=True, capture_output=True, timeout=30)

    def log_in(self):
        """Headers, a list of (name, value), that make a request the administrator's."""
        form = f"u=admin&p={self.PASSWORD.replace(' ', '+')}&in=Login".encode()
        reply = web.request(self.port, "POST", "/login", body=form, headers=[
            ("Content-Type", "application/x-www-form-urlencoded")])
        cookie = reply.header("Set-Cookie")
        assert cookie, f"Fossil refused the login: {reply}"
        return [("Cookie", cookie.partition(";")[0])]


def nginx_text(folder, http, user):
    """
    An nginx.conf that keeps all files in this directory and logs to standard error, with
    these directives in http. user: its worker's user when root starts it.
    """
    spools = "".join(f"    {name}_temp_path {folder}/{name};\n"
                     for name in ("client_body", "fastcgi", "proxy", "uwsgi", "scgi"))
    return (f"daemon off;\n{f'user {user};' if ROOT else ''}\nworker_processes 1;\n"
            f"pid {folder}/nginx.pid;\nerror_log stderr warn;\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{\n    access_log off;\n{spools}{http}}}\n")


def nginx_command(folder):
    """The words that start nginx with the file nginx.conf in this directory."""
    return [NGINX, "-e", "stderr", "-p", folder, "-c", f"{folder}/nginx.conf"]


def apache_text(folder, port, modules, directives):
    """
    A configuration of Apache httpd that keeps all files in this directory, logs to standard error
    and listens at this port. modules: names ("proxy_fcgi") beside the modules that it always needs.
    If root starts it, its workers run as WWW_DATA.
    """
    loaded = "".join(f"LoadModule {module}_module {APACHE_MODULES}/mod_{module}.so\n"
                     for module in ("mpm_event", "authz_core", *modules))
    user = f"User #{WWW_DATA}\nGroup #{WWW_DATA}\n" if ROOT else ""
    return (f"ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\n"
            f"PidFile {folder}/pid\nDefaultRuntimeDir {folder}\nErrorLog /dev/stderr\n"
            f"{user}{loaded}{directives}")


def apache_command(folder):
    """The words that start Apache httpd with the file apache.conf in this directory."""
    return [APACHE, "-DFOREGROUND", "-f", f"{folder}/apache.conf"]


class Nginx(Server):
    """
    nginx with Debian's own fastcgi_params, which hands everything to one FastCGI socket (a path).
    keepalive: how many connections it may keep open there between requests; more: further
    directives of its location.
    """

    HTTP = """\
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
"""

    def __init__(self, socket, keepalive=0, more=""):
        super().__init__("xn-")
        http = self.HTTP.format(port=self.port, socket=socket, more=more,
                                keep="on" if keepalive else "off",
                                keepalive=f"keepalive {keepalive};" if keepalive else "")
        # If root starts it, its workers must still run as a user that the host allows.
        self.put("nginx.conf", nginx_text(self.folder, http, "root"))
        self.start(nginx_command(self.folder))


class Apache(Server):
    """
    Apache httpd, whose mod_proxy_fcgi hands everything below /ext/ to one FastCGI socket (a path),
    and keeps the connections open between requests. If root starts it, it runs as USER, so the
    host needs allow-uid for USER. request() asks below /ext.
    """

    USER = WWW_DATA
    MOUNT = "/ext"
    DIRECTIVES = """\
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
        super().__init__("xa-")
        self.put("apache.conf", apache_text(self.folder, self.port, ("proxy", "proxy_fcgi"),
                                            self.DIRECTIVES.format(socket=socket)))
        self.start(apache_command(self.folder), env={"PATH": "/usr/bin:/bin"})
