"""
The table: requests, replies, and the right answer to each, whichever front stands before the host.
"""

from scripts import CGI, PRINTED
from table import BROKEN, Answer, Case

SMALL = bytes(range(256))
HUNDRED_KIB = bytes(i * 7 % 251 for i in range(100 * 1024))
MIB = bytes(i * 13 % 253 for i in range(1 << 20))
TYPE = b"Content-Type: application/octet-stream\n"
BODY = (("Content-Type", "application/octet-stream"),)
APPS = ("python app", "python direct", "tcl app", "tcl direct")
WSGI = ("python app", "python direct")
COOKIE = b"session=" + b"c" * 3992
# A block of 20 KiB, in lines that any server takes.
LINES = [(b"X-Line-%d" % i, b"v" * 500) for i in range(40)]


def _echoed(body):
    lengths = {str(len(body))} if body else {"none", "", "0"}
    return Answer(200, body, {"X-Length": lengths})


def _sent(name, framing, body, *headers):
    return Case(name, _echoed(body), "echo", method="POST", framing=framing, body=body,
                headers=BODY + headers)


BODIES = [
    _sent("body: none, and no length", "none", b""),
    _sent("body: Content-Length 0", "length", b""),
    _sent("body: Content-Length, 256 bytes", "length", SMALL),
    _sent("body: Content-Length, 1 MiB", "length", MIB),
    _sent("body: chunked, empty", "chunked", b""),
    _sent("body: chunked, 256 bytes", "chunked", SMALL),
    _sent("body: chunked, 100 KiB in pieces", "chunked", HUNDRED_KIB),
    _sent("body: chunked, 1 MiB", "chunked", MIB),
    _sent("body: Expect: 100-continue", "length", SMALL, ("Expect", "100-continue")),
]

HEAD = [
    Case("HEAD: a page that is printed all the same", Answer(200, b""),
         reply=TYPE + b"\npage\n" * 1000,
         method="HEAD"),
    Case("HEAD: with its Content-Length", Answer(200, b"", {"Content-Length": {"5", None}}),
         reply=TYPE + b"Content-Length: 5\n\npage\n", method="HEAD"),
    Case("HEAD: more than the reply buffer", Answer(200, b""), reply=TYPE + b"\n" + MIB,
         method="HEAD"),
]

STATUS = [
    Case("status: Location alone is 302", Answer(302, None, {"Location": "/elsewhere"}),
         reply=b"Location: /elsewhere\n\n", kinds=tuple(PRINTED)),
    Case("status: Location and cookies", Answer(302, None, {
        "Location": "/elsewhere", "Set-Cookie": ["a=1", "b=2"]}),
         reply=b"Set-Cookie: a=1\nLocation: /elsewhere\nSet-Cookie: b=2\n\n", kinds=tuple(PRINTED)),
    Case("status: 201 with Location", Answer(201, b"made\n", {"Location": "/made"}),
         reply=b"Status: 201 Created\nLocation: /made\n" + TYPE + b"\nmade\n"),
    Case("status: 404 with its own page", Answer(404, b"nothing here\n", {"X-First": "one"}),
         reply=b"Status: 404 Not Found\nX-First: one\n" + TYPE + b"\nnothing here\n"),
    Case("status: 503 with Retry-After", Answer(503, b"later\n", {"Retry-After": "7"}),
         reply=b"Status: 503 Service Unavailable\nRetry-After: 7\n" + TYPE + b"\nlater\n"),
    Case("status: 404 without a reason", Answer(404, b"nothing here\n"),
         reply=b"Status: 404\n" + TYPE + b"\nnothing here\n"),
    Case("status: 1xx as the final one", Answer(500),
         reply=b"Status: 103 Early Hints\n" + TYPE + b"\nbody\n", log="status=500"),
    Case("status: 101 with Upgrade", Answer(500),
         reply=b"Status: 101 Switching Protocols\nUpgrade: x\nConnection: upgrade\n\nbody\n",
         log="status=500", kinds=tuple(PRINTED)),
    Case("status: 204 with a body", Answer(204, b""),
         reply=b"Status: 204 No Content\n" + TYPE + b"\nbody\n"),
    Case("status: 304 with a body", Answer(304, b""),
         reply=b"Status: 304 Not Modified\nETag: \"x\"\n\nbody\n", kinds=tuple(PRINTED)),
    Case("status: 304 with a Content-Length", Answer(304, b""),
         reply=b"Status: 304 Not Modified\nETag: \"x\"\nContent-Length: 5\n\n",
         kinds=tuple(PRINTED)),
]

