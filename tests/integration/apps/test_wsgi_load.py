"""How an app is loaded: what it finds, what it may bring, and what becomes of it at its end."""

import shutil
import subprocess
import sys

import pytest

from support import fastcgi
from support.apps import Apps
from support.host import put, put_script, run_exthost
from support.waiting import wait_for

START = "start_response('200 OK', TEXT)\n"
VERSION = "python%d.%d"


@pytest.fixture
def start_apps(tmp_path):
    made = []

    def start(*options):
        folder = tmp_path / f"host{len(made)}"
        folder.mkdir()
        made.append(Apps(folder, *options))
        return made[-1]
    yield start
    for apps in made:
        apps.stop()


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A virtual environment with a package and a .pth file, without those of the system."""
    folder = tmp_path_factory.mktemp("venv") / "env"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    put(packages, "installed_here/__init__.py", "word = 'from the environment'\n")
    put(packages, "more.pth", "more\n")
    put(packages, "more/by_pth.py", "word = 'by a .pth file'\n")
    put(packages, "json.py", "word = 'does not hide the standard library'\n")
    return folder


def value(apps, expression, before="", **more):
    """What an expression is in an app, as text."""
    reply = apps.answer(START + f"return [str({expression}).encode()]", before=before, **more)
    assert reply.status == 200, reply
    return reply.text


def test_an_app_is_a_module_and_not_main(shared_apps):
    url = shared_apps.put("""
        start_response("200 OK", TEXT)
        class Thing: pass
        return [repr((__name__, sys.modules[__name__].application is not None, __file__, sys.argv,
                      __spec__.origin, type(__loader__).__name__, os.getcwd(),
                      pickle.loads(pickle.dumps(Kept())).__class__ is Kept)).encode()]
        """, "import pickle\nclass Kept: pass")
    path = f"{shared_apps.root}{url}"
    assert eval(shared_apps.get(url).text) == (  # pylint: disable=eval-used
        "exthost_app", True, path, [path], path, "SourceFileLoader", str(shared_apps.root), True)


def test_modules_beside_the_app_are_found_first(shared_apps):
    put(shared_apps.root, "beside/helper.py", "word = 'beside'\n")
    put(shared_apps.root, "beside/string.py", "word = 'shadows'\n")
    url = shared_apps.put(
        "import helper, string\n" + START + "return [(helper.word + string.word).encode()]",
        name="beside/app.wsgi")
    assert shared_apps.get(url).text == "besideshadows"


def test_a_file_with_the_word_is_an_app_whatever_its_name(shared_apps):
    put(shared_apps.root, "named.py", "#!/usr/bin/python3\n# exthost: app\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [__name__.encode()]\n")
    assert shared_apps.get("/named.py").text == "exthost_app"


def test_an_app_named_like_a_module_does_not_hide_it(shared_apps):
    url = shared_apps.put("import csv\n" + START + "return [csv.__name__.encode()]",
                          name="csv.wsgi")
    assert shared_apps.get(url).text == "csv"


def test_what_an_app_keeps_is_there_in_the_next_request(shared_apps):
    url = shared_apps.put("count.append(1)\n" + START + "return [b'%d' % len(count)]", "count = []")
    assert [shared_apps.get(url).text for _ in range(3)] == ["1", "2", "3"]


NAMED = """#!/usr/bin/python3
# exthost: app
def make(word):
    def answer(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [word]
    return answer

"""


@pytest.mark.parametrize("last, word", [
    ("application = make(b'application')", "application"), ("app = make(b'app')", "app"),
    ("app = make(b'app')\napplication = make(b'application')", "application"),
    ("app = 5\napplication = make(b'application')", "application")])
def test_application_is_the_app_and_else_app(shared_apps, last, word):
    put(shared_apps.root, "which.py", NAMED + last + "\n")
    assert shared_apps.get("/which.py").text == word


def test_an_app_of_flask_is_named_as_flasks_own_texts_name_it(shared_apps):
    pytest.importorskip("flask")
    put(shared_apps.root, "site.wsgi", """#!/usr/bin/python3
from flask import Flask

app = Flask(__name__)


@app.route("/hello")
def hello():
    return "from flask"
""")
    assert shared_apps.get("/site.wsgi/hello").text == "from flask"


@pytest.mark.parametrize("text, line", [
    ("app = 5\n", 'its "app" cannot be called'),
    ("application = 5\napp = print\n", 'its "application" cannot'),
    ("x = 1\n", 'it defines neither "application" nor "app"'),
    ("application = 5\n", "cannot be called"),
    ("def application(:\n", "SyntaxError"), ("import no_such_module\n", "no_such_module"),
    ("raise ValueError('at load')\n", "ValueError: at load"), ("\0", "null byte"),
    ("import sys\nsys.exit(3)\n", "SystemExit: 3")])
def test_what_does_not_load_is_told(shared_apps, text, line):
    url = shared_apps.put("")
    put(shared_apps.root, url[1:], text, executable=True)
    since = shared_apps.host.log_position()
    assert shared_apps.get(url).status == 500
    shared_apps.host.wait_line(line, since=since)


def test_a_changed_module_is_used_from_the_next_request_on(shared_apps):
    put(shared_apps.root, "changing/part.py", "word = 'old'\n")
    url = shared_apps.put("import part\n" + START + "return [part.word.encode()]",
                          name="changing/app.wsgi")
    assert shared_apps.get(url).text == "old"
    put(shared_apps.root, "changing/part.py", "word = 'newer'\n")
    wait_for(lambda: shared_apps.get(url).text == "newer", "the new module")


def test_python_path_comes_before_what_is_installed_and_after_the_apps_folder(start_apps, tmp_path):
    put(tmp_path, "first/one.py", "word = 'first'\n")
    put(tmp_path, "second/one.py", "word = 'second'\n")
    put(tmp_path, "second/two.py", "word = 'second'\n")
    put(tmp_path, "second/json.py", "word = 'mine'\n")
    put(tmp_path, "second/here.py", "word = 'not this'\n")
    apps = start_apps("--python-path", f"{tmp_path}/first:{tmp_path}/second")
    put(apps.root, "here.py", "word = 'here'\n")
    assert value(apps, "' '.join(m.word for m in (one, two, json, here))",
                 "import one, two, json, here") == "first second mine here"


@pytest.mark.parametrize("mode", ["cgi", "rerun"])
def test_python_path_is_that_of_cgi_scripts_too(start_host, tmp_path, mode):
    put(tmp_path, "first/one.py", "word = 'first'\n")
    put(tmp_path, "second/one.py", "word = 'second'\n")
    put(tmp_path, "second/json.py", "word = 'mine'\n")
    put(tmp_path, "second/here.py", "word = 'not this'\n")
    put(tmp_path, "root/here.py", "word = 'here'\n")
    put_script(tmp_path / "root", "script.py", "python",
               f"# exthost: {mode}\nimport one, json, here\n"
               "print('Content-Type: text/plain\\n')\nprint(one.word, json.word, here.word)\n")
    host = start_host(tmp_path / "root", "--python-path", f"{tmp_path}/first:{tmp_path}/second")
    for _ in range(2):
        assert host.get("/script.py").text == "first mine here\n"


def test_a_virtual_environment_is_entered(start_apps, venv):
    apps = start_apps("--python-venv", str(venv))
    before = "import installed_here, by_pth, json"
    assert value(apps, "(installed_here.word, by_pth.word, json.__name__, hasattr(json, 'word'))",
                 before) == str(("from the environment", "by a .pth file", "json", False))
    assert value(
        apps, "(sys.prefix, sys.exec_prefix, sys.base_prefix != sys.prefix, sys.executable)") \
        == str((str(venv), str(venv), True, f"{venv}/bin/python3"))
    assert "dist-packages" not in value(apps, "sys.path")


def test_packages_of_the_system_are_seen_only_if_the_environment_says_so(
        start_apps, venv, tmp_path):
    apps = start_apps("--python-venv", str(venv))
    look = "importlib.util.find_spec('yaml') or importlib.util.find_spec('pytest')"
    assert value(apps, look, "import importlib.util") == "None"
    copy = tmp_path / "copy"
    shutil.copytree(venv, copy, symlinks=True)
    settings = copy / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
    apps = start_apps("--python-venv", str(copy))
    assert value(apps, look, "import importlib.util") != "None"
    assert value(apps, "[i for i, p in enumerate(sys.path) if p.endswith('site-packages')][0]"
                 " < [i for i, p in enumerate(sys.path) if 'dist-packages' in p][0]") == "True"


@pytest.mark.parametrize("change, line", [
    (lambda v: (v / "pyvenv.cfg").unlink(), "not a virtual environment: it has no pyvenv.cfg"),
    (lambda v: (v / "pyvenv.cfg").write_text("version = 3.2.1\n"),
     f"for Python 3.2, but this is {sys.version_info[0]}."),
    (lambda v: (v / "pyvenv.cfg").write_text("home = /usr\n"), "pyvenv.cfg names no version"),
    (lambda v: shutil.rmtree(v / "lib"), "not a virtual environment: it has no lib/python")])
def test_what_is_no_environment_for_this_python_is_told_at_the_start(venv, tmp_path, change, line):
    copy = tmp_path / "copy"
    shutil.copytree(venv, copy, symlinks=True)
    change(copy)
    done = run_exthost("serve", "--root", str(tmp_path), "--python-venv", str(copy))
    text = done.stderr.decode()
    assert done.returncode == 2 and text.count("\n") == 1 and line in text, done


@pytest.mark.parametrize("mode", ["cgi", "rerun", "app"])
def test_an_environment_that_is_gone_since_the_start_is_told(start_host, venv, tmp_path, mode):
    copy = tmp_path / "copy"
    shutil.copytree(venv, copy, symlinks=True)
    put_script(tmp_path / "root", "script.py", "python", "print('never')\n")
    host = start_host(tmp_path / "root", "--python-venv", str(copy), "--mode", mode)
    (copy / "pyvenv.cfg").unlink()
    assert host.get("/script.py").status == 500
    host.wait_line("not a virtual environment: it has no pyvenv.cfg")


def test_threads_go_on_between_requests(shared_apps):
    url = shared_apps.put(START + "return [b'%d' % ticks]", """
        import threading
        ticks = 0
        def tick():
            global ticks
            while True:
                time.sleep(0.001)
                ticks += 1
        threading.Thread(target=tick, daemon=True).start()
        """)
    first = int(shared_apps.get(url).text)
    wait_for(lambda: int(shared_apps.get(url).text) > first + 20, "ticks")


def test_a_thread_of_a_library_in_c_calls_python_between_requests(shared_apps, tmp_path):
    """The C library calls back on a thread of its own, half a second after the request."""
    called = tmp_path / "called"
    url = shared_apps.put(
        "c.timer_settime(number, 0, half_a_second, None)\n" + START + "return [b'set']", f"""
        import ctypes
        c = ctypes.CDLL(None)

        class Event(ctypes.Structure):
            _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int),
                        ("notify", ctypes.c_int), ("function", ctypes.c_void_p),
                        ("attributes", ctypes.c_void_p), ("padding", ctypes.c_long * 4)]

        @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        def call(value):
            open({str(called)!r}, "w").close()

        number = ctypes.c_void_p()
        half_a_second = (ctypes.c_long * 4)(0, 0, 0, 500_000_000)
        event = Event(notify=2, function=ctypes.cast(call, ctypes.c_void_p))  # SIGEV_THREAD
        assert c.timer_create(1, ctypes.byref(event), ctypes.byref(number)) == 0
        """)
    assert shared_apps.get(url).text == "set"
    wait_for(called.exists, "the call")


def test_threads_go_on_while_the_client_is_slow(shared_apps, tmp_path):
    ticks = tmp_path / "ticks"
    url = shared_apps.put(START + "yield b'x' * 4_000_000\nyield b'y'", f"""
        import threading
        def tick():
            while True:
                time.sleep(0.01)
                with open({str(ticks)!r}, "a") as f:
                    f.write("tick ")
        threading.Thread(target=tick, daemon=True).start()
        """)
    with fastcgi.Connection(shared_apps.host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", url))
        connection.stdin(b"")
        assert connection.read_record()  # the rest fills every buffer on its way
        before = wait_for(lambda: ticks.exists() and ticks.stat().st_size, "a tick")
        wait_for(lambda: ticks.stat().st_size > before + 100, "more ticks")
        assert connection.read_outcome().stdout.endswith(b"y")


def test_signal_handlers_of_the_app_run_between_requests(start_apps):
    apps = start_apps("--idle-exit", "3600")  # they run when the worker ends, too
    url = apps.put(START + "return [str(os.getpid()).encode()]", """
        import signal
        signal.signal(signal.SIGUSR2, lambda *_: print("handled", flush=True))
        """)
    since = apps.host.log_position()
    subprocess.run(["kill", "-USR2", apps.get(url).text], check=True)
    apps.host.wait_line("handled", since=since)


def test_exit_handlers_run_when_the_worker_ends_and_not_before(start_apps):
    apps = start_apps()
    url = apps.put(START + "return [b'x']", """
        import atexit, threading
        atexit.register(lambda: print("exit handler ran"))
        file = open("left-open", "w")
        file.write("unflushed")
        """)
    since = apps.host.log_position()
    assert apps.get(url).body == apps.get(url).body == b"x"
    assert not [line for line in apps.host.program.log(since) if "exit handler ran" in line]
    apps.host.wait_line("exit handler ran", since=since)  # idle for a second
    wait_for(lambda: (apps.root / "left-open").read_text() == "unflushed", "the file to be written")


def test_exit_handlers_run_though_a_thread_never_ends(start_apps):
    apps = start_apps()
    since = apps.host.log_position()
    assert apps.answer(START + "return [b'x']", before="""
        import atexit, threading
        atexit.register(lambda: print("exit handler ran"))
        threading.Thread(target=time.sleep, args=(1000,)).start()
        """).body == b"x"
    apps.host.wait_line("exit handler ran", since=since)


def test_an_exit_handler_that_never_ends_does_not_keep_the_host(start_apps):
    apps = start_apps("--grace", "2")
    assert apps.answer(START + "return [b'x']",
                       before="import atexit\natexit.register(time.sleep, 1000)").body == b"x"
