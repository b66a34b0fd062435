"""
`encoding system` in Tcl, which is the standard channels' encoding too if it comes before their use.
"""

import subprocess

import pytest

from support.host import environment, put, put_script, run_exthost

HEADER = 'puts "Content-Type: application/octet-stream\\n"\n'
LATIN = "encoding system iso8859-1\n"
SHOW = "puts \u00fc[fconfigure stdin -encoding][fconfigure stdout -encoding]\n"

# What a script does before it prints a letter.
SCRIPTS = {
    "first of all": LATIN + HEADER + SHOW,
    "and back": LATIN + "encoding system utf-8\n" + HEADER + SHOW,
    "with a codec that has states": "encoding system iso2022-jp\n" + HEADER + "puts \u4e4e\n",
    "after the first line": HEADER + LATIN + SHOW,
    "after a file was opened": "close [open /dev/null]\n" + LATIN + HEADER + SHOW,
    "after another was chosen": "fconfigure stdout -encoding utf-8\n" + LATIN + HEADER + SHOW,
    "in a procedure": "proc p {} {" + LATIN + HEADER + SHOW + "}\np\n",
    "in a file that is sourced": "source [file join [file dirname [info script]] latin]\n"
    + HEADER + SHOW,
    "through a name of its own": "rename encoding e\ne system iso8859-1\n" + HEADER + SHOW,
}


def tclsh(script, **how):
    done = subprocess.run(["/usr/bin/tclsh", script], capture_output=True, timeout=30, check=True,
                          env={"LC_ALL": "C.UTF-8"}, **how)
    return done.stdout


@pytest.fixture(params=SCRIPTS)
def script(request, tmp_path):
    put(tmp_path, "latin", LATIN)
    return put(tmp_path, "script.tcl", SCRIPTS[request.param])


def body_of(cgi):
    return cgi.split(b"\n\n", 1)[1]


def test_the_plain_interpreter_prints_what_tclsh_prints(script):
    done = run_exthost("tclsh", script)
    assert (done.stdout, done.stderr) == (tclsh(script), b"")


def test_standard_error_of_the_plain_interpreter_is_in_the_systems_encoding(tmp_path):
    script = put(tmp_path, "script.tcl", LATIN + "puts stderr \u00fc\n")
    assert run_exthost("tclsh", script).stderr == b"\xfc\n"


@pytest.mark.parametrize("given, encoding",
                         [({}, "utf-8"), ({"LANG": ""}, "utf-8"), ({"LANG": "C"}, "iso8859-1"),
                          ({"LC_ALL": "C.UTF-8"}, "utf-8")])
def test_text_is_utf_8_where_no_locale_is_set_and_the_script_does_not_see_it(
        tmp_path, given, encoding):
    script = put(tmp_path, "script.tcl",
                 "puts [list [encoding system] [lsort [array names env L*]]]\n")
    done = run_exthost("tclsh", script, env=environment(**given))
    names = [name for name in environment(**given) if name[0] == "L"]
    assert done.stdout.decode() == f"{encoding} {' '.join(names) or '{}'}\n"


def test_commands_from_standard_input_print_what_tclsh_prints(tmp_path):
    for text in (LATIN + SHOW, SHOW + LATIN + SHOW):
        theirs = subprocess.run(["/usr/bin/tclsh"], capture_output=True, timeout=30, check=True,
                                env={"LC_ALL": "C.UTF-8"}, input=text.encode())
        assert run_exthost("tclsh", input=text.encode()).stdout == theirs.stdout


@pytest.mark.parametrize("mode", ["cgi", "rerun"])
def test_a_cgi_script_prints_what_tclsh_prints(start_host, script, mode):
    text = f"# exthost: {mode}\n" + script.read_text(encoding="utf-8")
    root = put_script(script.parent / "root", "script.tcl", "tcl", text).parent
    put(root, "latin", LATIN)
    wanted = body_of(tclsh(script))
    host = start_host(root)
    for _ in range(3):
        assert host.get("/script.tcl").body == wanted


@pytest.mark.parametrize("mode", ["cgi", "rerun"])
def test_a_body_is_read_in_the_systems_encoding(start_host, tmp_path, mode):
    put_script(tmp_path, "script.tcl", "tcl", f"# exthost: {mode}\n" + LATIN +
               'puts "Content-Type: text/plain\\n\\n[string length [read stdin]]"\n')
    host = start_host(tmp_path)
    for _ in range(2):
        assert host.run("POST", "/script.tcl", body="\u00fc".encode()).reply().text == "2\n"


def answer(before, within):
    return f"# exthost: app\n{before}proc application {{}} {{\n{within}{HEADER}{SHOW}}}\n"


@pytest.mark.parametrize("text", [answer(LATIN, ""), answer("", LATIN)],
                         ids=["when loaded", "in a request"])
def test_an_app_prints_in_the_systems_encoding(start_host, tmp_path, text):
    put_script(tmp_path, "app.tcl", "tcl", text)
    host = start_host(tmp_path)
    for _ in range(3):
        assert host.get("/app.tcl").body == b"\xfciso8859-1iso8859-1\n"


def test_the_systems_encoding_that_an_app_sets_late_is_not_that_of_what_it_has_begun_to_print(
        start_host, tmp_path):
    put_script(tmp_path, "app.tcl", "tcl",
               f"# exthost: app\nproc "
               f"application {{}} {{\n{HEADER}{LATIN}puts [fconfigure stdout -encoding]\u00fc}}\n")
    host = start_host(tmp_path)
    for _ in range(3):
        assert host.get("/app.tcl").text == "utf-8\u00fc\n"


BEGUN = {"printed": "flush stdout", "read": "read stdin"}


@pytest.mark.parametrize("how, channel", [("printed", "stdout"), ("read", "stdin")])
def test_a_channel_that_an_app_has_used_keeps_its_encoding(start_host, tmp_path, how, channel):
    put_script(tmp_path, "app.tcl", "tcl",
               f"# exthost: app\nproc application {{}} {{\n{HEADER}{BEGUN[how]}\n"
               f"{LATIN}puts [fconfigure {channel} -encoding]\nencoding system utf-8\n}}\n")
    host = start_host(tmp_path)
    for _ in range(3):
        assert host.run("POST", "/app.tcl", body=b"body").reply().text == "utf-8\n"