HEADERS = [
    Case("header: Set-Cookie of 4,000 bytes",
         Answer(200, b"page\n", {"Set-Cookie": COOKIE.decode()}),
         reply=b"Set-Cookie: " + COOKIE + b"\n" + TYPE + b"\npage\n"),
    Case("header: a block of 20 KiB",
         Answer(200, b"page\n", {name.decode(): value.decode() for name, value in LINES}),
         reply=b"".join(b"%s: %s\n" % line for line in LINES) + TYPE + b"\npage\n"),
    Case("header: no block at all", Answer(500), reply=b"just text\n", kinds=tuple(PRINTED),
         log="status=500"),
    Case("header: a control character", Answer(500), reply=TYPE + b"X-Bad: a\x01b\n\nbody\n",
         kinds=tuple(PRINTED), log="status=500"),
    Case("header: Transfer-Encoding from a script", Answer(500),
         reply=TYPE + b"Transfer-Encoding: chunked\n\npage\n", kinds=tuple(PRINTED),
         log="status=500"),
    Case("header: Connection from a script", Answer(200, b"page\n"),
         reply=TYPE + b"Connection: close\n\npage\n", kinds=tuple(PRINTED)),
]

LENGTH = [
    Case("length: right", Answer(200, b"page\n", {"Content-Length": "5"}),
         reply=TYPE + b"Content-Length: 5\n\npage\n"),
    Case("length: 1 MiB without one", Answer(200, MIB), reply=TYPE + b"\n" + MIB),
    Case("length: the body is longer", Answer(200, b"page\n"),
         reply=TYPE + b"Content-Length: 5\n\npage\nand more\n"),
    Case("length: the body is longer, 1 MiB", Answer(200, MIB),
         reply=TYPE + b"Content-Length: %d\n\n" % len(MIB) + MIB + b"and more\n"),
    Case("length: the body is shorter, nothing has left", Answer(500),
         reply=TYPE + b"Content-Length: 50\n\npage\n", kinds=tuple(CGI), log="status=500"),
    # A reply that the process holds to its end can still be a 500.
    Case("length: the body is shorter", Answer({BROKEN, 500}),
         reply=TYPE + b"Content-Length: 50\n\npage\n", kinds=APPS),
]

ENDS = [
    Case("cut: the script dies after 100 bytes", Answer(500), "cut", TYPE + b"\n" + b"x" * 100,
         kinds=tuple(CGI), log="status=500"),
    Case("cut: the script dies after 1 MiB", Answer(BROKEN), "cut", TYPE + b"\n" + MIB),
    Case("cut: the script dies after half its Content-Length", Answer(BROKEN), "cut",
         TYPE + b"Content-Length: %d\n\n" % (2 * len(MIB)) + MIB),
    Case("abort: the client leaves in the middle", Answer(200), "drip", how="leave",
         log="status=499"),
    Case("kept: two users in turn", Answer(200), "page", how="in_turn"),
]

# Beneath the script's URL, as it is sent, and what it means.
PATHS = [
    ("~ + @ : ,", "/~user/a+b/c@d:e,f", None), ("a blank", "/a%20b", "/a b"),
    ("UTF-8", "/%E6%B8%AC", "/測"), (".hgignore", "/file/tip/.hgignore", None),
    ("-1", "/rev/-1", None),
    ("; = & $ ! * ( )", "/a;b=c&d$e!f*(g)", None), ("quotes", "/%22'%3C%3E", "/\"'<>"),
    ("percent and ?", "/100%25%3F", "/100%?"), ("a slash at the end", "/a/", None),
    ("two slashes", "/a//b", None), ("an encoded slash", "/a%2Fb", "/a/b"),
    ("a backslash", "/a%5Cb", "/a\\b"),
]
QUERIES = [
    ("+ and %", "&a=b+c&d=%20%26"), ("odd characters", "&a=~@:,;/?[]{}|^`'"),
    ("3,000 bytes", "&" + "q" * 3000),
    ("UTF-8", "&%E6%B8%AC"),
]


def _path(name, sent, meant):
    return Case(f"path: {name}", Answer(200, None, {"PATH_INFO": meant or sent}), "variables",
                path_info=sent,
                how="see")


def _query(name, more):
    return Case(f"query: {name}", Answer(200, None, {"QUERY_STRING": f"variables{more}"}),
                "variables", query=more,
                how="see")


def _seen(name, headers, **variables):
    return Case(name, Answer(200, None, variables), "variables", headers=headers, how="see")


VARIABLES = [_path(*row) for row in PATHS] + [_query(*row) for row in QUERIES] + [
    _seen("variable: Proxy", (("Proxy", "http://evil/"),), HTTP_PROXY=None),
    _seen("variable: Proxy twice", (("Proxy", "http://evil/"), ("Proxy", "http://evil/")),
          HTTP_PROXY=None),
    _seen("variable: REMOTE_USER of an unchecked header",
          (("Authorization", "Basic YWRtaW46eA=="),),
          REMOTE_USER={None, ""}),
    _seen("variable: a header of the client's", (("X-Of-Mine", "a, b"),), HTTP_X_OF_MINE="a, b"),
    _seen("variable: a cookie", (("Cookie", "a=1; b=2"),), HTTP_COOKIE="a=1; b=2"),
]

CASES = BODIES + HEAD + STATUS + HEADERS + LENGTH + ENDS + VARIABLES
REPLIES = {case.slug: case.reply for case in CASES if case.word in ("reply", "cut")}
assert len({case.name for case in CASES}) == len(CASES)
