"""Replies of plain CGI scripts that are wanted as they are written: server-sent events."""

import subprocess

import pytest

from support import fastcgi
from support.faults import begin
from support.host import SUFFIX, Host, put_script
from support.marks import LANGUAGES
from support.servers import Fossil

HEADERS = {"events": "Content-Type: text/event-stream",
           "accel": "Content-Type: text/plain\\nX-Accel-Buffering: no",
           "held": "Content-Type: text/plain"}
STREAMED = pytest.mark.parametrize("name", ["events", "accel"])

# The header, an event for each file that comes to be there, and "fail" fails.
BODY = {
    "python": """\
import os, sys, time
at = os.environ["QUERY_STRING"]
print("%s\\n", flush=True)
for name in ("one", "two", "fail", "end"):
    while not os.path.exists(f"{at}/{name}") and not os.path.exists(f"{at}/end"):
        time.sleep(0.005)
    if name == "fail" and os.path.exists(f"{at}/fail"):
        sys.exit(1)
    print(f"data: {name}\\n", flush=True)
""",
    "tcl": """\
set at $env(QUERY_STRING)
puts "%s\\n"
flush stdout
foreach name {one two fail end} {
    while {![file exists $at/$name] && ![file exists $at/end]} {
        after 5
    }
    if {$name eq "fail" && [file exists $at/fail]} {
        exit 1
    }
    puts "data: $name\\n"
    flush stdout
}
"""}
ALL = b"".join(b"data: %s\n\n" % name for name in (b"one", b"two", b"fail", b"end"))


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    for language, suffix in SUFFIX.items():
        for name, header in HEADERS.items():
            put_script(root, name + suffix, language, BODY[language] % header)
    made = Host(root)
    yield made
    made.stop()


def read_until(client, end):
    """The reply's bytes, until it ends so."""
    data = b""
    while not data.endswith(end):
        kind, _, content = client.read_record()
        assert kind == fastcgi.STDOUT and content, (kind, data)
        data += content
    return data


@LANGUAGES
@STREAMED
def test_each_piece_arrives_while_the_script_still_runs(host, tmp_path, language, name):
    with begin(host, f"/{name}{SUFFIX[language]}?{tmp_path}") as client:
        head = read_until(client, b"\r\n\r\n")
        assert b"data:" not in head and head.startswith(b"Status: 200 OK\r\nContent-Type: ")
        for piece in ("one", "two"):
            (tmp_path / piece).touch()
            assert read_until(client, b"\n\n") == f"data: {piece}\n\n".encode()
        (tmp_path / "end").touch()
        rest = client.read_outcome()
        assert rest.ended and rest.stdout == b"data: fail\n\ndata: end\n\n"


@LANGUAGES
def test_any_other_reply_is_held_back_to_its_end(host, tmp_path, language):
    with begin(host, f"/held{SUFFIX[language]}?{tmp_path}") as client:
        (tmp_path / "one").touch()
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.read_record()
        client.socket.settimeout(20)
        (tmp_path / "end").touch()
        assert client.read_outcome().reply().body == ALL


@LANGUAGES
def test_a_streamed_reply_that_fails_is_cut(host, tmp_path, language):
    with begin(host, f"/events{SUFFIX[language]}?{tmp_path}") as client:
        for name in ("one", "two"):
            (tmp_path / name).touch()
        read_until(client, b"data: two\n\n")
        (tmp_path / "fail").touch()
        outcome = client.read_outcome()
    assert outcome.closed and not outcome.ended and outcome.records[-1][0] == 255


@LANGUAGES
def test_a_client_that_leaves_a_stream_ends_the_script(host, tmp_path, language):
    since = host.log_position()
    with begin(host, f"/events{SUFFIX[language]}?{tmp_path}") as client:
        read_until(client, b"\r\n\r\n")
    host.wait_line(f"GET /events{SUFFIX[language]}", "status=499", "end=client", since=since)


@LANGUAGES
def test_nginx_passes_each_piece_on_as_it_comes(host, start_nginx, tmp_path, language):
    nginx = start_nginx(host.socket)
    url = f"http://127.0.0.1:{nginx.port}/accel{SUFFIX[language]}?{tmp_path}"
    with subprocess.Popen(["/usr/bin/curl", "-sN", "--max-time", "30", url],
                          stdout=subprocess.PIPE) as curl:
        for piece in (b"one", b"two"):
            (tmp_path / piece.decode()).touch()
            assert curl.stdout.readline() == b"data: %s\n" % piece
            assert curl.stdout.readline() == b"\n"
        (tmp_path / "end").touch()
        assert curl.stdout.read() == b"data: fail\n\ndata: end\n\n"


@LANGUAGES
def test_fossil_gets_the_whole_reply_or_a_failure(host, tmp_path, language):
    fossil = Fossil(host.root)
    try:
        url = f"/events{SUFFIX[language]}?{tmp_path}"
        for name in ("one", "two", "fail", "end"):
            (tmp_path / name).touch()
        assert fossil.get(url).status == 500
        (tmp_path / "fail").unlink()
        reply = fossil.get(url)
        assert (reply.status, reply.body) == (200, ALL)
    finally:
        fossil.stop()
