"""
What a request writes for the log without an end of line: a line of its own, when the request ends.
"""

import re

import pytest

from support.host import SUFFIX, Host, put_script
from support.own_socket import Serving

PYTHON_APP = """import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    words = environ["QUERY_STRING"]
    if words != "nothing":
        %s
    return [b"answered\\n"]
"""
PYTHON_CGI = """import os, sys
words = os.environ["QUERY_STRING"]
print("Content-Type: text/plain\\n\\nanswered")
if words != "nothing":
    %s
"""
TCL_APP = """proc application {} {
    puts "Content-Type: text/plain\\n\\nanswered"
    set words $::env(QUERY_STRING)
    if {$words ne "nothing"} { %s }
}
"""
TCL_CGI = TCL_APP + "application\n"

WRITES = {
    ("python", "wsgi.errors"): "environ['wsgi.errors'].write('half ' + words)",
    ("python", "stderr"): "sys.stderr.write('half ' + words)",
    ("python", "stderr, behind a line"): "sys.stderr.write('whole\\nhalf ' + words)",
    ("python", "stderr, in pieces"): "print('half', end=' ', file=sys.stderr, flush=True); "
                                     "print(words, end='', file=sys.stderr)",
    ("python", "stdout"): "print('half', words, end='')",
    ("tcl", "stderr"): "puts -nonewline stderr \"half $words\"",
    ("tcl", "stderr, behind a line"): "puts -nonewline stderr \"whole\\nhalf $words\"",
    ("tcl", "stderr, in pieces"): "foreach word \"half $words\" {puts -nonewline stderr $word}",
}
TEXTS = {("python", "app"): PYTHON_APP, ("python", "rerun"): PYTHON_CGI,
         ("python", "cgi"): PYTHON_CGI,
         ("tcl", "app"): TCL_APP, ("tcl", "rerun"): TCL_CGI, ("tcl", "cgi"): TCL_CGI}
CASES = [(language, mode, stream, socket) for (language, mode) in TEXTS
         for (spoken, stream) in WRITES if spoken == language
         for socket in ("shared", "own")
         if not (mode == "cgi" and socket == "own")
         and (mode == "app" or stream not in ("wsgi.errors", "stdout"))]


def serve(tmp_path, language, mode, stream, socket):
    text = f"# exthost: {mode}\n" + TEXTS[language, mode] % WRITES[language, stream]
    script = put_script(tmp_path / "root", "app" + SUFFIX[language], language, text)
    if socket == "shared":
        return Host(script.parent, "--workers", "1")
    return Serving(script.parent, "--mode", mode, language=language, workers=1,
                   text=script.read_text())


@pytest.mark.parametrize("language, mode, stream, socket", CASES)
def test_an_unfinished_line_is_logged_when_its_request_ends_and_under_its_id(
        tmp_path, language, mode, stream, socket):
    host = serve(tmp_path, language, mode, stream, socket)
    try:
        half = "half" if stream == "stderr, in pieces" and language == "tcl" else "half "
        for word in ("one", "two", "three"):
            since = host.log_position()
            reply = host.get(f"/app{SUFFIX[language]}?{word}")
            assert (reply.status, reply.text) == (200, "answered\n")
            line = host.wait_line(f"] {half}{word} script=", since=since)
            request = host.wait_line(f"?{word} status=200", since=since)
            assert re.search(r"\[(\w+)\]", line)[1] == re.search(r"\[(\w+)\]", request)[1]
            # And nothing else: no empty line is made of a whole one.
            lines = [line for line in host.program.log(since) if "stream=stderr" in line]
            assert len(lines) == (2 if "behind" in stream else 1), lines
        since = host.log_position()
        for _ in range(2):
            assert host.get(f"/app{SUFFIX[language]}?nothing").status == 200
        host.wait_line("?nothing status=200", since=since)
        assert not [line for line in host.program.log(since) if "stream=stderr" in line]
    finally:
        host.stop()


LOADS = {"python": "import sys\nsys.stderr.write('loading')\n" + PYTHON_APP
         % WRITES["python", "stderr"],
         "tcl": "puts -nonewline stderr loading\n" + TCL_APP % WRITES["tcl", "stderr"]}


@pytest.mark.parametrize("socket", ["shared", "own"])
@pytest.mark.parametrize("language", LOADS)
def test_an_unfinished_line_of_an_app_that_loads_is_no_part_of_a_requests(
        tmp_path, language, socket):
    script = put_script(tmp_path / "root", "app" + SUFFIX[language], language,
                        "# exthost: app\n" + LOADS[language])
    host = Host(script.parent) if socket == "shared" else \
        Serving(script.parent, language=language, workers=1, text=script.read_text())
    try:
        assert host.get(f"/app{SUFFIX[language]}?one").text == "answered\n"
        host.wait_line(" loading script=")
        host.wait_line("] half one script=")
    finally:
        host.stop()
