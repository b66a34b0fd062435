"""
Environment variables of extensions and services, and the directories of modules and packages: env,
env-file, env-pass, python-venv, python-path, tcl-path. They hold however a script is run.
"""

import subprocess

import pytest

from support.host import (SUFFIX, environment, environment_of, put, put_script, relay_line,
                          run_exthost)
from support.marks import LANGUAGES
from support.reloading import Configured
from support.waiting import wait_for

MODES = ["cgi", "rerun", "app", "own socket"]

# What a script prints of its environment, as the script env of tests/scripts: a name, and the value
# in hexadecimal digits. An app prints the environment it was loaded with, and what a request has.
SCRIPT = {"python": """
import os
print("Content-Type: text/plain\\n")
for name, value in os.environb.items():
    print(name.decode(), value.hex())
""", "tcl": """
puts "Content-Type: text/plain\\n"
foreach name [array names env] {
    puts "$name [binary encode hex [encoding convertto utf-8 $env($name)]]"
}
"""}
APP = {"python": """# exthost: app
import os
LOADED = dict(os.environb)
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for name, value in LOADED.items():
        yield name + b" " + value.hex().encode() + b"\\n"
    for name, value in environ.items():
        if isinstance(value, str):
            yield f"request:{name} {value.encode('latin-1').hex()}\\n".encode()
""", "tcl": """# exthost: app
set loaded [array get env]
proc application {} {
    puts "Content-Type: text/plain\\n"
    foreach {name value} $::loaded {
        puts "loaded:$name [binary encode hex [encoding convertto utf-8 $value]]"
    }
    foreach {name value} [array get ::env] {
        puts "$name [binary encode hex [encoding convertto utf-8 $value]]"
    }
}
"""}


class Site:
    """A host whose script is run in one of MODES; .seen() is the script's environment."""

    def __init__(self, start_host, folder, language, mode):
        self.start_host, self.folder, self.mode = start_host, folder, mode
        self.name = "script" + SUFFIX[language]
        self.socket = str(folder / "own")
        put_script(folder / "root", self.name, language,
                   (SCRIPT if mode in ("cgi", "rerun") else APP)[language])

    def text(self, everywhere="", own=""):
        """A configuration: what holds for every extension, and what holds for the script alone."""
        if self.mode == "own socket":
            return (f"{everywhere}\n[app one]\nscript = {self.name}\nlisten = unix:{self.socket}\n"
                    f"workers = 1\n{own}\n")
        return f"{everywhere}\n[extension {self.name}]\nmode = {self.mode}\n{own}\n"

    def start(self, everywhere="", own="", *options, **more):
        self.made = Configured(self.start_host, self.folder / "root", self.folder,
                               self.text(everywhere, own), *options, **more)
        return self

    def seen(self, **more):
        own = self.mode == "own socket"
        return environment_of(self.made.host.get(
            "/" if own else "/" + self.name, address=self.socket if own else None, **more))


@pytest.fixture
def site(start_host, tmp_path, language, mode):
    return Site(start_host, tmp_path, language, mode)


every_way = pytest.mark.parametrize("mode", MODES)


def is_wsgi(language, mode):
    return language == "python" and mode in ("app", "own socket")


@LANGUAGES
@every_way
def test_a_script_finds_its_variables_in_its_environment_however_it_is_run(site):
    put(site.folder, "variables", "FILE=of the file\nBOTH='of the file'\n")
    seen = site.start(
        "env = ALL=of all\nenv = SOME=of all\nenv-file = variables\nenv = BOTH=of env\n"
        "env-pass = PASSED\nenv-pass = MISSING\n", "env = SOME=its own\nenv = TEXT=a = b # ä\n",
        env=environment(PASSED="passed on")).seen()
    assert {name: seen.get(name) for name in (
        "ALL", "SOME", "FILE", "BOTH", "PASSED", "MISSING", "TEXT", "HOST_SECRET")} == {
            "ALL": "of all", "SOME": "its own", "FILE": "of the file", "BOTH": "of env",
            "PASSED": "passed on", "MISSING": None, "TEXT": "a = b # ä", "HOST_SECRET": None}


