"""Packages of Tcl apps: tcl-path, wapp, and files that change."""

import os
import subprocess

import pytest

from support.host import EXTHOST, environment, put, put_script, run_exthost

# As much of wapp as is needed to see that it was found.
WAPP = r"""package require Tcl 8.6-
proc wapp {text} { puts -nonewline $text }
proc wapp-start {arguments} {
	puts "Content-Type: text/plain\n"
	wapp-default
}
package provide wapp 1.0
"""

PLAIN = """proc plain::text {} { return %s }
package provide plain 1.2
"""


@pytest.fixture
def packages(tmp_path):
    """A directory for tcl-path, with a package of each kind."""
    folder = tmp_path / "packages"
    put(folder, "plain.tcl", "namespace eval plain {}\n" + PLAIN % "plain")
    put(folder, "module-2.1.tm", "proc module_text {} { return module }\n")
    put(folder, "indexed/pkgIndex.tcl",
        "package ifneeded indexed 1.0 [list source [file join $dir indexed.tcl]]\n")
    put(folder, "indexed/indexed.tcl",
        "package provide indexed 1.0\nproc indexed_text {} { return indexed }\n")
    put(folder, "json/pkgIndex.tcl", "package ifneeded json 1.3.5 {package provide json 1.3.5\n"
        "namespace eval json { proc json2dict {text} { return own } } }\n")
    return folder


APP = r"""# exthost: app
foreach package {plain module indexed json} { package require $package }
proc application {} {
	puts "Content-Type: text/plain\n"
	puts "[plain::text] [module_text] [indexed_text] [json::json2dict {{}}]"
}
"""
RERUN = APP.replace("exthost: app", "exthost: rerun") + "application\n"


CGI = RERUN.replace("# exthost: rerun\n", "")


@pytest.mark.parametrize("text", [APP, RERUN, CGI], ids=["app", "rerun", "cgi"])
def test_packages_of_tcl_path_are_found_before_the_installed_ones(
        start_host, tmp_path, packages, text):
    root = tmp_path / "root"
    put_script(root, "uses", "tcl", text)
    (tmp_path / "empty").mkdir()
    host = start_host(root, "--tcl-path", f"{tmp_path}/empty:{packages}")
    for _ in range(3):
        assert host.get("/uses").text == "plain module indexed own\n"


def test_of_two_folders_of_tcl_path_the_first_one_comes_first(start_host, tmp_path):
    for name in ("first", "second"):
        put(tmp_path, f"{name}/plain.tcl", "namespace eval plain {}\n" + PLAIN % name)
        put(tmp_path, f"{name}/of_{name}.tcl", f"package provide of_{name} 1.0\n")
    put_script(tmp_path / "root", "uses", "tcl",
               "foreach name {plain of_first of_second} { package require $name }\n"
               'puts "Content-Type: text/plain\\n\\n[plain::text]"\n')
    host = start_host(tmp_path / "root", "--tcl-path", f"{tmp_path}/first:{tmp_path}/second")
    assert host.get("/uses").text == "first\n"


def test_a_hidden_script_and_a_pipe_on_tcl_path_are_no_packages(start_host, tmp_path):
    put(tmp_path, "lib/.hidden.tcl", "package provide hidden 1.0\n")
    os.mkfifo(tmp_path / "lib/pipe.tcl")
    put_script(tmp_path / "root", "uses", "tcl",
               'puts "Content-Type: text/plain\\n\\n[catch {package require hidden}]"\n')
    host = start_host(tmp_path / "root", "--tcl-path", str(tmp_path / "lib"))
    assert host.get("/uses").text == "1\n"


def test_a_package_that_comes_while_an_app_is_loaded_is_found(start_host, tmp_path):
    index = "package ifneeded %s 1.0 {package provide %s 1.0}\n"
    put(tmp_path, "lib/one/pkgIndex.tcl", index % ("one", "one"))
    put_script(tmp_path / "root", "uses", "tcl", """# exthost: app
proc application {} {
	puts "Content-Type: text/plain\\n\\n[catch {package require $::env(QUERY_STRING)}]"
}
""")
    host = start_host(tmp_path / "root", "--tcl-path", str(tmp_path / "lib"), "--workers", "1")
    assert [host.get(f"/uses?{name}").text for name in ("one", "two")] == ["0\n", "1\n"]
    put(tmp_path, "lib/two/pkgIndex.tcl", index % ("two", "two"))
    assert host.get("/uses?two").text == "0\n"


