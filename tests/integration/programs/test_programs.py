"""Other people's programs, unmodified, run by the host."""

import os
import pty
import select
import shutil
import subprocess
import urllib.parse

import pytest

from support.host import EXTHOST, RELAY, environment, put, put_script, relay_line, run_exthost
from support.waiting import wait_for

HGWEB = "/usr/share/doc/mercurial-common/examples/hgweb.cgi"

FIELD_STORAGE = '''
import cgi, hashlib
form = cgi.FieldStorage()
print("Content-Type: text/plain; charset=utf-8")
print()
print("who", form.getfirst("who"))
upload = form["file"] if "file" in form else None
if upload is not None:
    print("file", upload.filename, upload.type, hashlib.sha256(upload.file.read()).hexdigest())
'''

CGI_HANDLER = '''
from wsgiref.handlers import CGIHandler
from wsgiref.validate import validator

@validator
def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    start_response("201 Created", [("Content-Type", "text/plain"),
                                   ("X-Path", environ["PATH_INFO"])])
    return [b"got ", body]

CGIHandler().run(application)
'''

NCGI = '''
package require ncgi
package require html
ncgi::parse
html::init
puts "Content-Type: text/html\\n"
puts [html::head "Form & more"]
puts [html::bodyTag]
puts "<p>[html::quoteFormValue [ncgi::value who nobody]]</p>"
puts "<p>[ncgi::nvlist]</p>"
puts [html::end]
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("programs")
    put_script(made, "field_storage.py", "python", FIELD_STORAGE)
    put_script(made, "handler.py", "python", CGI_HANDLER)
    put_script(made, "ncgi.tcl", "tcl", NCGI)
    return made


def multipart(**parts):
    boundary = "----exthost-boundary"
    body = b""
    for name, value in parts.items():
        filename = f'; filename="{value[0]}"\r\nContent-Type: {value[1]}' if isinstance(
            value, tuple) else ""
        data = value[2] if isinstance(value, tuple) else value
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
                 ).encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_cgi_field_storage_reads_a_form_and_a_file(start_host, root):
    host = start_host(root)
    data = bytes(range(256)) * 1000
    body, kind = multipart(who="Zoë".encode(), file=("a b.bin", "application/x-thing", data))
    reply = host.run("POST", "/field_storage.py", [("Content-Type", kind)], body).reply()
    import hashlib
    assert reply.status == 200
    assert "who Zoë" in reply.text
    assert f"file a b.bin application/x-thing {hashlib.sha256(data).hexdigest()}" in reply.text


def test_wsgiref_cgi_handler_serves_a_validated_application(start_host, root):
    host = start_host(root)
    reply = host.run("POST", "/handler.py/some/where", [("Content-Type", "text/plain")],
                     b"body").reply()
    assert (reply.status, reply.text, reply.header("X-Path")) == (201, "got body", "/some/where")


def test_ncgi_and_html_of_tcllib_read_and_show_a_form(start_host, root):
    host = start_host(root)
    got = host.get("/ncgi.tcl?who=%3Cada%3E")
    assert got.status == 200 and "<p>&lt;ada&gt;</p>" in got.text
    assert "Form & more" in got.text or "Form &amp; more" in got.text
    posted = host.run("POST", "/ncgi.tcl", [("Content-Type", "application/x-www-form-urlencoded")],
                      b"who=grace&other=1").reply()
    assert "<p>grace</p>" in posted.text and "who grace other 1" in posted.text


def hg(*arguments, cwd, home):
    done = subprocess.run(["/usr/bin/hg", *arguments], cwd=cwd, capture_output=True, text=True,
                          timeout=60, check=False, env={"HOME": str(home), "PATH": "/usr/bin:/bin",
                                                        "HGUSER": "ada", "LANG": "C.UTF-8"})
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def test_hgweb_serves_a_real_clone_and_push_through_nginx(start_host, start_nginx, tmp_path):
    central, home = tmp_path / "central", tmp_path / "home"
    home.mkdir()
    central.mkdir()
    hg("init", cwd=central, home=home)
    put(central, "first.txt", "one\n")
    hg("add", "first.txt", cwd=central, home=home)
    hg("commit", "-m", "first", cwd=central, home=home)
    put(central, ".hg/hgrc", "[web]\npush_ssl = false\nallow_push = *\nstyle = gitweb\n")
    put(tmp_path, "hgweb.config", f"[paths]\n/ = {central}\n")
    # The file as it is installed, with its configuration's path filled in as it asks for, and the
    # first line that says who runs it.
    with open(HGWEB, encoding="utf-8") as f:
        text = f.read().replace('"/path/to/repo/or/config"', repr(str(central)))
    put(tmp_path, "root/hgweb.cgi", relay_line("python") + "\n" + text.split("\n", 1)[1])
    host = start_host(tmp_path / "root")
    nginx = start_nginx(host.socket)
    url = f"http://127.0.0.1:{nginx.port}/hgweb.cgi"

    page = nginx.get("/hgweb.cgi/log")
    assert page.status == 200 and "first" in page.text
    hg("clone", url, "work", cwd=tmp_path, home=home)
    assert (tmp_path / "work" / "first.txt").read_text() == "one\n"
    put(tmp_path / "work", "second.bin", os.urandom(300_000))
    hg("add", "second.bin", cwd=tmp_path / "work", home=home)
    hg("commit", "-m", "second", cwd=tmp_path / "work", home=home)
    hg("push", url, cwd=tmp_path / "work", home=home)
    assert hg("log", "--template", "{desc}\n", cwd=central, home=home) == "second\nfirst\n"


STRANGE = [".hgignore", "-1", "a b", "~ada+b@c:d,e", "%41", "..x/x.."]


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_hgweb_shows_files_of_any_name_and_revisions(
        start_host, start_nginx, start_apache, tmp_path, server):
    central = tmp_path / "central"
    central.mkdir()
    hg("init", cwd=central, home=tmp_path)
    for name in STRANGE:
        put(central, name, f"this is {name}\n")
    hg("add", cwd=central, home=tmp_path)
    hg("commit", "-m", "strange names", cwd=central, home=tmp_path)
    # Apache runs as another user.
    tmp_path.chmod(0o755)
    application = ("from mercurial.hgweb import hgweb\n"
                   f"application = hgweb({str(central).encode()!r})\n")
    put(tmp_path, "root/hg.py", relay_line("python") + "\n# exthost: app\n" + application)
    put(tmp_path, "root/hg.cgi", relay_line("python") + "\n" + application
        + "from mercurial.hgweb import wsgicgi\nwsgicgi.launch(application)\n")
    host = start_host(tmp_path / "root", "--prefix", "/ext", "--allow-uid", "33",
                      listen=["unix:{folder}/s,mode=0666"])
    front = start_nginx(host.socket) if server == "nginx" else start_apache(host.socket)
    for script in "hg.py", "hg.cgi":
        url = f"{'/ext' if server == 'nginx' else ''}/{script}"
        assert "strange names" in front.get(f"{url}/rev/-1").text
        for name in STRANGE:
            reply = front.get(f"{url}/raw-file/tip/" + urllib.parse.quote(name, safe="/~+@:,"))
            assert (reply.status, reply.text) == (200, f"this is {name}\n"), name


def test_pythons_own_tests_pass_under_the_interpreter(python_own_tests):
    process, output = python_own_tests
    status = process.wait(timeout=500)
    assert status == 0, output.read_text(errors="replace")[-3000:]


SQLITE = """
import sqlite3
with sqlite3.connect(":memory:") as db:
    db.create_function("twice", 1, lambda x: x * 2)
    db.execute("create table t(a integer primary key, b text)")
    db.executemany("insert into t(b) values(?)", [("x",), ("y",)])
    print(db.execute("select twice(count(*)), group_concat(b) from t").fetchone())
"""


def test_python_has_its_sqlite():
    """Debian leaves test_sqlite3 out of libpython3.11-testsuite, so its work is tried here."""
    done = run_exthost("python", "-c", SQLITE)
    assert (done.returncode, done.stdout) == (0, b"(4, 'x,y')\n"), done.stderr


@pytest.mark.parametrize("arguments, given, status, output", [
    (["-c", "print(6 * 7)"], b"", 0, b"42\n"),
    (["-c", "import sys; sys.exit(7)"], b"", 7, b""),
    (["-c", "import sys; print(sys.argv[1:])", "a", "-b"], b"", 0, b"['a', '-b']\n"),
    (["-"], b"print('from stdin')", 0, b"from stdin\n"),
    (["-u", "-c", "print('x')"], b"", 0, b"x\n"),
    (["-I", "-c", "import sys; print(sys.flags.isolated)"], b"", 0, b"1\n"),
    (["-m", "json.tool", "--compact"], b'{"a": [1, 2]}', 0, b'{"a":[1,2]}\n'),
    (["/does/not/exist.py"], b"", 2, b""),
    (["-c", "1/0"], b"", 1, b""),
])
def test_the_python_interpreter_takes_the_options_scripts_use(arguments, given, status, output):
    done = run_exthost("python", *arguments, input=given)
    assert (done.returncode, done.stdout) == (status, output), done.stderr


@pytest.mark.parametrize("arguments, variables", [
    (["-X", "tracemalloc=1073741824"], {}), ([], {"PYTHONTRACEMALLOC": "-1"}),
    ([], {"PYTHONHASHSEED": "many"}), (["-X", "utf8=2"], {}), (["--no-such-option"], {}),
    ([], {"PYTHONHOME": "/does/not/exist"})])
def test_what_python_cannot_start_with_is_told_as_python3_tells_it(arguments, variables):
    def told(*program):
        done = subprocess.run([*program, *arguments, "-c", "pass"], capture_output=True, text=True,
                              check=False,
                              timeout=30, env=environment(**variables))
        fatal = [line for line in done.stderr.splitlines() if "Error" in line or "error" in line]
        return done.returncode, fatal
    assert told(EXTHOST, "python") == told("/usr/bin/python3")


def test_python_tells_its_version():
    ours = run_exthost("python", "-V")
    theirs = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, check=True)
    assert (ours.returncode, ours.stdout) == (0, theirs.stdout)


def test_the_tcl_interpreter_runs_a_file_standard_input_and_an_exit_status(tmp_path):
    put(tmp_path, "a.tcl", "puts [list $argv0 $argv]\nexit 5\n")
    done = run_exthost("tclsh", f"{tmp_path}/a.tcl", "x", "y z")
    assert (done.returncode, done.stdout) == (5, f"{tmp_path}/a.tcl {{x {{y z}}}}\n".encode())
    done = run_exthost("tclsh", input=b"puts [expr {6 * 7}]\n")
    assert (done.returncode, done.stdout) == (0, b"42\n")


@pytest.mark.parametrize("name, code", [
    ("python3", ["-c", "print('as python3')"]), ("python", ["-c", "print('as python')"])])
def test_a_link_by_the_name_of_an_interpreter_is_that_interpreter(tmp_path, name, code):
    (tmp_path / name).symlink_to(EXTHOST)
    done = subprocess.run([str(tmp_path / name), *code], capture_output=True, check=False,
                          timeout=30, env=environment())
    assert (done.returncode, done.stdout) == (0, f"as {name}\n".encode()), done.stderr


SAYS = {
    "python": ("import sys; print(sys.executable)", "import sys\nprint('python', sys.argv[1:])\n",
               b"python ['a']\n"),
    "tclsh": ("puts [info nameofexecutable]", "puts [list tcl {*}$argv]\n", b"tcl a\n")}


def own_program(command):
    """The path by which the plain interpreter says that it can be started again."""
    done = run_exthost(command, input=SAYS[command][0].encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def starts_again(tmp_path, command, name, executable):
    """Whether this file, called by this name, is the interpreter: it runs a script."""
    script = put(tmp_path, "again", SAYS[command][1])
    done = subprocess.run([name, script, "a"], executable=executable, capture_output=True,
                          check=False,
                          timeout=30, env=environment())
    assert (done.returncode, done.stdout) == (0, SAYS[command][2]), done.stderr


@pytest.mark.parametrize("command", SAYS)
@pytest.mark.parametrize("name", ["worker", "/no/such/worker", "exthost", ""])
def test_the_interpreter_that_a_script_starts_again_is_one_by_whatever_name_it_is_called(
        tmp_path, command, name):
    starts_again(tmp_path, command, name, own_program(command))


@pytest.mark.parametrize("command", SAYS)
def test_the_interpreters_program_is_the_interpreter_with_all_links_resolved(tmp_path, command):
    program = os.path.realpath(own_program(command))
    starts_again(tmp_path, command, program, program)


@pytest.mark.parametrize("command", SAYS)
def test_a_link_of_any_name_to_the_interpreters_program_is_the_interpreter(tmp_path, command):
    first, second = tmp_path / "first", tmp_path / "links" / "second"
    first.symlink_to(own_program(command))
    second.parent.mkdir()
    second.symlink_to("../first")
    starts_again(tmp_path, command, str(second), str(second))


SPAWNS = """
import multiprocessing, os, sys

def work(x):
    return x * 6, os.path.basename(sys.executable)

if __name__ == "__main__":
    multiprocessing.set_executable(os.path.realpath(sys.executable))
    for method in "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.apply(work, (7,)))
"""


def test_processes_of_multiprocessing_are_spawned_by_the_resolved_path_of_the_program(tmp_path):
    done = run_exthost("python", put(tmp_path, "spawns.py", SPAWNS))
    assert (done.returncode, done.stdout) == (0, b"(42, 'python3')\n" * 2), done.stderr


PLACES = "import sys; print([*sys.path, sys.prefix, sys.base_prefix, sys.executable])"


def places(program):
    done = subprocess.run([program, "-c", PLACES], capture_output=True, text=True, check=False,
                          timeout=30, env=environment(PYTHONPATH="/from/environment"))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def standard_library():
    """The directory of Python's standard library."""
    return os.path.dirname(
        run_exthost("python", "-c", "print(__import__('os').__file__)").stdout.decode())


def test_a_pth_file_beside_a_link_to_the_python_interpreter_says_all_of_its_path(tmp_path):
    """
    https://docs.python.org/3/using/windows.html#finding-modules; getpath.py does so on Linux as
    well.
    """
    put(tmp_path, "python3._pth", f"# comment\n{standard_library()}\nhere\n")
    got = []
    for program in ("/usr/bin/python3", own_program("python")):
        (tmp_path / "python3").unlink(missing_ok=True)
        (tmp_path / "python3").symlink_to(program)
        got.append(places(tmp_path / "python3"))
    assert got[0] == got[1] and f"'{tmp_path}/here'" in got[0]


def test_a_copy_of_the_program_beside_a_standard_library_is_python_there(tmp_path):
    program, library = tmp_path / "bin/python3", standard_library()
    program.parent.mkdir()
    shutil.copy(EXTHOST, program)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / os.path.basename(library)).symlink_to(library)
    assert places(program).endswith(f", '{tmp_path}', '{tmp_path}', '{program}']\n")


def test_a_word_that_means_no_command_is_still_refused_under_the_programs_own_name():
    done = run_exthost("-c", "print(1)")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"unknown command '-c'" in done.stderr


def at_a_terminal(command, typed, wanted):
    """What the program shows at a terminal until `wanted` is there."""
    master, slave = pty.openpty()
    process = subprocess.Popen([EXTHOST, command], stdin=slave, stdout=slave, stderr=slave,
                               env=environment(TERM="dumb", HOME="/nonexistent"),
                               start_new_session=True)
    os.close(slave)
    shown = b""

    def read_until(text, after=b""):
        def look():
            nonlocal shown
            if select.select([master], [], [], 0.05)[0]:
                shown += os.read(master, 4096)
            return text in shown[shown.find(after):] if after in shown else False
        wait_for(look, f"{text!r} at the terminal")
    try:
        read_until(wanted[0])
        os.write(master, typed)
        read_until(wanted[1])
        # While the command runs, the terminal reads by other rules.
        read_until(wanted[0], after=wanted[1])
        os.write(master, b"\x04" if command == "python" else b"exit\n")
        assert process.wait(timeout=20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
    return shown


def test_python_prompts_at_a_terminal():
    at_a_terminal("python", b"6 * 7\n", (b">>> ", b"42"))


def test_tcl_prompts_at_a_terminal():
    at_a_terminal("tclsh", b"expr {6 * 7}\n", (b"% ", b"42"))


def test_the_relay_holds_no_interpreter_and_needs_no_library():
    symbols = subprocess.run(["nm", RELAY], capture_output=True, text=True, check=True).stdout
    for prefix in ("Py", "Tcl_", "FCGX_"):
        assert f" T {prefix}" not in symbols and f" U {prefix}" not in symbols
    kind = subprocess.run(["ldd", RELAY], capture_output=True, text=True, check=False)
    assert "not a dynamic executable" in kind.stdout + kind.stderr
