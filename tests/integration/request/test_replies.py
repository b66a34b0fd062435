"""
What a script prints, byte for byte, and what a web server gets of it: the same whichever way the
script is run.
"""

import itertools

import pytest

from support.host import SUFFIX, Host, environment, put_script, run_exthost
from support.web import parse_cgi

# A script that prints what stands in the file that the query names.
PRINTS = {
    "python": """\
# exthost: {mode}
import os, sys
with open(os.environ["QUERY_STRING"], "rb") as f:
    sys.stdout.buffer.write(f.read())
""",
    "tcl": """\
# exthost: {mode}
proc application {{}} {{
    set f [open $::env(QUERY_STRING) rb]
    chan configure stdout -translation binary
    puts -nonewline [read $f]
    close $f
}}
if {{"{mode}" ne "app"}} application
""",
}
WAYS = {
    "python, a process each": ("python", "cgi", "shared"),
    "python, rerun": ("python", "rerun", "shared"),
    "tcl, a process each": ("tcl", "cgi", "shared"),
    "tcl, rerun": ("tcl", "rerun", "shared"),
    "tcl, app": ("tcl", "app", "shared"),
    "python, rerun, own socket": ("python", "rerun", "own socket"),
    "tcl, rerun, own socket": ("tcl", "rerun", "own socket"),
    "tcl, app, own socket": ("tcl", "app", "own socket"),
    "exthost request": ("python", "cgi", "request"),
}


class Printer:
    """The script, run in one way."""

    def __init__(self, folder, language, mode, served):
        self.root = folder / "root"
        self.name = "prints" + SUFFIX[language]
        self._replies = folder / "replies"
        self._replies.mkdir()
        self._numbers = itertools.count(1)
        self._lines = []
        script = put_script(self.root, self.name, language, PRINTS[language].format(mode=mode))
        self.host = None
        if served == "shared":
            self.host = Host(self.root, "--timeout", "20")
        elif served == "own socket":
            self.host = Host(self.root, "--app", str(script), "--workers", "1", "--timeout", "20",
                             listen=["unix:{folder}/s"])

    def _put(self, data):
        path = self._replies / str(next(self._numbers))
        path.write_bytes(data)
        return f"/{self.name}?{path}"

    def send(self, data, method="GET", whole=True):
        """
        All bytes of the reply when the script prints these; None: it is cut, which may not be.
        """
        target = self._put(data)
        if self.host is None:
            done = run_exthost("request", method, target, "--root", str(self.root),
                               env=environment())
            self._lines = done.stderr.decode().splitlines()
            return done.stdout
        self._since = self.host.log_position()
        outcome = self.host.run(method, target)
        if not whole and outcome.closed and outcome.records[-1][0] == 255:
            return None
        assert outcome.ended and outcome.protocol_status == 0, outcome
        return outcome.stdout

    def log(self, *texts):
        """Wait for the line with all these about the request that was sent last."""
        if self.host is None:
            assert [line for line in self._lines if all(text in line for text in texts)], \
                (texts, self._lines)
        else:
            self.host.wait_line(f"/{self.name}", *texts, since=self._since)

    def quiet(self):
        """Whether the log says nothing but that the request was answered."""
        if self.host is None:
            return not self._lines
        self.log("status=")
        return not [line for line in self.host.program.log(self._since)
                    if "cut=" in line or "dropped=" in line or "reason=" in line]

    def stop(self):
        if self.host:
            self.host.stop()


@pytest.fixture(scope="module", params=WAYS)
def prints(request, tmp_path_factory):
    made = Printer(tmp_path_factory.mktemp("prints"), *WAYS[request.param])
    yield made
    made.stop()


TEXT = b"Content-Type: text/plain\n"
TEXT_SENT = b"Content-Type: text/plain\r\n"
OK = b"Status: 200 OK\r\n"
COOKIE = b"Set-Cookie: session=" + b"a" * 4096 + b"; Path=/\n"
LINE = b"X: " + b"x" * 8189