@LANGUAGES
@every_way
def test_the_requests_own_variable_wins(site, language, mode):
    site.start("env = SAME=of env\nenv = EMPTY=of env\n")
    seen = site.seen(SAME="of the request", EMPTY="")
    if is_wsgi(language, mode):
        # The process's environment, and the request's beside it.
        assert (seen["SAME"], seen["EMPTY"]) == ("of env", "of env")
        assert (seen["request:SAME"], seen["request:EMPTY"]) == ("of the request", "")
    else:
        assert (seen["SAME"], seen["EMPTY"]) == ("of the request", "")
    seen = site.seen()
    assert (seen["SAME"], seen["EMPTY"]) == ("of env", "of env")


@LANGUAGES
@every_way
def test_what_the_host_fills_in_can_be_set(site):
    seen = site.start("env = PATH=/opt/bin\nenv = LANG=C\n").seen()
    assert (seen["PATH"], seen["LANG"], seen["HOME"]) == ("/opt/bin", "C", "/")


@pytest.mark.parametrize("language, mode", [("python", "app"), ("python", "own socket")])
def test_the_environ_of_wsgi_has_no_variable_of_the_configuration(site):
    seen = site.start("env = SECRET=x\nenv = PATH=/opt/bin\n").seen()
    assert seen["SECRET"] == "x" and "request:SECRET" not in seen
    assert seen["request:PATH"] == "/opt/bin"


@pytest.mark.parametrize("language", ["tcl"])
@pytest.mark.parametrize("mode", ["app", "own socket"])
def test_a_tcl_app_finds_them_when_it_is_loaded_too(site):
    seen = site.start("env = WORD=x\n").seen()
    assert (seen["WORD"], seen["loaded:WORD"]) == ("x", "x")


@LANGUAGES
@every_way
def test_a_reload_picks_a_changed_file_up(site):
    put(site.folder, "variables", "WORD=one\n")
    text = site.text("env-file = variables\n")
    site.start("env-file = variables\n")
    assert site.seen()["WORD"] == "one"
    put(site.folder, "variables", "WORD=two\n")
    site.made.apply(text)
    wait_for(lambda: site.seen()["WORD"] == "two", "the new value")


@LANGUAGES
def test_one_section_changes_nothing_for_other_scripts(start_host, tmp_path, language):
    for name in ("one", "two"):
        put_script(tmp_path / "root", name, language, SCRIPT[language])
    made = Configured(start_host, tmp_path / "root", tmp_path,
                      "env = A=all\n[extension *]\nenv = B=all\n[extension one]\nenv = A=one\n"
                      "env = C=one\n")
    seen = environment_of(made.host.get("/one"))
    assert (seen["A"], seen["B"], seen["C"]) == ("one", "all", "one")
    seen = environment_of(made.host.get("/two"))
    assert (seen["A"], seen["B"], seen.get("C")) == ("all", "all", None)


def test_options_of_the_command_line_do_the_same(start_host, tmp_path):
    put_script(tmp_path / "root", "one", "tcl", SCRIPT["tcl"])
    put(tmp_path, "variables", "FILE=x\n")
    host = start_host(tmp_path / "root", "--env", "A=1", "--env=B=2", "--env-pass", "PASSED",
                      "--env-file", str(tmp_path / "variables"), env=environment(PASSED="y"))
    seen = environment_of(host.get("/one"))
    assert [seen[name] for name in ("A", "B", "PASSED", "FILE")] == ["1", "2", "y", "x"]


@LANGUAGES
def test_exthost_request_has_them_too(tmp_path, language):
    put_script(tmp_path / "root", "one", language, SCRIPT[language])
    put(tmp_path, "variables", "FILE=x\nBOTH=file\n")
    done = run_exthost("request", "/one", "--root", "root", "--env-file", "variables", "--env",
                       "BOTH=request", "--env-pass", "PASSED", cwd=tmp_path,
                       env=environment(PASSED="y"))
    assert done.returncode == 0, done
    for name, value in (("FILE", b"x"), ("BOTH", b"request"), ("PASSED", b"y")):
        assert f"{name} {value.hex()}\n".encode() in done.stdout


