"""
Programs and apps of each language that answer with the body that they got, and with the variables
that describe it.
"""

from support.host import SUFFIX, put, put_script

APP = {"python": """\
# exthost: app
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    told = [environ.get(name, "unset") for name in ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")]
    return [" ".join(told).encode() + b"\\n" + body]
""", "tcl": """\
# exthost: app
proc application {} {
    chan configure stdin -translation binary
    chan configure stdout -translation binary
    set body [read stdin]
    puts "Content-Type: application/octet-stream\\n"
    foreach name {CONTENT_LENGTH HTTP_TRANSFER_ENCODING} {
        lappend told [expr {[info exists ::env($name)] ? $::env($name) : "unset"}]
    }
    puts -nonewline "[join $told]\\n$body"
}
"""}
PROGRAM = {"python": """\
import os, sys
body = sys.stdin.buffer.read()
told = [os.environ.get(name, "unset") for name in ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")]
head = "Content-Type: application/octet-stream\\n\\n" + " ".join(told) + "\\n"
sys.stdout.buffer.write(head.encode() + body)
sys.stdout.flush()
""", "tcl": APP["tcl"].replace("# exthost: app\n", "") + "application\n"}
WAYS = [(mode, language) for mode in ("cgi", "rerun", "app", "own socket") for language in SUFFIX]


def put_all(root):
    """Write cgi, rerun and app of each language ("cgi.py") below root; root itself."""
    for language, suffix in SUFFIX.items():
        put_script(root, f"cgi{suffix}", language, PROGRAM[language])
        put_script(root, f"rerun{suffix}", language, "# exthost: rerun\n" + PROGRAM[language])
        put(root, f"app{suffix}", f"#!/usr/bin/exthost-cgi {language}\n" + APP[language])
    return root


def body_of(size):
    """A body of so many bytes, of all values."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def said(page):
    """(CONTENT_LENGTH, body), as the script got them, from the bytes of its page."""
    told, _, body = page.partition(b"\n")
    length, coding = told.decode().rsplit(" ", 1)
    assert coding == "unset"
    return length, body
