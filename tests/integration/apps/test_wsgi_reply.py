"""Status, headers and body of a reply, and how it is sent, as PEP 3333 has it."""

import pytest

from support import fastcgi
from support.apps import Apps, OwnSockets
from support.host import put
from support.waiting import wait_for
from support.web import BrokenTransfer

# An iterable that tells what is done with it.
TRACKED = """
class Tracked:
    def __init__(self, *chunks, fail=None):
        self.chunks, self.fail = iter(chunks), fail
    def __iter__(self):
        return self
    def __next__(self):
        for chunk in self.chunks:
            return chunk
        if self.fail:
            raise self.fail
        raise StopIteration
    def close(self):
        print("closed", flush=True)

class One(Tracked):
    def __len__(self):
        return 1
"""
START = "start_response('200 OK', TEXT)\n"


def test_a_status_and_headers_are_sent_in_their_order(apps):
    reply = apps.answer("""
        start_response("404 No such thing", [("Content-Type", "text/x-test"), ("X-B", "2"),
                                             ("X-A", "caf\\xe9"), ("Set-Cookie", "a=1"),
                                             ("Set-Cookie", "b=2"), ("X-Empty", "")])
        return [b"none"]
        """)
    assert (reply.status, reply.body) == (404, b"none")
    assert reply.header("Status") == "404 No such thing"
    assert reply.all("Set-Cookie") == ["a=1", "b=2"] and reply.header("X-A") == "caf\xe9"
    names = [name for name, _ in reply.headers if name.startswith("X-")]
    assert names == ["X-B", "X-A", "X-Empty"]


@pytest.fixture(scope="module", params=["shared", "own socket"])
def served_apps(request, tmp_path_factory):
    """Without the validator, which has an opinion of its own on what is tried here."""
    folder = tmp_path_factory.mktemp("apps")
    made = OwnSockets(folder) if request.param == "own socket" else Apps(folder)
    yield made
    made.stop()


@pytest.mark.parametrize("status, sent", [("404", "404 Not Found"), ("200", "200 OK"),
                                          ("429 ", "429 Too Many Requests"), ("599", "599 "),
                                          ("404 No such thing", "404 No such thing")])
def test_a_status_without_a_reason_gets_the_standard_one(served_apps, status, sent):
    reply = served_apps.answer(f"start_response({status!r}, TEXT)\nreturn [b'page']")
    assert reply.body == b"page" and reply.header("Status").startswith(sent)


def test_the_bytes_of_a_reply_are_those_that_a_web_server_wants(served_apps):
    url = served_apps.put("""
        start_response(environ["QUERY_STRING"].replace("_", " "), TEXT + [
            ("Location", "/x"), ("Content-Length", "4"), ("Content-Length", "4")])
        return [b"page"]
        """)
    for status in ("302 Found", "201 Created", "200 OK"):
        assert served_apps.run(f"{url}?{status.replace(' ', '_')}").stdout == (
            f"Status: {status}\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
            "Location: /x\r\n\r\npage").encode()


@pytest.mark.parametrize("size", [4096, 8192 - len("Set-Cookie: ")])
def test_a_long_header_is_sent(served_apps, size):
    reply = served_apps.answer(f"""
        start_response("200 OK", TEXT + [("Set-Cookie", "a" * {size})])
        return [b"page"]
        """)
    assert reply.header("Set-Cookie") == "a" * size and reply.body == b"page"


@pytest.mark.parametrize("headers, reason", [
    (f"('Set-Cookie', 'a' * {8193 - len('Set-Cookie: ')})",
     "header line 3 is longer than 8192 bytes"),
    ("*[('Set-Cookie', 'a' * 4096)] * 8", "the header block is longer than 32760 bytes")])
def test_a_header_that_no_web_server_takes_is_500_and_the_log_says_why(
        served_apps, headers, reason):
    since = served_apps.host.log_position()
    reply = served_apps.answer(f"start_response('200 OK', TEXT + [{headers}])\nreturn [b'page']")
    assert reply.status == 500
    served_apps.host.wait_line("status=500", reason, since=since)


@pytest.mark.parametrize("result, body, length", [
    ("[b'one']", b"one", 3), ("(b'one',)", b"one", 3), ("[b'a', b'', b'bc']", b"abc", 3),
    ("[]", b"", 0), ("[b'']", b"", 0), ("[b'%d,' % i for i in range(500)]",
                                        b"".join(b"%d," % i for i in range(500)), 1890),
    ("One(b'alone')", b"alone", 5)])
def test_what_is_known_as_a_whole_gets_its_length(apps, result, body, length):
    reply = apps.answer(START + f"return {result}", before=TRACKED)
    assert reply.body == body
    # The validator hides the length of what the app returned.
    assert reply.header("Content-Length") == (None if apps.validate else str(length))


