"""A configuration that is wrong: a reload refuses it, and `exthost check` decides the same way."""

import pytest

from support.held import status_of
from support.host import put, put_script, run_exthost
from support.reloading import Configured, templates_of
from support.waiting import wait_for

# {mistake: (text of the file, what the message must contain)}.
BAD = {
    "unknown key": ("spares = 1\nnothing = 1\n", ("exthost.conf:2:", "'nothing'")),
    "no number": ("timeout = soon\n", ("exthost.conf:1:", "timeout", "'soon'", "not a number")),
    "out of range": ("lane = 4\n\nspares = 0\n", ("exthost.conf:3:", "spares", "'0'", "1 to 256")),
    "neither yes nor no": ("debug = perhaps\n", ("exthost.conf:1:", "debug", "'perhaps'")),
    "no key": ("what is this\n", ("exthost.conf:1:",)),
    "unknown section": ("[lane x]\n", ("exthost.conf:1:", "[lane x]", "[extension PATTERN]")),
    "wrong in a section": ("[extension x]\nmemory = 5x\n",
                           ("exthost.conf:2:", "memory", "'5x'", "bytes")),
    "not for a section": ("[extension x]\nqueue = 5\n", ("exthost.conf:2:", "queue")),
    "no directory": ("tmpdir = /no/where\n", ("/no/where", "No such file")),
    "no directory for the log": (
        "log = /no/where/log\n", ("exthost.conf:1:", "log", "/no/where", "No such file")),
    "a directory as the log": ("log = /\n", ("exthost.conf:1:", "log", "a directory")),
    "NUL": ("env = A=x\0y\n", ("exthost.conf:1:", "NUL")),
    "NUL in the last line": ("spares = 1\nenv = A=x\0y", ("exthost.conf:2:", "NUL")),
    "no user": ("allow-uid = ada\n", ("allow-uid", "'ada'")),
    "nobody": ("allow-uid = 65534\n", ("allow-uid", "65534")),
    "no addresses": ("allow-from = here\n", ("allow-from", "'here'")),
    "no language": ("preload = perl:CGI\n", ("preload", "'perl:CGI'")),
    "no address": ("listen = relay\nlisten = here\n", ("listen", "'here'")),
    "no mode": ("listen = unix:/tmp/x,mode=9\n", ("listen", "'mode=9'", "octal")),
    "a socket twice": (
        "listen = unix:/tmp/x\n[app a]\nscript = a.wsgi\nlisten = unix:/tmp/x,mode=0666\n",
        ("listen unix:/tmp/x", "twice")),
    "no URL path": ("metrics = m\n", ("metrics", "'m'")),
}


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    put_script(made, "hello.py", "python", 'print("Content-Type: text/plain\\n\\nhello")\n')
    return made


@pytest.fixture
def configured(start_host, root, tmp_path):
    return Configured(start_host, root, tmp_path,
                      "spares = 3\n[extension hello.py]\nmax-body = 5\n")


def holds(made):
    """What the first configuration said."""
    assert made.host.run("POST", "/hello.py", body=b"x" * 6).reply().status == 413
    assert made.is_applied()
    wait_for(lambda: status_of(made.host)["spares"]["python"] == 3, "3 spares")


def test_a_bad_file_is_refused_in_one_line_and_all_stays_as_it_was(configured):
    before = templates_of(configured.host)
    for text, told in BAD.values():
        if "tmpdir" in text or "listen" in text:
            continue  # set on the command line, which wins
        line = configured.refuse(text)
        assert " error " in line and all(part in line for part in told), line
    holds(configured)
    assert templates_of(configured.host) == before
    configured.apply("")
    assert configured.host.run("POST", "/hello.py", body=b"x" * 6).reply().status == 200


def test_a_file_that_is_gone_or_cannot_be_read_is_refused(configured, tmp_path):
    assert "No such file" in configured.refuse(None)
    (tmp_path / "exthost.conf").mkdir()
    line = configured.host.wait_line("Is a directory", since=configured.hang_up())
    assert "reload refused" in line and "exthost.conf" in line
    (tmp_path / "exthost.conf").rmdir()
    holds(configured)
    configured.apply("spares = 1\n")