@LANGUAGES
def test_exthost_request_reads_a_configuration_file_as_the_host_does(tmp_path, language):
    put_script(tmp_path / "root", "one", language, SCRIPT[language])
    put(tmp_path, "variables", "FILE=x\n")
    put(tmp_path, "c.conf", "root = root\nlisten = unix:/nowhere/s\nenv-file = variables\n"
                            "env = ALL=a\nenv = SOME=a\n[extension one]\nenv = SOME=own\n")
    done = run_exthost("request", "/one", "--config", str(tmp_path / "c.conf"), "--env", "ALL=r")
    assert done.returncode == 0, done
    for name, value in (("FILE", b"x"), ("ALL", b"r"), ("SOME", b"own")):
        assert f"{name} {value.hex()}\n".encode() in done.stdout
    for line, told in {"timeout = soon": "'soon'", "env-file = missing": "/missing: No such file",
                       f"{language}-path = missing": "/missing: No such file"}.items():
        put(tmp_path, "c.conf", f"root = root\n[extension one]\n{line}\n")
        done = run_exthost("request", "/one", "--config", "c.conf", cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1, done
        assert f"c.conf:3: {line.split()[0]}: {told}".encode() in done.stderr.replace(
            str(tmp_path).encode(), b""), done


def test_a_service_has_its_own_and_those_of_all(start_host, tmp_path):
    (tmp_path / "root").mkdir()
    put(tmp_path, "prints", "#!/bin/sh\necho \"$ALL $SOME $FILE $HOST_SECRET\"\nexec sleep 600\n")
    put(tmp_path, "variables", "FILE=f1\n")
    text = (f"env = ALL=all\nenv = SOME=all\n[service one]\nrun = {tmp_path}/prints\n"
            "env = SOME=own\nenv-file = variables\n")
    made = Configured(start_host, tmp_path / "root", tmp_path, text)
    made.host.wait_line("all own f1 not for extensions", "service=one")
    put(tmp_path, "variables", "FILE=f2\n")
    made.apply(text)
    made.host.wait_line("all own f2 not for extensions", "service=one")


REFUSED = {
    "env = FOSSIL_USER=ada": ["'FOSSIL_USER'", "Fossil's"],
    "env = FOSSIL_ANY=1": ["'FOSSIL_ANY'"],
    "env = HTTP_PROXY=x": ["'HTTP_PROXY'", "the request's"],
    "env = REMOTE_USER=x": ["'REMOTE_USER'", "CGI"],
    "env = GATEWAY_INTERFACE=x": ["'GATEWAY_INTERFACE'"],
    "env = NAME": ["'NAME'", "NAME=VALUE"],
    "env = 1A=x": ["'1A'", "letters", "does not begin with a digit"],
    "env = HTTPS=on": ["'HTTPS'", "a variable of the request"],
    "env = A B=x": ["'A B'"],
    "env-pass = FOSSIL_USER": ["'FOSSIL_USER'"],
    "env-pass = A=B": ["'A=B'"],
    "env-file = missing": ["/missing: No such file"],
    "env-file =": ["env-file: the path is empty"],
    "env-file = .": ["not a file"],
    "env-file = bad": ["/bad:3:", "'REMOTE_USER'"],
    "env-file = quote": ["/quote:1:", "a quote is not closed"],
}


@pytest.mark.parametrize("section", ["", "[extension x]\n", "[app x]\nscript = x\nlisten = relay\n",
                                     "[service x]\nrun = /bin/true\n"])
def test_what_cannot_be_a_variable_is_one_clear_line_with_its_place(tmp_path, section):
    put(tmp_path, "bad", "# comment\nGOOD=1\nREMOTE_USER=x\n")
    put(tmp_path, "quote", "A='x\n")
    (tmp_path / "root").mkdir()
    for line, told in REFUSED.items():
        put(tmp_path, "c.conf", f"{section}{line}\n")
        done = run_exthost("check", "--root", "root", "--config", "c.conf", cwd=tmp_path)
        text = done.stderr.decode()
        assert done.returncode == 2 and text.count("\n") == 1, done
        assert f"c.conf:{section.count(chr(10)) + 1}: " in text, text
        assert all(part in text for part in told), text


def test_the_command_line_is_checked_as_well(tmp_path):
    for option, value in (("--env", "FOSSIL_USER=ada"), ("--env-pass", "HTTP_X"),
                          ("--env-file", "missing"), ("--python-path", "missing"),
                          ("--tcl-path", "missing"), ("--python-venv", "missing")):
        done = run_exthost("serve", "--root", ".", option, value, cwd=tmp_path)
        text = done.stderr.decode()
        assert done.returncode == 2 and text.count("\n") == 1, done
        assert f"option {option}: " in text and value.split("=")[0] in text


# Modules and packages.

IMPORTS = {"python": """
import sys
import word
TEXT = f"{word.WORD} {sys.prefix}"
""", "tcl": """
package require word
set TEXT "$::word"
"""}
SHOWS = {
    "python": "print('Content-Type: text/plain\\n\\n' + TEXT)\n",
    "tcl": 'puts "Content-Type: text/plain\\n\\n$TEXT"\n'}
SHOWS_APP = {"python": """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [TEXT.encode() + b"\\n"]
""", "tcl": 'proc application {} {puts "Content-Type: text/plain\\n\\n$::TEXT"}\n'}


def put_importer(site, language, mode):
    is_app = mode in ("app", "own socket")
    put(site.folder / "root", site.name,
        relay_line(language) + "\n" + ("# exthost: app" if is_app else "") + IMPORTS[language]
        + (SHOWS_APP if is_app else SHOWS)[language])


def says(site):
    own = site.mode == "own socket"
    return site.made.host.get("/" if own else "/" + site.name,
                              address=site.socket if own else None).text.strip()


def put_word(folder, word):
    put(folder, "word.py", f"WORD = '{word}'\n")
    put(folder, "word.tcl", f"package provide word 1\nset ::word {word}\n")


@LANGUAGES
@every_way
@pytest.mark.parametrize("place", ["everywhere", "own"])
def test_a_relative_path_begins_beside_the_file_it_stands_in(site, language, mode, place):
    put_word(site.folder / "lib", "found")
    put_importer(site, language, mode)
    site.start(**{place: f"{language}-path = lib\n"})
    for _ in range(2):
        assert says(site).split()[0] == "found"


@LANGUAGES
def test_a_relative_path_of_the_command_line_begins_in_the_working_directory(tmp_path, language):
    put_word(tmp_path / "lib", "found")
    put(tmp_path / "root", "sub/one", relay_line(language) + IMPORTS[language] + SHOWS[language])
    done = run_exthost("request", "/sub/one", "--root", "root", f"--{language}-path", "lib",
                       cwd=tmp_path)
    assert done.returncode == 0 and b"\r\n\r\nfound" in done.stdout, done


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    folder = tmp_path_factory.mktemp("venv") / "env"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True)
    put_word(next(folder.glob("lib/python3*/site-packages")), "environment")
    return folder


