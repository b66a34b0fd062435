"""
A framework's application in all its ways: as an app and as a CGI script, under Fossil, under nginx
at the host's socket, and under nginx at a socket of its own.
"""

import contextlib
import http.cookiejar
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from support.host import Host, put, relay_line
from support.servers import Fossil, Nginx
from support.waiting import wait_for
from support.web import Reply

WAYS = ("fossil app", "fossil cgi", "nginx app", "nginx cgi", "own app")
# seconds for a load or a request: a framework is large, and a busy machine takes its time
PATIENCE = 180


class Site:
    """
    A framework's app in all WAYS. text: a module that defines `application`, in which @DATA@ stands
    for the directory .data. more: {name: text} of further files. options: of the host. The app has
    loaded when the constructor returns.
    """

    def __init__(self, text, more=(), options=()):
        self.folder = tempfile.TemporaryDirectory(prefix="xw-", dir="/tmp")
        self.root = Path(self.folder.name, "root")
        self.data = Path(self.folder.name, "data")
        self.data.mkdir()
        put(self.root, "thing.py", text.replace("@DATA@", str(self.data)))
        for name, content in dict(more).items():
            put(self.root, name, content)
        put(self.root, "app.py", relay_line("python") + "\n# exthost: app\n"
            "from thing import application\n")
        put(self.root, "script.py", relay_line("python") + "\n"
            "from wsgiref.handlers import CGIHandler\n"
            "from thing import application\n"
            "CGIHandler().run(application)\n")
        self.own = f"{self.folder.name}/own"
        conf = put(self.folder.name, "conf",
                   f"[app own]\nscript = app.py\nlisten = unix:{self.own}\nworkers = 2\n"
                   "prefix = /own\n")
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            stack.callback(self.folder.cleanup)
            self.host = Host(self.root, "--prefix", "/ext", "--workers", "2", "--timeout",
                             str(PATIENCE),
                             "--config", str(conf), *options)
            stack.callback(self.host.stop)
            self._servers = {"fossil": Fossil(self.root)}
            stack.callback(self._servers["fossil"].stop)
            for way, socket in ("nginx", self.host.socket), ("own", self.own):
                self._servers[way] = Nginx(socket, keepalive=2)
                stack.callback(self._servers[way].stop)
            wait_for(lambda: self._loaded() >= 2, "the app is loaded", PATIENCE)
            self._stack = stack.pop_all()

    def _loaded(self):
        log = self.host.program.log()
        assert not any("does not load" in line for line in log), "\n".join(log)
        return len([line for line in log if "app.py loaded" in line])

    def base(self, way):
        """The URL of the application in this way, of WAYS."""
        server, kind = way.split()
        path = "/own" if server == "own" else "/ext/app.py" if kind == "app" else "/ext/script.py"
        return f"http://127.0.0.1:{self._servers[server].port}{path}"

    def stop(self):
        self._stack.close()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """
    A client of the application at this URL, which keeps .cookies and, unless told, follows
    redirects.
    """

    def __init__(self, base):
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        keeps = urllib.request.HTTPCookieProcessor(self.cookies)
        proxy = urllib.request.ProxyHandler({})
        self._follows = urllib.request.build_opener(proxy, keeps)
        self._stays = urllib.request.build_opener(proxy, keeps, _NoRedirects)

    def ask(self, path, data=None, headers=(), method=None, follow=True):
        """
        Ask for a path below the URL, or for another URL; the web.Reply, with .url, where it came
        from. data: the fields of a form, or bytes. OSError when nothing answers.
        """
        if isinstance(data, dict):
            data = urllib.parse.urlencode(data).encode()
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(url, data, dict(headers), method=method)
        try:
            answer = (self._follows if follow else self._stays).open(request, timeout=PATIENCE)
        except urllib.error.HTTPError as e:
            answer = e
        with answer:
            reply = Reply(answer.status, answer.headers.items(), answer.read())
            reply.url = answer.url
        return reply

    def upload(self, path, field, name, content, **fields):
        """
        Send a form with a file (content: bytes) and further fields, as a browser does; the Reply.
        """
        limit = b"----a limit that is in no file"
        parts = [b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
                 % (limit, key.encode(), value.encode()) for key, value in fields.items()]
        parts.append(b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n'
                     b"Content-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n"
                     % (limit, field.encode(), name.encode(), content, limit))
        return self.ask(path, b"".join(parts), {
            "Content-Type": f'multipart/form-data; boundary="{limit.decode()}"'})


def curl(*arguments, **more):
    """What curl prints, as bytes. subprocess.CalledProcessError when it fails."""
    return subprocess.run(
        ["/usr/bin/curl", "-sS", "--noproxy", "*", "--max-time", "30", *arguments],
        check=True, capture_output=True, timeout=40, **more).stdout
