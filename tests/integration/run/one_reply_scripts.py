"""
The extensions of one_reply.py. What a request does is chosen by `case`; requests and the test wait
for one another by files in the directory `at`: `say` makes a file, `until` waits for it.
"""

SECRET = "the page of another user"

PYTHON = '''\
import ctypes, io, os, select, signal, stat, subprocess, sys, threading, time

SECRET = "the page of another user"
HEAD = "Content-Type: text/plain\\nSet-Cookie: user=" + SECRET + "\\n\\n"
CHILD = 'while [ ! -e "$0/late" ]; do sleep 0.01; done; echo "$1"; echo "$1" >&2; : >"$0/wrote"'


def say(at, name, pid=None):
    with open(f"{at}/.{name}", "w") as file:
        file.write(str(pid or os.getpid()))
    os.rename(f"{at}/.{name}", f"{at}/{name}")


def until(at, name, seconds=60):
    end = time.monotonic() + seconds
    while not os.path.exists(f"{at}/{name}") and time.monotonic() < end:
        time.sleep(0.002)


def until_refused(seconds=10):
    """Where the reply is a pipe: wait until it has no reader any more."""
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        poll = select.poll()
        poll.register(1, 0)
        poll.poll(seconds * 1000)


def start_child(at):
    child = subprocess.Popen(["/bin/sh", "-c", CHILD, at, SECRET], stdin=subprocess.DEVNULL)
    say(at, "left", child.pid)


def print_late(at, *ways):
    until(at, "late")
    for way in ways:
        try:
            way()
        except Exception as reason:
            print(repr(reason), file=sys.stderr)
    say(at, "wrote")
'''

# A script for CGI and rerun; {beginning} is for the mode.
SCRIPT = '''\
#!/usr/bin/python3
{beginning}
import os, sys
sys.dont_write_bytecode = True
import kept
from page import *

query = dict(pair.split("=") for pair in os.environ["QUERY_STRING"].split("&"))
case, at = query["case"], query.get("at")


def plain():
    print("Content-Type: text/plain\\nSet-Cookie: user=second\\n")
    print("the second user's page", flush=True)
    # The second user's page may use whatever the modules keep.
    for file in kept.text, kept.own, kept.made, kept.around:
        if file and not file.closed:
            file.flush()


def hold():
    plain()
    say(at, "begun")
    until(at, "go")
    print("and its end")


def gone_before():
    say(at, "begun")
    until(at, "go")
    until_refused()
    print(HEAD + SECRET)


def gone_within():
    print("Content-Type: text/plain\\nSet-Cookie: user=", end="", flush=True)
    say(at, "begun")
    until(at, "go")
    until_refused()
    print(SECRET + "\\n\\n" + SECRET)


def gone_after():
    print(HEAD, flush=True)
    say(at, "begun")
    until(at, "go")
    until_refused()
    print(SECRET * 10)


def gone_and_raises():
    try:
        gone_before()
        sys.stdout.flush()
    finally:
        kept.text.write(SECRET)
        kept.own.write(SECRET)
        ctypes.CDLL(None).printf(SECRET.encode())
        sys.stdout.write(SECRET)


def refused():
    sys.stdout.write("this is no header\\n\\n" + SECRET)
    sys.stdout.flush()
    until_refused()
    print(HEAD + SECRET)


def raises():
    print(HEAD + SECRET)
    print(SECRET + "\\ud800")


def writes_a_number():
    print(HEAD + SECRET)
    sys.stdout.buffer.write(SECRET.encode())
    sys.stdout.buffer.write(1)


def buffer():
    sys.stdout.write(HEAD)
    kept.text.write(SECRET)


def buffer_of_its_own():
    sys.stdout.write(HEAD)
    kept.own.write(SECRET)


def buffer_made_later():
    sys.stdout.write(HEAD)
    if not kept.made:
        kept.made = open(1, "wb", closefd=False)
        kept.around = io.TextIOWrapper(io.BufferedWriter(sys.stdout.buffer.raw))
    kept.made.write(SECRET.encode())
    kept.around.write(SECRET)


def buffer_of_c():
    ctypes.CDLL(None).printf(SECRET.encode())
    print(HEAD, flush=True)


def ring_of_objects():
    print(HEAD)
    last = kept.Last(SECRET)
    last.itself = last


def closed():
    print(HEAD, flush=True)
    os.close(1)
    print(SECRET)


def child():
    print(HEAD, flush=True)
    start_child(at)


def forked():
    print(HEAD, flush=True)
    child = os.fork()
    if child == 0:
        print_late(at, lambda: print(SECRET, flush=True), lambda: os.write(1, SECRET.encode()))
        os._exit(0)
    say(at, "left", child)


def thread():
    print(HEAD, flush=True)
    threading.Thread(target=print_late, daemon=True, args=(
        at, lambda: print(SECRET, flush=True), lambda: os.write(1, SECRET.encode()))).start()
    say(at, "left")


def timer():
    print(HEAD, flush=True)
    signal.signal(signal.SIGALRM, lambda *_: print(SECRET, flush=True))
    signal.signal(signal.SIGVTALRM, lambda *_: print(SECRET, flush=True))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.02)


def after_timer():
    end = time.process_time() + 0.06
    while time.process_time() < end:
        pass
    plain()


def handler():
    print(HEAD, flush=True)
    import atexit
    atexit.register(print, SECRET)


globals()[case]()
'''

