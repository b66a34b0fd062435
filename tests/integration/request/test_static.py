"""
What has no run bit: sent as it is, unless it is source, a database or a key, or the configuration
says otherwise.
"""

import sqlite3
import subprocess
import urllib.parse

import pytest

from support.fastcgi import PARAMS, STDIN, STDOUT, Connection, begin, pairs, stream, variables
from support.host import RELAY, SUFFIX, Host, put, put_script, run_exthost
from support.waiting import wait_for

HELLO = {"python": 'print("Content-Type: text/plain\\n\\nhello")\n',
         "tcl": 'puts "Content-Type: text/plain\\n\\nhello"\n'}
# Beside another host of the same root.
APART = {"listen": ["unix:{folder}/s"]}
SECRET = "SECRET = 'k3y'\n"
NEVER = [
    "models.py", "site.wsgi", "wapp.tcl", "site/app/models.py", "site/settings.py.bak",
    "site/settings.py-old",
    "site/Models.PY", "site/__pycache__/models.cpython-311.pyc", "x.pyc", "x.pyo", "lib-1.0.tm",
    "data/users.db", "data/users.db.old", "data/users.db-wal", "data/users.db-shm",
    "data/users.db-journal",
    "data/x.sqlite", "data/x.sqlite3", "data/x.SQLite3-wal", "data/x.fossil", "prod.env",
    "server.key", "id_rsa.key.1",
    "chain.pem", "php.ini", "site.conf", "forgotten", "id_rsa", "museum", "listed/index.html",
    "store-wal", "data/store.dat-wal", "data/a.b.dat-SHM", "data/store-Journal"]
SENT = {"style.css": "text/css; charset=utf-8",
        "a.min.js": "text/javascript; charset=utf-8", "LICENSE":
        "application/octet-stream", "docs/index.html": "text/html; charset=utf-8",
        "docs/db.html": "text/html; charset=utf-8",
        "static/app.py.d/x.txt": "text/plain; charset=utf-8",
        "a-journal.html": "text/html; charset=utf-8",
        "journal": "application/octet-stream", "notes-walk.txt": "text/plain; charset=utf-8"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("root")
    for name in NEVER:
        put(made, name, SECRET, executable=False)
    put(made, "forgotten", "#!/usr/bin/python3\n" + SECRET, executable=False)
    put(made, "listed/index.html", "#!/usr/bin/tclsh\n" + SECRET, executable=False)
    put(made, "id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + SECRET)
    (made / "museum").unlink()
    with sqlite3.connect(made / "museum") as db:
        db.execute("create table secret(k3y)")
    db.close()
    for name in SENT:
        put(made, name, "for everybody\n")
    put(made, "static/app.py.d/models.py", SECRET)
    for language, suffix in SUFFIX.items():
        put_script(made, f"hello{suffix}", language, HELLO[language])
    return made


@pytest.fixture(scope="module")
def host(root):
    made = Host(root)
    yield made
    made.stop()


def refused(reply, status=403):
    return reply.status == status and b"k3y" not in reply.body and b"SQLite" not in reply.body


@pytest.mark.parametrize("name", NEVER)
def test_source_a_database_and_a_key_are_403_and_the_log_names_the_file(host, name):
    since = host.log_position()
    reply = host.get("/" + name)
    assert refused(reply) and "Forbidden" in reply.text
    line = host.wait_line("status=403", since=since)
    assert f"{name} is not executable, and " in line and "never sent" in line


@pytest.mark.parametrize(
    "name", ["models.py", "site.wsgi", "wapp.tcl", "id_rsa", "museum", "listed/index.html"])
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_no_method_gets_more_of_it(host, name, method):
    head = host.run(method, "/" + name, [("If-Modified-Since", "Tue, 01 Jan 2030 00:00:00 GMT"),
                                         ("Range", "bytes=0-9")])
    reply = head.reply()
    assert refused(reply) and reply.header("Last-Modified") is None
    assert method != "HEAD" or reply.body == b""


def test_the_index_of_a_folder_is_judged_too(host):
    assert refused(host.get("/listed/"))
    assert host.get("/docs/").text == "for everybody\n"


@pytest.mark.parametrize("name", SENT)
def test_everything_else_is_sent(host, name):
    reply = host.get("/" + name)
    assert (reply.status, reply.text, reply.header("Content-Type")) == (
        200, "for everybody\n", SENT[name])


@pytest.mark.parametrize("name", ["models.py", "museum", "forgotten"])
def test_the_relay_and_the_command_line_get_none_of_it_either(host, root, name):
    assert refused(host.as_fossil("GET", name).reply())
    done = run_exthost("request", "/" + name, "--root", str(root))
    assert (done.returncode, b"k3y" in done.stdout, done.stdout[:12]) == (1, False, b"Status: 403 ")


@pytest.mark.parametrize("name", ["models.py/x", "data/users.db/"])
def test_a_path_that_goes_on_behind_it_is_not_found(host, name):
    assert refused(host.get("/" + name), 404)


@pytest.mark.parametrize("language", SUFFIX)
def test_a_script_that_loses_its_run_bit_is_403_and_one_that_gets_it_back_runs(
        start_host, tmp_path, language):
    name = f"hello{SUFFIX[language]}"
    script = put_script(tmp_path, name, language, HELLO[language])
    host = start_host(tmp_path)
    for mode, status in (0o755, 200), (0o644, 403), (0o755, 200):
        script.chmod(mode)
        assert host.get("/" + name).status == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "OPTIONS", "get"])