@pytest.mark.parametrize("result", [
    "iter([b'a', b'b'])", "(c for c in (b'', b'a', b'', b'b'))", "Tracked(b'a', b'b')",
    "{b'ab': 1}", "map(bytes, [b'a', b'b'])"])
def test_any_iterable_of_bytes_is_a_body(apps, result):
    reply = apps.answer(START + f"return {result}", before=TRACKED)
    assert reply.body == b"ab"


def test_an_app_can_be_a_class_and_start_as_late_as_its_first_piece(apps):
    url = apps.put("")
    put(apps.root, url[1:], """
class application:
    def __init__(self, environ, start_response):
        self.start = start_response
    def __iter__(self):
        self.start("200 OK", [("Content-Type", "text/plain")])
        yield b"a class"
""", executable=True)
    assert apps.get(url).body == b"a class"


def test_the_given_length_stands(apps):
    reply = apps.answer("""
        start_response("200 OK", TEXT + [("content-length", "2")])
        return iter([b"a", b"b"])
        """)
    assert (reply.all("Content-Length"), reply.body) == (["2"], b"ab")


def test_what_is_written_comes_before_what_is_returned(apps):
    reply = apps.answer("""
        write = start_response("200 OK", TEXT)
        write(b"a")
        write(b"")
        write(b"b")
        return [b"c"]
        """)
    assert reply.body == b"abc" and reply.header("Content-Length") is None


@pytest.mark.parametrize("body", [
    START + "yield b'first'\nwait()\nyield b'second'",
    "write = start_response('200 OK', TEXT)\nwrite(b'first')\nwait()\nwrite(b'second')\nreturn []",
    "write = start_response('200 OK', TEXT)\nwrite(b'first')\nreturn (wait() for _ in '1')"])
