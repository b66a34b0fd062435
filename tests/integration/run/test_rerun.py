"""
Rerun: a CGI script in a process that stays finds everything as at the start, however the run before
it ended; what cannot be put back ends the process after the reply.
"""

import contextlib
import os
import textwrap

import pytest

from support.apps import Apps, OwnSockets
from support.host import put, run_exthost, run_plain
from support.own_socket import Serving
from support.waiting import wait_for

BEGINNING = """\
#!/usr/bin/python3
# exthost: rerun
import os, sys, time
query = os.environ.get("QUERY_STRING", "")
"""
HEAD = 'print("Content-Type: text/plain\\n")\n'
PID = HEAD + "print(os.getpid())\n"
USED = ("atexit", "cProfile", "concurrent.futures", "ctypes", "gc", "io", "locale",
        "resource", "signal",
        "subprocess", "threading", "weakref")


class Rerun:
    """Scripts in a host for all of them, or in hosts for one each; see apps.Apps."""

    def __init__(self, apps):
        self._apps, self.root, self.host = apps, apps.root, apps.host
        self._count = 0

    def put(self, body, plain=False):
        self._count += 1
        name = f"script{self._count}.py"
        text = BEGINNING + textwrap.dedent(body)
        put(self.root, name, text.replace("rerun", "cgi") if plain else text)
        return "/" + name

    def get(self, target, method="GET", body=b""):
        return self._apps.get(target, method, body)


@pytest.fixture(scope="module", params=["shared", "own sockets"])
def rerun(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerun")
    # A module that is seen in use is soon preloaded, by a new template, and its workers are new as
    # well.
    preload = [word for name in USED for word in ("--preload", f"python:{name}")]
    if request.param == "own sockets":
        apps = OwnSockets(folder, *preload)
    else:
        apps = Apps(folder, "--workers", "1", *preload)
    yield Rerun(apps)
    apps.stop()


def stays(rerun, url, *targets):
    """Whether one process answers all of these."""
    pids = {rerun.get(url + target).text.split()[-1] for target in ("", *targets, "")}
    return len(pids) == 1


def test_a_script_runs_anew_in_one_process(rerun):
    url = rerun.put(
        PID + "print(sorted(globals()), __name__, __file__, sys.argv, os.getcwd())\nx = 1\n"
              "def f(): pass\n")
    first = rerun.get(url)
    assert first.status == 200 and rerun.get(url).text == first.text == rerun.get(url).text
    path = f"{rerun.root}{url}"
    assert f"__main__ {path} ['{path}'] {rerun.root}\n" in first.text and "'x'" not in first.text


# What a script does when it is asked with ?1, and how it would see that the next time.
UNDONE = {
    "environment": ("os.environ['LEFT'] = '1'; os.putenv('LEFT', '1')",
                    "(os.environ.get('LEFT'), sorted(os.environ), __import__('subprocess')"
                    ".check_output(['/bin/sh', '-c', 'echo $LEFT$QUERY_STRING']))"),
    "directory": ("os.chdir('/')", "os.getcwd()"),
    "umask": ("os.umask(0o777)", "oct(os.umask(0))"),
    "sys.path": ("sys.path.insert(0, '/left'); sys.path[:0] = ['/over']", "sys.path"),
    "sys.path itself": ("sys.path = []", "sys.path"),
    "sys.argv": ("sys.argv.append('left')", "sys.argv"),
    "stdout": ("sys.stdout = sys.stderr", "sys.stdout.name"),
    "stdout settings": ("sys.stdout.reconfigure(encoding='utf-16', newline='\\r\\n')",
                        "(sys.stdout.encoding, sys.stdout.errors)"),
    "stdout closed": ("sys.stdout.close()", "sys.stdout.closed"),
    "stdout detached": ("sys.stdout.detach()", "str(sys.stdout)"),
    "stdout wrapped": ("import io; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'latin-1')",
                       "(sys.stdout.encoding, str(sys.stdout))"),
    "stderr": ("sys.stderr.close(); sys.stdin.close()", "(sys.stderr.closed, sys.stdin.closed)"),
    "descriptor 2": ("os.dup2(1, 2)", "os.readlink('/proc/self/fd/2').split(':')[0]"),
    "descriptor 0": ("os.close(0)", "os.fstat(0).st_size"),
    "builtins": ("__builtins__.len = lambda x: 0; __builtins__.left = 1",
                 "(len('abc'), hasattr(__builtins__, 'left'))"),
    "hooks": ("sys.excepthook = sys.displayhook = print; sys.left = 1",
              "(sys.excepthook is sys.__excepthook__, hasattr(sys, 'left'))"),
    "signal handler": ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
                       "str(__import__('signal').getsignal(15))"),
    "signal mask": ("import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
                    "str(__import__('signal').pthread_sigmask(0, []))"),
    "alarm": ("import signal; signal.alarm(100)", "__import__('signal').alarm(0)"),
    "timers of its processor time": (
        "import signal; [signal.setitimer(which, 100) for which in (1, 2)]",
        "[__import__('signal').getitimer(which)[0] for which in (1, 2)]"),
    "locale": ("import locale; locale.setlocale(locale.LC_ALL, 'C')",
               "__import__('locale').setlocale(6, None)"),
    "time zone": ("os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.localtime(0).tm_hour"),
    "trace": ("sys.settrace(print)", "sys.gettrace()"),
    "profile": ("sys.setprofile(print)", "sys.getprofile()"),
    "profiler": ("import cProfile; cProfile.Profile().enable()", "sys.getprofile()"),
    "recursion limit": ("sys.setrecursionlimit(5000)", "sys.getrecursionlimit()"),
    "collector": ("import gc; gc.disable()", "__import__('gc').isenabled()"),
    "exit status": ("sys.exit(3)", "'well'"),
    "exception": ("raise ValueError('lost')", "getattr(sys, 'last_value', None)"),
    "exit handler": ("import atexit; atexit.register(print, 'handler', file=sys.stderr)",
                     "__import__('atexit')._ncallbacks() < 3"),
    "main": ("left = 1; sys.modules['__main__'].other = 2", "'left' in globals()"),
    "recursion": ("f = lambda: f(); f()", "'well'"),
}


