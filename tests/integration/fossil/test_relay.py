"""
The relay as a CGI program, started as Fossil starts it: what it does when the host is not as it
should be.
"""

import os
import shutil
import socket
import subprocess
import threading

import pytest

from support.fastcgi import END_REQUEST, STDOUT, record
from support.host import EXTHOST, RELAY, SUFFIX, copy_scripts, environment
from support.users import open_to_all, root_only
from support.web import parse_cgi

BINARY = [("Content-Type", "application/octet-stream")]
LARGE = 3_000_000  # more than all pipes and sockets on the way hold


@pytest.fixture
def root(tmp_path):
    return copy_scripts(tmp_path / "root")


class Relay:
    """
    A relay that runs for a script below root. Standard input is a pipe that is never closed, as
    Fossil's.
    """

    def __init__(self, root, script, words=None, program=RELAY, user=None, **more):
        given = {"GATEWAY_INTERFACE": "CGI/1.0", "REQUEST_METHOD": "GET", "QUERY_STRING": "asked",
                 "DOCUMENT_ROOT": str(root), "SCRIPT_FILENAME": f"{root}/{script}",
                 "SCRIPT_NAME": f"/ext/{script}", "PATH_INFO": "", "CONTENT_LENGTH": "0", **more}
        passed = {name: value for name,
                  value in environment().items() if name.endswith("SAN_OPTIONS")}
        argv = [str(program), *([words] if words else []), f"{root}/{script}"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, user=user, env={**given, **passed})
        self.pipe_broke = False
        self._sender = None

    def send(self, body):
        """In a thread, as far as the relay takes it."""
        def write():
            try:
                self._process.stdin.write(body)
                self._process.stdin.flush()
            except BrokenPipeError:
                self.pipe_broke = True
        self._sender = threading.Thread(target=write)
        self._sender.start()

    def waits(self, seconds):
        """Whether it is still there after so long."""
        try:
            self._process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            return True

    def reply(self):
        output = self._process.stdout.read()
        self.errors = self._process.stderr.read().decode()
        self._process.wait(20)
        if self._sender:
            self._sender.join()
        return parse_cgi(output)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._sender:
            self._sender.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass


def hello(language):
    return f"{language}/hello{SUFFIX[language]}"


# A body is read to its end, wanted or not: Fossil writes all of it before it reads the reply.

def test_a_body_over_max_body_is_read_to_its_end(root, start_host, language):
    start_host(root, "--max-body", "1000", listen=["relay"])
    with Relay(root, hello(language), REQUEST_METHOD="POST", CONTENT_LENGTH=str(LARGE),
               CONTENT_TYPE="text/plain") as relay:
        relay.send(b"x" * LARGE)
        assert relay.reply().status == 413
        assert not relay.pipe_broke


def test_a_body_over_max_body_is_read_to_its_end_in_a_cold_run_too(root, language):
    # The default, as nothing tells a cold run otherwise.
    size = (64 << 20) + 1
    with Relay(root, hello(language), REQUEST_METHOD="POST", CONTENT_LENGTH=str(size),
               CONTENT_TYPE="text/plain") as relay:
        relay.send(b"x" * size)
        assert relay.reply().status == 413
        assert not relay.pipe_broke


def test_a_body_for_an_extension_that_takes_less_is_read_to_its_end(root, start_host, tmp_path):
    (tmp_path / "conf").write_text("[extension python/*]\nmax-body = 1000\n")
    start_host(root, "--config", str(tmp_path / "conf"), listen=["relay"])
    with Relay(root, hello("python"), REQUEST_METHOD="POST", CONTENT_LENGTH=str(LARGE),
               CONTENT_TYPE="text/plain") as relay:
        relay.send(b"x" * LARGE)
        assert relay.reply().status == 413
        assert not relay.pipe_broke


def test_a_body_is_read_to_its_end_when_the_host_will_not_have_the_relay(root, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(root / ".exthost.sock"))  # of another kind: EPROTOTYPE
        with Relay(root, hello("python"), REQUEST_METHOD="POST", CONTENT_LENGTH=str(LARGE),
                   CONTENT_TYPE="text/plain") as relay:
            relay.send(b"x" * LARGE)
            assert relay.reply().status == 503
            assert not relay.pipe_broke


def test_fossil_shows_413_for_a_body_over_max_body(root, start_host, start_fossil, language):
    start_host(root, "--max-body", "1000", listen=["relay"])
    fossil = start_fossil(root)
    assert fossil.request("POST", "/" + hello(language), BINARY, b"x" * LARGE).status == 413


# Without a Content-Type Fossil keeps the body to itself; other servers do not.

