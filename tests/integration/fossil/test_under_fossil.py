"""
What Fossil does to the programs it starts, and what exthost makes of it: each row of the table
"Running under Fossil" of the design, with a real Fossil and the relay. Where it is a fault, a
second test shows that plain CGI suffers it, so that nobody takes the cure for superfluous.
"""

import functools
import os
import random
import signal
import threading

import pytest

from support.host import (EXTHOST, PLAIN, RELAY, SCRIPTS, SUFFIX, copy_scripts, environment_of,
                          path, put, put_script, sanitized)
from support.processes import lives
from support.servers import Fossil
from support.waiting import wait_for

BINARY = [("Content-Type", "application/octet-stream")]
MEGABYTE = random.Random(1).randbytes(1_000_000)
# How long a test waits before it believes that a plain CGI program hangs.
HANGS = 2.0
# The relay itself is started by Fossil; so is exthost, in a cold run.
starts_exthost = pytest.mark.skipif(
    sanitized(), reason="Fossil limits a program's memory to 1 GB, less than a sanitizer maps")


@pytest.fixture(scope="module")
def plain_fossil(tmp_path_factory):
    """Fossil with the same scripts as plain CGI programs."""
    server = Fossil(copy_scripts(tmp_path_factory.mktemp("plain"), plain=True))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cold_fossil(tmp_path_factory):
    """Fossil with the same scripts for the relay, and no host."""
    server = Fossil(copy_scripts(tmp_path_factory.mktemp("cold")))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def fossil(site):
    return site.fossil


@pytest.fixture(scope="module")
def log_in(fossil):
    return fossil.log_in()


@pytest.fixture
def script(language):
    return functools.partial(path, language)


# Fossil never closes the body pipe before it has read the reply.

def test_a_script_that_reads_to_the_end_is_not_kept_waiting(fossil, script):
    reply = fossil.request("POST", script("read_to_eof"), BINARY, MEGABYTE)
    assert reply.status == 200
    assert reply.text.startswith("1000000 ")


def test_plain_cgi_that_reads_to_the_end_hangs(plain_fossil, script):
    with pytest.raises(TimeoutError):
        plain_fossil.request("POST", script("read_to_eof"), BINARY, b"body", timeout=HANGS)


# Without a Content-Type Fossil 2.21 keeps the body to itself, and CONTENT_LENGTH stands all the
# same.

@pytest.mark.parametrize("name, answer", [("unread_body", "not read\n"), ("read_to_eof", "0 0\n")])
def test_a_body_that_fossil_keeps_to_itself_is_not_waited_for(fossil, script, name, answer):
    reply = fossil.request("POST", script(name), body=b"body", timeout=5)
    assert reply.status == 400 or (reply.status, reply.text) == (200, answer)


@starts_exthost
@pytest.mark.parametrize("name, answer", [("unread_body", "not read\n"), ("read_to_eof", "0 0\n")])
def test_a_cold_run_does_not_wait_for_it_either(cold_fossil, script, name, answer):
    reply = cold_fossil.request("POST", script(name), body=b"body", timeout=5)
    assert reply.status == 400 or (reply.status, reply.text) == (200, answer)


def test_plain_cgi_that_reads_a_body_that_fossil_keeps_to_itself_hangs(plain_fossil, script):
    with pytest.raises(TimeoutError):
        plain_fossil.request("POST", script("echo"), body=b"body", timeout=HANGS)


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_a_body_of_a_type_that_fossil_knows_comes_whole(fossil, script, kind):
    reply = fossil.request("POST", script("echo"), [("Content-Type", kind)], b"a=1&b=two+three")
    assert (reply.status, reply.body) == (200, b"a=1&b=two+three")


# Fossil writes the whole body before it reads any output.

def test_much_output_before_a_large_body_is_read_comes_whole(fossil, script):
    reply = fossil.request("POST", script("output_before_body"), BINARY, MEGABYTE)
    assert reply.status == 200
    assert reply.body[:200_000] == (b"x" * 999 + b"\n") * 200
    assert reply.body[200_000:].startswith(b"1000000 ")


def test_plain_cgi_with_much_output_before_a_large_body_is_read_hangs(plain_fossil, script):
    with pytest.raises(TimeoutError):
        plain_fossil.request("POST", script("output_before_body"), BINARY, MEGABYTE, timeout=HANGS)


