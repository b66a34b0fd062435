"""
What the system runs out of: room for the log and for files, descriptors; and a clock that jumps.
"""

import os
import re
import resource
import signal
import subprocess
import threading
import time

import pytest

from support import fastcgi
from support.faults import (Asked, Beside, are_quiet, begin, begun, front_of, is_refused,
                            put_config, put_faults, untouched, wait_held)
from support.host import EXTHOST, SUFFIX, Host, environment, path, sanitized
from support.marks import LANGUAGES
from support.processes import gone
from support.waiting import wait_for

LISTEN = ["unix:{folder}/s", "unix:{folder}/t,trust=fossil"]


# Neither of these looks at the wall clock, as Tcl's `after` does.
SCRIPTS = {
    "python": {
        "hang": """
import os, sys, time
print("begun", os.getpid(), file=sys.stderr, flush=True)
time.sleep(60)
""",
    },
    "tcl": {
        "hang": """
puts stderr "begun [pid]"
vwait for_ever
""",
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return put_faults(tmp_path_factory.mktemp("root"), SCRIPTS)


class Mute(Host):
    """A host of which no line can be read."""

    def _ready(self):
        return not is_refused(self.socket)


def test_a_log_on_a_full_disk_touches_no_request(root):
    host = Mute(root, "--log", "/dev/full", listen=LISTEN)
    try:
        with untouched(host):
            for language in SUFFIX:
                client = begin(host, path(language, "wait"))
                client.close()
                reply = host.run("POST", path(language, "echo"), body=b"x" * 5000).reply()
                assert reply.body == b"x" * 5000
            assert host.get("/nothing").status == 404
            host.program.send(signal.SIGUSR1)
            host.program.send(signal.SIGHUP)
            assert host.get(path("python", "hello")).status == 200
        assert host.program.log() == []
    finally:
        host.stop()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


def room(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@LANGUAGES
def test_a_full_folder_for_temporary_files_costs_only_the_requests_that_need_it(
        root, small_disk, start_host, language):
    host = start_host(root, "--tmpdir", str(small_disk), listen=LISTEN)
    echo = path(language, "echo")
    with untouched(host):
        since = host.log_position()
        assert host.run("POST", echo, body=b"x" * 3_000_000).reply().status == 503
        host.wait_line("status=503", "No space left on device", str(small_disk), since=since)
        # A reply that is held for the relay needs room, too; its body, a megabyte, does not.
        wait_for(lambda: room(small_disk) > 1_950_000, "the body that was refused is gone")
        (small_disk / "filler").write_bytes(b"x" * 1_900_000)
        since = host.log_position()
        assert host.as_fossil("POST", echo[1:], body=b"x" * 1_000_000).reply().status == 500
        host.wait_line("status=500", "No space left on device", since=since)
        assert host.run("POST", echo, body=b"x" * 500_000).reply().body == b"x" * 500_000
        # It is as before once there is room.
        (small_disk / "filler").unlink()
        assert host.run("POST", echo, body=b"x" * 1_500_000).reply().body == b"x" * 1_500_000
    assert os.listdir(small_disk) == []


def few_descriptors(start_host, root, *options):
    return start_host(root, "--max-connections", "1000", "--queue", "1000", *options, listen=LISTEN,
                      before=["/usr/bin/prlimit", "--nofile=320:320"])


def test_with_few_descriptors_every_request_of_a_flood_is_answered(root, start_host):
    host = few_descriptors(start_host, root, "--queue-timeout", "60")
    wrong = []
    together = threading.Barrier(300)

    def ask(client, target, wanted):
        together.wait(20)
        try:
            reply = host.run("POST", target, body=b"body", timeout=60).reply()
            if (reply.status, reply.text) != (200, wanted):
                wrong.append((client, reply))
        except (OSError, AssertionError) as e:
            wrong.append((client, e))
    threads = []
    for i in range(300):
        language = list(SUFFIX)[i % 2]
        threads.append(threading.Thread(target=ask, args=(i, path(language, "echo"), "body")))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert wrong == []
    wait_held(host)


def test_without_descriptors_it_waits_quietly_and_goes_on_when_there_are_some(root, start_host):
    host = few_descriptors(start_host, root)
    held = wait_held(host)
    slow = []
    for _ in range(330):
        slow.append(fastcgi.Connection(host.socket))
        slow[-1].begin()
        slow[-1].params(fastcgi.variables("POST", path("python", "echo"), CONTENT_LENGTH="10"))
    asked = Asked(host, path("python", "hello") + "?late")
    are_quiet(host.pids())
    assert asked.outcome is None
    for connection in slow:
        connection.close()
    assert asked.end().reply().text == "hello late\n"
    with Beside(host):
        pass
    wait_for(lambda: wait_held(host) == held, "as many descriptors as before")


@pytest.mark.parametrize("limit", [48, 64, 128, 250])
def test_with_too_few_descriptors_it_does_not_start_and_says_how_many_it_needs(
        root, start_host, limit):
    done = subprocess.run(
        ["/usr/bin/prlimit", f"--nofile={limit}:{limit}", EXTHOST, "serve", "--root", str(root)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        env=environment())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    needed = re.fullmatch(
        rf"exthost: ulimit -n allows {limit} file descriptors, and (\d+) are needed with "
        r"--concurrency 16 and --spares 2\n", done.stderr)
    host = start_host(root, listen=LISTEN,
                      before=["/usr/bin/prlimit", f"--nofile={needed[1]}:{needed[1]}"])
    asked = [Asked(host, path(language, "hello") + f"?{number}")
             for language in SUFFIX for number in range(20)]
    assert [each.end().reply().text for each in asked] == [
        f"hello {number}\n" for _ in SUFFIX for number in range(20)]


def test_a_soft_limit_of_descriptors_is_raised_as_far_as_it_must(root, start_host):
    host = start_host(root, listen=LISTEN, before=["/usr/bin/prlimit", "--nofile=64:4096"])
    with Beside(host):
        pass


def test_a_front_out_of_descriptors_waits_quietly_and_goes_on_when_there_are_some(root, start_host):
    host = start_host(root, listen=LISTEN)
    with untouched(host):
        pass
    front = front_of(host)
    before = resource.prlimit(front, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{front}/fd")}
    first_free = min(set(range(len(used) + 1)) - used)
    resource.prlimit(front, resource.RLIMIT_NOFILE, (first_free, before[1]))
    asked = [Asked(host, path(language, "hello") + "?late") for language in SUFFIX]
    are_quiet(host.pids())
    assert [each.outcome for each in asked] == [None, None]
    resource.prlimit(front, resource.RLIMIT_NOFILE, before)
    assert [each.end().reply().text for each in asked] == ["hello late\n", "hello late\n"]


def test_a_hundred_reloads_in_a_second_lose_no_request(root, start_host):
    host = start_host(root, listen=LISTEN)
    with untouched(host, clients=6) as beside:
        asked = [Asked(host, path(language, "hello")) for language in SUFFIX]
        for _ in range(100):
            host.program.send(signal.SIGHUP)
            time.sleep(0.01)
        beside.wait_more(60)
        for each in asked:
            assert each.end().reply().status == 200


# The wall clock of the processes that load it, moved by as many seconds as the file says.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
	char text[32] = "";
	int file = open(CLOCK_FILE, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return 0;
	(void)!read(file, text, sizeof(text) - 1);
	close(file);
	return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int result = (int)syscall(SYS_clock_gettime, clock, t);

	if (result == 0 && clock == CLOCK_REALTIME)
		t->tv_sec += offset();
	return result;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *where)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (where != NULL)
		*where = now.tv_sec;
	return now.tv_sec;
}
"""


@pytest.fixture
def clock(tmp_path):
    """Steps the wall clock of programs started with its environment: clock(seconds)."""
    if sanitized():
        pytest.skip("a sanitizer's library wants to be loaded first")
    source, library, file = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "offset"
    source.write_text(CLOCK)
    file.write_text("0")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", f'-DCLOCK_FILE="{file}"', "-o", str(library),
                    str(source)], check=True, timeout=60)

    def step(seconds):
        fresh = tmp_path / "offset.new"
        fresh.write_text(str(seconds))
        fresh.replace(file)
    step.environment = environment(LD_PRELOAD=str(library))
    return step


def step_seen(host, clock, seconds):
    since = host.log_position()
    clock(seconds)
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + seconds))
    host.wait_line(day, "status=200", since=since)


def test_a_wall_clock_that_jumps_ends_no_run_and_no_wait_early_and_none_late(
        root, start_host, clock, tmp_path):
    host = start_host(root, *put_config(tmp_path, "[extension */hang.*]\ntimeout = 2\nlane = 1\n"),
                      listen=LISTEN, env=clock.environment)
    with untouched(host):
        began = time.monotonic()
        running = [Asked(host, path(language, "hang")) for language in SUFFIX]
        pids = [begun(host, each.since, path(language, "hang")[1:])
                for language, each in zip(SUFFIX, running)]
        waiting = [Asked(host, path(language, "hang")) for language in SUFFIX]
        step_seen(host, clock, 86400)
        assert [each.outcome for each in running] == [None, None]
        assert [each.end().reply().status for each in running] == [504, 504]
        assert time.monotonic() - began > 1.8
        step_seen(host, clock, -86400)
        # Runs that waited for their lane have two seconds of their own.
        assert [each.outcome for each in waiting] == [None, None]
        assert [each.end().reply().status for each in waiting] == [504, 504]
        assert time.monotonic() - began > 3.6
        for pid in pids:
            gone(pid)
