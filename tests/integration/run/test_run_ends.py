"""How a run ends, as a script and its client can see it."""

import pytest

from support import fastcgi
from support.host import SUFFIX, put, put_script, run_plain
from support.marks import LANGUAGES
from support.own_socket import Serving
from support.waiting import wait_for

# Write a page that would never end, to a client that leaves, and tell the outcome in a file.
WRITES = {"python": '''\
# exthost: app
import os
import time


def application(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    directory = environ["QUERY_STRING"]
    open(directory + "/begun", "w").close()
    while not os.path.exists(directory + "/gone"):
        time.sleep(0.005)
    outcome = "never raised"
    try:
        for _ in range(300):
            write(b"x" * 65536)
    except OSError as reason:
        outcome = type(reason).__name__
    with open(directory + "/outcome.new", "w") as file:
        file.write(outcome)
    os.rename(directory + "/outcome.new", directory + "/outcome")
    return []
''', "tcl": '''\
# exthost: app
proc application {} {
    puts "Content-Type: text/plain\\n"
    set directory $::env(QUERY_STRING)
    close [open $directory/begun w]
    while {![file exists $directory/gone]} { after 5 }
    set outcome "never raised"
    try {
        for {set i 0} {$i < 300} {incr i} { puts [string repeat x 65536]; flush stdout }
    } trap {POSIX EPIPE} {} {
        set outcome BrokenPipeError
    }
    set file [open $directory/outcome.new w]
    puts -nonewline $file $outcome
    close $file
    file rename $directory/outcome.new $directory/outcome
}
'''}


def leave_while_it_writes(address, target, directory):
    with fastcgi.Connection(address) as client:
        client.send(fastcgi.begin() + fastcgi.stream(
            fastcgi.PARAMS, 1, fastcgi.pairs(fastcgi.variables("GET", f"{target}?{directory}")))
            + fastcgi.stream(fastcgi.STDIN, 1, b""))
        wait_for((directory / "begun").exists, "the app", 60)
    (directory / "gone").touch()
    wait_for((directory / "outcome").exists, "the end of the writing", 60)
    return (directory / "outcome").read_text()


@LANGUAGES
def test_writing_to_a_client_that_is_gone_is_an_error_behind_the_front(
        tmp_path, start_host, language):
    put(tmp_path / "root", "app" + SUFFIX[language], WRITES[language], executable=True)
    host = start_host(tmp_path / "root")
    assert leave_while_it_writes(host.socket, "/app" + SUFFIX[language],
                                 tmp_path) == "BrokenPipeError"


@LANGUAGES
def test_writing_to_a_client_that_is_gone_is_an_error_at_a_socket_of_its_own(tmp_path, language):
    host = Serving(tmp_path / "root", text=WRITES[language], language=language, workers=1)
    try:
        assert leave_while_it_writes(host.socket, "/app", tmp_path) == "BrokenPipeError"
    finally:
        host.stop()


STREAMS = """\
# exthost: app
import os
import time


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    directory = environ["QUERY_STRING"]
    open(directory + "/begun", "w").close()
    while not os.path.exists(directory + "/gone"):
        time.sleep(0.005)
    try:
        for _ in range(300):
            yield b"x" * 65536
    finally:
        open(directory + "/outcome", "w").close()
"""


STREAMS_TCL = """\
# exthost: app
proc application {} {
    puts "Content-Type: text/plain\\n"
    set directory $::env(QUERY_STRING)
    close [open $directory/begun w]
    while {![file exists $directory/gone]} { after 5 }
    try {
        for {set i 0} {$i < 300} {incr i} { puts [string repeat x 65536] }
    } finally {
        close [open $directory/outcome w]
    }
}
"""


