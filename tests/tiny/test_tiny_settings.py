"""
The settings of a language's own. The tiny language declares them in its binding alone; each is an
option of the command line and a key of the configuration file and its sections, and reaches the
scripts.
"""

import signal
import subprocess

import pytest

from support import fastcgi
from support.waiting import wait_for
from tiny_host import APP, HEAD, TINY, put

SETTINGS = HEAD + "setting 0\nsetting 1\n"
NONE = "(not set)"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    put(folder, "cgi.tiny", SETTINGS)
    put(folder, "app.tiny", APP + SETTINGS)
    put(folder, "load.tiny", APP + "load setting 1\n" + HEAD)
    return folder


def config(folder, text):
    path = folder / "exthost.conf"
    path.write_text(text)
    return "--config", str(path)


def settings(host, script):
    reply = host.get(script)
    assert reply.status == 200, reply
    return reply.text.splitlines()


def run(*arguments):
    return subprocess.run([TINY, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          check=False)


@pytest.mark.parametrize("script", ["cgi.tiny", "app.tiny"])
def test_what_nobody_has_set_is_not_set(host, script):
    assert settings(host, script) == [NONE, NONE]


@pytest.mark.parametrize("script", ["cgi.tiny", "app.tiny"])
def test_options_of_the_command_line_reach_scripts_and_apps(start, script):
    host = start("--tiny-home", "/home", "--tiny-path=/usr:/bin")
    assert settings(host, script) == ["/home", "/usr:/bin"]


def test_an_app_has_them_when_it_is_loaded(start):
    host = start("--tiny-path", "/lib")
    assert host.get("load.tiny").status == 200
    host.wait_line("/lib", "stream=stderr", "load.tiny")


@pytest.mark.parametrize("script", ["cgi.tiny", "app.tiny"])
def test_a_section_sets_one_and_leaves_the_other_as_it_is(start, tmp_path, script):
    host = start(*config(tmp_path, "tiny-home = /home\ntiny-path = /lib\n"
                                   f"[extension {script}]\ntiny-path = /opt:/lib\n"))
    assert settings(host, script) == ["/home", "/opt:/lib"]


@pytest.mark.parametrize("script", ["cgi.tiny", "app.tiny"])
def test_an_empty_value_in_a_section_takes_it_away(start, tmp_path, script):
    host = start("--tiny-home", "/home", *config(tmp_path, f"[extension {script}]\ntiny-home =\n"))
    assert settings(host, script) == [NONE, NONE]


def test_an_app_with_a_socket_of_its_own_has_those_of_its_section(start, tmp_path):
    own = tmp_path / "own"
    host = start(*config(tmp_path, "tiny-home = /home\ntiny-path = /lib\n"
                                   f"[app one]\nscript = app.tiny\nlisten = unix:{own}\n"
                                   "tiny-path = /usr\n"))
    assert fastcgi.request(str(own), "GET", "/").reply().text.splitlines() == ["/home", "/usr"]
    assert settings(host, "cgi.tiny") == ["/home", "/lib"]


@pytest.mark.parametrize("script", ["cgi.tiny", "app.tiny"])
def test_a_reload_gives_other_values(start, tmp_path, script):
    host = start(*config(tmp_path, "tiny-home = /usr\n"))
    assert settings(host, script) == ["/usr", NONE]
    config(tmp_path, "tiny-home = /bin\n")
    host.program.send(signal.SIGHUP)
    wait_for(lambda: settings(host, script) == ["/bin", NONE], "the other value")


def test_the_host_alone_knows_no_setting_of_a_language(root, tmp_path):
    """Those of Python and Tcl are in their bindings, which are not in this program."""
    for name in ("python-path", "python-venv", "tcl-path"):
        done = run("check", "--root", root, *config(tmp_path, f"{name} = /x\n"))
        assert done.returncode == 2 and f"unknown key '{name}'" in done.stderr, done
    assert "python-path" not in run("serve", "--help").stdout


@pytest.mark.parametrize("text, reason", [
    ("tiny-home = /usr\ntiny-home = /bin\n",
     "2: tiny-home has a value already, and cannot have '/bin' too"),
    ("[service s]\ntiny-home = /usr\n", "2: unknown key 'tiny-home'"),
    ("tiny-hom = /a\n", "1: unknown key 'tiny-hom'"),
])
def test_a_mistake_in_the_file_names_the_line(root, tmp_path, text, reason):
    done = run("check", "--root", root, *config(tmp_path, text))
    assert done.returncode == 2 and done.stderr.rstrip().endswith(reason), done


def test_check_takes_what_serve_takes(root, tmp_path):
    text = "tiny-home = /usr\n[extension *.tiny]\ntiny-path = /bin:/usr\n"
    assert run("check", "--root", root, *config(tmp_path, text)).returncode == 0


def test_request_has_them_too(root):
    done = run("request", "/cgi.tiny", "--root", root, "--tiny-path", "/usr:/bin")
    assert done.stdout.splitlines()[-2:] == [NONE, "/usr:/bin"], done


@pytest.mark.parametrize("command, is_there", [
    ("serve", True), ("request", True), ("status", False), ("check", False)])
def test_help_shows_them_where_they_can_be_given(command, is_there):
    text = run(command, "--help").stdout
    assert ("--tiny-home DIR " in text) == is_there
    assert ("--tiny-path DIR:..." in text) == is_there
