"""
Relative paths begin beside the configuration file they stand in; on the command line they begin in
the working directory.
"""

import subprocess

import pytest

from support.host import EXTHOST, environment, put, put_script, run_exthost
from support.processes import Program
from support.waiting import wait_for

HELLO = 'puts "Content-Type: text/plain\\n\\nhello"\n'


@pytest.fixture
def site(tmp_path):
    """A directory with an extension root, one for temporary files, and a configuration file."""
    put_script(tmp_path / "root", "hello.tcl", "tcl", HELLO)
    (tmp_path / "files").mkdir()
    put(tmp_path, "exthost.conf", "root = root\ntmpdir = files\nlog = files/log\n")
    return tmp_path


@pytest.mark.parametrize("name, directory", [
    ("{site}/exthost.conf", "/"), ("exthost.conf", ""), ("../exthost.conf", "files")])
def test_the_paths_of_a_file_begin_beside_it_wherever_it_is_read(site, name, directory):
    config = ["--config", name.format(site=site)]
    done = run_exthost("check", *config, cwd=site / directory)
    assert done.returncode == 0 and f"{site}/root: 1 extensions".encode() in done.stdout, done
    host = Program([EXTHOST, "serve", *config], env=environment(), cwd=str(site / directory))
    try:
        wait_for(lambda: not host.running() or run_exthost(
            "status", *config, "--check", cwd=site / directory).returncode == 0, "ready or dead")
        assert host.running(), host.log()
        assert f"ready, serving {site}/root" in (site / "files/log").read_text()
    finally:
        assert host.stop()[0] == 0


def test_the_paths_of_the_command_line_begin_in_the_working_directory(site):
    done = run_exthost("check", "--config", "../exthost.conf", "--root", "root", "--tmpdir", ".",
                       "--log", "log", cwd=site / "files")
    assert done.returncode == 2 and b"files/root: No such file" in done.stderr, done
    done = run_exthost("check", "--config", "exthost.conf", "--root", "root", cwd=site)
    assert done.returncode == 0, done


def test_a_directory_that_is_not_there_is_named_with_its_whole_path(site):
    put(site, "exthost.conf", "root = missing\n")
    done = run_exthost("check", "--config", str(site / "exthost.conf"))
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1, done
    assert f"exthost.conf:1: root: '{site}/missing': No such file".encode() in done.stderr, done


def test_absolute_paths_need_no_working_directory(site):
    (site / "gone").mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", EXTHOST, "check", "--config",
         site / "exthost.conf", "--tcl-path", site, "--tmpdir", site],
        cwd=site / "gone", capture_output=True, check=False, env=environment())
    assert done.returncode == 0, done