def test_what_an_index_puts_on_auto_path_stays_there(start_host, tmp_path):
    put(tmp_path, "lib/outer/pkgIndex.tcl", "lappend auto_path [file join $dir deeper]\n")
    put(tmp_path, "lib/outer/deeper/inner/pkgIndex.tcl",
        "package ifneeded inner 1.0 {package provide inner 1.0}\n")
    put_script(tmp_path / "root", "uses", "tcl", """set version [package require inner]
puts "Content-Type: text/plain\\n\\n$version [llength [lsearch -all $auto_path */deeper]]"
""")
    host = start_host(tmp_path / "root", "--tcl-path", str(tmp_path / "lib"))
    assert host.get("/uses").text == "1.0 1\n"


def test_a_package_of_the_script_s_own_is_used_though_an_installed_one_is_loaded_ahead(
        start_host, tmp_path):
    put(tmp_path, "lib/json/pkgIndex.tcl", "package ifneeded json 99.0 {package provide json 99.0\n"
        "namespace eval json { proc json2dict {text} { return own } } }\n")
    put_script(tmp_path, "uses", "tcl", """# exthost: rerun
if {$env(QUERY_STRING) eq "own"} { lappend auto_path [file join [file dirname [info script]] lib] }
package require json
puts "Content-Type: text/plain\\n\\n[json::json2dict {{"a":1}}]"
""")
    host = start_host(tmp_path, "--workers", "1")
    for query in ("plain", "plain", "own", "plain", "own"):
        assert host.get(f"/uses?{query}").text == ("own\n" if query == "own" else "a 1\n")


def test_a_changed_package_of_the_extension_root_is_used_from_the_next_request_on(
        start_host, tmp_path):
    put_script(tmp_path, "uses", "tcl", """# exthost: app
package require plain
proc application {} { puts "Content-Type: text/plain\\n\\n[plain::text]" }
""")
    package = "namespace eval plain {}\n" + PLAIN
    put(tmp_path, "lib/plain.tcl", package % "old")
    host = start_host(tmp_path, "--tcl-path", str(tmp_path / "lib"))
    for text in ("old", "new", "newer"):
        put(tmp_path, "lib/plain.tcl", package % text)
        assert host.get("/uses").text == text + "\n"


def test_a_changed_file_that_was_sourced_in_a_request_is_used_from_the_next_one_on(
        start_host, tmp_path):
    put_script(tmp_path, "uses", "tcl", """# exthost: app
proc application {} {
	if {![info exists ::text]} { source part.tcl }
	puts "Content-Type: text/plain\\n\\n$::text"
}
""")
    put(tmp_path, "part.tcl", "set ::text old\n")
    host = start_host(tmp_path)
    assert [host.get("/uses").text for _ in range(2)] == ["old\n"] * 2
    put(tmp_path, "part.tcl", "set ::text newer\n")
    assert [host.get("/uses").text for _ in range(2)] == ["newer\n"] * 2


USES_WAPP = """package require wapp
proc wapp-default {} { wapp "from wapp\n" }
"""
WITH_WAPP = {
    "app": "# exthost: app\n" + USES_WAPP + "proc application {} { wapp-start {} }\n",
    "rerun": "# exthost: rerun\n" + USES_WAPP + "wapp-start {}\n",
    "cgi": USES_WAPP + "wapp-start {}\n"}
MISSING = ("wapp.tcl is not part of exthost: put it beside the script, "
           "or into a directory of tcl-path")


@pytest.mark.parametrize("kind", WITH_WAPP)
def test_the_log_says_what_to_add_when_wapp_is_missing(start_host, tmp_path, kind):
    put(tmp_path, "page", "#!/usr/bin/wapptclsh\n" + WITH_WAPP[kind])
    host = start_host(tmp_path)
    assert host.get("/page").status == 500
    host.wait_line(MISSING)


@pytest.mark.parametrize("kind", WITH_WAPP)
def test_wapp_is_found_beside_the_script(start_host, tmp_path, kind):
    put(tmp_path, "page", "#!/usr/bin/wapptclsh\n" + WITH_WAPP[kind])
    put(tmp_path, "wapp.tcl", WAPP)
    host = start_host(tmp_path)
    for _ in range(2):
        assert host.get("/page").text == "from wapp\n"


@pytest.mark.parametrize("kind", WITH_WAPP)
def test_wapp_is_found_on_tcl_path(start_host, tmp_path, kind):
    put(tmp_path / "root", "page", "#!/usr/bin/wapptclsh\n" + WITH_WAPP[kind])
    put(tmp_path, "lib/wapp.tcl", WAPP)
    host = start_host(tmp_path / "root", "--tcl-path", str(tmp_path / "lib"))
    for _ in range(2):
        assert host.get("/page").text == "from wapp\n"