# What is printed, and what is sent.
SENT = {
    "no status is 200": (TEXT + b"\npage", OK + TEXT_SENT + b"\r\npage"),
    "a Location alone is 302": (b"Location: /x\n\n", b"Status: 302 Found\r\nLocation: /x\r\n\r\n"),
    "a Location with a page is 302 too": (
        b"Location: http://a/\n" + TEXT + b"\nthere",
        b"Status: 302 Found\r\n" + TEXT_SENT + b"Location: http://a/\r\n\r\nthere"),
    "201 with a Location stays 201": (
        b"Location: /x\nStatus: 201 Created\n\n",
        b"Status: 201 Created\r\nLocation: /x\r\n\r\n"),
    "a status with no reason gets its own": (
        TEXT + b"Status: 404\n\nnone", b"Status: 404 Not Found\r\n" + TEXT_SENT + b"\r\nnone"),
    "a status that nobody knows gets that of its class": (
        b"Status: 299\nA: b\n\n", b"Status: 299 OK\r\nA: b\r\n\r\n"),
    "a reason of the script's own stays": (
        b"Status: 503 Busy: try later\n\n", b"Status: 503 Busy: try later\r\n\r\n"),
    "lines that end with CR LF stay as they are": (
        b"Status: 200 Fine\r\nA: b\r\n\r\npage\r\n", b"Status: 200 Fine\r\nA: b\r\n\r\npage\r\n"),
    "cookies of 4096 bytes": (
        TEXT + COOKIE * 3 + b"\npage",
        OK + TEXT_SENT + COOKIE.replace(b"\n", b"\r\n") * 3 + b"\r\npage"),
    "a line of 8 KiB": (LINE + b"\n\n", OK + LINE + b"\r\n\r\n"),
    "a block of nearly 32 KiB": (
        b"A: " + b"a" * 997 + b"\n" + (b"A: " + b"a" * 997 + b"\n") * 31 + b"\n",
        OK + (b"A: " + b"a" * 997 + b"\r\n") * 32 + b"\r\n"),
    "the same length twice is sent once": (
        b"Content-Length: 4\n" + TEXT + b"content-length: 4\n\npage",
        OK + TEXT_SENT + b"content-length: 4\r\n\r\npage"),
    "304 has no body and keeps its length": (
        b"Status: 304 Not Modified\nContent-Length: 1000\nETag: x\n\n",
        b"Status: 304 Not Modified\r\nETag: x\r\nContent-Length: 1000\r\n\r\n"),
    "204 has no length (RFC 9110, 8.6)": (
        b"Status: 204 No Content\nContent-Length: 0\n\n", b"Status: 204 No Content\r\n\r\n"),
}


@pytest.mark.parametrize("what", SENT)
def test_a_reply_is_sent_as_every_web_server_understands_it(prints, what):
    printed, sent = SENT[what]
    assert prints.send(printed) == sent
    assert prints.quiet()


PAGE = TEXT + b"\npage"

HEAD = {
    "a page is discarded": (PAGE, OK + TEXT_SENT + b"\r\n"),
    "a length stays": (TEXT + b"Content-Length: 4\n\npage",
                       OK + TEXT_SENT + b"Content-Length: 4\r\n\r\n"),
    "a length without a page stays": (TEXT + b"Content-Length: 4\n\n",
                                      OK + TEXT_SENT + b"Content-Length: 4\r\n\r\n"),
    "a large page is discarded": (TEXT + b"\n" + b"x" * 1_000_000, OK + TEXT_SENT + b"\r\n"),
    "a stream is discarded": (b"Content-Type: text/event-stream\n\ndata: 1\n\n",
                              OK + b"Content-Type: text/event-stream\r\n\r\n"),
}


@pytest.mark.parametrize("what", HEAD)
def test_no_body_is_sent_to_head(prints, what):
    printed, sent = HEAD[what]
    assert prints.send(printed, "HEAD") == sent
    assert prints.quiet()