# Fossil takes an empty reply for success.

@pytest.mark.parametrize("failure", ["exception", "exit_3", "silent", "crash"])
def test_no_output_is_an_error_page(fossil, script, failure):
    reply = fossil.get(script(failure))
    assert reply.status in (500, 502)
    assert b"fossil-doc" in reply.body or b"<html" in reply.body


@pytest.mark.parametrize("failure", ["exception", "exit_3", "silent", "crash"])
def test_no_output_of_plain_cgi_is_an_empty_200(plain_fossil, script, failure):
    reply = plain_fossil.get(script(failure))
    assert reply.status == 200
    assert reply.body == b""


# Fossil copies a bad header line into its reply, and splits one of 1000 bytes or more in two.

@pytest.mark.parametrize("bad", ["control_header?return", "control_header?one", "long_header?999",
                                 "long_header?5000", "no_header"])
def test_a_bad_header_is_an_error_page(fossil, script, bad):
    name, _, query = bad.partition("?")
    reply = fossil.get(script(name) + ("?" + query if query else ""))
    assert reply.status == 500
    assert b"X-Injected" not in reply.raw and b"X-Bad" not in reply.raw
    assert b"aaaaaaaa" not in reply.raw


def test_a_header_of_998_bytes_passes_unharmed(fossil, script):
    reply = fossil.get(script("long_header") + "?998")
    assert reply.status == 200
    assert reply.header("X-Long") == "a" * (998 - len("X-Long: "))
    assert reply.text == "body\n"


def test_plain_cgi_puts_a_control_character_into_the_reply(plain_fossil, script):
    reply = plain_fossil.get(script("control_header"))
    assert reply.status == 200
    assert b"one\x01two" in reply.raw


def test_plain_cgi_with_a_header_of_1200_bytes_gives_a_corrupt_reply(plain_fossil, script):
    reply = plain_fossil.get(script("long_header") + "?1200")
    assert reply.status == 200
    # The rest of the line is taken for another header, or for the body.
    assert reply.header("X-Long") != "a" * (1200 - len("X-Long: "))


# Fossil never looks at the exit status.

@pytest.mark.parametrize("size", [100, 400_000, 3_000_000])
def test_a_script_killed_half_way_is_an_error_page_whatever_it_wrote(fossil, script, size):
    reply = fossil.get(script("crash") + f"?{size}")
    assert reply.status in (500, 502)
    assert b"xxxxxxxx" not in reply.body


def test_an_exception_half_way_is_an_error_page(fossil, script):
    reply = fossil.get(script("exception_late"))
    assert reply.status == 500
    assert b"half a page" not in reply.body


def test_a_plain_cgi_program_killed_half_way_is_a_complete_200(plain_fossil, script):
    reply = plain_fossil.get(script("crash") + "?5000")
    assert reply.status == 200
    assert reply.body.startswith(b"xxxxxxxx")


# Without a Content-Length Fossil reads on until the relay's process is gone.

def test_fossil_is_told_how_long_a_reply_is(site, language):
    reply = site.host.as_fossil("GET", f"{language}/hello{SUFFIX[language]}", query="x").reply()
    assert (reply.status, reply.header("Content-Length")) == (200, str(len(reply.body)))


@pytest.mark.parametrize("header, body, told, sent", [
    ("Content-Length: 3", "abc", ["3"], "abc"), ("Content-Length: 2", "abc", ["2"], "ab"),
    ("Status: 204", "", [], ""), ("Status: 204", "abc", [], ""), ("X-Empty: 1", "", [], "")])
def test_what_the_script_says_of_its_length_stands_and_nothing_has_none(
        site, header, body, told, sent):
    put_script(site.root, "python/length.py", "python",
               f'print("Content-Type: text/plain\\n{header}\\n\\n{body}", end="")\n')
    reply = site.host.as_fossil("GET", "python/length.py").reply()
    assert (reply.all("Content-Length"), reply.body) == (told, sent.encode())


def test_only_fossil_is_told(site, language):
    assert site.host.get(f"/{language}/hello{SUFFIX[language]}").header("Content-Length") is None


# What no web server could send on Fossil cannot either.

