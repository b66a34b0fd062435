"""Who may connect, and whose word counts about the user."""

import os
import socket
import stat
import subprocess

import pytest

from support import fastcgi
from support.host import copy_scripts, run_exthost
from support.own_socket import Serving
from support.users import open_to_all, root_only, speak_as

ENV = "/python/env.py"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return open_to_all(copy_scripts(tmp_path_factory.mktemp("root")))


def found(reply):
    assert reply.status == 200, reply
    return {line.split(" ")[0] for line in reply.text.splitlines()}


def test_a_unix_socket_is_for_its_owner_alone(start_host, root):
    host = start_host(root)
    for path in (host.socket, host.trusted, f"{root}/.exthost.sock"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_unix_socket_has_the_mode_that_was_asked_for(start_host, root):
    host = start_host(root, listen=["unix:{folder}/s,mode=0666"])
    assert stat.S_IMODE(os.stat(host.socket).st_mode) == 0o666


def test_fossil_variables_count_on_a_trusted_listener_only(start_host, root):
    host = start_host(root)
    assert "FOSSIL_USER" not in found(host.get(ENV, FOSSIL_USER="ada"))
    assert "FOSSIL_USER" in found(host.as_fossil("GET", ENV[1:], FOSSIL_USER="ada").reply())


@root_only
def test_another_user_is_closed_without_an_answer_and_logged(start_host, root):
    host = start_host(root, listen=["unix:{folder}/s,mode=0666"])
    assert speak_as(1234, host.socket) == "closed"
    host.wait_line("may not connect", "--allow-uid 1234")
    assert speak_as(0, host.socket) == "answered"


@root_only
def test_a_user_who_is_named_is_answered(start_host, root):
    host = start_host(root, "--allow-uid", "1234", listen=["unix:{folder}/s,mode=0666"])
    assert speak_as(1234, host.socket) == "answered"


@root_only
@pytest.mark.parametrize("option, name, number", [
    ("--allow-uid", "daemon", 1), ("--allow-gid", "daemon", 1), ("--allow-gid", "1234", 1234)])
def test_a_user_or_group_may_be_named_by_name_or_number(start_host, root, option, name, number):
    host = start_host(root, option, name, listen=["unix:{folder}/s,mode=0666"])
    assert speak_as(number, host.socket) == "answered"
    assert speak_as(1233, host.socket, 1232) == "closed"
    if option == "--allow-gid":
        assert speak_as(1233, host.socket, 1232, number) == "answered"


@root_only
@pytest.mark.parametrize("language", ["python", "tcl"])
def test_an_app_with_its_own_socket_answers_members_of_an_allowed_group(tmp_path, language):
    open_to_all(tmp_path)
    host = Serving(tmp_path / "root", "--allow-gid", "1234", language=language,
                   listen=["unix:{folder}/s,mode=0666"])
    try:
        assert speak_as(1233, host.socket, 1234) == "answered"
        assert speak_as(1233, host.socket) == "closed"
    finally:
        host.stop()


@pytest.mark.parametrize("option", ["--allow-uid", "--allow-gid"])
def test_a_name_that_nobody_has_is_one_clear_line(root, option):
    done = run_exthost("serve", "--root", str(root), option, "no-such-name")
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert option.encode() in done.stderr and b"'no-such-name'" in done.stderr


@root_only
def test_the_user_nobody_of_user_namespaces_is_never_answered(start_host, root):
    host = start_host(root, listen=["unix:{folder}/s,mode=0666"])
    assert speak_as(65534, host.socket) == "closed"
    done = run_exthost("serve", "--root", str(root), "--allow-uid", "65534")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_tcp_answers_on_loopback(start_host, root):
    host = start_host(root, listen=["tcp:127.0.0.1:0"])
    outcome = fastcgi.request(("127.0.0.1", host.tcp_port()), "GET", "/tcl/hello.tcl?tcp")
    assert outcome.reply().text == "Hello from tcl: tcp\n"


def test_tcp_beyond_loopback_is_refused_unless_somebody_is_named(root):
    done = run_exthost("serve", "--root", str(root), "--listen", "tcp:0.0.0.0:0")
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1 and "--allow-from" in done.stderr.decode()


def test_tcp_beyond_loopback_opens_with_a_cidr_and_loopback_still_speaks(start_host, root):
    host = start_host(root, "--allow-from", "192.0.2.0/24", listen=["tcp:0.0.0.0:0"])
    port = next(int(line.rsplit(":", 1)[1]) for line in host.program.log() if "0.0.0.0:" in line)
    assert fastcgi.request(("127.0.0.1", port), "GET", "/tcl/hello.tcl").reply().status == 200


def test_fossil_variables_over_tcp_need_a_named_client(root):
    done = run_exthost("serve", "--root", str(root), "--listen", "tcp:127.0.0.1:0,trust=fossil")
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert b"tcp:127.0.0.1:0,trust=fossil" in done.stderr and b"--allow-from" in done.stderr


def test_an_app_is_trusted_over_tcp_with_a_named_client_only(root, tmp_path):
    config = tmp_path / "c.conf"
    config.write_text("[app a]\nscript = tcl/hello.tcl\nlisten = tcp:127.0.0.1:0,trust=fossil\n")
    done = run_exthost("check", "--root", str(root), "--config", str(config))
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert b"app a: " in done.stderr and b"--allow-from" in done.stderr


def test_a_tcp_socket_that_is_passed_in_is_trusted_with_a_named_client_only(root):
    with socket.create_server(("127.0.0.1", 0)) as passed:
        done = run_exthost("serve", "--root", str(root), "--listen", "fd,trust=fossil",
                           stdin=passed)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert b"--allow-from" in done.stderr


def test_loopback_is_trusted_over_tcp_only_where_it_is_named(start_host, root):
    listen = ["tcp:127.0.0.1:0,trust=fossil"]
    for allowed, answered in (("192.0.2.1", False), ("127.0.0.1", True)):
        host = start_host(root, "--allow-from", allowed, listen=listen)
        host.wait_line("warning", "trust=fossil", "any Fossil user")
        outcome = fastcgi.request(("127.0.0.1", host.tcp_port()), "GET", ENV, FOSSIL_USER="ada")
        assert bool(outcome.ended) == answered
        if answered:
            assert "FOSSIL_USER" in found(outcome.reply())
        else:
            host.wait_line("refused:", "127.0.0.1 may not connect without --allow-from")


@pytest.mark.parametrize("value", ["10.0.0.0/33", "nowhere", "::1/129", "10.0.0.0/x"])
def test_a_cidr_that_is_none_is_one_clear_line(root, value):
    done = run_exthost("serve", "--root", str(root), "--allow-from", value)
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1 and value in done.stderr.decode()


@pytest.mark.parametrize("how", ["descriptor 0", "LISTEN_FDS"])
def test_a_listening_socket_that_is_passed_in_is_served(tmp_path, root, how):
    """As spawn-fcgi and lighttpd do it, and as systemd does."""
    from support.host import EXTHOST, environment
    from support.waiting import wait_for
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(16)
        command = ["exec", '"$0"', "serve", "--root", '"$1"', "--listen", "fd"]
        shell = " ".join(command)
        if how == "LISTEN_FDS":
            shell = f"LISTEN_FDS=1 LISTEN_PID=$$ {shell} 3<&0 </dev/null"
        process = subprocess.Popen(["/bin/sh", "-c", shell, EXTHOST, str(root)], stdin=s,
                                   stderr=subprocess.PIPE, env=environment())
    try:
        reply = wait_for(lambda: fastcgi.request(path, "GET", "/tcl/hello.tcl?fd"),
                         "an answer").reply()
        assert reply.text == "Hello from tcl: fd\n"
    finally:
        process.terminate()
        process.stderr.read()
        process.stderr.close()
        assert process.wait(timeout=20) == 0