@pytest.mark.parametrize("name", BAD)
def test_check_refuses_what_a_start_and_a_reload_refuse_with_status_2(root, tmp_path, name):
    text, told = BAD[name]
    path = tmp_path / "exthost.conf"
    path.write_text(text)
    done = run_exthost("check", "--config", str(path), "--root", str(root))
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines), done.stdout) == (2, 1, b""), done
    assert all(part in lines[0] for part in told), lines
    started = run_exthost("serve", "--config", str(path), "--root", str(root))
    assert (started.returncode, started.stderr) == (2, done.stderr)


def test_check_says_that_a_configuration_is_good_with_status_0(root, tmp_path):
    path = tmp_path / "exthost.conf"
    path.write_text(f"root = {root}\nspares = 3\n[extension hello.py]\ntimeout = 60\n")
    done = run_exthost("check", "--config", str(path))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{path} is good; {root}: 1 extensions, all would run\n"
    assert list(root.iterdir()) == [root / "hello.py"]  # nothing was started


def test_check_without_a_file_or_a_root_is_status_2(tmp_path):
    for options in ((), ("--root", str(tmp_path / "no")), ("--config", str(tmp_path / "no"))):
        done = run_exthost("check", *options)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done


def test_check_tells_each_file_that_would_not_run_and_why_with_status_1(root, tmp_path):
    put(root, "perl.pl", "#!/usr/bin/perl\n")
    put(root, "sub/binary", b"\x7fELF\0\0", executable=True)
    put(root, "a b.py", "#!/usr/bin/python3\n")
    put(root, "sub/good.tcl", "#!/usr/bin/tclsh\n")
    put(root, "sub/suffix.py", "pass\n", executable=True)
    put(root, "page.html", "<p>\n")
    put(root, ".hidden/perl.pl", "#!/usr/bin/perl\n")
    (tmp_path / "outside.py").write_text("#!/usr/bin/python3\n")
    (root / "-dash.py").write_text("#!/usr/bin/python3\n")
    (root / "-dash.py").chmod(0o755)
    done = run_exthost("check", "--root", str(root))
    assert (done.returncode, done.stderr) == (1, b"")
    told = dict(line.split(": ", 1) for line in done.stdout.decode().splitlines())
    assert told.pop("sub/suffix.py").startswith("warning: ")
    assert set(told) == {"perl.pl", "sub/binary", "a b.py", "-dash.py"}, told
    assert "'perl'" in told["perl.pl"]
    assert all(reason for reason in told.values())


def test_check_names_an_app_whose_script_is_not_there_or_has_no_run_bit(root, tmp_path):
    put(root, "plain.wsgi", "application = None\n", executable=False)
    put(root, "there.wsgi", "application = None\n", executable=True)
    path = put(tmp_path, "app.conf",
               f"root = {root}\n[app wiki]\nscript = nowhere.wsgi\nlisten = unix:/tmp/w\n"
               "[app shop]\nscript = there.wsgi\nlisten = unix:/tmp/s\n"
               "[app chat]\nscript = plain.wsgi\nlisten = unix:/tmp/c\n")
    done = run_exthost("check", "--config", str(path))
    lines = [line for line in done.stdout.decode().splitlines() if "warning" not in line]
    assert done.returncode == 1 and len(lines) == 2, done
    assert lines[0].startswith("nowhere.wsgi: script of app wiki: No such file")
    assert lines[1] == "plain.wsgi: script of app chat: not executable (chmod +x)"


def test_check_of_a_root_agrees_with_what_the_host_answers(start_host, root):
    put(root, "perl.pl", "#!/usr/bin/perl\n")
    put(root, "dash/-x.py", "#!/usr/bin/python3\n")
    host = start_host(root)
    told = run_exthost("check", "--root", str(root)).stdout.decode()
    for url, status in (("/perl.pl", 500), ("/dash/-x.py", 404), ("/hello.py", 200)):
        since = host.log_position()
        assert host.get(url).status == status
        assert (url[1:] in told) == (status != 200)
        if status != 200:
            reason = next(line for line in told.splitlines() if line.startswith(url[1:]))
            host.wait_line(reason.split(": ", 1)[1].replace('"', '\\"'), since=since)