def test_each_piece_is_sent_before_the_next_is_made(apps, tmp_path, body):
    gate = tmp_path / "gate"
    url = apps.put(body, f"""
        def wait():
            while not os.path.exists({str(gate)!r}):
                time.sleep(0.005)
            return b"second"
        """)
    with fastcgi.Connection(apps.host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", url))
        connection.stdin(b"")
        received = b""
        while b"first" not in received:
            received += connection.read_record()[2]
        assert b"second" not in received
        gate.touch()
        assert connection.read_outcome().stdout.endswith(b"second")


def test_the_header_waits_for_the_first_piece_that_is_not_empty(apps):
    reply = apps.answer("""
        start_response("200 OK", TEXT)
        yield b""
        try:
            raise ValueError
        except ValueError:
            start_response("503 Changed", TEXT, sys.exc_info())
        yield b"changed"
        """)
    assert (reply.status, reply.body) == (503, b"changed")


def test_headers_stand_as_they_were_when_start_response_was_called(plain_apps):
    reply = plain_apps.answer("""
        headers = [("Content-Type", "text/plain"), ("X-A", "1")]
        start_response("200 OK", headers)
        headers.append(("X-B", "2"))
        return [b"x"]
        """)
    assert reply.header("X-A") == "1" and reply.header("X-B") is None


@pytest.mark.parametrize("result", ["[b'body']", "iter([b'body'])", "Tracked(b'body')"])
def test_head_has_the_header_of_get_and_no_body(apps, result):
    url = apps.put(START + f"return {result}", TRACKED)
    got, head = apps.get(url), apps.get(url, "HEAD")
    assert head.body == b"" and got.body == b"body"
    assert head.headers == got.headers


def test_head_of_an_app_that_leaves_out_the_body_has_no_length_of_zero(apps):
    reply = apps.answer(START + "return []", "HEAD")
    assert reply.body == b"" and reply.header("Content-Length") is None
    reply = apps.answer("start_response('200 OK', TEXT + [('Content-Length', '5')])\nreturn []",
                        "HEAD")
    assert reply.body == b"" and reply.header("Content-Length") == "5"


def test_head_of_an_endless_body_ends(apps):
    since = apps.host.log_position()
    reply = apps.answer(START + """
try:
    while True:
        yield b"more"
finally:
    print("ended", flush=True)
""", "HEAD")
    assert reply.status == 200 and reply.body == b""
    apps.host.wait_line("ended", since=since)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_statuses_have_no_body(plain_apps, status):
    reply = plain_apps.answer(f"start_response({status!r}, [])\nreturn [b'body']")
    assert (reply.status, reply.body) == (int(status[:3]), b"")
    assert reply.header("Content-Length") is None


@pytest.mark.parametrize("result", ["[b'ab', b'cd', b'ef']", "iter([b'ab', b'cd', b'ef'])"])
def test_a_body_is_never_longer_than_its_length(apps, result):
    since = apps.host.log_position()
    reply = apps.answer("start_response('200 OK', TEXT + [('Content-Length', '3')])\n"
                        f"return {result}")
    assert reply.body == b"abc"
    apps.host.wait_line("longer than its Content-Length", since=since)


def test_a_file_is_never_longer_than_its_length_either(apps, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    since = apps.host.log_position()
    reply = apps.answer(f"""
        start_response("200 OK", TEXT + [("Content-Length", "70000")])
        return environ["wsgi.file_wrapper"](open({str(tmp_path / "file")!r}, "rb"))
        """)
    assert reply.body == b"x" * 70_000
    apps.host.wait_line("longer than its Content-Length", since=since)
    apps.host.wait_line("status=200", since=since)


def test_a_write_beyond_the_length_is_an_exception(apps):
    apps.fails("""
        write = start_response("200 OK", TEXT + [("Content-Length", "3")])
        write(b"abcd")
        return []
        """, "ValueError: write: the body is longer than its Content-Length")


def test_a_body_that_is_shorter_than_its_length_is_cut(apps, start_nginx):
    url = apps.put("start_response('200 OK', TEXT + [('Content-Length', '10')])\nreturn [b'abc']")
    since = apps.host.log_position()
    outcome = apps.run(url)
    assert outcome.closed or outcome.reply().status == 500
    apps.host.wait_line("the body ended after 3 bytes; Content-Length is 10", since=since)
    with pytest.raises(BrokenTransfer):
        start_nginx(apps.host.socket).get(url)


@pytest.mark.parametrize("end", ["", "raise ValueError('late')", "return"])
def test_close_is_called_once_however_it_ends(apps, end):
    since = apps.host.log_position()
    apps.run(apps.put(START + f"return Tracked(b'a', b'b', fail={'ValueError()' if end else None})",
                      TRACKED))
    apps.host.wait_line("closed", since=since)
    apps.host.wait_line("GET /", since=since)
    assert len([line for line in apps.host.program.log(since) if " closed" in line]) == 1


def test_an_error_of_close_is_logged_and_the_reply_stands(apps):
    since = apps.host.log_position()
    reply = apps.answer(START + "return Failing(b'whole')", before=TRACKED + """
class Failing(Tracked):
    def close(self):
        raise RuntimeError("close failed")
""")
    assert (reply.status, reply.body) == (200, b"whole")
    apps.host.wait_line("RuntimeError: close failed", since=since)


def test_a_client_that_goes_away_ends_the_app_quietly(apps):
    url = apps.put(START + """
try:
    while True:
        yield b"x" * 65536
finally:
    print("stopped", flush=True)
""")
    since = apps.host.log_position()
    with fastcgi.Connection(apps.host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", url))
        connection.stdin(b"")
        assert connection.read_record()
    apps.host.wait_line("stopped", since=since)
    wait_for(lambda: [line for line in apps.host.program.log(since) if "status=" in line], "access")
    assert not [line for line in apps.host.program.log(since) if "Traceback" in line]


def test_a_large_body_in_small_pieces_arrives_whole_through_nginx(apps, start_nginx):
    url = apps.put(START + "for i in range(20000):\n    yield b'%06d\\n' % i")
    reply = start_nginx(apps.host.socket).get(url)
    assert reply.body == b"".join(b"%06d\n" % i for i in range(20000))


def test_a_thread_that_writes_without_end_leaves_the_app_its_turns(apps):
    reply = apps.answer("""
        write = start_response("200 OK", TEXT)
        counted = Counted(write)
        counted.start()
        while not counted.count:
            time.sleep(0.001)
        before = counted.count
        for _ in range(100):
            write(b"m")
        beside = counted.count - before
        counted.stopped = True
        counted.join()
        return [b" %d" % beside]
        """, before="""
        import threading
        import time

        class Counted(threading.Thread):
            count, stopped = 0, False

            def __init__(self, write):
                super().__init__()
                self.write = write

            def run(self):
                while not self.stopped and self.count < 20000:
                    self.write(b"t" * 8192)
                    self.count += 1
        """)
    assert reply.body.count(b"m") == 100
    assert int(reply.body.rpartition(b" ")[2]) < 1000


def test_a_length_of_more_than_one_says_nothing_of_the_first_piece(plain_apps):
    reply = plain_apps.answer("start_response('200 OK', TEXT)\nreturn Two(b'first ', b'second')",
                              before=TRACKED + """
class Two(Tracked):
    def __len__(self):
        return 2
""")
    assert reply.body == b"first second"
