"""Every Tcl script of the tests answers by rerun as it does as a CGI program, again and again."""

import re

import pytest

from support.host import Host, copy_scripts

# The scripts and what they are asked, with a body. Not "descriptors": the worker has its own above
# 2.
ASKED = [
    "arguments", "at_exit", "binary", "changes", "control_header", "control_header?return",
    "descriptor_1", "echo", "env", "exception", "exit?exit", "exit?exit-0",
    "exit?return", "exit?in-proc", "exit?after", "exit?close", "exit?none", "exit_3", "headers_200",
    "hello?world", "kept_output", "large?100000", "large?3000000", "library", "long_header?900",
    "long_header?2000", "no_header", "output_before_body", "page", "read_to_eof", "redirect",
    "silent", "sleep?10", "status_404", "stderr", "threads", "unread_body"]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Two hosts: the first runs each script as a CGI program, the other reruns it in one worker."""
    made = [Host(copy_scripts(tmp_path_factory.mktemp("root"))),
            Host(copy_scripts(tmp_path_factory.mktemp("root")), "--mode", "rerun",
                 "--workers", "1")]
    yield made
    for host in made:
        host.stop()


def answer(host, asked):
    """All that the client sees, less what is the host's and the request's own."""
    name, _, query = asked.partition("?")
    url = f"/tcl/{name}.tcl?{query}"
    reply = host.run("POST", url, body=b"\0body\r\n" * 3000).reply()
    text = reply.body.replace(str(host.root).encode(), b"ROOT")
    # In the environment the root is in hexadecimal.
    text = text.replace(str(host.root).encode().hex().encode(), b"ROOT")
    headers = [(name, value) for name, value in reply.headers if name != "Content-Length"]
    return reply.status, headers, re.sub(rb"request [0-9a-f]{16}", b"request ID", text)


@pytest.mark.parametrize("asked", ASKED)
def test_a_script_answers_by_rerun_as_it_does_as_a_cgi_program(hosts, asked):
    cgi, rerun = hosts
    expected = answer(cgi, asked)
    for _ in range(3):
        assert answer(rerun, asked) == expected
