"""What a person types, and what comes back when it is wrong."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys

import pytest

from support import fastcgi
from support.host import (EXTHOST, RELAY, Host, copy_scripts, environment, put, put_script,
                          run_exthost)
from support.processes import Program, gone, has_open, lives, named
from support.waiting import wait_for


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return copy_scripts(tmp_path_factory.mktemp("root"))


def one_line(done):
    lines = done.stderr.decode().splitlines()
    assert done.stdout == b"" and len(lines) == 1, (done.stdout, lines)
    assert lines[0].startswith("exthost: ")
    return lines[0]


@pytest.mark.parametrize("arguments, says", [
    ([], "which command"),
    (["wrong"], "unknown command 'wrong'"),
    (["serve"], "--root"),
    (["serve", "--root"], "--root"),
    (["serve", "--root", "/does/not/exist"], "/does/not/exist"),
    (["serve", "--root", "/etc/passwd"], "/etc/passwd"),
    (["serve", "--root", "/tmp", "--wrong"], "--wrong"),
    (["serve", "--root", "/tmp", "-x"], "-x"),
    (["serve", "--root", "/tmp", "extra"], "extra"),
    (["serve", "--root", "/tmp", "--spares", "0"], "1 to 256"),
    (["serve", "--root", "/tmp", "--spares", "-1"], "-1"),
    (["serve", "--root", "/tmp", "--spares", "many"], "many"),
    (["serve", "--root", "/tmp", "--max-body", "99999999999999999999"], "out of range"),
    (["serve", "--root", "/tmp", "--log-format", "xml"], "text|json"),
    (["serve", "--root", "/tmp", "--listen", "somewhere"], "somewhere"),
    (["serve", "--root", "/tmp", "--listen", "tcp:127.0.0.1"], "HOST:PORT"),
    (["serve", "--root", "/tmp", "--listen", "tcp:127.0.0.1:99999"], "'99999'"),
    (["serve", "--root", "/tmp", "--listen", "tcp:127.0.0.1:"], "0 to 65535"),
    (["serve", "--root", "/tmp", "--listen", "tcp:127.0.0.1:http"], "'http'"),
    (["serve", "--root", "/tmp", "--allow-uid", "no-such-user"], "id -u"),
    (["serve", "--root", "/tmp", "--listen", "unix:/tmp/x,mode=9"], "mode=9"),
    (["serve", "--root", "/tmp", "--listen", "unix:/tmp/x,wrong=1"], "wrong=1"),
    (["serve", "--root", "/tmp", "--preload", "cobol:x"], "cobol:x"),
    (["serve", "--root", "/tmp", "--prefix", "ext"], "ext"),
    (["serve", "--root", "/tmp", "--config", "/does/not/exist"], "/does/not/exist"),
    (["serve", "--root", "/tmp", "--tmpdir", "/does/not/exist"], "/does/not/exist"),
    (["request"], "PATH"),
    (["request", "/x"], "--root"),
    (["request", "x", "--root", "/tmp"], "begin with /"),
    (["request", "/x", "/y", "--root", "/tmp"], "'/x', before the path, is not a method"),
    (["request", "/x", "--root", "/tmp", "--header", "none"], "none"),
    (["request", "/x", "--root", "/tmp", "--env", "none"], "none"),
    (["request", "/x", "--root", "/tmp", "--body", "/does/not/exist"], "/does/not/exist"),
])
def test_a_mistake_is_one_clear_line_and_status_2(arguments, says):
    done = run_exthost(*arguments)
    assert says in one_line(done)
    assert done.returncode == 2


@pytest.mark.parametrize("text, line, says", [
    ("spares = 3\nwrong = 1\n", 2, "wrong"),
    ("# fine\nspares = 0\n", 2, "spares: '0' is out of range, allowed is 1 to 256"),
    ("spares = 2\nno equals sign\n", 2, "name = value"),
    ("[extra]\nspares = 2\n", 1, "[extra]"),
    ("debug = maybe\n", 1, "neither yes nor no"),
])
def test_a_mistake_in_the_configuration_file_names_file_and_line(tmp_path, text, line, says):
    path = put(tmp_path, "exthost.conf", text)
    done = run_exthost("serve", "--root", str(tmp_path), "--config", str(path))
    told = one_line(done)
    assert f"{path}:{line}: " in told and says in told
    assert done.returncode == 2


def test_options_come_from_the_configuration_file_and_the_command_line_wins(
        start_host, root, tmp_path):
    path = put(tmp_path, "exthost.conf", "log-format = json\nprefix = /file\n")
    host = start_host(root, "--config", str(path), "--prefix", "/line")
    assert host.get("/line/tcl/hello.tcl").status == 200
    assert host.get("/file/tcl/hello.tcl").status == 404
    assert all(line.startswith("{") for line in host.program.log())


def test_a_socket_in_use_is_status_1_and_stays_the_others(start_host, root):
    host = start_host(root)
    done = run_exthost("serve", "--root", str(root), "--listen", f"unix:{host.socket}")
    assert "in use" in one_line(done)
    assert done.returncode == 1
    assert host.get("/tcl/hello.tcl").status == 200


def test_a_file_that_is_no_socket_is_not_removed(root, tmp_path):
    path = put(tmp_path, "precious", "data")
    done = run_exthost("serve", "--root", str(root), "--listen", f"unix:{path}")
    assert done.returncode == 1 and str(path) in one_line(done)
    assert path.read_text() == "data"


def test_a_socket_that_a_dead_host_left_is_replaced(start_host, root, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    host = start_host(root, listen=[f"unix:{path}"])
    assert host.run("GET", "/tcl/hello.tcl", address=path).reply().status == 200


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every directory")
def test_a_root_that_cannot_be_read_is_one_clear_line(tmp_path):
    tmp_path.chmod(0)
    done = run_exthost("serve", "--root", str(tmp_path))
    tmp_path.chmod(0o700)
    assert done.returncode == 2
    assert str(tmp_path) in one_line(done) and "Permission denied" in one_line(done)


def test_an_unreadable_log_file_is_one_clear_line(root):
    done = run_exthost("serve", "--root", str(root), "--log", "/does/not/exist/log")
    assert "/does/not/exist/log" in one_line(done)
    assert done.returncode == 1


def test_every_command_explains_itself():
    whole = run_exthost("--help")
    assert whole.returncode == 0 and whole.stderr == b""
    for command in ("serve", "request", "python", "tclsh", "version"):
        assert f"exthost {command}" in whole.stdout.decode()
    for command in ("serve", "request"):
        done = run_exthost(command, "--help")
        assert done.returncode == 0 and done.stderr == b""
        assert "--root DIR" in done.stdout.decode()
        assert max(len(line) for line in done.stdout.decode().splitlines()) <= 100


def test_version_names_exthost_and_its_languages():
    done = run_exthost("version")
    assert done.returncode == 0
    assert re.fullmatch(r"exthost \d+\.\d+\.\d+\npython 3\.\d+\.\d+\S*\ntcl [89]\.\d+\S*\n",
                        done.stdout.decode())


def test_a_request_for_nothing_is_status_1_and_a_page(root):
    done = run_exthost("request", "/nothing.py", "--root", str(root))
    assert done.returncode == 1
    assert done.stdout.startswith(b"Status: 404")


def test_the_relay_explains_itself_and_refuses_what_it_does_not_know():
    for arguments, status in ((["--help"], 0), (["--version"], 0), (["--wrong", "/x"], 2), ([], 2)):
        done = subprocess.run([RELAY, *arguments], capture_output=True, check=False, timeout=10)
        assert done.returncode == status, arguments
        assert (done.stdout if status == 0 else done.stderr) != b""


def test_sigusr1_opens_the_log_file_again(start_host, root, tmp_path):
    log = tmp_path / "log"
    process = subprocess.Popen(
        [EXTHOST, "serve", "--root", str(root), "--log", str(log), "--listen",
         f"unix:{tmp_path}/s"],
        env=environment(), stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: log.exists() and "ready" in log.read_text(), "ready")
        log.rename(tmp_path / "old")
        process.send_signal(signal.SIGUSR1)
        wait_for(log.exists, "the new log file")

        # The front opens it after the master.
        def logged():
            assert fastcgi.request(f"{tmp_path}/s", "GET", "/tcl/hello.tcl").reply().status == 200
            return "hello.tcl" in log.read_text()
        wait_for(logged, "a request in the new file")
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_sigusr1_gives_every_process_the_new_log_and_replaces_none(root, tmp_path):
    log, old, where = tmp_path / "log", tmp_path / "old", f"{tmp_path}/s"
    host = Program(
        [EXTHOST, "serve", "--root", str(root), "--log", str(log), "--listen", f"unix:{where}"],
        env=environment())
    try:
        wait_for(lambda: log.exists() and "ready" in log.read_text(), "ready")
        templates = named(host.pid, "exthost-templ")
        stay = [host.pid, *named(host.pid, "exthost-front"), *templates]
        log.rename(old)
        host.send(signal.SIGUSR1)
        wait_for(lambda: not [pid for pid in stay if has_open(pid, old)], "the new log alone")

        # A template that gets no descriptors says so.
        for pid in templates:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3))

        def told():
            fastcgi.request(where, "GET", "/tcl/hello.tcl", timeout=20).reply()
            return "no request process: its descriptors did not come" in log.read_text()
        wait_for(told, "a template's line in the new file")
        assert set(stay) <= set(host.pids())
    finally:
        host.stop()


def test_sigint_ends_the_host(root):
    host = Host(root, before=["/usr/bin/env", "--default-signal=INT"])
    try:
        host.program.send(signal.SIGINT)
        assert host.program.wait_exit() == 0
    finally:
        host.kill()


def test_who_says_it_twice_does_not_wait_for_a_request(root):
    put_script(root, "hold.tcl", "tcl", "puts stderr here\nafter 600000\n")
    host = Host(root, "--timeout", "600", "--grace", "600")
    try:
        with fastcgi.Connection(host.socket) as client:
            client.begin()
            client.params(fastcgi.variables("GET", "/hold.tcl"))
            client.stdin(b"")
            host.wait_line("here")
            pids = host.pids()
            host.program.send(signal.SIGTERM)
            host.wait_line("stopping")
            assert host.program.running()
            host.program.send(signal.SIGTERM)
            assert host.program.wait_exit() == 0
        wait_for(lambda: not any(lives(pid) for pid in pids), "all of its processes end")
    finally:
        host.kill()


def test_a_front_that_hangs_does_not_keep_the_host_from_ending(root):
    host = Host(root, "--grace", "1")
    try:
        front, = named(host.pid, "exthost-front")
        os.kill(front, signal.SIGSTOP)
        host.program.send(signal.SIGTERM)
        assert host.program.wait_exit() == 0
        gone(front)
    finally:
        host.kill()


def test_sigint_is_left_ignored_where_it_was(start_host, root):
    host = start_host(root, before=["/usr/bin/env", "--ignore-signal=INT"])
    host.program.send(signal.SIGINT)
    # A signal behind it is taken, and not that one.
    since = host.log_position()
    host.program.send(signal.SIGHUP)
    host.wait_line("reload", since=since)
    assert host.get("/tcl/hello.tcl").status == 200


@pytest.mark.parametrize("program", [EXTHOST, RELAY])
@pytest.mark.parametrize("words, output", [
    (["python3", "-c", "print(6 * 7)"], "42\n"),
    (["-S", "X=1 python3 -u -c", "import os; print(os.environ['X'])"], "1\n"),
    (["-SX=1 python3 -c", "import os; print(os.environ['X'])"], "1\n")])
def test_a_link_called_env_starts_an_interpreter(tmp_path, program, words, output):
    (tmp_path / "env").symlink_to(program)
    done = subprocess.run([tmp_path / "env", *words], capture_output=True, text=True,
                          check=True, timeout=30)
    assert done.stdout == output


def test_an_interpreter_ends_well_whatever_installed_packages_have_run_at_its_start(tmp_path):
    """
    With no environment of the tests: as a script starts it. Under a sanitizer, nothing is reported.
    """
    (tmp_path / "env").symlink_to(EXTHOST)
    version = "%d.%d" % sys.version_info[:2]
    put(tmp_path, f"base/lib/python{version}/site-packages/package.pth",
        "import importlib.util, sys, types; m = sys.modules['by_pth'] = "
        "types.ModuleType('by_pth'); "
        "exec('class A: pass', m.__dict__); m.itself = [m, m.A()]\n")
    done = subprocess.run(
        [tmp_path / "env", "python3", "-c", "import by_pth; print(by_pth.A.__name__)"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
             "PYTHONUSERBASE": str(tmp_path / "base")},
        capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "A\n", "")


@pytest.mark.parametrize("words, reason", [
    (["ls"], "env: 'ls' is no interpreter that exthost carries"), ([], "env: which interpreter?"),
    (["-i", "python3"], "env: '-i' is no interpreter that exthost carries"),
    (["A=1"], "env: which interpreter?")])
def test_a_link_called_env_starts_nothing_else(tmp_path, words, reason):
    (tmp_path / "env").symlink_to(EXTHOST)
    done = subprocess.run([tmp_path / "env", *words], capture_output=True, text=True,
                          check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (127, "", f"exthost: {reason}\n")
