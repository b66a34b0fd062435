"""When something goes wrong: what the client gets, and what the log gets."""

import json
import os
import re
import select
import signal
import subprocess
import threading

import pytest

from support import fastcgi
from support.host import SUFFIX, path, put, put_script
from support.marks import LANGUAGES
from support.processes import named
from support.serving import WAYS, serve
from support.waiting import wait_for

SECRET = "a secret went <wrong>"


def is_page(reply, status):
    assert reply.status == status, reply
    assert reply.header("Content-Type").startswith("text/html")
    assert "<div class='fossil-doc' data-title=" in reply.text
    assert "Content-Length" in dict(reply.headers)
    return re.search(r"request ([0-9a-f]{16})", reply.text)[1]


def test_a_web_server_gets_a_whole_document_and_fossil_the_piece_for_its_skin(host):
    page = host.get("/nothing.py")
    is_page(page, 404)
    assert page.text.startswith("<!DOCTYPE html>\n") and page.text.endswith("</html>\n")
    assert "<title>404 Not Found</title>" in page.text and 'name="viewport"' in page.text
    piece = host.as_fossil("GET", "nothing.py").reply()
    assert piece.text.startswith("<div class='fossil-doc'") and piece.text.endswith("</div>\n")


@pytest.mark.parametrize("name, reason", [
    ("/nothing.py", "No such file"), ("/.exthost.sock", "begins with"), ("/a b", "character"),
    ("/../etc/passwd", "is . or .."), ("/python", "folder")])
def test_what_is_not_there_is_404_and_one_line_with_the_reason(host, name, reason):
    since = host.log_position()
    page = host.run("GET", "/x", SCRIPT_NAME=name).reply()
    request = is_page(page, 404)
    host.wait_line(f"[{request}]", "status=404", reason, since=since)
    assert len([line for line in host.program.log(since) if request in line]) == 1


def test_an_escape_from_the_root_is_404_with_the_reason(start_host, tmp_path):
    put(tmp_path, "outside.txt", "secret")
    put(tmp_path, "root/inside.txt", "x")
    (tmp_path / "root/link.txt").symlink_to("../outside.txt")
    host = start_host(tmp_path / "root")
    is_page(host.get("/link.txt"), 404)
    host.wait_line("status=404", "link.txt", "reason=")


def test_a_file_that_cannot_be_read_is_404_with_the_reason(start_host, tmp_path):
    put(tmp_path, "pipe", "")
    (tmp_path / "pipe").unlink()
    os.mkfifo(tmp_path / "pipe", 0o755)
    host = start_host(tmp_path)
    is_page(host.get("/pipe"), 404)
    host.wait_line("status=404", "not a regular file")


def test_a_language_that_is_not_ours_is_500_and_the_log_names_it(
        start_host, tmp_path):
    put(tmp_path, "x.pl", "#!/usr/bin/perl -w\nprint 1;\n")
    host = start_host(tmp_path)
    request = is_page(host.get("/x.pl"), 500)
    host.wait_line(request, "x.pl", "its shebang line has 'perl' as its program; known are")


@LANGUAGES
def test_an_exception_is_500_and_its_traceback_is_in_the_log_tagged(host, language):
    since = host.log_position()
    reply = host.get(path(language, "exception"))
    request = is_page(reply, 500)
    host.wait_line(request, SECRET, path(language, "exception")[1:], since=since)
    host.wait_line(request, "status=500", "exit status 1", since=since)
    assert "secret" not in reply.text and "inner" not in reply.text


@LANGUAGES
@pytest.mark.parametrize("capabilities, shown", [("s", True), ("a", True), ("D", True),
                                                 ("hjorz", False), ("", False)])
def test_who_may_administer_sees_the_traceback(host, language, capabilities, shown):
    reply = host.as_fossil("GET", path(language, "exception")[1:],
                           FOSSIL_CAPABILITIES=capabilities).reply()
    is_page(reply, 500)
    assert ("a secret went &lt;wrong&gt;" in reply.text) == shown