CUT = {
    "longer than its length": (TEXT + b"Content-Length: 3\n\npage\n",
                               OK + TEXT_SENT + b"Content-Length: 3\r\n\r\npag", 2),
    "much longer": (TEXT + b"Content-Length: 3\n\n" + b"x" * 1_000_000,
                    OK + TEXT_SENT + b"Content-Length: 3\r\n\r\nxxx", 999_997),
    "a long one, longer than its length": (
        TEXT + b"Content-Length: 600000\n\n" + b"x" * 1_000_000,
        OK + TEXT_SENT + b"Content-Length: 600000\r\n\r\n" + b"x" * 600_000, 400_000),
    "any with a length of 0": (TEXT + b"Content-Length: 0\n\npage",
                               OK + TEXT_SENT + b"Content-Length: 0\r\n\r\n", 4),
    "any with 204": (b"Status: 204\n\npage", b"Status: 204 No Content\r\n\r\n", 4),
    "any with 304": (b"Status: 304\n\npage", b"Status: 304 Not Modified\r\n\r\n", 4),
}


@pytest.mark.parametrize("what", CUT)
def test_a_body_that_must_not_be_sent_is_cut_with_one_word_in_the_log(prints, what):
    printed, sent, cut = CUT[what]
    reply = prints.send(printed)
    assert reply == sent, (len(reply), reply[:200])
    prints.log(f"cut={cut}", f"status={parse_cgi(sent).status}")


@pytest.mark.parametrize("name", ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
                                  "Upgrade"])
def test_a_header_of_the_connection_is_left_out_with_one_word_in_the_log(prints, name):
    line = name.lower().encode() + b": x\n"
    assert prints.send(line + PAGE) == OK + TEXT_SENT + b"\r\npage"
    prints.log(f"dropped={name}", "status=200")


REFUSED = {
    "103 as the last status": (b"Status: 103 Early Hints\nLink: </x>\n\n", "is an interim status"),
    "100 as the last status": (b"Status: 100\n\n", "is an interim status"),
    "101 as the last status": (b"Status: 101 Switching Protocols\nUpgrade: x\n\n",
                               "is an interim status"),
    "two statuses": (b"Status: 200 OK\nStatus: 200 OK\n\n", "is a second Status"),
    "two lengths": (b"Content-Length: 4\nContent-Length: 5\n\npage!", "is a second Content-Length"),
    "two locations": (b"Location: /a\nLocation: /b\n\n", "is a second Location"),
    "a transfer coding": (b"Transfer-Encoding: chunked\n\n4\r\npage\r\n0\r\n\r\n",
                          "is for the web server to send"),
    "NUL in a value": (b"A: b\0c\n\n", "control character"),
    "NUL in a name": (b"A\0: b\n\n", "is not 'Name: value'"),
    "a CR in a value": (b"A: b\rSet-Cookie: evil\n\n", "control character"),
    "a folded line": (b"A: b\n c\n\n", "line 2 is not 'Name: value'"),
    "a line over 8 KiB": (LINE + b"x\n\n", "line 1 is longer than 8192 bytes"),
    "a block over 32 KiB": ((b"A: " + b"a" * 997 + b"\n") * 40 + b"\npage",
                            "the header block is longer than 32760 bytes"),
    "a block that is over 32 KiB with all that it needs": (
        b"A:\n" * 10_000 + b"\n", "the header block is longer than 32760 bytes"),
    "a block without end": (b"A: b\n" * 100_000, "the header block is longer than 32760 bytes"),
    "a line without end": (b"x" * 500_000, "the header block is longer than 32760 bytes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_web_server_could_send_on_is_500_and_the_log_says_why(prints, what):
    printed, reason = REFUSED[what]
    reply = parse_cgi(prints.send(printed))
    assert reply.status == 500, reply
    prints.log("status=500", reason)
    # And the next one is well.
    assert prints.send(PAGE) == OK + TEXT_SENT + b"\r\npage"


def test_a_body_that_is_shorter_than_its_length_is_no_whole_reply(prints):
    # What an app gives is sent at once.
    reply = prints.send(b"Content-Length: 5\n\npage", whole=False)
    assert reply is None or parse_cgi(reply).status == 500
    prints.log("Content-Length is 5, but the body has 4 bytes")
