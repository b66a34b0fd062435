"""Packages of Tcl apps: tcl-path, wapp, and files that change."""

import subprocess

import pytest

from host import EXTHOST, environment, put, put_script
from waiting import wait_for

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
    """A folder for tcl-path, with a package of each kind."""
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


@pytest.mark.parametrize("text", [APP, RERUN], ids=["app", "rerun"])
def test_packages_of_tcl_path_are_found_before_the_installed_ones(start_host, tmp_path, packages, text):
    root = tmp_path / "root"
    put_script(root, "uses", "tcl", text)
    host = start_host(root, "--tcl-path", f"{tmp_path}/missing:{packages}")
    for _ in range(3):
        assert host.get("/uses").text == "plain module indexed own\n"


def test_a_changed_package_of_the_extension_root_is_used_from_the_next_request_on(start_host, tmp_path):
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


def test_a_changed_file_that_was_sourced_in_a_request_is_used_from_the_next_one_on(start_host, tmp_path):
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
MISSING = "wapp.tcl is not part of exthost: put it beside the script, or into a folder that tcl-path names"


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


@pytest.mark.parametrize("kind", ["app", "rerun"])
def test_wapp_is_found_on_tcl_path(start_host, tmp_path, kind):
    put(tmp_path / "root", "page", "#!/usr/bin/wapptclsh\n" + WITH_WAPP[kind])
    put(tmp_path, "lib/wapp.tcl", WAPP)
    host = start_host(tmp_path / "root", "--tcl-path", str(tmp_path / "lib"))
    for _ in range(2):
        assert host.get("/page").text == "from wapp\n"


def run_wapptclsh(folder, script):
    link = folder / "wapptclsh"
    link.symlink_to(EXTHOST)
    return subprocess.run([link, script], capture_output=True, text=True, timeout=20, check=False,
                          stdin=subprocess.DEVNULL, env=environment())


def test_wapptclsh_finds_wapp_beside_its_script_and_says_what_to_add_when_it_is_missing(tmp_path):
    script = put(tmp_path, "scripts/page.tcl", WITH_WAPP["cgi"])
    done = run_wapptclsh(tmp_path, script)
    assert done.returncode == 1 and MISSING in done.stderr
    put(tmp_path, "scripts/wapp.tcl", WAPP)
    (tmp_path / "wapptclsh").unlink()
    done = run_wapptclsh(tmp_path, script)
    assert (done.returncode, done.stdout) == (0, "Content-Type: text/plain\n\nfrom wapp\n")
