"""wsgi.file_wrapper, and what becomes of the files that are put into it."""

import os

import pytest

from support.fastcgi import PARAMS, STDIN, STDOUT, Connection, begin, pairs, stream, variables
from support.host import put

DATA = b"".join(b"line %d\n" % i for i in range(50_000))
WRAP = "return environ['wsgi.file_wrapper']"
START = "start_response('200 OK', TEXT)\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("data") / "data"
    made.write_bytes(DATA)
    return str(made)


@pytest.mark.parametrize("body, expected", [
    ("(open(PATH, 'rb'))", DATA), ("(open(PATH, 'rb'), 100)", DATA),
    ("(open(PATH, 'rb', buffering=0))", DATA), ("(open(PATH, 'r+b'))", DATA),
    ("(after(open(PATH, 'rb'), lambda f: f.readline()))", DATA[7:]),
    ("(after(open(PATH, 'rb', buffering=0), lambda f: f.read(9)))", DATA[9:]),
    ("(after(open(PATH, 'rb'), lambda f: f.seek(-10, 2)))", DATA[-10:]),
    ("(after(open(PATH, 'rb'), lambda f: f.seek(10**9)))", b""),
    ("(io.BytesIO(b'in memory'), 2)", b"in memory"), ("(gzip.open(ZIPPED))", DATA),
    ("(gzip.open(ZIPPED), 1000)", DATA), ("(open('/dev/null', 'rb'))", b""),
    ("(open('/proc/self/cmdline', 'rb'))", None),
    ("(after(tempfile.NamedTemporaryFile(), lambda f: (f.write(b'0123'), f.seek(1))))", b"123"),
    ("(after(tempfile.TemporaryFile(), lambda f: (f.write(b'0123'), f.seek(2))))", b"23"),
    ("(after(tempfile.SpooledTemporaryFile(), lambda f: (f.write(b'0123'), f.seek(2))))", b"23"),
    ("(pipe(b'piped' * 1000), 7)", b"piped" * 1000), ("(Reader(b'abc', b'd'))", b"abcd"),
    ("(Text(open(PATH, 'rb')))", b"changed")],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_is_sent_from_where_it_stands(apps, path, body, expected):
    before = f"import gzip, io, shutil, tempfile\nPATH = {path!r}\n" + """
ZIPPED = tempfile.NamedTemporaryFile().name
with open(PATH, "rb") as f, gzip.open(ZIPPED, "wb") as g:
    shutil.copyfileobj(f, g)
def after(file, action):
    action(file)
    return file
def pipe(data):
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return os.fdopen(reader, "rb")
class Reader:
    def __init__(self, *parts):
        self.parts = list(parts)
    def read(self, size):
        return self.parts.pop(0) if self.parts else b""
class Text:
    def __init__(self, file):
        self.file, self.fileno = file, file.fileno
        self.parts = [b"changed"]
    def read(self, size):
        return self.parts.pop() if self.parts else b""
"""
    reply = apps.answer(START + WRAP + body, before=before)
    assert reply.status == 200 and (expected is None or reply.body == expected)
    assert expected is not None or reply.body  # the kernel says that it has no bytes


def test_a_plain_file_gets_its_length(plain_apps, path):
    reply = plain_apps.answer(START + f"f = open({path!r}, 'rb')\nf.readline()\n{WRAP}(f)")
    assert reply.header("Content-Length") == str(len(DATA) - 7)


def test_the_length_that_the_app_gives_is_heeded(plain_apps, path):
    reply = plain_apps.answer("start_response('200 OK', TEXT + [('Content-Length', '11')])\n"
                              f"{WRAP}(open({path!r}, 'rb'))")
    assert reply.body == DATA[:11]


def test_a_file_shorter_than_its_length_is_cut(plain_apps, path):
    outcome = plain_apps.run(plain_apps.put(
        "start_response('200 OK', TEXT + [('Content-Length', '99999999')])\n"
        f"{WRAP}(open({path!r}, 'rb'))"))
    assert outcome.closed or outcome.reply().status == 500


def test_head_of_a_file_sends_no_body(plain_apps, path):
    reply = plain_apps.answer(START + f"{WRAP}(open({path!r}, 'rb'))", "HEAD")
    assert reply.body == b"" and reply.header("Content-Length") == str(len(DATA))


def test_the_file_is_closed_and_a_thing_without_close_is_well(apps):
    url = apps.put("""
        if environ["QUERY_STRING"]:
            start_response("200 OK", TEXT)
            return [b"%d" % sum(f.closed for f in files)]
        files.append(open(__file__, "rb"))
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](files[-1])
        """, "files = []")
    for _ in range(3):
        assert apps.get(url).body
    assert apps.get(url + "?1").body == b"3"


@pytest.mark.parametrize("arguments", ["()", "(1, 2, 3)", "(1, 'x')"])
def test_a_wrong_call_is_an_exception(apps, arguments):
    apps.fails(START + WRAP + arguments, "TypeError")


def test_a_subclass_and_a_generator_around_it_are_iterated(apps, path):
    for body in ("return Upper(open(PATH, 'rb'))",
                 "return (c.upper() for c in environ['wsgi.file_wrapper'](open(PATH, 'rb')))"):
        reply = apps.answer("Wrapper = environ['wsgi.file_wrapper']\n"
                            "class Upper(Wrapper):\n"
                            "    def __next__(self):\n"
                            "        return super().__next__().upper()\n"
                            + START + body, before=f"PATH = {path!r}")
        assert reply.body == DATA.upper()


def test_ten_megabytes_come_down_through_nginx(apps, tmp_path, start_nginx):
    data = os.urandom(10_000_000)
    (tmp_path / "big").write_bytes(data)
    url = apps.put(START + f"{WRAP}(open({str(tmp_path / 'big')!r}, 'rb'))")
    assert start_nginx(apps.host.socket).get(url, timeout=30).body == data


APP = """\
# exthost: app
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb"))
"""


@pytest.mark.parametrize("place", ["shared", "own socket"])
def test_a_file_that_becomes_shorter_while_it_is_sent_is_a_reply_that_is_cut(
        start_host, tmp_path, place):
    script = put(tmp_path / "root", "app.py", APP, executable=True)
    own = ("--app", str(script), "--workers", "1") if place == "own socket" else ()
    host = start_host(tmp_path / "root", *own, listen=["unix:{folder}/s"])
    large = put(tmp_path, "large", b"x" * (16 << 20))
    with Connection(host.socket) as client:
        found = variables("GET", f"/app.py?{large}")
        client.send(begin() + stream(PARAMS, 1, pairs(found)) + stream(STDIN, 1, b""))
        assert client.read_record()[0] == STDOUT
        large.write_bytes(b"short")
        outcome = client.read_outcome()
    assert not outcome.ended and outcome.records[-1][0] == 255, outcome
    # It is no fault of the client's.
    assert "status=200" in host.wait_line("GET /app.py", "reason=")
