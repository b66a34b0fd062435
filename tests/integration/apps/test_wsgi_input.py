"""wsgi.input: every way to read it, beside io.BytesIO as the oracle."""

import contextlib
import hashlib
import io
import os
import zlib

import pytest

from support.apps import Apps

LINES = b"".join(b"%d " % i * (i % 40) + b"\n" for i in range(4000)) + b"no end"
BODIES = {"empty": b"", "one byte": b"x", "a line": b"one line\n", "lines": b"a\n\nbc\n d",
          "one long line": b"-" * 200_000 + b"\nrest", "many lines": LINES,
          "binary": bytes(range(256)) * 700, "just the window": b"y\n" * 32768,
          "one more": b"z" * 65536 + b"\n"}
# What the validator lets pass, and what only PEP 3333 and files in Python do.
STRICT = ["[i.read(10), i.read(70000), i.read(0), i.read(10**9), i.read(1)]", "[i.readline()] * 2",
          "[i.readline(), i.read(3), i.readline(5), i.read(10**9)]", "i.readlines()", "list(i)",
          "[i.readlines(100000), i.read(10**9)]", "[next(iter(i), b''), i.read(5), i.readlines()]",
          "[i.readline(65536), i.readline(65537), i.read(10**9)]"]
FREE = ["[i.read()]", "[i.read(-1), i.read()]", "[i.read(None)]", "[i.readline(-1), i.read()]",
        "[i.readline(0), i.readline(None), i.read()]", "[i.readlines(-1)]", "[i.readlines(0)]",
        "[i.readlines(None)]", "io.BufferedReader(i).readlines()",
        "io.BufferedReader(i, 7).read()",
        "[i.readinto(b := bytearray(100)), bytes(b), i.read()]"]
BEFORE = "import io, zlib\n"
REPLY = """
i = environ["wsgi.input"]
start_response("200 OK", TEXT)
return [b"%d" % zlib.crc32(repr(%FORM%).encode())]
"""


def expected(form, body):
    found = eval(form, {"i": io.BytesIO(body), "io": io})  # pylint: disable=eval-used
    return b"%d" % zlib.crc32(repr(found).encode())


@pytest.mark.parametrize("form", STRICT)
def test_input_is_read_as_a_file_is(apps, form):
    url = apps.put(REPLY.replace("%FORM%", form), BEFORE)
    for name, body in BODIES.items():
        assert apps.get(url, "POST", body).body == expected(form, body), name


@pytest.mark.parametrize("form", FREE)
def test_input_is_read_in_ways_that_the_validator_does_not_know(plain_apps, form):
    url = plain_apps.put(REPLY.replace("%FORM%", form), BEFORE)
    for name, body in BODIES.items():
        assert plain_apps.get(url, "POST", body).body == expected(form, body), name


@pytest.mark.parametrize("option, status", [("--debug", 200), ("--validate", 500)])
def test_debug_lets_an_app_read_in_all_ways_and_the_validator_does_not(tmp_path, option, status):
    with contextlib.ExitStack() as stack:
        apps = Apps(tmp_path, option)
        stack.callback(apps.stop)
        url = apps.put(REPLY.replace("%FORM%", FREE[0]), BEFORE)
        reply = apps.get(url, "POST", b"body")
        assert reply.status == status, reply
        if status == 200:
            assert reply.body == expected(FREE[0], b"body")
        else:
            apps.host.wait_line("AssertionError")


def test_a_body_of_megabytes_is_read_in_pieces_and_mirrored(apps):
    url = apps.put("""
        start_response("200 OK", TEXT)
        while data := environ["wsgi.input"].read(100_000):
            yield data
        """)
    body = os.urandom(5_000_000)
    assert apps.get(url, "POST", body).body == body


def test_a_body_that_nobody_reads_is_in_nobodys_way(apps):
    url = apps.put("""
        start_response("200 OK", TEXT)
        wanted = int(environ["QUERY_STRING"])
        return [environ["wsgi.input"].read(wanted) if wanted else b"none"]
        """)
    assert apps.get(url + "?0", "POST", b"first body").body == b"none"
    assert apps.get(url + "?6", "POST", b"second body").body == b"second"
    assert apps.get(url + "?100", "POST", b"third").body == b"third"
    assert apps.get(url + "?100").body == b""


def test_input_that_was_kept_cannot_be_read_after_its_request(plain_apps):
    url = plain_apps.put("""
        kept.append(environ["wsgi.input"])
        start_response("200 OK", TEXT)
        found = []
        for i in kept:
            try:
                found.append(i.read())
            except ValueError as e:
                found.append(str(e).encode())
        return [b"|".join(found)]
        """, "kept = []")
    assert plain_apps.get(url, "POST", b"first").body == b"first"
    assert plain_apps.get(url, "POST", b"second").body == \
        b"wsgi.input is closed: its request is over|second"


@pytest.mark.parametrize("form, error", [
    ("i.read('1')", "TypeError"), ("i.read(1, 2)", "TypeError"), ("i.read(1.5)", "TypeError"),
    ("i.readline(2**70)", "OverflowError"), ("i.readinto(b'')", "BufferError"),
    ("i.seek(0)", "AttributeError")])
def test_a_wrong_argument_is_an_exception(plain_apps, form, error):
    plain_apps.fails(f"i = environ['wsgi.input']; {form}", error)


def test_a_body_is_read_through_nginx(apps, start_nginx):
    url = apps.put("""
        start_response("200 OK", TEXT)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return [hashlib.sha256(body).hexdigest().encode()]
        """, "import hashlib")
    nginx = start_nginx(apps.host.socket)
    body = os.urandom(1_000_000)
    assert nginx.request("POST", url, body=body).text == hashlib.sha256(body).hexdigest()
