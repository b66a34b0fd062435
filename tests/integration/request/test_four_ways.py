"""The same cases for each language and for each way a request can take to an extension."""

import functools
import random
import zlib

import pytest

from support.host import SUFFIX, environment_bytes
from support.log_lines import request_ids
from support.waiting import wait_for
from support.ways import WAYS


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture
def send(site, way, language):
    """send(method, "hello?x", ...): a request to a script of this language, this way."""
    def send(method, script, headers=(), body=None, timeout=20.0):
        name, question, query = script.partition("?")
        name, slash, rest = name.partition("/")
        target = f"/{language}/{name}{SUFFIX[language]}{slash}{rest}{question}{query}"
        return site.send(way, method, target, headers, body, timeout)
    return send


@functools.cache
def random_bytes(size):
    return random.Random(size).randbytes(size)


def test_a_script_says_hello_and_gets_the_query_string(send, language):
    reply = send("GET", "hello?a=1&b=%20two+three")
    assert reply.status == 200
    assert reply.header("Content-Type") == "application/octet-stream"
    assert reply.text == f"Hello from {language}: a=1&b=%20two+three\n"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 10_000_000])
def test_a_body_comes_back_as_it_was_sent(send, size):
    body = random_bytes(size)
    reply = send("POST", "echo", [("Content-Type", "application/octet-stream")], body, timeout=60)
    assert reply.status == 200
    assert len(reply.body) == size
    assert zlib.crc32(reply.body) == zlib.crc32(body)


def test_standard_input_ends_behind_the_body(send):
    body = random_bytes(100_000)
    reply = send("POST", "read_to_eof", [("Content-Type", "application/octet-stream")], body)
    assert (reply.status, reply.text) == (200, f"{len(body)} {zlib.crc32(body)}\n")


def test_bytes_that_are_no_text_pass_in_a_variable(send, way, language):
    sent = b"caf\xe9 \xff"
    found = environment_bytes(send("GET", "env", [("Referer", sent)]))
    # Tcl 8.6 has no way to keep such bytes: each becomes the character of its number.
    expected = sent if language == "python" else sent.decode("latin-1").encode()
    assert found["HTTP_REFERER"] == expected


def test_text_passes_in_a_variable(send):
    sent = "caf\u00e9 \u65e5\u672c".encode()
    reply = send("GET", "env", [("Referer", sent)])
    assert environment_bytes(reply)["HTTP_REFERER"] == sent


def test_bytes_that_are_no_text_pass_in_header_and_body_of_a_reply(send):
    reply = send("GET", "binary")
    assert reply.status == 200
    assert reply.header("X-Bytes") == "caf\xe9 \xff"
    assert reply.body == bytes(range(256))


def test_an_exception_is_a_page_with_the_id_that_the_log_has(send, language):
    reply = send("GET", "exception")
    assert reply.status == 500
    assert reply.header("Content-Type").startswith("text/html")
    assert "a secret went" not in reply.text
    ids = [i for i in request_ids(wait_for_log(reply, "a secret went <wrong>")) if i in reply.text]
    assert ids, (reply.text, reply.log())


def wait_for_log(reply, text):
    return wait_for(lambda: [line for line in reply.log() if text in line],
                    f"a log line with {text!r}")


def test_status_and_headers_pass(send):
    reply = send("GET", "status_404")
    assert reply.status == 404
    assert reply.header("X-First") == "one"
    assert reply.header("x-second") == "two: three"
    assert reply.text == "nothing here\n"


def test_a_redirect_keeps_its_cookies(send):
    reply = send("GET", "redirect")
    assert reply.status == 302
    assert reply.header("Location").endswith("/elsewhere")
    assert [cookie for cookie in reply.all("Set-Cookie") if not cookie.startswith("fossil-")] == [
        "first=1", "second=2"]


def test_two_hundred_headers_pass(send):
    reply = send("GET", "headers_200")
    assert reply.status == 200
    found = {name: value for name, value in reply.headers if name.startswith("X-Header-")}
    assert found == {f"X-Header-{i}": f"value {i}" for i in range(200)}
    assert reply.text == "body\n"


def test_what_stands_behind_the_script_is_path_info(send, way, language):
    found = environment_bytes(send("GET", "env/more/of-it.txt?x=1"))
    prefix = b"/ext" if way == "fossil" else b""
    script = f"/{language}/env{SUFFIX[language]}".encode()
    assert found["PATH_INFO"] == b"/more/of-it.txt"
    assert found["SCRIPT_NAME"] == prefix + script
    assert found["QUERY_STRING"] == b"x=1"
    assert found["SCRIPT_FILENAME"].endswith(script)


def test_head_is_answered_with_the_headers(send, way, language):
    reply = send("HEAD", "status_404")
    assert reply.status == 404
    assert reply.header("X-First") == "one"
    if way in ("nginx", "fossil"):
        assert reply.body == b""


def test_a_body_that_is_not_read_does_no_harm(send):
    reply = send("POST", "unread_body", [("Content-Type", "application/octet-stream")],
                 random_bytes(300_000))
    assert (reply.status, reply.text) == (200, "not read\n")


def test_five_megabytes_come_whole(send):
    reply = send("GET", "large?5000000")
    assert reply.status == 200
    assert len(reply.body) == 5_000_000
    assert reply.body.startswith(b"0123456789abcdef0123")


def test_a_script_may_write_to_descriptor_1_itself(send):
    reply = send("GET", "descriptor_1")
    assert (reply.status, reply.text) == (200, "one\ntwo\nthree\nfour\n")