@pytest.mark.parametrize("printed, status, body", [
    ("Status: 103 Early Hints\\n\\nnever", 500, None),
    ("Status: 200 OK\\nStatus: 404 Not Found\\n\\nnever", 500, None),
    ("Content-Length: 4\\nContent-Length: 5\\n\\nnever", 500, None),
    ("Transfer-Encoding: chunked\\n\\n5\\r\\nnever\\r\\n0\\r\\n\\r\\n", 500, None),
    ("Status: 204 No Content\\n\\nnever", 204, b""), ("Status: 304\\n\\nnever", 304, b""),
    ("Content-Type: text/x\\nContent-Length: 4\\n\\npage and never", 200, b"page"),
    ("Content-Type: text/x\\nConnection: never\\n\\npage", 200, b"page"),
    ("Status: 201 Made\\nContent-Type: text/x\\n\\npage", 201, b"page"),
    ("Status: 404\\nContent-Type: text/x\\n\\npage", 404, b"page")])
def test_fossil_gets_a_reply_that_it_can_send_or_a_500(site, fossil, printed, status, body):
    put_script(site.root, "python/printed.py", "python", f'print("{printed}", end="")\n')
    reply = fossil.get("/python/printed.py")
    assert reply.status == status and b"never" not in reply.raw, reply
    assert body is None or reply.body == body
    assert reply.raw.count(b"HTTP/1.1") + reply.raw.count(b"HTTP/1.0") == 1


# Fossil stops reading headers at Location.

def test_cookies_behind_the_location_of_a_redirect_are_kept(fossil, script):
    reply = fossil.get(script("redirect"))
    assert reply.status == 302
    assert reply.header("Location").endswith("/elsewhere")
    assert reply.all("Set-Cookie") == ["first=1", "second=2"]


def test_plain_cgi_loses_the_cookies_behind_a_location(plain_fossil, script):
    reply = plain_fossil.get(script("redirect"))
    assert reply.status == 302
    assert reply.all("Set-Cookie") == []


# Fossil gives CGI and FOSSIL_ variables and nothing else.

def test_the_variables_that_fossil_leaves_out_are_filled_in(fossil, script):
    found = environment_of(fossil.get(script("env") + "/info?q=1"))
    assert found["PATH"] == "/usr/bin:/bin"
    assert found["SERVER_PORT"] == str(fossil.port)
    assert found["SERVER_PROTOCOL"].startswith("HTTP/1.")
    assert found["GATEWAY_INTERFACE"].startswith("CGI/1.")
    assert found["REQUEST_METHOD"] == "GET"
    assert found["PATH_INFO"] == "/info"
    assert "UTF-8" in found.get("LANG", found.get("LC_ALL", "")).upper()


def test_what_fossil_says_of_itself_and_the_user_is_passed_on(fossil, log_in, script):
    found = environment_of(fossil.get(script("env"), log_in))
    assert found["FOSSIL_USER"] == "admin"
    assert "s" in found["FOSSIL_CAPABILITIES"] or "a" in found["FOSSIL_CAPABILITIES"]
    assert len(found["FOSSIL_NONCE"]) > 20
    assert found["FOSSIL_REPOSITORY"] == fossil.repository
    assert found["DOCUMENT_ROOT"].endswith(os.path.dirname(os.path.dirname(
        found["SCRIPT_FILENAME"])))


def test_nothing_else_of_fossils_or_the_hosts_environment_is_passed_on(fossil, script):
    found = environment_of(fossil.get(script("env")))
    known = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "TMPDIR", "DOCUMENT_ROOT",
             "GATEWAY_INTERFACE", "PATH_INFO", "PATH_TRANSLATED", "QUERY_STRING", "AUTH_TYPE",
             "AUTH_CONTENT", "CONTENT_LENGTH", "CONTENT_TYPE", "SERVER_NAME", "SERVER_PORT",
             "SERVER_PROTOCOL", "SERVER_SOFTWARE", "SERVER_ADDR", "HTTPS"}
    prefixes = ("HTTP_", "FOSSIL_", "SCRIPT_", "REQUEST_", "REMOTE_")
    assert [name for name in found if name not in known and not name.startswith(prefixes)] == []
    assert "HTTP_PROXY" not in found