@LANGUAGES
def test_capabilities_from_an_untrusted_listener_show_nothing(host, language):
    reply = host.run("GET", path(language, "exception"), FOSSIL_CAPABILITIES="saD").reply()
    assert reply.status == 500 and "secret" not in reply.text


@LANGUAGES
def test_with_debug_everybody_sees_the_traceback(start_host, site, language):
    host = start_host(site.root, "--debug", listen=["unix:{folder}/s"])
    assert "a secret went &lt;wrong&gt;" in host.get(path(language, "exception")).text


@pytest.mark.parametrize("way", WAYS)
def test_with_debug_a_page_shows_the_end_of_a_long_standard_error(tmp_path, way):
    host = serve(way, tmp_path, "long.tcl", """# exthost: rerun
for {set i 0} {$i < 100000} {incr i} { puts stderr "line $i" }
error "what it was"
""", "--debug")
    try:
        reply = host.get("/long.tcl")
        assert reply.status == 500 and "what it was" in reply.text and "line 99999" in reply.text
        assert len(reply.body) < 32768 and "line 90000" not in reply.text
    finally:
        host.stop()


@LANGUAGES
@pytest.mark.parametrize("name", ["exit_3", "exception_late"])
def test_an_exit_other_than_0_is_500_even_behind_a_page(host, language, name):
    is_page(host.get(path(language, name)), 500)


@LANGUAGES
@pytest.mark.parametrize("name, said", [
    ("silent", "no output"), ("no_header", "Name: value"), ("control_header", "control character"),
    ("control_header?return", "control character"), ("long_header?8193", "8192 bytes"),
    ("long_header?40000", "the header block is longer than 32760 bytes")])
def test_a_bad_header_block_is_500_and_the_log_says_what_was_wrong(host, language, name, said):
    since = host.log_position()
    script, _, query = name.partition("?")
    request = is_page(host.get(f"{path(language, script)}?{query}"), 500)
    host.wait_line(request, "status=500", said, since=since)


HEADERS = {
    "no colon": "Content-Type: a/b\\nbroken",
    "a blank in the name": "Content-Type: a/b\\nX Y: 1",
    "a status that is none": "Status: fine",
    "a length that is none": "Content-Length: many",
    "a length the body does not reach": "Content-Type: a/b\\nContent-Length: 100",
}


@pytest.mark.parametrize("what", HEADERS)
def test_other_bad_headers_are_500(start_host, tmp_path, what):
    put_script(tmp_path, "bad.py", "python", f'print("{HEADERS[what]}\\n\\nbody")\n')
    host = start_host(tmp_path)
    is_page(host.get("/bad.py"), 500)


@LANGUAGES
@pytest.mark.parametrize("size", ["", "1000", "200000"])
def test_a_crash_before_anything_was_sent_is_500_and_the_log_names_the_signal(host, language, size):
    since = host.log_position()
    request = is_page(host.get(f"{path(language, 'crash')}?{size}"), 500)
    host.wait_line(request, "signal 11", path(language, "crash")[1:], since=since)


@LANGUAGES
def test_a_crash_is_no_complete_reply_though_its_template_is_slow_to_tell_of_it(
        start_host, site, language):
    # A host of its own: no other test may wait for these templates.
    host = start_host(site.root, listen=["unix:{folder}/s"])
    templates = named(host.pid, "exthost-templ")
    assert len(templates) == len(SUFFIX)
    try:
        for pid in templates:
            os.kill(pid, signal.SIGSTOP)
        with fastcgi.Connection(host.socket) as connection:
            target = f"{path(language, 'crash')}?1000"
            connection.send(fastcgi.begin())
            connection.params(fastcgi.variables("GET", target))
            connection.stdin(b"")
            # Longer than a script's closed output has to be followed by its end.
            assert not select.select([connection.socket], [], [], 1.5)[0]
            for pid in templates:
                os.kill(pid, signal.SIGCONT)
            is_page(connection.read_outcome().reply(), 500)
            host.wait_line("signal 11", path(language, "crash")[1:])
    finally:
        for pid in templates:
            os.kill(pid, signal.SIGCONT)


