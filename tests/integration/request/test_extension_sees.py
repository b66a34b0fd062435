"""What an extension sees: as under CGI, and nothing that was before it."""

import os
import zlib

import pytest

from support import fastcgi
from support.host import SUFFIX, environment_of, path, put, put_script, run_plain
from support.marks import LANGUAGES

ADDED = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}


@LANGUAGES
def test_the_environment_is_the_requests_and_nothing_else(host, site, language):
    sent = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": path(language, "env"), "QUERY_STRING": "a=b",
            "SERVER_NAME": "example.org", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": "test", "GATEWAY_INTERFACE": "CGI/1.1", "HTTP_X_THING": "thing"}
    with fastcgi.Connection(host.socket) as connection:
        found = environment_of(connection.run(sent).reply())
    assert found == {**sent, **ADDED, "PATH_INFO": "", "DOCUMENT_ROOT": str(site.root),
                     "SCRIPT_FILENAME": f"{site.root}{path(language, 'env')}"}


@LANGUAGES
def test_a_proxy_header_never_becomes_http_proxy(host, language):
    assert "HTTP_PROXY" not in environment_of(
        host.get(path(language, "env"), [("Proxy", "http://evil/")]))


@LANGUAGES
@pytest.mark.parametrize("given, port", [
    ({"HTTP_HOST": "example.org:8443"}, "8443"), ({"HTTP_HOST": "example.org"}, "80"),
    ({"HTTP_HOST": "example.org", "HTTPS": "on"}, "443"), ({"HTTP_HOST": "[::1]:99"}, "99")])