# As published: with no `package require`, since wapptclsh has both built in.
BUILT_IN = """proc wapp-before-dispatch-hook {} { wapp "hooked " }
proc wapp-default {} {
	wapp-before-dispatch-hook
	sqlite3 db :memory:
	wapp "[db one {SELECT 6*7}] [package present sqlite3]\n"
	db close
}
"""
WITH_BUILT_IN = {kind: text.replace(USES_WAPP, BUILT_IN) for kind, text in WITH_WAPP.items()}
FIRST_LINES = ["#!/usr/bin/wapptclsh", "#! /usr/local/bin/wapptclsh8.6", "#!/usr/bin/env wapptclsh",
               "#!/usr/bin/env -S A=b wapptclsh"]


def sqlite_version():
    done = run_exthost("tclsh", input=b"puts [package require sqlite3]\n")
    return done.stdout.decode()


@pytest.mark.parametrize("first", FIRST_LINES)
@pytest.mark.parametrize("kind", WITH_BUILT_IN)
def test_a_script_of_wapptclsh_has_wapp_and_sqlite3_from_the_start(
        start_host, tmp_path, kind, first):
    put(tmp_path, "page.tcl", first + "\n" + WITH_BUILT_IN[kind])
    # The script's own hook stays, so wapp has been there before it.
    put(tmp_path, "wapp.tcl", WAPP + "proc wapp-before-dispatch-hook {} {}\n")
    host = start_host(tmp_path)
    for _ in range(3):
        assert host.get("/page.tcl").text == "hooked 42 " + sqlite_version()


@pytest.mark.parametrize("kind", WITH_BUILT_IN)
def test_a_script_of_tclsh_has_neither(start_host, tmp_path, kind):
    put(tmp_path, "page.tcl", "#!/usr/bin/tclsh\n" + WITH_BUILT_IN[kind])
    put(tmp_path, "wapp.tcl", WAPP)
    host = start_host(tmp_path)
    assert host.get("/page.tcl").status == 500
    host.wait_line('invalid command name "wapp-start"')


@pytest.mark.parametrize("kind", WITH_BUILT_IN)
def test_the_log_says_what_to_add_for_a_script_that_takes_wapp_as_built_in(
        start_host, tmp_path, kind):
    put(tmp_path, "page", "#!/usr/bin/wapptclsh\n" + WITH_BUILT_IN[kind])
    host = start_host(tmp_path)
    assert host.get("/page").status == 500
    host.wait_line(f'no command "wapp-start": {MISSING}')


def test_another_unknown_command_of_a_script_of_wapptclsh_is_told_as_ever(start_host, tmp_path):
    put(tmp_path, "page", "#!/usr/bin/wapptclsh\nwapped 1\n")
    host = start_host(tmp_path)
    assert host.get("/page").status == 500
    host.wait_line('invalid command name "wapped"')


@pytest.mark.parametrize("kind", WITH_BUILT_IN)
def test_an_error_in_wapp_itself_is_shown(start_host, tmp_path, kind):
    put(tmp_path, "page", "#!/usr/bin/wapptclsh\n" + WITH_BUILT_IN[kind])
    put(tmp_path, "wapp.tcl", "package provide wapp 1.0\nerror {a broken wapp}\n")
    host = start_host(tmp_path)
    assert host.get("/page").status == 500
    host.wait_line("a broken wapp")


@pytest.mark.parametrize("kind", ["cgi", "rerun"])
def test_the_encoding_that_a_script_of_wapptclsh_sets_first_is_that_of_its_output(
        start_host, tmp_path, kind):
    put(tmp_path, "page", f"#!/usr/bin/wapptclsh\n# exthost: {kind}\nencoding system iso8859-1\n"
        'puts "Content-Type: text/plain\n\n\u00fc"\n')
    put(tmp_path, "wapp.tcl", WAPP)
    host = start_host(tmp_path)
    for _ in range(2):
        assert host.get("/page").body == b"\xfc\n"


# What the real one does: CGI if the environment says so, else a server for a browser that it
# starts; and all of a request in one variable.
STARTS = WAPP.replace("proc wapp-start {arguments} {", """proc wapp-start {arguments} {
	if {![info exists ::env(GATEWAY_INTERFACE)]} {
		close [open started w]
		socket -server accept -myaddr 127.0.0.1 0
		vwait forever
	}
	if {[info exists ::env(HTTP_COOKIE)]} { dict set ::wapp cookie $::env(HTTP_COOKIE) }
""")