@LANGUAGES
def test_a_crash_in_a_reply_that_is_being_sent_ends_in_a_record_of_type_255_and_a_close(
        host, language):
    with fastcgi.Connection(host.socket) as connection:
        outcome = connection.run(fastcgi.variables("GET", f"{path(language, 'crash')}?500000"))
        assert outcome.stdout.startswith(b"Status: 200 OK\r\n") and len(outcome.stdout) > 400_000
        assert not outcome.ended and outcome.closed
        assert outcome.records[-1][0] == 255


@LANGUAGES
def test_nginx_breaks_off_a_reply_that_crashed_while_it_was_sent(site, language):
    done = subprocess.run(
        ["/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
         f"http://127.0.0.1:{site.nginx.port}{path(language, 'crash')}?5000000"],
        capture_output=True, text=True, timeout=30, check=False)
    # 18: a partial file; 56: the connection was reset. Only 0 would be a complete reply.
    assert done.returncode in (18, 56), (done.returncode, done.stdout)


@LANGUAGES
def test_the_relay_never_gets_half_a_page(site, language):
    reply = site.fossil.get(f"{path(language, 'crash')}?500000")
    assert reply.status == 500 and b"xxxx" not in reply.body


def test_a_body_over_the_limit_is_413_and_the_log_names_limit_and_size(start_host, site):
    host = start_host(site.root, "--max-body", "1000", listen=["unix:{folder}/s"])
    assert host.run("POST", "/python/echo.py", body=b"x" * 1000).reply().status == 200
    is_page(host.run("POST", "/python/echo.py", body=b"x" * 1001).reply(), 413)
    host.wait_line("status=413", "1001", "1000")


def test_a_body_over_the_limit_is_413_through_nginx(start_host, start_nginx, site):
    host = start_host(site.root, "--max-body", "1m", listen=["unix:{folder}/s"])
    reply = start_nginx(host.socket).request("POST", "/python/echo.py", body=b"x" * 3_000_000)
    assert reply.status == 413


def test_a_large_body_and_a_large_reply_go_through_the_folder_for_temporary_files(start_host, site):
    host = start_host(site.root, listen=["unix:{folder}/s,trust=fossil"])
    body = os.urandom(3_000_000)
    assert host.run("POST", "/tcl/echo.tcl", body=body).reply().body == body
    assert [name for name in os.listdir(host.folder) if name not in ("s", "t")] == []


@LANGUAGES
def test_a_fault_in_one_request_costs_no_other_its_reply(host, language):
    wrong = []

    def good():
        for i in range(25):
            reply = host.get(f"{path(language, 'hello')}?{i}")
            if (reply.status, reply.text) != (200, f"Hello from {language}: {i}\n"):
                wrong.append(reply)
    threads = [threading.Thread(target=good) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        assert host.get(path(language, "crash")).status == 500
        assert host.get(path(language, "exception")).status == 500
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_log_in_json_is_one_object_a_line(start_host, site):
    host = start_host(site.root, "--log-format", "json", listen=["unix:{folder}/s"])
    reply = host.get("/python/exception.py")
    request = is_page(reply, 500)
    wait_for(lambda: any('"status":500' in line for line in host.program.log()), "the access line")
    lines = [json.loads(line) for line in host.program.log()]
    mine = [line for line in lines if line.get("request") == request]
    assert {line["level"] for line in mine} == {"info", "error"}
    assert any(SECRET in line["message"] and line["script"] == "python/exception.py"
               for line in mine)
    assert [line["status"] for line in mine if "status" in line] == [500]
