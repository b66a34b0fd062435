"""The four ways a request reaches an extension, behind one method: send(method, target, ...)."""

from support.host import Host, copy_scripts, environment, run_exthost
from support.servers import Fossil, Nginx
from support.stopping import stop_all
from support.web import parse_cgi

WAYS = ("request", "fastcgi", "nginx", "fossil")


class Site:
    """
    One extension root with all scripts, and what serves it, each started when it is first used:
    .host, .nginx in front of it, .fossil with the relay.
    """

    def __init__(self, root, *options):
        self.root = copy_scripts(root)
        self._options = options
        self._started = {}

    def _get(self, name, make):
        if name not in self._started:
            self._started[name] = make()
        return self._started[name]

    @property
    def host(self):
        """The Host, with all test scripts."""
        return self._get("host", lambda: Host(self.root, *self._options))

    @property
    def nginx(self):
        """A servers.Nginx in front of it."""
        return self._get("nginx", lambda: Nginx(self.host.socket))

    @property
    def fossil(self):
        """A servers.Fossil with the same extension root."""
        return self._get("fossil", self._start_fossil)

    def _start_fossil(self):
        assert self.host.program.running()  # else the relay runs everything cold
        return Fossil(self.root)

    def send(self, way, method, target, headers=(), body=None, timeout=20.0):
        """The Reply to one request. .log is what the log got from it, once asked for."""
        return getattr(self, "_send_" + way)(method, target, list(headers), body, timeout)

    def _send_request(self, method, target, headers, body, timeout):
        arguments = ["request", method, target, "--root", str(self.root)]
        for name, value in headers:
            value = value if isinstance(value, bytes) else value.encode()
            arguments += ["--header", name.encode() + b": " + value]
        if body is not None:
            arguments += ["--body", "-"]
        done = run_exthost(*arguments, input=body or b"", timeout=timeout, env=environment())
        assert done.returncode in (0, 1), (done.returncode, done.stderr)
        reply = parse_cgi(done.stdout)
        assert (done.returncode == 0) == (reply.status < 400), (done.returncode, reply)
        reply.log = lambda: done.stderr.decode("utf-8", "replace").splitlines()
        return reply

    def _send_fastcgi(self, method, target, headers, body, timeout):
        since = self.host.log_position()
        outcome = self.host.run(method, target, headers, body or b"", timeout=timeout)
        assert outcome.stderr == b"", "FCGI_STDERR was sent"
        return self._with_log(outcome.reply(), since)

    def _send_nginx(self, method, target, headers, body, timeout):
        nginx, since = self.nginx, self.host.log_position()
        return self._with_log(nginx.request(method, target, headers, body, timeout), since)

    def _send_fossil(self, method, target, headers, body, timeout):
        fossil, since = self.fossil, self.host.log_position()
        return self._with_log(fossil.request(method, target, headers, body, timeout), since)

    def _with_log(self, reply, since):
        reply.log = lambda: self.host.program.log(since)
        return reply

    def stop(self):
        stop_all(self._started.pop(name) for name in ("host", "nginx", "fossil")
                 if name in self._started)