# A module that stays loaded, and keeps what can be written to.
KEPT = '''\
import io, os, sys
text = io.TextIOWrapper(sys.stdout.buffer, "utf-8")
own = os.fdopen(1, "w", closefd=False)
made = around = None


class Last:
    def __init__(self, text):
        self.text = text

    def __del__(self):
        print(self.text)
'''

APP = '''\
# exthost: app
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))
from page import *

TEXT = [("Content-Type", "text/plain")]
FIRST = TEXT + [("Set-Cookie", "user=" + SECRET)]
SECOND = TEXT + [("Set-Cookie", "user=second")]
PAGE = SECRET.encode()
kept = []


def plain(at, start):
    start("200 OK", SECOND)
    return iter([b"the second user's page\\n"])


def hold(at, start):
    start("200 OK", SECOND)
    yield b"the second user's page\\n"
    say(at, "begun")
    until(at, "go")
    yield b"and its end\\n"


def write_all(write):
    for _ in range(60):
        write(PAGE * 1500)


def gone_before(at, start):
    write = start("200 OK", FIRST)
    say(at, "begun")
    until(at, "go")
    kept.append(write)
    write_all(write)


def gone_within(at, start):
    say(at, "begun")
    until(at, "go")
    start("200 OK", FIRST)
    for _ in range(60):
        yield PAGE * 1500


def gone_after(at, start):
    write = start("200 OK", FIRST)
    write(PAGE)
    say(at, "begun")
    until(at, "go")
    try:
        write_all(write)
    except OSError:
        try:
            write(PAGE)
        except Exception:
            pass
    return [PAGE]


def refused(at, start):
    start("200 OK", FIRST + [("Bad\\nName", "value")])
    return [PAGE]


def raises(at, start):
    write = start("200 OK", FIRST)
    yield PAGE
    write("no bytes")


def writes_a_number(at, start):
    start("200 OK", FIRST)
    return [PAGE, 1]


def buffer(at, start):
    kept.append(start("200 OK", FIRST))
    sys.stdout.write(SECRET)
    return iter([])


def late_writes(at, write):
    return (lambda: write(PAGE), lambda: print(SECRET, flush=True),
            lambda: os.write(1, PAGE))


def child(at, start):
    start("200 OK", FIRST)
    start_child(at)
    return [b""]


def forked(at, start):
    write = start("200 OK", FIRST)
    child = os.fork()
    if child == 0:
        print_late(at, *late_writes(at, write))
        os._exit(0)
    say(at, "left", child)
    return [b"first"]


def thread(at, start):
    write = start("200 OK", FIRST)
    threading.Thread(target=print_late, daemon=True, args=(at, *late_writes(at, write))).start()
    say(at, "left")
    return [b"first"]


def thread_in_a_write(at, start):
    write = start("200 OK", FIRST)

    def go_on():
        say(at, "writes")
        try:
            while True:
                write(PAGE * 10000)
        except Exception as reason:
            print(repr(reason), file=sys.stderr)
        say(at, "wrote")
    threading.Thread(target=go_on, daemon=True).start()
    until(at, "writes")
    say(at, "left")
    return [b"first"]


def application(environ, start_response):
    query = dict(pair.split("=") for pair in environ["QUERY_STRING"].split("&"))
    return globals()[query["case"]](query.get("at"), start_response)
'''

