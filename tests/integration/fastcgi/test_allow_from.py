"""
Who may come to a TCP socket: in a network namespace, where the loopback interface has other
addresses beside, so that a client can come from one of them.
"""

import re
import subprocess
import sys

import pytest

from support.host import TESTS, Host, copy_scripts
from support.own_socket import Serving

ALLOWED, OTHER = "192.0.2.1", "198.51.100.1"
LAST, BEYOND = "192.0.2.3", "192.0.2.4"  # of ALLOWED/30, and the next address
NAMESPACE = ("/usr/bin/unshare", "--net", "/bin/sh", "-c",
             "ip link set lo up && " +
             "".join(f"ip addr add {a}/32 dev lo && " for a in (ALLOWED, OTHER, LAST, BEYOND)) +
             'exec "$0" "$@"')
CLIENT = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from support import fastcgi
connect = socket.socket.connect
def from_there(self, address):
    self.bind((sys.argv[2], 0))
    connect(self, address)
socket.socket.connect = from_there
outcome = fastcgi.request((sys.argv[3], int(sys.argv[4])), "GET", sys.argv[5])
print("answered" if outcome.ended and b"Hello" in outcome.stdout.title() else "closed")
"""
LISTEN = ["tcp:0.0.0.0:0"]
has_namespaces = pytest.mark.skipif(
    subprocess.run([*NAMESPACE, "/bin/true"], capture_output=True, check=False).returncode != 0,
    reason="no network namespace can be made here: root may, outside of a container that forbids "
           "it")


def speak_from(host, address, target, to=ALLOWED):
    """Whether a client at this address of the host's namespace is "answered" there, or "closed"."""
    port = next(int(found[1]) for line in host.program.log()
                if (found := re.search(r"0\.0\.0\.0:([1-9]\d*)", line)))
    done = subprocess.run(
        ["/usr/bin/nsenter", f"--net=/proc/{host.pid}/ns/net", sys.executable, "-c", CLIENT,
         str(TESTS), address, to, str(port), target],
        capture_output=True, text=True, timeout=30, check=False,
        env={"PYTHONDONTWRITEBYTECODE": "1"})
    return done.stdout.strip() or done.stderr


@pytest.fixture(scope="module", params=["front", "own socket python", "own socket tcl"])
def served(request, tmp_path_factory):
    """(host in a namespace of its own, a URL path of its)"""
    folder = tmp_path_factory.mktemp("root")
    more = {"listen": LISTEN, "before": NAMESPACE}
    if request.param == "front":
        made, target = Host(copy_scripts(folder), "--allow-from", f"{ALLOWED}/30",
                            **more), "/tcl/hello.tcl"
    else:
        language = request.param.split()[-1]
        made = Serving(folder, "--allow-from", f"{ALLOWED}/30", language=language, **more)
        target = "/hello"
    yield made, target
    made.stop()


@has_namespaces
def test_a_client_from_an_address_that_was_named_is_answered(served):
    host, target = served
    assert speak_from(host, ALLOWED, target) == "answered"


@has_namespaces
def test_a_block_that_ends_within_a_byte_ends_there(served):
    host, target = served
    assert speak_from(host, LAST, target) == "answered"
    assert speak_from(host, BEYOND, target) == "closed"


@has_namespaces
def test_a_client_from_another_address_is_closed_without_an_answer_and_logged(served):
    host, target = served
    since = host.log_position()
    assert speak_from(host, OTHER, target) == "closed"
    host.wait_line("refused:", OTHER, since=since)


@has_namespaces
def test_a_client_from_loopback_is_answered(served):
    host, target = served
    assert speak_from(host, "127.0.0.1", target, "127.0.0.1") == "answered"
