"""
Kept-alive connections from web servers: many more than there are runs at once, and a slow extension
among fast ones. None of them may wait much longer than the others.
"""

import os
import time

import pytest

from support.faults import front_of
from support.host import put, put_script
from support.load import ask_for
from support.servers import Apache

CLIENTS = 64
SLOW = 8  # of them ask the slow extension
CONCURRENCY = 4
SECONDS = 4
SLEEP = 0.3
FAST = {"fast.py": ("python", """\
import os
text = "python " + os.environ["QUERY_STRING"] + "\\n"
print(f"Content-Type: text/plain\\nContent-Length: {len(text)}\\n\\n{text}", end="")
"""), "fast.tcl": ("tcl", """\
set text "tcl $::env(QUERY_STRING)\\n"
puts -nonewline "Content-Type: text/plain\\nContent-Length: [string length $text]\\n\\n$text"
""")}
NAP = f"""\
import os, time
text = "slow " + os.environ["QUERY_STRING"] + "\\n"
time.sleep({SLEEP})
print(f"Content-Type: text/plain\\nContent-Length: {{len(text)}}\\n\\n{{text}}", end="")
"""


def answer(word):
    return lambda query: f"{word} {query}\n".encode()


def reachable_host(start_host, root, *options):
    """A host that Apache's user may speak to, too."""
    return start_host(root, "--prefix", "/ext", "--allow-uid", str(Apache.USER), *options,
                      listen=["unix:{folder}/s,mode=0666"])


def connections(front, listener):
    """The inodes of the connections that the front holds, accepted at the socket of this name."""
    of_listener, held = set(), set()
    with open("/proc/net/unix") as f:
        for line in f:
            fields = line.split()
            # What is accepted carries the name that the listener, with flags 00010000, was bound
            # to.
            if fields[-1] == listener and fields[3] == "00000000":
                of_listener.add(fields[6])
    for fd in os.listdir(f"/proc/{front}/fd"):
        try:
            held.add(os.readlink(f"/proc/{front}/fd/{fd}").removeprefix("socket:[").rstrip("]"))
        except FileNotFoundError:
            pass  # closed since the directory was listed
    return of_listener & held


def percentile(samples, share):
    seconds = sorted(sample.seconds for sample in samples)
    return seconds[int(len(seconds) * share)]


def start_with_slow_one(start_host, root):
    """A host of four runs at once, where the slow extension may have one of them."""
    for name, (language, body) in FAST.items():
        put_script(root, name, language, body)
    put_script(root, "slow.py", "python", NAP)
    put(root, ".conf", "[extension slow.*]\nlane = 1\n")
    return reachable_host(start_host, root, "--config", f"{root}/.conf", "--concurrency",
                          str(CONCURRENCY))


def ask_all(host, port):
    """Everybody asks. (samples of the fast ones, of the slow ones, connections the host had)"""
    clients = [("slow", "/ext/slow.py", answer("slow"))] * SLOW
    while len(clients) < CLIENTS:
        clients += [("fast", "/ext/fast.py", answer("python")),
                    ("fast", "/ext/fast.tcl", answer("tcl"))]
    front = front_of(host)
    seen, looked = set(), 0

    def look():
        nonlocal looked
        if time.monotonic() >= looked + 0.02:
            seen.update(connections(front, os.path.basename(host.socket)))
            looked = time.monotonic()
    samples = ask_for(SECONDS, port, clients[:CLIENTS], look)
    return ([s for s in samples if s.name == "fast"],
            [s for s in samples if s.name == "slow"], seen)


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_64_kept_alive_connections_on_4_runs_wait_about_equally_long_beside_a_slow_extension(
        start_host, start_nginx, start_apache, tmp_path, server):
    tmp_path.chmod(0o755)
    host = start_with_slow_one(start_host, tmp_path)
    web_server = start_nginx(host.socket, keepalive=CLIENTS) if server == "nginx" \
        else start_apache(host.socket)
    fast, slow, seen = ask_all(host, web_server.port)
    p50, p99 = percentile(fast, 0.5), percentile(fast, 0.99)
    print(f"{server}: {len(fast)} fast answers, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
          f"longest {max(s.seconds for s in fast) * 1000:.1f} ms; {len(slow)} slow ones; "
          f"{len(seen)} connections")
    assert p99 <= 5 * p50
    # One after another in their lane, all the time.
    assert SECONDS / SLEEP / 2 < len(slow) <= SECONDS / SLEEP + SLOW
    # The connections were used again and again.
    assert CLIENTS / 2 < len(seen) < 2 * CLIENTS
    assert len(fast) > 2 * len(seen)