def test_a_tcl_app_whose_client_leaves_while_it_streams_is_stopped_without_a_trace(
        tmp_path, start_host):
    put(tmp_path / "root", "app.tcl", STREAMS_TCL, executable=True)
    host = start_host(tmp_path / "root")
    leave_while_it_writes(host.socket, "/app.tcl", tmp_path)
    host.wait_line("GET /app.tcl", "status=")
    assert not [line for line in host.program.log()
                if "while executing" in line or "error writing" in line]


def test_an_app_whose_client_leaves_while_it_streams_is_stopped_without_a_traceback(
        tmp_path, start_host):
    put(tmp_path / "root", "app.py", STREAMS, executable=True)
    host = start_host(tmp_path / "root")
    leave_while_it_writes(host.socket, "/app.py", tmp_path)
    host.wait_line("GET /app.py", "status=")
    assert not [line for line in host.program.log() if "Traceback" in line or "BrokenPipe" in line]


# The end of a CGI run empties the modules that still live, but not beneath a thread that uses them.
# Were it done, the last name's object would be deleted then, and wait until the thread has noticed.
HELPER = '''\
import os
import threading
import time

value = "filled"
noticed = threading.Event()


def watch():
    while value == "filled":
        time.sleep(0.001)
    os.write(2, b"the module is empty\\n")
    noticed.set()


class Last:
    def __del__(self, wait=noticed.wait):
        wait(20)


last = Last()
'''
WATCHES = '''\
import os
import threading
import helper
threading.Thread(target=helper.watch, daemon=True).start()
os.helper = helper
print("Content-Type: text/plain\\n\\nthe end")
'''


def test_modules_stay_filled_while_a_daemon_thread_lives(tmp_path, start_host):
    put(tmp_path, "helper.py", HELPER)
    put_script(tmp_path, "watches.py", "python", WATCHES)
    host = start_host(tmp_path)
    for _ in range(3):
        since = host.log_position()
        assert host.get("/watches.py").text == "the end\n"
        host.wait_line("status=200", since=since)
    assert not [line for line in host.program.log() if "empty" in line or "Exception" in line]


# Each step of the end says so at once. The thread waits until Python waits for threads.
ORDER = '''\
import atexit, os, threading


class Last:
    def __del__(self, write=os.write):
        write(1, b"the script's objects\\n")


def run_on():
    end.wait()
    os.write(1, b"thread\\n")


print("Content-Type: text/plain\\n", flush=True)
last = Last()
end = threading.Event()
threading._register_atexit(end.set)
threading.Thread(target=run_on).start()
atexit.register(print, "what it printed")
atexit.register(os.write, 1, b"exit handler\\n")
print("standard output")
'''
PYTHON_MODES = pytest.mark.parametrize("mode", ["cgi", "rerun"])


@PYTHON_MODES
def test_a_python_run_ends_in_the_order_of_python3(tmp_path, start_host, mode):
    path = put_script(tmp_path, "order.py", "python", f"# exthost: {mode}\n{ORDER}")
    text = "standard output\nthread\nexit handler\nwhat it printed\nthe script's objects\n"
    assert run_plain("python", path, {}).stdout.decode().partition("\n\n")[2] == text
    host = start_host(tmp_path)
    for _ in range(2):
        assert host.get("/order.py").text == text


HOOKS = """\
# exthost: {mode}
import sys

def hook(kind, value, traceback):
    print("Content-Type: text/plain\\n\\nthe hook's page:", value)
    {end}

sys.excepthook = hook
raise ValueError("lost")
"""


@PYTHON_MODES
@pytest.mark.parametrize("end, status",
                         [("sys.exit(0)", 200), ("sys.exit()", 200), ("sys.exit(2)", 500),
                          ("pass", 500), ("raise KeyError(value)", 500)])
def test_a_hook_for_exceptions_ends_the_script_with_its_own_status(
        tmp_path, start_host, mode, end, status):
    path = put_script(tmp_path, "hook.py", "python", HOOKS.format(mode=mode, end=end))
    assert (run_plain("python", path, {}).returncode == 0) == (status == 200)
    host = start_host(tmp_path)
    for _ in range(2):
        reply = host.get("/hook.py")
        assert reply.status == status
        assert (reply.text == "the hook's page: lost\n") == (status == 200)