def test_a_relative_path_of_the_repository_is_made_absolute(site, start_fossil, script):
    assert site.host.program.running()
    fossil = start_fossil(site.root, relative=True)
    assert environment_of(fossil.get(script("env")))["FOSSIL_REPOSITORY"] == fossil.repository


def test_plain_cgi_gets_the_repository_as_it_was_typed(tmp_path, start_fossil, script):
    fossil = start_fossil(copy_scripts(tmp_path, plain=True), relative=True)
    assert environment_of(fossil.get(script("env")))["FOSSIL_REPOSITORY"] == "project.fossil"


# Fossil starts the program in Fossil's own directory, with Fossil's descriptors open.

def test_a_script_runs_in_its_own_folder(site, fossil, script, language):
    reply = fossil.get(script("arguments"))
    assert f"directory {site.root}/{language}\n" in reply.text


def test_no_descriptor_of_fossils_reaches_a_script_or_what_it_starts(fossil, script):
    reply = fossil.get(script("descriptors"))
    assert reply.status == 200
    here, following, child = reply.text.splitlines()
    # One is the host's own, at a number that no script gets from open(), and closed on exec.
    assert len(here.split()) == 2 and int(here.split()[1]) >= 250
    assert following == "next: 3"
    assert child == "child:"


# Fossil wraps some types in its own page; that stays as it is.

def test_a_page_of_the_library_is_shown_in_fossils_skin(fossil, script):
    reply = fossil.get(script("page"))
    assert reply.status == 403
    assert "<p id='here'>text</p>" in reply.text
    assert "A &lt;title&gt; &amp; more" in reply.text.replace("&quot;", '"')
    assert "</html>" in reply.text and "timeline" in reply.text


def test_an_error_page_is_shown_in_fossils_skin(fossil, script):
    reply = fossil.get(script("exception"))
    assert reply.status == 500
    assert "</html>" in reply.text and "timeline" in reply.text


# What an extension cannot have under Fossil.

def test_fossil_has_no_extension_for_a_query_with_name(fossil, script):
    assert fossil.get(script("hello") + "?name=x").status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_fossil_refuses_other_methods(fossil, script, method):
    assert fossil.request(method, script("hello")).status == 501


# How the relay finds the host, and what it does without one.

@starts_exthost
def test_without_a_host_the_relay_runs_the_request_cold(cold_fossil, script, language):
    fossil = cold_fossil
    reply = fossil.get(script("hello") + "?cold")
    assert (reply.status, reply.text) == (200, f"Hello from {language}: cold\n")
    reply = fossil.request("POST", script("read_to_eof"), BINARY, MEGABYTE)
    assert reply.text.startswith("1000000 ")
    assert fossil.get(script("exception")).status == 500
    assert fossil.get(script("control_header") + "?return").status == 500
    assert fossil.get(script("crash") + "?400000").status in (500, 502)
    found = environment_of(fossil.get(script("env")))
    assert found["FOSSIL_REPOSITORY"] == fossil.repository
    assert found["PATH"] == "/usr/bin:/bin"


def test_the_relay_uses_the_host_that_listens_in_the_extension_root(site, fossil, script):
    since = site.host.log_position()
    assert fossil.get(script("hello") + "?warm").status == 200
    site.host.wait_line("hello", "status=200", since=since)


def test_the_relay_uses_the_socket_named_in_the_first_line(tmp_path, start_host, start_fossil,
                                                           language):
    host = start_host(tmp_path, listen=["unix:{folder}/named,trust=fossil"])
    copy_scripts(tmp_path, options=f"--socket {host.folder}/named")
    fossil = start_fossil(tmp_path)
    reply = fossil.get(f"/{language}/hello{SUFFIX[language]}?named")
    assert (reply.status, reply.text) == (200, f"Hello from {language}: named\n")
    host.wait_line("hello", "status=200")


def test_the_extension_root_may_have_a_longer_path_than_a_socket(tmp_path, start_host,
                                                                 start_fossil, language):
    root = tmp_path / ("long-" + "a" * 100) / ("long-" + "b" * 100)
    root.mkdir(parents=True)
    copy_scripts(root)
    host = start_host(root, listen=["relay"])
    reply = start_fossil(root).get(f"/{language}/hello{SUFFIX[language]}?far")
    assert (reply.status, reply.text) == (200, f"Hello from {language}: far\n")
    host.wait_line("hello", "status=200")