def test_what_can_only_be_read_is_405_to_all_else(host, root, method):
    with Connection(host.socket) as c:
        reply = c.run(variables(method, "/style.css", b"body"), b"body", flags=1).reply()
        assert (reply.status, reply.header("Allow")) == (405, "GET, HEAD, POST")
        assert b"for everybody" not in reply.body and (
            root / "style.css").read_text() == "for everybody\n"
        for readable in "GET", "POST":
            assert c.run(variables(readable, "/style.css"),
                         flags=1).reply().text == "for everybody\n"


def begin_large(host, tmp_path):
    """A client that has the beginning of a file that no socket holds."""
    put(tmp_path, "large.bin", b"x" * (16 << 20))
    client = Connection(host.socket)
    client.send(
        begin() + stream(PARAMS, 1, pairs(variables("GET", "/large.bin"))) + stream(STDIN, 1, b""))
    assert client.read_record()[0] == STDOUT
    return client


def test_a_client_that_leaves_before_a_file_is_sent_is_a_499(start_host, tmp_path):
    host = start_host(tmp_path)
    begin_large(host, tmp_path).close()
    host.wait_line("/large.bin status=499", 'reason="the client went away"')


def test_a_file_that_becomes_shorter_is_a_reply_that_is_cut(start_host, tmp_path):
    host = start_host(tmp_path)
    with begin_large(host, tmp_path) as client:
        (tmp_path / "large.bin").write_bytes(b"short")
        outcome = client.read_outcome()
        assert not outcome.ended and outcome.records[-1][0] == 255, outcome
    host.wait_line("/large.bin status=200", "large.bin has become shorter")


SETTINGS = {  # static = ...: what of these is sent; else 404, or 403 for what is never sent
    "yes": {"style.css", "docs/index.html", "static/app.py.d/x.txt", "LICENSE"},
    "no": set(),
    "static/* *.css": {"style.css", "static/app.py.d/x.txt"},
    "docs/index.html LICENSE": {"docs/index.html", "LICENSE"},
    "*": {"style.css", "docs/index.html", "static/app.py.d/x.txt", "LICENSE"},
}


@pytest.mark.parametrize("option", SETTINGS)
def test_static_says_what_is_sent_and_scripts_run_all_the_same(start_host, root, option):
    host = start_host(root, "--control", "none", "--static", option, **APART)
    for name in SETTINGS["yes"]:
        since = host.log_position()
        status = 200 if name in SETTINGS[option] else 404
        assert (host.get("/" + name).status, name) == (status, name)
        assert status == 200 or f"static = {option}" in host.wait_line("status=404", since=since)
    assert host.get("/docs/").status == (200 if "docs/index.html" in SETTINGS[option] else 404)
    for name in NEVER:
        assert host.get("/" + name).status in (403, 404)
    assert host.get("/hello.py").text == "hello\n" and host.get("/hello.tcl").text == "hello\n"


def test_a_pattern_that_names_what_is_never_sent_changes_nothing(start_host, root):
    host = start_host(root, "--control", "none", "--static", "models.py museum site/* *", **APART)
    for name in NEVER:
        assert refused(host.get("/" + name)), name


def test_a_section_says_it_for_its_files(start_host, root, tmp_path):
    conf = put(tmp_path, "conf",
               "static = no\n[extension docs/*]\nstatic = yes\n[extension docs/db*]\nstatic = no\n"
               "[extension *.js]\nstatic = *.min.js\n[extension data/*]\nstatic = yes\n")
    host = start_host(root, "--control", "none", "--config", str(conf), **APART)
    found = {name: host.get("/" + name).status for name in [*SENT, "data/users.db"]}
    assert found == {**dict.fromkeys(SENT, 404), "docs/index.html": 200, "a.min.js": 200,
                     "data/users.db": 403}


def test_a_reload_changes_it(start_host, root, tmp_path):
    conf = put(tmp_path, "conf", "static = yes\n")
    host = start_host(root, "--control", "none", "--config", str(conf), **APART)
    assert host.get("/style.css").status == 200
    put(tmp_path, "conf", "static = no\n")
    since = host.log_position()
    subprocess.run(["/bin/kill", "-HUP", str(host.pid)], check=True)
    host.wait_line("reload", since=since)
    wait_for(lambda: host.get("/style.css").status == 404, "the new configuration")


