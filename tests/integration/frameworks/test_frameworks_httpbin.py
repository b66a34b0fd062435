"""
httpbin, asked by curl: what it answers here is what it answers from wsgiref's own server in the
plain interpreter, but for where it is and what the web server in front adds.
"""

import copy
import json

import pytest

from support.frameworks import WAYS, curl
from support.host import PLAIN
from support.processes import Program
from support.waiting import free_port, listens, wait_for
from support.web import parse_headers

pytest.importorskip("httpbin", reason="python3-httpbin is not installed")

APP = "from httpbin import app as application\n"
REFERENCE = """
import sys
from wsgiref.simple_server import make_server
from httpbin import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""
JSON = ["-H", "Content-Type: application/json", "-d", '{"a": [1, "\u00e9"]}']

# curl's arguments before the path, and the path. Fossil can pass the first of the two lists.
EVERYWHERE = {
    "a query": ([], "/get?a=1&b=%C3%A9&a=2"),
    "a form": (["-d", "a=1&b=x+y"], "/post"),
    "a form with a file": (["-F", "a=1", "-F", "file=@@FILE@"], "/post"),
    "json": (JSON, "/post"),
    "an empty body": (["-d", ""], "/post"),
    "cookies": (["-b", "one=1; two=2"], "/cookies"),
    "html": ([], "/html"),
    "xml": ([], "/xml"),
    "utf-8": ([], "/encoding/utf8"),
    "an image": ([], "/image/png"),
    "compressed": (["-H", "Accept-Encoding: gzip", "--compressed"], "/gzip"),
    "deflated": (["--compressed"], "/deflate"),
    "a stream of objects": ([], "/stream/20"),
    "bytes": ([], "/bytes/5000?seed=3"),
    "streamed bytes": ([], "/stream-bytes/200000?seed=3&chunk_size=7000"),
    "base64": ([], "/base64/SGVsbG8h"),
    "a teapot": ([], "/status/418"),
    "a refusal": ([], "/status/403"),
    "an error": ([], "/status/500"),
    "created": ([], "/status/201"),
    "nothing there": ([], "/no/such/thing"),
    "headers of its own": ([], "/response-headers?X-One=1&X-Two=a+b"),
    "redirects that are followed": (["-L"], "/redirect/3"),
    "a cookie that is set and followed": (["-L", "-c", "/dev/null"], "/cookies/set?flavour=oat"),
    "a cookie that is removed": (["-L", "-b", "flavour=oat", "-c", "/dev/null"],
                                 "/cookies/delete?flavour="),
    "a drip": ([], "/drip?duration=0.1&numbytes=5&delay=0"),
}
# Debian's nginx tells the host without its port, which leads nowhere here.
FOSSIL = {"absolute redirects that are followed": (["-L"], "/absolute-redirect/2")}
NGINX = {
    "put": (["-X", "PUT", "-d", "a=1"], "/put"),
    "patch": (["-X", "PATCH", *JSON], "/patch"),
    "delete": (["-X", "DELETE"], "/delete"),
    "options": (["-X", "OPTIONS"], "/get"),
    "head": (["-I"], "/get"),
    "any method": (["-X", "REPORT"], "/anything/else?a=1"),
    "headers": (["-H", "X-One: 1", "-H", "X-Two: a, b", "-H", "Accept-Language: tlh"], "/headers"),
    "basic authentication": (["-u", "ada:sesame"], "/basic-auth/ada/sesame"),
    "a wrong password": (["-u", "ada:x"], "/basic-auth/ada/sesame"),
    "digest authentication": (["--digest", "-u", "ada:sesame", "-c", "/dev/null"],
                              "/digest-auth/auth/ada/sesame"),
    "a bearer": (["-H", "Authorization: Bearer abc"], "/bearer"),
    "no content": ([], "/status/204"),
    "not modified": (["-H", 'If-None-Match: "x"'], "/etag/x"),
    "a condition": (["-H", "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT"], "/cache"),
    "a part": (["-H", "Range: bytes=10-29"], "/range/100"),
    "a part at the end": (["-H", "Range: bytes=-20"], "/range/100"),
    "an impossible part": (["-H", "Range: bytes=200-300"], "/range/100"),
}
# As a CGI script, httpbin starts for each request, which takes a while.
BY_CGI = {"a query", "a form with a file", "json", "a stream of objects", "streamed bytes",
          "compressed",
          "a teapot", "a cookie that is set and followed", "basic authentication", "put", "a part"}


def cases():
    for way in WAYS:
        for name in {**EVERYWHERE, **(FOSSIL if way.startswith("fossil") else NGINX)}:
            if way.endswith("app") or name in BY_CGI:
                yield way, name


# Headers that the server in front sets, or that httpbin makes different each time.
NOT_COMPARED = {"date", "server", "connection", "transfer-encoding", "content-length",
                "x-ua-compatible",
                "x-frame-options", "cache-control", "content-security-policy",
                "last-modified", "allow"}
# What a web server passes on, or not, in the headers that httpbin repeats.
PASSED = {"Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type",
          "Host", "Cookie"}


@pytest.fixture(scope="module")
def reference():
    port = free_port()
    program = Program([PLAIN["python"], "-c", REFERENCE, str(port)])
    wait_for(lambda: listens(port), "httpbin in wsgiref's server")
    answers = {}

    def answer(file, arguments, path):
        key = (*arguments, path)
        if key not in answers:
            base = f"http://127.0.0.1:{port}"
            answers[key] = comparable(ask(base, arguments, path, file), base)
        return answers[key]
    yield answer
    program.stop()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "data"
    path.write_bytes(bytes(range(0x20, 0x7f)) * 500)
    return path


def ask(base, arguments, path, file):
    """(statuses, headers of the last answer, its body) as curl got them."""
    arguments = [argument.replace("@FILE@", str(file)) for argument in arguments]
    head = file.with_name("head")
    body = curl("-D", str(head), *arguments, base + path)
    blocks = [block for block in head.read_bytes().replace(b"\r", b"").split(b"\n\n") if block]
    statuses = [int(block.split(b" ")[1]) for block in blocks if b" 100 " not in block[:14]]
    headers = {name.lower(): value for name, value in parse_headers(blocks[-1].partition(b"\n")[2])
               if name.lower() not in NOT_COMPARED}
    if "-I" in arguments:
        body = b""
    return statuses, headers, body


def without_place(thing, base):
    """What stands in httpbin's answer, without what tells where it was."""
    if isinstance(thing, dict):
        return {name: without_place(value, base) for name, value in thing.items()
                if name not in PASSED and name != "origin"}
    if isinstance(thing, list):
        return [without_place(value, base) for value in thing]
    if isinstance(thing, str) and thing.startswith("http://127.0.0.1"):
        host, _, path = base.rpartition(":")[2].partition("/")
        return thing.removeprefix("http://127.0.0.1").removeprefix(":" + host).removeprefix(
            "/" + path if path else "")
    return thing


def comparable(answer, base):
    statuses, headers, body = answer
    if body and headers.get("content-type", "").startswith("application/json"):
        body = [without_place(json.loads(line), base)
                for line in ([body] if body.startswith(b"{\n") or body.count(b"\n") < 2
                             else body.splitlines())]
    return statuses, {name: value for name, value in headers.items()
                      if name not in ("location", "www-authenticate", "set-cookie")}, body


@pytest.mark.parametrize("way, name", cases())
def test_httpbin_answers_curl_as_it_does_elsewhere(site, reference, file, way, name):
    arguments, path = {**EVERYWHERE, **FOSSIL, **NGINX}[name]
    base = site.base(way)
    got = comparable(ask(base, arguments, path, file), base)
    wanted = copy.deepcopy(reference(file, arguments, path))
    if way.startswith("fossil"):
        # Fossil cuts a type's parameters off, adds a missing type, and compresses text itself.
        for headers in (got[1], wanted[1]):
            headers["content-type"] = headers.get("content-type", "").partition(";")[0]
            headers.pop("vary", None)
            headers.pop("content-encoding", None)
        if not wanted[1]["content-type"]:
            got[1]["content-type"] = ""
    assert got == wanted
