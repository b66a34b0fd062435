"""
The extensions that are asked through every front: one for each language and each way to be run, and
all do the same by the first word of the query.

    echo          send standard input back, read to its end; CONTENT_LENGTH stands in X-Length
    variables     the environment, as JSON
    reply NAME    print the file replies/NAME as it is: a whole CGI reply
    cut NAME      the same, and die by a signal
    drip          a page that comes slowly, for ten seconds; the log tells when it has begun
    page USER     a page and a cookie that belong to one user

The replies stand in a directory that is never served. So a table of cases has exactly the bytes
that a script prints.
"""

from support.host import put, put_script

# URL below the mount, by the way it is run. "direct" is an app worker with a socket of its own.
KINDS = {
    "python cgi": "python/cgi.py", "python rerun": "python/rerun.py",
    "python app": "python/app.wsgi",
    "python direct": "python/direct.wsgi",
    "tcl cgi": "tcl/cgi.tcl", "tcl rerun": "tcl/rerun.tcl", "tcl app": "tcl/app.tcl",
    "tcl direct": "tcl/direct.tcl",
}
CGI = [kind for kind in KINDS if kind.endswith(("cgi", "rerun"))]
# Those whose page is no WSGI server's.
PRINTED = [kind for kind in KINDS if not kind.startswith("python") or kind in CGI]

_PYTHON_CGI = '''\
import json
import os
import signal
import sys
import time

out = sys.stdout.buffer
word, _, name = os.environ["QUERY_STRING"].partition("&")
directory = os.path.join(os.environ["DOCUMENT_ROOT"], ".replies")

if word == "echo":
    body = sys.stdin.buffer.read()
    out.write(b"X-Length: %s\\n" % os.environ.get("CONTENT_LENGTH", "none").encode())
    out.write(b"Content-Type: application/octet-stream\\n\\n" + body)
elif word == "variables":
    variables = json.dumps(dict(os.environ)).encode()
    out.write(b"Content-Type: application/octet-stream\\n\\n" + variables)
elif word == "page":
    out.write(b"Content-Type: application/octet-stream\\nSet-Cookie: user=%s\\n\\n" % name.encode())
    out.write((name.encode() + b" ") * 5000)
elif word == "drip":
    print("drips", file=sys.stderr, flush=True)
    out.write(b"Content-Type: text/event-stream\\n\\n")
    for _ in range(2000):
        out.write(b"x" * 1024)
        out.flush()
        time.sleep(0.005)
else:
    with open(os.path.join(directory, name), "rb") as f:
        out.write(f.read())
    if word == "cut":
        out.flush()
        os.kill(os.getpid(), signal.SIGKILL)
'''

_PYTHON_APP = '''\
import json
import os
import signal
import sys
import time

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".replies")


def drip():
    print("drips", file=sys.stderr, flush=True)
    for _ in range(2000):
        yield b"x" * 1024
        time.sleep(0.005)


def from_file(word, name, start_response):
    """A CGI reply as an app gives it: status, headers and body apart."""
    with open(os.path.join(DIRECTORY, name), "rb") as f:
        block, _, body = f.read().partition(b"\\n\\n")
    status, headers = "200 OK", []
    for line in block.decode("latin-1").split("\\n"):
        key, _, value = line.partition(":")
        if key == "Status":
            status = value.strip()
        else:
            headers.append((key, value.strip()))
    start_response(status, headers)
    yield body
    if word == "cut":
        os.kill(os.getpid(), signal.SIGKILL)


def application(environ, start_response):
    word, _, name = environ["QUERY_STRING"].partition("&")
    if word in ("reply", "cut"):
        return from_file(word, name, start_response)
    headers, body = [("Content-Type", "application/octet-stream")], []
    if word == "echo":
        headers.append(("X-Length", environ.get("CONTENT_LENGTH") or "none"))
        body = [environ["wsgi.input"].read()]
    elif word == "variables":
        body = [json.dumps({k: v.encode("latin-1").decode() for k, v in environ.items()
                            if isinstance(v, str)}).encode()]
    elif word == "page":
        headers.append(("Set-Cookie", "user=" + name))
        body = [(name.encode() + b" ") * 5000]
    elif word == "drip":
        headers, body = [("Content-Type", "text/event-stream")], drip()
    start_response("200 OK", headers)
    return body
'''

_TCL = '''\
package require json::write
json::write indented 0

proc answer {} {
    lassign [split $::env(QUERY_STRING) &] word name
    chan configure stdin -translation binary
    chan configure stdout -translation binary
    switch $word {
        echo {
            set body [read stdin]
            set length none
            if {[info exists ::env(CONTENT_LENGTH)]} { set length $::env(CONTENT_LENGTH) }
            puts -nonewline "X-Length: $length\\nContent-Type: application/octet-stream\\n\\n$body"
        }
        variables {
            set pairs {}
            foreach {key value} [array get ::env] { lappend pairs $key [json::write string $value] }
            chan configure stdout -encoding utf-8
            puts "Content-Type: application/octet-stream\\n"
            puts -nonewline [json::write object {*}$pairs]
        }
        page {
            puts -nonewline "Content-Type: application/octet-stream\\nSet-Cookie: user=$name\\n\\n"
            puts -nonewline [string repeat "$name " 5000]
        }
        drip {
            puts stderr drips
            puts -nonewline "Content-Type: text/event-stream\\n\\n"
            for {set i 0} {$i < 2000} {incr i} {
                puts -nonewline [string repeat x 1024]
                flush stdout
                after 5
            }
        }
        default {
            set f [open [file join $::directory $name] rb]
            puts -nonewline [read $f]
            close $f
            if {$word eq "cut"} {
                flush stdout
                package require Tclx
                kill KILL [pid]
            }
        }
    }
}

set directory [file join [file dirname [file dirname [file normalize [info script]]]] .replies]
'''


def put_scripts(root, replies):
    """All of them below this extension root, and the replies: bytes by name."""
    put_script(root, KINDS["python cgi"], "python", _PYTHON_CGI)
    put_script(root, KINDS["python rerun"], "python", "# exthost: rerun\n" + _PYTHON_CGI)
    put_script(root, KINDS["python app"], "python", _PYTHON_APP)
    put_script(root, KINDS["python direct"], "python", _PYTHON_APP)
    put_script(root, KINDS["tcl cgi"], "tcl", _TCL + "answer\n")
    put_script(root, KINDS["tcl rerun"], "tcl", "# exthost: rerun\n" + _TCL + "answer\n")
    app = "# exthost: app\n" + _TCL + "proc application {} answer\n"
    put_script(root, KINDS["tcl app"], "tcl", app)
    put_script(root, KINDS["tcl direct"], "tcl", app)
    for name, reply in replies.items():
        put(root, f".replies/{name}", reply)