def test_serve_listens_for_the_relay_when_nothing_else_is_said(tmp_path, start_host,
                                                               start_fossil):
    copy_scripts(tmp_path)
    host = start_host(tmp_path, listen=[])
    assert start_fossil(tmp_path).get("/python/hello.py").status == 200
    host.wait_line("hello.py", "status=200")


@starts_exthost
def test_a_host_that_dies_is_a_502_and_then_the_relay_runs_cold(tmp_path, start_host, start_fossil,
                                                                language):
    copy_scripts(tmp_path)
    host = start_host(tmp_path, listen=["relay"])
    fossil = start_fossil(tmp_path)
    replies = []
    thread = threading.Thread(target=lambda: replies.append(
        fossil.get(f"/{language}/sleep{SUFFIX[language]}?8000")))
    thread.start()
    host.wait_line("sleeping")
    family = host.pids()
    os.kill(host.pid, signal.SIGKILL)
    thread.join(15)
    host.kill()
    assert [reply.status for reply in replies] == [502]
    wait_for(lambda: not [pid for pid in family if lives(pid)], "the host's processes end with it")
    assert os.path.exists(tmp_path / ".exthost.sock")
    reply = fossil.get(f"/{language}/hello{SUFFIX[language]}?after")
    assert (reply.status, reply.text) == (200, f"Hello from {language}: after\n")


def test_names_that_begin_with_a_dot_are_not_served(site, fossil):
    assert site.host.program.running()
    assert fossil.get("/.exthost.sock").status == 404


def test_a_static_file_is_fossils_own_affair(fossil):
    reply = fossil.get("/python/static.txt")
    assert reply.status == 200
    assert "A static file." in reply.text


@starts_exthost
def test_a_script_whose_first_line_names_an_interpreter_runs_where_that_is_a_link_to_exthost(
        tmp_path, start_fossil, language):
    link = tmp_path / "bin" / os.path.basename(PLAIN[language])
    link.parent.mkdir()
    link.symlink_to(EXTHOST)
    source = SCRIPTS / language / f"hello{SUFFIX[language]}"
    put(tmp_path, f"root/{source.name}", f"#!{link}\n" + source.read_text().split("\n", 1)[1])
    reply = start_fossil(tmp_path / "root").get(f"/{source.name}?linked")
    assert (reply.status, reply.text) == (200, f"Hello from {language}: linked\n")


# A link to the relay may have an interpreter's name, or be env.

@pytest.mark.parametrize("name, words", [("python3", ""), ("python3", " -u"), ("env", " python3"),
                                         ("env", " -S python3 -u")])
def test_a_script_whose_first_line_names_a_link_to_the_relay_is_relayed(
        tmp_path, start_host, start_fossil, name, words):
    link = tmp_path / "bin" / name
    link.parent.mkdir()
    link.symlink_to(RELAY)
    source = SCRIPTS / "python" / "read_to_eof.py"
    put(tmp_path, "root/a.py", f"#!{link}{words}\n" + source.read_text().split("\n", 1)[1])
    host = start_host(tmp_path / "root", listen=["relay"])
    reply = start_fossil(tmp_path / "root").request("POST", "/a.py", BINARY, b"body")
    assert (reply.status, reply.text.split()[0]) == (200, "4")
    host.wait_line("a.py", "status=200")


@starts_exthost
def test_what_an_extension_starts_by_such_a_link_is_the_interpreter(
        tmp_path, start_host, start_fossil):
    link = tmp_path / "bin" / "python3"
    link.parent.mkdir()
    link.symlink_to(RELAY)
    put(tmp_path, "root/a.py", f"#!{link}\n" + """import os, subprocess, sys
print("Content-Type: application/json\\n\\n" if "AGAIN" not in os.environ else "the interpreter")
sys.stdout.flush()
if "AGAIN" not in os.environ:
    os.environ["AGAIN"] = "1"
    subprocess.run([LINK, __file__], check=True)
""".replace("LINK", repr(str(link))))
    host = start_host(tmp_path / "root", listen=["relay"])
    reply = start_fossil(tmp_path / "root").get("/a.py")
    assert (reply.status, reply.text.strip()) == (200, "the interpreter")
    assert len([line for line in host.program.log() if "a.py status=200" in line]) <= 1
