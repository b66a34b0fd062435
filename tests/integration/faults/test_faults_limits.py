"""Runs that want more than they may have: memory, processes, output, a body."""

import pytest

from support.faults import ENDLESS, Asked, begin, begun, front_of, put_config, put_faults, untouched
from support.host import SUFFIX, Host, path, sanitized
from support.marks import LANGUAGES
from support.processes import gone, status_number
from support.waiting import wait_for

SCRIPTS = {
    "python": {
        "hog": """
kept = []
while True:
    kept.append(bytearray(1 << 20))
""",
        "modest": """
kept = bytearray(8 << 20)
print(f"Content-Type: text/plain\\n\\n{len(kept)}")
""",
        # Threads beside; then as many processes as there may be, and two more.
        "processes": """
import os, threading
done = []
threads = [threading.Thread(target=done.append, args=(i,)) for i in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"Content-Type: text/plain\\n\\nthreads {len(done)}")
for i in range(5):
    try:
        pid = os.fork()
    except OSError as e:
        print(type(e).__name__, e.errno)
        continue
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    print("forked")
""",
    },
    "tcl": {
        "hog": """
while 1 {
    lappend kept [string repeat x 1000000]
}
""",
        "modest": """
set kept [string repeat x [expr {8 << 20}]]
puts "Content-Type: text/plain\\n\\n[string length $kept]"
""",
        # `after` and the event loop, whose notifier is a thread.
        "processes": """
after 1 {set done 1}
vwait done
puts "Content-Type: text/plain\\n\\nthreads 5"
for {set i 0} {$i < 5} {incr i} {
    if {[catch {exec /bin/true} message options]} {
        puts "BlockingIOError [expr {[lindex $::errorCode 1] eq "EAGAIN" ? 11 : $::errorCode}]"
    } else {
        puts forked
    }
}
""",
    },
}
SCRIPTS["python"]["small"] = SCRIPTS["tcl"]["small"] = ""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    scripts = {language: {**found} for language, found in SCRIPTS.items()}
    root = put_faults(tmp_path_factory.mktemp("root"), scripts, ENDLESS)
    for language, suffix in SUFFIX.items():
        (root / language / f"small{suffix}").write_bytes(
            (root / language / f"echo{suffix}").read_bytes())
    return root


@pytest.fixture(scope="module")
def host(root, tmp_path_factory):
    made = Host(root, *put_config(tmp_path_factory.mktemp("limits"), """\
[extension */hog.*]
memory = 32m
[extension */modest.*]
memory = 32m
[extension */processes.*]
processes = 3
[extension */endless.*]
timeout = 1
max-reply = 1m
[extension */small.*]
max-body = 1000
"""))
    yield made
    made.stop()


@LANGUAGES
@pytest.mark.skipif(sanitized(), reason="a sanitizer's allocator ends the process by itself")
def test_more_memory_than_allowed_is_500_and_the_log_says_memory(host, language):
    with untouched(host):
        asked = Asked(host, path(language, "hog"))
        assert asked.end().reply().status == 500
        host.wait_line("status=500", "end=memory", path(language, "hog")[1:], str(32 << 20),
                       since=asked.since)
        assert host.get(path(language, "modest")).text == f"{8 << 20}\n"


@LANGUAGES
def test_more_processes_than_allowed_are_refused_with_eagain_and_threads_not_counted(
        host, language):
    with untouched(host):
        since = host.log_position()
        reply = host.get(path(language, "processes"))
        assert reply.text.splitlines() == ["threads 5"] + 3 * ["forked"] + 2 * [
            "BlockingIOError 11"]
        host.wait_line(path(language, "processes")[1:], "status=200", since=since)
        warnings = [line for line in host.program.log(since) if "--processes 3" in line]
        assert len(warnings) == 1 and "was refused" in warnings[0]
        # The next run may start as many again.
        assert host.get(path(language, "processes")).text == reply.text


@LANGUAGES
def test_output_without_end_that_is_held_for_the_relay_is_500(host, language):
    with untouched(host):
        since = host.log_position()
        reply = host.as_fossil("GET", path(language, "endless")[1:]).reply()
        assert reply.status == 500 and "0123456789abcdef" not in reply.text
        line = host.wait_line("status=500", "end=reply", "--max-reply", str(1 << 20), since=since)
        assert path(language, "endless")[1:] in line


def test_output_without_end_is_500_through_fossil(host, start_fossil):
    with untouched(host):
        fossil = start_fossil(host.root)
        for language in SUFFIX:
            reply = fossil.get(path(language, "endless"))
            assert reply.status == 500 and "0123456789abcdef" not in reply.text


@LANGUAGES
def test_output_without_end_for_a_client_that_reads_nothing_is_not_kept_and_ended_at_its_time(
        host, language):
    with untouched(host):
        since = host.log_position()
        front = front_of(host)
        before = status_number(front, "VmRSS")
        clients = [begin(host, path(language, "endless")) for _ in range(4)]
        try:
            pid = begun(host, since)
            wait_for(lambda: sum("end=timeout" in line for line in host.program.log(since)) == 4,
                     "the end of the runs at their time")
            if not sanitized():
                assert status_number(front, "VmHWM") - before < 8192
            gone(pid)
        finally:
            for client in clients:
                client.close()


@LANGUAGES
def test_a_body_that_is_larger_than_this_extension_takes_is_413(host, language):
    with untouched(host):
        since = host.log_position()
        assert host.run("POST", path(language, "small"),
                        body=b"x" * 1000).reply().body == b"x" * 1000
        assert host.run("POST", path(language, "small"), body=b"x" * 1001).reply().status == 413
        assert host.run("POST", path(language, "echo"), body=b"x" * 1001).reply().status == 200
        host.wait_line("status=413", "1001", "1000", path(language, "small")[1:], since=since)
