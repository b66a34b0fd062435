"""What a Tcl script leaves unwritten when it ends is written as tclsh writes it."""

import subprocess

import pytest

from support.host import environment, put_script
from support.waiting import wait_for

# Each writes to $file, closes nothing that would write it, and ends.
SCRIPTS = {
    "a file": "set f [open $file w]; puts -nonewline $f written",
    "a compressed file": "set f [open $file wb]; zlib push gzip $f; puts -nonewline $f written",
    "another interpreter's file": "interp create other; other eval [list set file $file]\n"
                                  "other eval {set f [open $file w]; puts -nonewline $f written}",
}


def text_of(body, file):
    return f'set file {{{file}}}\nputs "Content-Type: text/plain\\n"\n{body}\nputs answered\n'


def written_by_tclsh(body, folder):
    script, file = folder / "plain.tcl", folder / "by tclsh"
    script.write_text(text_of(body, file))
    subprocess.run(["/usr/bin/tclsh", script], check=True, timeout=30, env=environment(),
                   stdout=subprocess.DEVNULL)
    return file.read_bytes()


@pytest.mark.parametrize("case", SCRIPTS)
@pytest.mark.parametrize("mode", ["cgi", "rerun"])
def test_what_a_script_has_not_closed_is_written_at_its_end(start_host, tmp_path, mode, case):
    wanted = written_by_tclsh(SCRIPTS[case], tmp_path)
    file = tmp_path / "by the host"
    put_script(tmp_path / "root", "script.tcl", "tcl",
               f"# exthost: {mode}\n" + text_of(SCRIPTS[case], file))
    assert start_host(tmp_path / "root").get("/script.tcl").text == "answered\n"
    wait_for(lambda: file.exists() and file.read_bytes() == wanted,
             "all that the script has written")