LEFT_OPEN = {"by the script": "file = FILE",
             "by a function": "def f(file=FILE): return file\nfile = f()\ndel f",
             "by a module of the template": "os.left_open = file = FILE\n"
                                            "del file; file = os.left_open",
             "by a module, and written to when the script's objects go": """
class Last:
    def write(self, text): self.text = text
    def __del__(self): self.file.write(self.text)
last = file = Last()
last.file = os.left_open = FILE""",
             "in a ring of objects": "class Ring: pass\nring = Ring()\n"
                                     "ring.itself, ring.file = ring, FILE\n"
                                     "file = ring.file"}


@PYTHON_MODES
@pytest.mark.parametrize("how", LEFT_OPEN)
def test_a_file_that_is_left_open_is_written(tmp_path, start_host, mode, how):
    left = tmp_path / "left"
    put_script(tmp_path / "root", "leaves.py", "python", f"""\
# exthost: {mode}
import os
{LEFT_OPEN[how].replace("FILE", f"open({str(left)!r}, 'w')")}
file.write("all of it")
del file
print("Content-Type: text/plain\\n\\nthe end")
""")
    host = start_host(tmp_path / "root")
    for _ in range(2):
        assert host.get("/leaves.py").text == "the end\n"
        assert left.read_text() == "all of it"
        left.unlink()


CLOSES = {
    "python": 'import os, sys\nprint("Content-Type: text/plain\\n\\nwhole", flush=True)\n'
              'os.close(1)\nos._exit(3)\n',
    "tcl": 'puts "Content-Type: text/plain\\n\\nwhole"\nclose stdout\nexit 3\n'}


@LANGUAGES
def test_a_script_that_closes_its_output_and_then_fails_is_500(tmp_path, start_host, language):
    put_script(tmp_path, "closes" + SUFFIX[language], language, CLOSES[language])
    host = start_host(tmp_path)
    for _ in range(5):
        since = host.log_position()
        reply = host.get("/closes" + SUFFIX[language])
        assert reply.status == 500 and "whole" not in reply.text
        host.wait_line("status=500", "exit status 3", since=since)


@pytest.mark.parametrize("mode", ["cgi", "rerun", "app"])
def test_a_tcl_script_reads_itself_by_info_script(tmp_path, start_host, mode):
    page = ('puts "Content-Type: text/plain\\n"\nset file [open [info script]]\n'
            'puts -nonewline [read $file]\nclose $file\n')
    text = f"# exthost: {mode}\n" if mode != "cgi" else ""
    text += f"proc application {{}} {{\n{page}}}\n" if mode == "app" else page
    path = put_script(tmp_path, "self.tcl", "tcl", text)
    host = start_host(tmp_path)
    for _ in range(2):
        assert host.get("/self.tcl").text == path.read_text()


LEAVES = """\
#!/usr/bin/python3
# exthost: rerun
import os, threading, time
print("Content-Type: text/plain\\n\\nhello", flush=True)
if os.environ["QUERY_STRING"] == "leave":
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
"""


def test_a_rerun_process_that_has_left_a_thread_refuses_a_request_that_had_begun_to_come(tmp_path):
    host = Serving(tmp_path / "root", text=LEAVES, workers=1)
    try:
        with fastcgi.Connection(host.socket) as client:
            found = fastcgi.variables("POST", "/?half", b"body")
            client.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, 1, fastcgi.pairs(found))
                        + fastcgi.record(fastcgi.STDIN, 1, b"bo"))
            assert host.get("/?x").text == "hello\n"
            assert host.get("/?leave").text == "hello\n"
            client.send(fastcgi.stream(fastcgi.STDIN, 1, b"dy"))
            assert client.read_outcome().reply().status == 503
        assert host.get("/?next").text == "hello\n"
    finally:
        host.stop()