TCL = r'''#!/usr/bin/tclsh
{beginning}
set SECRET "the page of another user"
set HEAD "Content-Type: text/plain\nSet-Cookie: user=$SECRET\n"

proc say {name {process ""}} {
    set file [open $::at/.$name w]
    puts -nonewline $file [expr {$process eq "" ? [pid] : $process}]
    close $file
    file rename -force $::at/.$name $::at/$name
}

proc until {name} {
    while {![file exists $::at/$name]} { after 5 {set ::again 1}; vwait ::again }
}

# Until the reply takes no more, or long enough for it to be given up.
proc write_all {} {
    for {set i 0} {$i < 60} {incr i} {
        if {[catch {puts [string repeat $::SECRET 1500]; flush stdout}]} return
    }
}

namespace eval case {
    proc plain {} {
        puts "Content-Type: text/plain\nSet-Cookie: user=second\n\nthe second user's page"
    }
    proc hold {} {
        plain
        say begun
        until go
        puts "and its end"
    }
    proc gone_before {} {
        say begun
        until go
        puts $::HEAD
        write_all
        puts -nonewline $::SECRET
    }
    proc gone_within {} {
        puts -nonewline "Content-Type: text/plain\nSet-Cookie: user="
        flush stdout
        say begun
        until go
        puts "$::SECRET\n"
        write_all
        puts -nonewline $::SECRET
    }
    proc gone_after {} {
        puts $::HEAD
        flush stdout
        say begun
        until go
        write_all
        puts -nonewline $::SECRET
    }
    proc refused {} {
        puts "this is no header\n\n$::SECRET"
        write_all
        puts $::HEAD
        puts -nonewline $::SECRET
    }
    proc raises {} {
        puts $::HEAD
        puts -nonewline $::SECRET
        puts -nonewline $::SECRET[error "within a write"]
    }
    proc buffer {} {
        puts $::HEAD
        chan configure stdout -buffering full -buffersize 1000000
        puts -nonewline $::SECRET
    }
    proc transformed {} {
        puts $::HEAD
        zlib push deflate stdout
        puts -nonewline $::SECRET
    }
    proc own_channel {} {
        puts $::HEAD
        flush stdout
        set ::kept [open /proc/self/fd/1 w]
        puts -nonewline $::kept $::SECRET
    }
    proc child {} {
        puts $::HEAD
        flush stdout
        set child {while [ ! -e "$0/late" ]; do sleep 0.01; done; echo "$1"; : >"$0/wrote"}
        say left [exec /bin/sh -c $child $::at $::SECRET </dev/null >@stdout 2>@stderr &]
    }
    proc timer {} {
        puts $::HEAD
        after 1 {puts $::SECRET; flush stdout}
        after idle {puts $::SECRET; flush stdout}
    }
    proc event {} {
        puts $::HEAD
        set ::pipe [open "|/bin/echo x" r]
        chan event $::pipe readable {puts $::SECRET; flush stdout; chan event $::pipe readable {}}
    }
    proc repeated_timer {} {
        puts $::HEAD
        proc ::again_and_again {} { puts $::SECRET; flush stdout; after 1 ::again_and_again }
        after 1 ::again_and_again
    }
    proc background_error {} {
        puts $::HEAD
        proc ::complain {message options} { puts $::SECRET; flush stdout; interp bgerror {} {} }
        interp bgerror {} ::complain
        after 1 {error lost}
    }
    proc coroutine_of_its_own {} {
        puts $::HEAD
        coroutine ::left apply {{} {
            after 1 [info coroutine]
            yield
            puts $::SECRET
            after 1 [info coroutine]
            yield
            puts $::SECRET
            flush stdout
        }}
    }
    proc after_timer {} {
        set ::fired 0
        for {set i 1} {$i < 10} {incr i} { after [expr {4 * $i}] {incr ::fired} }
        while {$::fired < 9} { vwait ::fired }
        update
        update idletasks
        plain
    }
}

proc application {} {
    global at
    foreach pair [split $::env(QUERY_STRING) &] {
        lassign [split $pair =] name value
        set given($name) $value
    }
    set at [expr {[info exists given(at)] ? $given(at) : ""}]
    case::$given(case)
}
{end}
'''


def text_of(mode, language):
    """The extension of this mode ("cgi", "rerun", "app") and language, as text."""
    beginning = f"# exthost: {mode}" if mode != "cgi" else ""
    if language == "tcl":
        return TCL.replace("{beginning}", beginning).replace(
            "{end}", "" if mode == "app" else "application")
    return APP if mode == "app" else SCRIPT.replace("{beginning}", beginning)