def test_what_fossil_does_not_send_is_filled_in(host, language, given, port):
    found = environment_of(host.as_fossil("GET", path(language, "env")[1:], **given).reply())
    assert found["SERVER_PORT"] == port
    assert found["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert {name: found[name] for name in ADDED} == ADDED


@LANGUAGES
def test_standard_input_is_the_body_and_then_its_end(host, language):
    body = os.urandom(70_000)
    reply = host.run("POST", path(language, "read_to_eof"), body=body).reply()
    assert reply.text == f"{len(body)} {zlib.crc32(body)}\n"


@LANGUAGES
def test_without_a_body_standard_input_is_at_its_end(host, language):
    assert host.get(path(language, "read_to_eof")).text == "0 0\n"


@LANGUAGES
def test_standard_error_goes_to_the_log_tagged_and_never_to_the_web_server(host, language):
    since = host.log_position()
    outcome = host.run("GET", path(language, "stderr"))
    assert outcome.reply().text == "replied\n" and outcome.stderr == b""
    first = host.wait_line("first complaint", path(language, "stderr")[1:], since=since)
    access = host.wait_line("status=200", path(language, "stderr")[1:], since=since)
    request = first.split("[")[1].split("]")[0]
    assert f"[{request}]" in access
    host.wait_line("second complaint", request, since=since)


@LANGUAGES
def test_a_script_is_started_as_under_cgi(host, site, language):
    reply = host.get(path(language, "arguments"))
    script = site.root / path(language, "arguments")[1:]
    plain = run_plain(language, script, {"REQUEST_METHOD": "GET"})
    assert reply.text == plain.stdout.decode().split("\n\n", 1)[1]
    assert f"directory {site.root}/{language}\n" in reply.text


@LANGUAGES
def test_a_script_has_no_signal_blocked(start_host, tmp_path, language):
    put_script(tmp_path, "masks" + SUFFIX[language], language, {"python": """
print("Content-Type: text/plain\\n\\n" + open("/proc/self/status").read())
""", "tcl": """
puts "Content-Type: text/plain\\n\\n[read [open /proc/self/status]]"
"""}[language])
    text = start_host(tmp_path).get("/masks" + SUFFIX[language]).text
    (blocked,) = [line.split()[1] for line in text.splitlines() if line.startswith("SigBlk:")]
    assert int(blocked, 16) == 0


ENDS = {
    "python": ["sys.exit", "sys.exit-0", "exit", "raise", "os._exit", "close", "close-1", "none"],
    "tcl": ["exit", "exit-0", "return", "in-proc", "after", "close", "none"]}


@pytest.mark.parametrize("language, how",
                         [(n, how) for n, all_of in ENDS.items() for how in all_of])
def test_every_way_to_end_well_gives_the_whole_reply(host, language, how):
    reply = host.get(f"{path(language, 'exit')}?{how}")
    assert (reply.status, reply.text) == (200, "whole\n")


@LANGUAGES
def test_what_an_exit_handler_prints_is_in_the_reply(host, language):
    assert "from the exit handler" in host.get(path(language, "at_exit")).text


@LANGUAGES
def test_what_a_thread_or_the_event_loop_prints_at_the_end_is_in_the_reply(host, language):
    text = host.get(path(language, "threads")).text
    assert text == {"python": "from the script\nfrom the thread\n",
                    "tcl": "from the script\nfrom the event loop\n"}[language]


@LANGUAGES
def test_output_through_a_module_that_kept_it_and_straight_to_descriptor_1(host, language):
    assert host.get(path(language, "kept_output")).text == "kept\n"
    assert host.get(path(language, "descriptor_1")).status == 200


@LANGUAGES
def test_nothing_that_one_request_does_is_seen_by_the_next(host, language):
    for _ in range(4):
        reply = host.get(path(language, "changes"))
        assert reply.status == 200
        seen = dict(line.split(" ") for line in reply.text.splitlines())
        # The directory must be the script's own; anything else would be left over.
        assert seen.pop("directory") == "1"
        assert len(seen) > 3 and set(seen.values()) == {"0"}, seen


@LANGUAGES
def test_the_library_tells_about_the_request(host, language):
    reply = host.as_fossil("GET", path(language, "library")[1:], FOSSIL_USER="ada",
                           FOSSIL_CAPABILITIES="hj", FOSSIL_NONCE="abc",
                           FOSSIL_REPOSITORY="/tmp/r.fossil", FOSSIL_URI="/p").reply()
    told = dict(line.partition(" ")[::2] for line in reply.text.splitlines())
    assert (told["user"], told["capabilities"], told["nonce"]) == ("ada", "hj", "abc")
    assert (told["has-h"], told["has-s"], told["has-hj"], told["has-hs"]) == ("1", "0", "1", "0")
    assert told["repository"] == "/tmp/r.fossil"
    assert "<" not in told["escape"] and "&amp;" in told["escape"]


def test_the_library_tells_the_same_in_both_languages(host):
    both = [host.as_fossil("GET", path(language, "library")[1:], FOSSIL_USER="ada",
                           FOSSIL_CAPABILITIES="hj").reply().text for language in SUFFIX]
    assert both[0] == both[1]


@LANGUAGES
def test_the_librarys_page_is_in_fossils_skin_under_fossil_and_whole_elsewhere(host, language):
    inside = host.as_fossil("GET", path(language, "page")[1:]).reply()
    assert inside.status == 403 and "<div class='fossil-doc'" in inside.text.replace('"', "'")
    outside = host.get(path(language, "page"))
    assert outside.text.lstrip().lower().startswith("<!doctype html>")


NUMBERS = {
    "python": 'import random\nprint("Content-Type: text/plain\\n")\nprint(random.random())\n',
    "tcl": 'puts "Content-Type: text/plain\\n"\nputs [expr {rand()}]\n'}


@LANGUAGES
def test_random_numbers_differ_from_request_to_request(start_host, tmp_path, language):
    put_script(tmp_path, "random", language, NUMBERS[language])
    host = start_host(tmp_path)
    assert len({host.get("/random").text for _ in range(12)}) == 12


SLOW = {"python": "import random, json, tempfile\nprint('Content-Type: text/plain\\n')\nprint(1)\n",
        "tcl": "package require json::write\nputs \"Content-Type: text/plain\\n\"\nputs 1\n"}


@LANGUAGES
def test_a_module_that_is_loaded_again_and_again_is_preloaded(start_host, tmp_path, language):
    put_script(tmp_path, "slow", language, SLOW[language])
    host = start_host(tmp_path)
    for _ in range(3):
        assert host.get("/slow").status == 200
    wanted = {"python": "python:tempfile", "tcl": "tcl:json::write"}[language]
    host.wait_line(wanted, "is preloaded from now on")
    for _ in range(5):
        assert host.get("/slow").text == "1\n"


def test_a_module_of_the_extension_root_is_never_preloaded_and_a_change_is_seen(
        start_host, tmp_path):
    put_script(tmp_path, "user.py", "python",
               "import own\nprint('Content-Type: text/plain\\n')\nprint(own.value)\n")
    (tmp_path / "own.py").write_text("value = 'old'\n")
    host = start_host(tmp_path)
    for _ in range(5):
        assert host.get("/user.py").text == "old\n"
    (tmp_path / "own.py").write_text("value = 'newer'\n")
    assert host.get("/user.py").text == "newer\n"
    assert not any("own is preloaded" in line for line in host.program.log())


def test_a_module_that_does_something_when_it_is_imported_is_not_preloaded(start_host, tmp_path):
    put_script(tmp_path, "zen.py", "python",
               "print('Content-Type: text/plain\\n')\nimport random, tempfile\nimport this\n")
    host = start_host(tmp_path)
    for _ in range(3):
        assert "Namespaces" in host.get("/zen.py").text
    host.wait_line("python:tempfile", "is preloaded from now on")
    for _ in range(5):
        assert "Namespaces" in host.get("/zen.py").text


@pytest.mark.parametrize("name", ["json.py", "json/__init__.py"])
def test_a_module_beside_the_script_is_found_before_one_that_is_preloaded(
        start_host, tmp_path, name):
    put(tmp_path, name, "word = 'its own'\n")
    put_script(tmp_path, "script.py", "python",
               "import json\nprint('Content-Type: text/plain\\n')\nprint(json.word)\n")
    assert start_host(tmp_path).get("/script.py").text == "its own\n"


def test_a_script_with_a_zero_byte_is_what_it_is_under_python3(start_host, tmp_path):
    script = put_script(tmp_path, "zero.py", "python",
                        "print('Content-Type: text/plain\\n\\nfirst')\n"
                        "print('second')\0\nprint('third')\n")
    plain = run_plain("python", script, {})
    reply = start_host(tmp_path).get("/zero.py")
    assert (reply.status == 200) == (plain.returncode == 0)
    assert reply.status == 500 or reply.text == plain.stdout.decode().partition("\n\n")[2]


def test_the_client_of_a_script_that_leaves_a_process_behind_is_answered_at_once(
        start_host, tmp_path):
    put_script(tmp_path, "leaves.py", "python",
               "import subprocess\nprint('Content-Type: text/plain\\n', flush=True)\n"
               "subprocess.Popen(['/bin/sleep', '600'])\nprint('done')\n")
    host = start_host(tmp_path)
    assert host.run("GET", "/leaves.py", timeout=5).reply().text == "done\n"


def test_sys_executable_is_an_interpreter(start_host, tmp_path):
    put_script(tmp_path, "sub.py", "python",
               "import subprocess, sys\nprint('Content-Type: text/plain\\n', flush=True)\n"
               "subprocess.run([sys.executable, '-c', 'print(6 * 7)'], check=True)\n")
    host = start_host(tmp_path)
    assert host.get("/sub.py").text == "42\n"
