"""
A client that goes with its whole reply, before the run is at its end: nginx does so with
fastcgi_keep_conn on when its own client goes. What the extension has left to do is done.
"""

import socket
import time

import pytest

from support import fastcgi
from support.apps import Apps, OwnSockets
from support.faults import begin
from support.host import SUFFIX, Host, put_script
from support.processes import lives
from support.servers import Nginx

# More than is held back of a CGI script's reply, in whole records: the end of a small one waits in
# an app's worker until the app returns, to go in one piece with what ends the request.
SIZE = 6 * 65528
LET_GO = 5.0  # seconds that an app has when its client is gone too early

# Say so many bytes, send them, and do then what takes until the file is there that the query names.
HEADER = "Content-Type: text/plain\\nContent-Length: {length}\\n{more}\\n"
SCRIPTS = {
    "python": """\
# exthost: {mode}
import os, sys, time
sys.stdout.write("{header}" + "x" * {size})
sys.stdout.flush()
print("begun", os.getpid(), file=sys.stderr, flush=True)
while not os.path.exists(os.environ["QUERY_STRING"]):
    time.sleep(0.005)
print("work is done", file=sys.stderr, flush=True)
""",
    "tcl": """\
# exthost: {mode}
proc application {{}} {{
    puts -nonewline "{header}[string repeat x {size}]"
    flush stdout
    puts stderr "begun [pid]"
    while {{![file exists $::env(QUERY_STRING)]}} {{ after 5 }}
    puts stderr "work is done"
}}
if {{"{mode}" ne "app"}} application
""",
}
WSGI = """\
class Reply:
    def __iter__(self):
        yield b"x" * ({size} // 2)
        yield b"x" * ({size} - {size} // 2)
    def close(self):
        print("begun", os.getpid(), file=sys.stderr, flush=True)
        while not os.path.exists(query):
            time.sleep(0.005)
        print("work is done", file=sys.stderr, flush=True)
"""
WAYS = ("python cgi", "python rerun", "python app", "tcl cgi", "tcl rerun", "tcl app",
        "python app own socket", "tcl app own socket")


class Leaving:
    """An extension that is run in one way; options: the host's."""

    def __init__(self, folder, way, *options, length=SIZE, more=""):
        language, mode, *own = way.split()
        self._apps = None
        header = HEADER.format(length=length, more=more)
        if way.startswith("python app"):
            self._apps = (OwnSockets if own else Apps)(folder, *options)
            self.url = self._apps.put(f"""
                global query
                query = environ["QUERY_STRING"]
                start_response("200 OK", TEXT + [("Content-Length", "{length}")])
                return Reply()
                """, WSGI.format(size=SIZE))
            self.socket = self._apps.socket if own else self._apps.host.socket
            return
        name = "leaving" + SUFFIX[language]
        script = put_script(folder / "root", name, language, SCRIPTS[language].format(
            mode=mode, header=header, size=SIZE))
        self.url = f"/{name}"
        if own:
            self.host = Host(folder / "root", "--app", str(script), "--workers", "1", *options,
                             listen=["unix:{folder}/s"])
        else:
            self.host = Host(folder / "root", *options)
        self.socket = self.host.socket

    def log_position(self):
        return self._log().log_position()

    def _log(self):
        return self._apps.host if self._apps else self.host

    def wait_line(self, *texts, since, seconds=20.0):
        return self._log().wait_line(*texts, since=since, seconds=seconds)

    def stop(self):
        (self._apps or self.host).stop()


@pytest.fixture
def leaving(tmp_path):
    made = []

    def start(way, *options, **more):
        made.append(Leaving(tmp_path, way, *options, **more))
        return made[-1]
    yield start
    for each in made:
        each.stop()


def receive(connection, size):
    """Read a reply until it has so many bytes of a body."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < size:
        kind, _, content = connection.read_record()
        assert kind == fastcgi.STDOUT
        data += content
    return data


def stays(pid, seconds):
    """It must live so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert lives(pid), f"process {pid} was ended"
        time.sleep(0.05)


def begun(extension, since):
    return int(extension.wait_line("begun ", since=since).split("begun ")[1].split()[0])


@pytest.mark.parametrize("way", WAYS)
def test_a_run_whose_client_goes_with_its_whole_reply_does_its_work_and_is_a_200(
        leaving, tmp_path, way):
    extension = leaving(way)
    since = extension.log_position()
    with begin(extension, f"{extension.url}?{tmp_path}/gate", fastcgi.KEEP_CONN) as client:
        receive(client, SIZE)
        pid = begun(extension, since)
    stays(pid, LET_GO + 1.5)
    (tmp_path / "gate").touch()
    extension.wait_line("work is done", since=since)
    line = extension.wait_line(f"GET {extension.url}", "status=", since=since)
    assert "status=200" in line and "reason=" not in line


@pytest.mark.parametrize(
    "way", ["python app", "tcl app", "python app own socket", "tcl app own socket"])
def test_a_run_whose_client_goes_through_nginx_with_its_whole_reply_is_a_200(
        leaving, tmp_path, way):
    extension = leaving(way)
    nginx = Nginx(extension.socket, keepalive=4)
    try:
        since = extension.log_position()
        with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as client:
            client.sendall(
                f"GET {extension.url}?{tmp_path}/gate HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            data = b""
            while len(data.partition(b"\r\n\r\n")[2]) < SIZE:
                data += client.recv(1 << 18)
            pid = begun(extension, since)
        stays(pid, LET_GO + 1.5)
        (tmp_path / "gate").touch()
        extension.wait_line("work is done", since=since)
        line = extension.wait_line(f"GET {extension.url}", "status=", since=since)
        assert "status=200" in line and "reason=" not in line
    finally:
        nginx.stop()


@pytest.mark.parametrize("way", WAYS)
def test_a_run_whose_client_goes_before_the_last_byte_is_a_499(leaving, tmp_path, way):
    extension = leaving(way, length=SIZE + 1)
    since = extension.log_position()
    with begin(extension, f"{extension.url}?{tmp_path}/gate", fastcgi.KEEP_CONN) as client:
        receive(client, SIZE)
    extension.wait_line(f"GET {extension.url}", "status=499", "the client went away", since=since)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_goes_on_without_its_client_has_its_time_and_no_more(leaving, tmp_path, way):
    extension = leaving(way, "--timeout", "7")
    since = extension.log_position()
    with begin(extension, f"{extension.url}?{tmp_path}/gate", fastcgi.KEEP_CONN) as client:
        receive(client, SIZE)
        pid = begun(extension, since)
    extension.wait_line(f"GET {extension.url}", "status=200", "longer than 7 s",
                        since=since, seconds=30)
    assert not lives(pid)


def test_a_streamed_reply_to_head_is_whole_with_its_header(leaving, tmp_path):
    extension = leaving("python cgi", more="X-Accel-Buffering: no\\n")
    since = extension.log_position()
    with fastcgi.Connection(extension.socket) as client:
        client.begin(flags=fastcgi.KEEP_CONN)
        client.params(fastcgi.variables("HEAD", f"{extension.url}?{tmp_path}/gate"))
        client.stdin(b"")
        assert receive(client, 0).startswith(b"Status: 200 OK\r\n")
        begun(extension, since)
    (tmp_path / "gate").touch()
    extension.wait_line("work is done", since=since)
    extension.wait_line(f"HEAD {extension.url}", "status=200", since=since)