def test_a_slow_body_without_a_content_type_is_waited_for_where_fossil_is_not_the_server(
        root, start_host):
    start_host(root, listen=["relay"])
    with Relay(root, "python/echo.py", REQUEST_METHOD="POST", CONTENT_LENGTH="4") as relay:
        assert relay.waits(1.5)  # longer than Fossil is given
        relay.send(b"body")
        assert relay.reply().body == b"body"


def test_a_body_without_a_content_type_is_not_waited_for_under_fossil(root, start_host):
    start_host(root, listen=["relay"])
    with Relay(root, "python/echo.py", REQUEST_METHOD="POST", CONTENT_LENGTH="4",
               FOSSIL_NONCE="x") as relay:
        assert relay.reply().status == 400


# A host whose queue of connections is full is busy, not gone.

class Full:
    """A listening socket at this path, with its queue full of clients."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(0)
        self._clients = []
        try:
            while True:
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                self._clients.append(client)
                client.connect(str(path))
        except BlockingIOError:
            pass

    def answer_all(self):
        """Take all, until one asks something; answer it, as a FastCGI responder does."""
        self.listener.settimeout(10)
        for _ in range(len(self._clients) + 1):
            with self.listener.accept()[0] as client:
                client.settimeout(0.2 if self._clients else 10)
                try:
                    asked = client.recv(8)
                except TimeoutError:
                    continue
                if asked:
                    client.sendall(record(STDOUT, 1, b"Content-Type: text/plain\n\nat last") +
                                   record(STDOUT, 1) + record(END_REQUEST, 1, bytes(8)))
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in (self.listener, *self._clients):
            each.close()


def test_the_relay_waits_for_a_place_in_a_full_queue(root):
    with Full(root / ".exthost.sock") as host, Relay(root, hello("python")) as relay:
        assert relay.waits(0.7)
        host.answer_all()
        assert relay.reply().text == "at last"


@pytest.mark.slow
def test_a_queue_that_stays_full_is_503(root):
    with Full(root / ".exthost.sock"), Relay(root, hello("python")) as relay:
        reply = relay.reply()
        assert (reply.status, reply.header("Retry-After")) == (503, "1")
        assert "temporarily unavailable" in reply.text.lower()


def test_another_host_does_not_take_the_socket_of_a_living_one_whose_queue_is_full(root):
    path = root / ".exthost.sock"
    with Full(path):
        inode = os.stat(path).st_ino
        done = subprocess.run([EXTHOST, "serve", "--root", str(root)], env=environment(),
                              capture_output=True, timeout=30, check=False)
        assert done.returncode == 1 and b"in use" in done.stderr
        assert os.stat(path).st_ino == inode


# Where no host can be reached, the request is run cold.

def test_the_relay_starts_cold_where_a_folder_has_the_sockets_name(root, language):
    (root / ".exthost.sock").mkdir()
    with Relay(root, hello(language)) as relay:
        assert relay.reply().text == f"Hello from {language}: asked\n"


@pytest.mark.parametrize("place", ["nothing/s", "a file/s", "a file"])
def test_the_relay_starts_cold_where_the_place_of_the_named_socket_is_none(root, place, tmp_path):
    (tmp_path / "a file").write_text("")
    place = str(tmp_path / place).replace(" ", "-")
    (tmp_path / "a-file").write_text("")
    with Relay(root, hello("python"), words=f"--socket {place} python") as relay:
        assert relay.reply().text == "Hello from python: asked\n"


@pytest.fixture
def programs(tmp_path):
    """The relay and exthost where every user can start them."""
    for program in (EXTHOST, RELAY):
        shutil.copy(program, tmp_path)
    open_to_all(tmp_path)
    return tmp_path


@root_only
def test_the_relay_starts_cold_where_a_closed_folder_hides_the_socket(
        root, programs, start_host, language):
    hidden = programs / "closed"
    hidden.mkdir(mode=0o700)
    host = start_host(root, listen=["unix:%s/s,trust=fossil,mode=0666" % hidden])
    open_to_all(root)
    with Relay(root, hello(language), program=programs / "exthost-cgi", user=1234,
               words=f"--socket {hidden}/s {language}") as relay:
        assert relay.reply().text == f"Hello from {language}: asked\n", relay.errors
    assert not any("hello" in line for line in host.program.log())


@root_only
def test_a_host_that_is_there_and_will_not_have_this_user_is_503(root, programs, start_host):
    open_to_all(root)
    start_host(root, listen=["relay"])
    with Relay(root, hello("python"), program=programs / "exthost-cgi", user=1234) as relay:
        assert relay.reply().status == 503
        assert "Permission denied" in relay.errors