@pytest.mark.parametrize("what", UNDONE)
def test_what_a_run_changes_is_as_at_the_start_in_the_next(rerun, what):
    change, look = UNDONE[what]
    body = (f"if query:\n    {change}\nseen = {look}\n"
            f"{PID}print(repr(seen), {look!r}, os.getpid())\n")
    url = rerun.put(body)
    first = rerun.get(url)
    assert first.status == 200, first
    rerun.get(url + "?1")
    second = rerun.get(url)
    assert second.text == first.text, "the process has changed, or what is seen"
    for _ in range(2):
        rerun.get(url + "?1")
    assert rerun.get(url).text == first.text


@pytest.mark.parametrize("what",
                         [name for name in UNDONE
                          if name not in ("environment", "exception", "time zone")])
def test_it_sees_the_same_as_a_cgi_run(rerun, what):
    _, look = UNDONE[what]
    url, plain = (rerun.put(f"seen = {look}\n{HEAD}print(repr(seen))\n", plain)
                  for plain in (False, True))
    as_cgi = run_exthost("request", plain, "--root", str(rerun.root)).stdout.decode()
    expected = as_cgi.partition("\r\n\r\n")[2].replace(plain, url)
    assert rerun.get(url).text == expected and rerun.get(url).text == expected


LEFT = {
    "a thread": "import threading; threading.Thread(target=time.sleep, args=(20,), "
                "daemon=True).start()",
    "a child": "os.fork() or os.execv('/bin/sleep', ['sleep', '2'])",
    "a descriptor": "os.open('/dev/null', 0)",
    "a file in a module": "os.left = open('/dev/null', 'w')",
    "a thread that is waited for": "import threading; end = threading.Event(); "
                                   "threading._register_atexit(end.set); "
                                   "threading.Thread(target=end.wait).start()",
    "a thread of a library in C": "import ctypes; c = ctypes.CDLL(None); "
                                  "c.pthread_create(ctypes.byref(ctypes.c_ulong()), None, c.pause, "
                                  "None)",
    "a copy of the reply": "os.dup(1)",
    "a limit": "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "a limit that another program lowers": "import subprocess; subprocess.run(['/usr/bin/prlimit', "
                                           "'--nofile=20', '--pid', str(os.getpid())])",
    "an audit hook": "sys.addaudithook(lambda *_: None)",
}


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_over_ends_the_process_after_the_reply(rerun, what):
    url = rerun.put(f"if query:\n    {LEFT[what]}\n{PID}")
    assert stays(rerun, url)
    first = rerun.get(url).text
    assert rerun.get(url + "?1").text == first
    assert rerun.get(url).text != first


def test_what_is_cleared_away_does_not(rerun):
    url = rerun.put(PID + """\
import concurrent.futures, ctypes, subprocess, threading
subprocess.Popen(["/bin/true"]).wait()
os.fork() or os._exit(0)
time.sleep(0.05)
thread = threading.Thread(target=time.sleep, args=(0.01,))
thread.start()
thread.join()
c, number = ctypes.CDLL(None), ctypes.c_ulong()
c.pthread_create(ctypes.byref(number), None, c.getpid, None)
c.pthread_join(number, None)
with concurrent.futures.ThreadPoolExecutor() as pool:
    list(pool.map(print, []))
    pool.submit(time.sleep, 0.01)
file = open("/dev/null")
def function(): return file
print(os.getpid())
""")
    assert stays(rerun, url, "?1", "?1")


def test_output_comes_in_order_and_all_of_it(rerun, tmp_path):
    path = tmp_path / "file"
    url = rerun.put(HEAD + f"""\
import atexit, ctypes, threading
atexit.register(print, "exit handler")
sys.stdout.write("text ")
sys.stdout.flush()
os.write(1, b"bytes ")
os.system("printf child")
ctypes.CDLL(None).printf(b" C")
threading.Thread(target=lambda: (time.sleep(0.05), print(" thread"))).start()
file = open({str(path)!r}, "w")
file.write("not flushed")
class Last:
    def __del__(self):
        print("deleted")
last = Last()
def function(): return last
""")
    for _ in range(3):
        assert rerun.get(url).text == "text bytes child thread\nexit handler\ndeleted\n C"
        assert path.read_text() == "not flushed"
        path.unlink()


@pytest.mark.parametrize(
    "read", ["sys.stdin.read()", "sys.stdin.readline()", "sys.stdin.buffer.read(3)",
             "os.read(0, 3)", "sys.stdin.buffer.peek(1)[:1]", "input()", "''"])
def test_standard_input_is_the_body_of_each_request(rerun, read):
    url = rerun.put(f"{HEAD}print(repr({read}))\n")
    script = rerun.root / url[1:]
    for body in (b"first\nbody", b"other\nlonger body", b"third\nbody"):
        plain = run_plain("python", script, {"REQUEST_METHOD": "POST"}, body)
        assert rerun.get(url, "POST", body).text == plain.stdout.decode().partition("\n\n")[2]
    if "input()" not in read:
        plain = run_plain("python", script, {"REQUEST_METHOD": "GET"})
        assert rerun.get(url).text == plain.stdout.decode().partition("\n\n")[2]


@pytest.mark.parametrize("end, status", [
    ("sys.exit(0)", 200), ("sys.exit()", 200), ("sys.exit(1)", 500), ("sys.exit('why')", 500),
    ("raise ValueError('lost')", 500), ("exit()", 200), ("quit(2)", 500), ("1/0", 500),
    ("raise MemoryError", 500)])
def test_a_run_ends_as_under_cgi_and_the_next_is_well(rerun, end, status):
    url = rerun.put(f"if query:\n    {end if status != 200 else PID.strip().splitlines()[0]}\n"
                    f"{PID}{end if status == 200 else ''}\n")
    first = rerun.get(url).text
    assert rerun.get(url + "?1").status == (status if status != 200 else 200)
    assert rerun.get(url).text == first


def test_output_that_cannot_be_flushed_is_a_500_as_python_s_own_exit_status_is_120(rerun):
    url = rerun.put(PID + "class Stuck:\n    closed = False\n    write = len\n"
                          "    def flush(self):\n        raise OSError('stuck')\n"
                          "if query:\n    sys.stdout.flush()\n    sys.stdout = Stuck()\n")
    assert rerun.get(url).status == 200
    assert rerun.get(url + "?1").status == 500
    assert rerun.get(url).status == 200


def test_an_exception_has_its_traceback_and_nothing_of_the_host(rerun):
    url = rerun.put("def f():\n    raise KeyError('lost')\nf()\n")
    since = rerun.host.log_position()
    assert rerun.get(url).status == 500
    rerun.host.wait_line("KeyError: 'lost'", since=since)
    rerun.host.wait_line("status=500", since=since)
    # What an earlier test has written may be logged only now.
    lines = [line for line in rerun.host.program.log(since)
             if 'File "' in line and f"script={url[1:]}" in line]
    assert len(lines) == 2 and all(url + '"' in line for line in lines)


def test_a_run_that_takes_too_long_shows_where_it_was(tmp_path, start_host):
    put(tmp_path, "slow.py", BEGINNING + "def deep():\n    time.sleep(100)\ndeep()\n")
    host = start_host(tmp_path, "--timeout", "1")
    since = host.log_position()
    assert host.get("/slow.py").status == 504
    host.wait_line("in deep", "stream=stack", since=since)
    host.wait_line("in <module>", "stream=stack", since=since)


def test_a_script_that_does_not_compile_is_told(tmp_path, start_host):
    put(tmp_path, "wrong.py", BEGINNING + "def f(:\n")
    host = start_host(tmp_path)
    assert host.get("/wrong.py").status == 500
    host.wait_line("SyntaxError", since=0)


def test_modules_stay_loaded_and_are_looked_at(rerun):
    put(rerun.root, "kept.py", "count = []\nword = 'old'\n")
    url = rerun.put(HEAD + "import kept\nkept.count.append(1)\nprint(kept.word, len(kept.count))\n")
    wait_for(lambda: rerun.get(url).text == "old 3\n", "the module to stay")
    put(rerun.root, "kept.py", "count = []\nword = 'newer'\n")
    wait_for(lambda: rerun.get(url).text == "newer 1\n", "the new module")


def test_objects_that_a_run_leaves_in_a_ring_are_deleted_within_it(rerun):
    """
    What they print at their end is in no later reply; also where the script defines no function.
    """
    put(rerun.root, "last.py",
        "class Last:\n    def __del__(self):\n        print('deleted', self.text)\n")
    url = rerun.put(HEAD + "import gc, last\nif query == 'collect':\n    gc.collect()\nelse:\n"
                           "    it = last.Last()\n    it.text, it.itself = query, it\n")
    for _ in range(3):
        assert rerun.get(url + "?first").text == "deleted first\n"
        assert rerun.get(url + "?collect").text == ""


def test_a_file_in_a_ring_of_objects_is_written_and_closed_within_the_run(rerun, tmp_path):
    path = tmp_path / "file"
    url = rerun.put(f"""\
class Ring:
    pass
if query:
    ring = Ring()
    ring.itself, ring.file = ring, open({str(path)!r}, "w")
    ring.file.write("all of it")
    del ring
{PID}""")
    first = rerun.get(url).text
    for _ in range(3):
        assert rerun.get(url + "?1").text == first
        assert path.read_text() == "all of it"
        path.unlink()
    assert rerun.get(url).text == first


@pytest.mark.parametrize("file, status", [
    ("sys.stdout", 500), ("keeps.first", 200), ("keeps.second", 200)])
def test_what_cannot_be_written_is_thrown_away_and_ends_the_process(rerun, file, status):
    put(rerun.root, "keeps.py",
        "import os\nfirst, second = (os.fdopen(1, 'w', closefd=False) for _ in range(2))\n")
    url = rerun.put(f"""\
import keeps
{PID}sys.stdout.flush()
if query:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.close(full)
    {file}.write("of no request")
""")
    assert stays(rerun, url)
    first, since = rerun.get(url).text, rerun.host.log_position()
    assert rerun.get(url + "?1").status == status
    assert rerun.get(url).text != first
    assert stays(rerun, url)
    assert not [line for line in rerun.host.program.log(since) if "of no request" in line]


def test_a_forked_child_that_runs_on_ends_by_itself(rerun):
    url = rerun.put(HEAD + "sys.stdout.flush()\nchild = os.fork()\n"
                           "if child:\n    os.waitpid(child, 0)\n"
                           "print('parent' if child else 'child')\n")
    for _ in range(3):
        assert rerun.get(url).text == "child\nparent\n"


def test_large_bodies_go_in_and_out(rerun):
    url = rerun.put("data = sys.stdin.buffer.read()\n" + HEAD
                    + "sys.stdout.flush()\nsys.stdout.buffer.write(data)\n")
    for size in (3_000_000, 10, 1_000_000):
        body = os.urandom(size)
        assert rerun.get(url, "POST", body).body == body


WITHOUT_END = {"python": """\
# exthost: rerun
import os, sys
print("Content-Type: text/plain\\n")
while os.environ["QUERY_STRING"] == "endless":
    sys.stdout.write("x" * 65536)
print("x" * int(os.environ["QUERY_STRING"]))
""", "tcl": """\
# exthost: rerun
puts "Content-Type: text/plain\\n"
flush stdout
if {$env(QUERY_STRING) eq "endless"} { exec /usr/bin/yes >@ stdout }
exec /usr/bin/head -c $env(QUERY_STRING) /dev/zero >@ stdout
"""}


@pytest.mark.parametrize("language", WITHOUT_END)
def test_what_is_held_at_a_socket_of_its_own_is_no_larger_than_max_reply(tmp_path, language):
    with contextlib.ExitStack() as stack:
        host = Serving(tmp_path / "root", "--max-reply", "1m", "--timeout", "60", language=language,
                       workers=1, text=WITHOUT_END[language])
        stack.callback(host.stop)
        for size in 1048577, "endless":
            since = host.log_position()
            outcome = host.run("POST", f"/app?{size}")
            assert outcome.closed or outcome.reply().status == 500
            assert "the reply is larger than --max-reply, 1048576 bytes" in \
                host.wait_line(f"/app?{size}", "status=", since=since)
            assert host.get("/app?1000").status == 200