def test_a_refused_file_leaves_a_kept_connection_usable(host):
    with Connection(host.socket) as c:
        for name, status in ("/models.py", 403), ("/style.css", 200), ("/museum", 403), (
                "/hello.py", 200):
            assert c.run(variables("GET", name), flags=1).reply().status == status


def test_check_names_what_fossil_would_send(root):
    done = run_exthost("check", "--root", str(root))
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done
    warned = {line.partition(":")[0] for line in lines if "Fossil" in line}
    assert len(warned) == 20 and warned < {*NEVER, "static/app.py.d/models.py"}
    assert any(f"and {len(NEVER) + 1 - 20} more" in line for line in lines), lines
    assert f"{root}: 2 extensions, all would run" in lines


def test_check_follows_fossils_own_rules_for_what_it_would_send(tmp_path):
    root = tmp_path / "root"
    for name in "a.py", "sub/b.db", ".hidden/c.py", ".d.py", "e f.py", "-g.py", "h~.py", "-i/j.py":
        put(root, name, SECRET)
    put(tmp_path, "outside.db", SECRET)
    put(root, "style.css", "x")
    (root / "link").symlink_to("a.py")
    (root / "out.txt").symlink_to("../outside.db")
    (root / "key.txt").symlink_to("../id_rsa")
    put(tmp_path, "id_rsa", "-----BEGIN RSA PRIVATE KEY-----\n")
    put_script(root, "hello.py", "python", HELLO["python"])
    done = run_exthost("check", "--root", str(root))
    assert done.returncode == 0, done
    warned = sorted(line.partition(":")[0] for line in done.stdout.decode().splitlines()
                    if "Fossil" in line)
    assert warned == ["a.py", "key.txt", "sub/b.db"]


def test_what_check_warns_of_is_what_a_real_fossil_sends(start_fossil, root):
    names = [*NEVER, "hello.py"]
    fossil = start_fossil(root)
    sent = {name for name in names if fossil.get("/" + name).body == (root / name).read_bytes()}
    assert sent == set(NEVER)


@pytest.mark.parametrize(
    "name", ["a.py", "sub/b.db", "key.txt", ".hidden/c.py", ".d.py", "e f.py", "-g.py", "h~.py",
             "-i/j.py"])
def test_check_and_a_real_fossil_have_one_rule_for_names(start_fossil, tmp_path, name):
    put(tmp_path / "root", name,
        SECRET if name != "key.txt" else "-----BEGIN RSA PRIVATE KEY-----\n")
    done = run_exthost("check", "--root", str(tmp_path / "root"))
    reply = start_fossil(tmp_path / "root").get("/" + urllib.parse.quote(name))
    assert (f"{name}: warning" in done.stdout.decode()) == (reply.status == 200), (done, reply)


def test_check_is_silent_where_nothing_is_to_be_said(tmp_path):
    put(tmp_path, "style.css", "x")
    put_script(tmp_path, "hello.py", "python", HELLO["python"])
    done = run_exthost("check", "--root", str(tmp_path))
    assert (done.returncode, done.stdout.decode()) == (
        0, f"{tmp_path}: 1 extensions, all would run\n")


@pytest.mark.parametrize("first, says", [
    ("", "no shebang line"), ("#!/does/not/exist/python3\n", "/does/not/exist/python3"),
    ("#!{relay}\r\n", "CR LF"),
    ("#!{relay} python\n", None)])
def test_check_names_what_fossil_cannot_start_and_sends_as_an_empty_page(
        start_host, start_fossil, tmp_path, first, says):
    root = tmp_path / "root"
    put(root, "x.py", first.format(relay=RELAY) + HELLO["python"], executable=True)
    # Fossil limits the memory of what it starts, and with a sanitizer the host needs more than
    # that.
    start_host(root)
    done = run_exthost("check", "--root", str(root))
    warned = [line for line in done.stdout.decode().splitlines()
              if line.startswith("x.py: warning: ")]
    assert done.returncode == 0 and len(warned) == (1 if says else 0), done
    assert says is None or says in warned[0]
    assert (b"hello" in start_fossil(root).get("/x.py").body) == (says is None)


@pytest.mark.parametrize("first, word, known", [
    ("#!{relay} ruby\n", "ruby", "python, tcl"),
    ("#!{relay} --sokcet /x python\n", "--sokcet", "--socket PATH"),
    ("#!/bin/sh\n", "sh", "python, tclsh"),
    ("#!/usr/bin/python3 other.py\n", "other.py", "options of python3")])
def test_check_and_the_log_name_an_unknown_word_of_a_shebang_line(
        start_host, tmp_path, first, word, known):
    put(tmp_path, "x.py", first.format(relay=RELAY) + HELLO["python"], executable=True)
    done = run_exthost("check", "--root", str(tmp_path))
    assert done.returncode == 1
    told = done.stdout.decode().splitlines()[0]
    assert told.startswith("x.py: ") and f"shebang line has '{word}'" in told and known in told
    host = start_host(tmp_path)
    assert host.get("/x.py").status == 500
    host.wait_line("x.py", f"shebang line has '{word}'", known)
