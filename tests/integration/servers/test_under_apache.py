"""
Behind Apache httpd with mod_proxy_fcgi: the same URLs, bodies and broken replies as behind nginx.
"""

import pytest

from support import web
from support.host import Host, copy_scripts, environment_of, path
from support.marks import LANGUAGES
from support.servers import Apache


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(apache, host), with all test scripts."""
    root = copy_scripts(tmp_path_factory.mktemp("root"))
    host = Host(root, "--prefix", "/ext", "--allow-uid", str(Apache.USER),
                listen=["unix:{folder}/s,mode=0666"])
    try:
        apache = Apache(host.socket)
        yield apache, host
        apache.stop()
    finally:
        host.stop()


@LANGUAGES
@pytest.mark.parametrize("extra", ["", "/", "/more/path"])
def test_a_url_is_split_into_script_and_extra_path(served, language, extra):
    apache, host = served
    script = path(language, "env")
    variables = environment_of(apache.get(f"{script}{extra}?a=b+c&d=%20"))
    assert variables["SCRIPT_NAME"] == f"/ext{script}"
    assert variables.get("PATH_INFO", "") == extra
    assert variables["SCRIPT_FILENAME"] == f"{host.root}{script}"
    assert variables["DOCUMENT_ROOT"] == str(host.root)
    assert variables["QUERY_STRING"] == "a=b+c&d=%20"
    assert variables["REQUEST_URI"] == f"/ext{script}{extra}?a=b+c&d=%20"


@pytest.mark.parametrize(
    "target", ["/nothing.py", "/a%20b", "/.exthost.sock", "/python/static.txt/x"])
def test_what_is_not_there_is_the_hosts_404(served, target):
    reply = served[0].get(target)
    assert reply.status == 404
    assert "<div class='fossil-doc' data-title=" in reply.text


def test_static_content_is_served(served):
    apache, host = served
    assert apache.get("/python/static.txt").body == (host.root / "python/static.txt").read_bytes()


@LANGUAGES
@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_a_body_arrives_whole(served, language, size):
    body = bytes(range(256)) * (size // 256 + 1)
    reply = served[0].request("POST", path(language, "echo"), body=body[:size])
    assert (reply.status, reply.body) == (200, body[:size])


@LANGUAGES
def test_a_chunked_body_arrives_with_its_length(served, language):
    # Apache gathers it first: CGI has no body without CONTENT_LENGTH.
    head = f"POST /ext{path(language, 'echo')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    raw = web.exchange(served[0].port, head.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
                       b"5\r\nhello\r\n6\r\n, body\r\n0\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 200 ") and b"hello, body" in raw.replace(b"\r\n", b"")


@LANGUAGES
def test_a_large_reply_arrives_whole(served, language):
    assert len(served[0].get(f"{path(language, 'large')}?5000000").body) == 5_000_000


@LANGUAGES
def test_a_crash_before_anything_was_sent_is_a_500_page(served, language):
    reply = served[0].get(f"{path(language, 'crash')}?1000")
    assert reply.status == 500 and "<div class='fossil-doc' data-title=" in reply.text


@LANGUAGES
def test_a_crash_in_a_reply_that_is_being_sent_is_a_broken_transfer(served, language):
    with pytest.raises(web.BrokenTransfer):
        served[0].get(f"{path(language, 'crash')}?1000000")
    # The connection to the host is not used again for another client's request.
    assert served[0].get(path(language, "hello")).status == 200