def test_wapp_in_an_app_is_refused_with_the_line_to_write_instead(start_host, tmp_path):
    page = ("#!/usr/bin/wapptclsh\n# exthost: %s\nproc wapp-default {} { wapp here\\n }\n"
            "wapp-start $argv\n")
    put(tmp_path, "page", page % "app")
    put(tmp_path, "wapp.tcl", STARTS)
    host = start_host(tmp_path)
    assert host.get("/page").status == 500
    host.wait_line('write "# exthost: rerun" instead of "# exthost: app"')
    assert not (tmp_path / "started").exists()
    put(tmp_path, "page", page % "rerun")
    for _ in range(2):
        assert host.get("/page").text == "here\n"


def test_wapp_in_an_app_is_refused_where_it_is_sourced_by_the_script(start_host, tmp_path):
    put_script(tmp_path, "page", "tcl", "# exthost: app\nsource wapp.tcl\nwapp-start {}\n")
    put(tmp_path, "wapp.tcl", STARTS)
    host = start_host(tmp_path)
    assert host.get("/page").status == 500
    host.wait_line('write "# exthost: rerun" instead of "# exthost: app"')
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("loads", ["package require wapp\ndict set ::wapp own 1\n", ""],
                         ids=["first", "late"])
def test_wapp_in_an_app_knows_nothing_of_an_earlier_request(start_host, tmp_path, loads):
    put(tmp_path, "page", "#!/usr/bin/tclsh\n# exthost: app\n" + loads + """
proc wapp-default {} { wapp [expr {[info exists ::wapp] ? $::wapp : ""}] }
proc application {} { package require wapp; wapp-start {} }
""")
    put(tmp_path, "wapp.tcl", STARTS)
    host = start_host(tmp_path)
    own = "own 1" if loads else ""
    for _ in range(2):
        assert host.get("/page", [("Cookie", "secret")]).text == f"{own} cookie secret".strip()
        assert host.get("/page").text == own


def run_wapptclsh(folder, script, before=()):
    link = folder / "wapptclsh"
    link.symlink_to(EXTHOST)
    return subprocess.run([*before, link, script], capture_output=True, text=True, timeout=20,
                          check=False,
                          stdin=subprocess.DEVNULL, env=environment())


def test_wapptclsh_finds_wapp_beside_its_script_and_says_what_to_add_when_it_is_missing(tmp_path):
    script = put(tmp_path, "scripts/page.tcl", WITH_WAPP["cgi"])
    done = run_wapptclsh(tmp_path, script)
    assert done.returncode == 1 and MISSING in done.stderr
    put(tmp_path, "scripts/wapp.tcl", WAPP)
    (tmp_path / "wapptclsh").unlink()
    done = run_wapptclsh(tmp_path, script)
    assert (done.returncode, done.stdout) == (0, "Content-Type: text/plain\n\nfrom wapp\n")


def test_wapptclsh_has_wapp_and_sqlite3_from_the_start(tmp_path):
    script = put(tmp_path, "scripts/page.tcl", WITH_BUILT_IN["cgi"])
    put(tmp_path, "scripts/wapp.tcl", WAPP)
    done = run_wapptclsh(tmp_path, script)
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, "Content-Type: text/plain\n\nhooked 42 " + sqlite_version(), "")


def test_wapptclsh_says_what_to_add_when_wapp_is_missing_and_was_not_required(tmp_path):
    done = run_wapptclsh(tmp_path, put(tmp_path, "scripts/page.tcl", WITH_BUILT_IN["cgi"]))
    assert done.returncode == 1 and f'no command "wapp-start": {MISSING}' in done.stderr


def without(folder):
    """The words that run a command with this directory empty. Skips if no mount is possible."""
    hide = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {folder} && exec \"$@\"", "sh"]
    if subprocess.run([*hide, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount may be made here")
    return hide


def test_wapptclsh_says_what_to_install_when_sqlite3_is_missing(tmp_path):
    library = run_exthost(
        "tclsh", input=b"package require sqlite3\nputs [lindex [info loaded {}] 0 0]\n")
    script = put(tmp_path, "page.tcl", "sqlite3 db :memory:\n")
    done = run_wapptclsh(tmp_path, script, without(os.path.dirname(library.stdout.decode())))
    assert done.returncode == 1
    assert ('no command "sqlite3": the package sqlite3 is not installed '
            '(in Debian: libsqlite3-tcl)') in done.stderr