@pytest.mark.parametrize("language", ["python"])
@every_way
@pytest.mark.parametrize("place", ["everywhere", "own"])
def test_a_virtual_environment_is_entered_however_a_script_is_run(
        site, venv, language, mode, place):
    (site.folder / "env").symlink_to(venv)
    put_importer(site, language, mode)
    site.start(**{place: "python-venv = env\n"})
    for _ in range(2):
        assert says(site) == f"environment {site.folder}/env"


BAD = {
    "python-path = missing": ["/missing: No such file"],
    "python-path = lib:missing": ["/missing: No such file"],
    "tcl-path = file": ["/file: not a directory"],
    "python-venv = missing": ["/missing: No such file"],
    "python-venv = lib": ["/lib: not a virtual environment: it has no pyvenv.cfg"],
    "python-venv = old": ["/old: a virtual environment for Python 3.2, but this is 3."],
}


@pytest.mark.parametrize("section", ["", "[extension x]\n"])
def test_a_directory_that_will_not_do_is_one_clear_line_at_the_start(tmp_path, section):
    put(tmp_path, "file", "")
    put(tmp_path, "lib/x", "")
    put(tmp_path, "old/pyvenv.cfg", "version = 3.2.1\n")
    (tmp_path / "root").mkdir()
    for line, told in BAD.items():
        put(tmp_path, "c.conf", f"{section}{line}\n")
        done = run_exthost("check", "--root", "root", "--config", "c.conf", cwd=tmp_path)
        text = done.stderr.decode()
        assert done.returncode == 2 and text.count("\n") == 1, done
        assert f"c.conf:{section.count(chr(10)) + 1}: " in text, text
        assert all(part in text for part in told), text


def test_a_section_may_take_a_setting_back(tmp_path, venv):
    (tmp_path / "root").mkdir()
    put(tmp_path, "c.conf", f"python-venv = {venv}\n[extension x]\npython-venv =\n")
    done = run_exthost("check", "--root", "root", "--config", "c.conf", cwd=tmp_path)
    assert done.returncode == 0, done
