"""Processes that hang, without dying: a template and the front, stopped by SIGSTOP."""

import contextlib
import os
import signal
import threading
import time

import pytest

from support.faults import Asked, front_of, other, put_faults, template_of, untouched
from support.held import ask_status, find_runs
from support.host import SUFFIX, Host, path
from support.marks import LANGUAGES
from support.processes import gone, named, state_of
from support.waiting import wait_for

CONCURRENCY = 2


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = Host(put_faults(tmp_path_factory.mktemp("root")),
                "--concurrency", str(CONCURRENCY), "--queue-timeout", "3")
    yield made
    made.stop()


def stop(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: state_of(pid) in ("T", None), "it is stopped")


class Stopped:
    """While the block runs, the language's template and each that takes its place is stopped."""

    def __init__(self, host, language):
        self._host = host
        self._pids = [template_of(host, language)]
        self._others = set(named(host.pid, "exthost-templ")) - set(self._pids)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._stop_each)

    def _stop_each(self):
        while not self._ends.is_set():
            for pid in set(named(self._host.pid, "exthost-templ")) - self._others:
                if state_of(pid) not in ("T", None):
                    stop(pid)
                    self._pids.append(pid)
            time.sleep(0.001)

    def __enter__(self):
        stop(self._pids[0])
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@LANGUAGES
def test_an_idle_template_that_hangs_is_killed_and_replaced(host, language):
    with untouched(host, languages=(other(language),)):
        old = template_of(host, language)
        since = host.log_position()
        stop(old)
        host.wait_line(f"{language} template: does not answer, so it is killed", since=since)
        gone(old)
        assert host.get(path(language, "hello")).status == 200
        assert template_of(host, language) != old


@LANGUAGES
def test_requests_that_wait_for_a_template_that_hangs_are_answered_by_the_next(host, language):
    old = template_of(host, language)
    stop(old)
    asked = [Asked(host, path(language, "hello") + f"?{number}") for number in range(8)]
    assert [each.end().reply().text for each in asked] == [
        f"hello {number}\n" for number in range(8)]
    gone(old)


@LANGUAGES
def test_requests_that_wait_for_a_template_hold_no_place_of_another_language(host, language):
    with Stopped(host, language):
        asked = [Asked(host, path(language, "hello") + f"?{number}") for number in range(8)]
        # More than there are places wait for a process, or behind those that do.
        wait_for(lambda: len(find_runs(host, "waits", path(language, "hello"))) > CONCURRENCY,
                 "they wait")
        for number in range(20):
            reply = host.get(path(other(language), "hello") + f"?{number}")
            assert (reply.status, reply.text) == (200, f"hello {number}\n")
        assert not all(each.outcome for each in asked)
    # Whether their places came in time is the queue's matter.
    assert {each.end().reply().status for each in asked} <= {200, 503}
    assert host.get(path(language, "hello")).status == 200


@LANGUAGES
def test_a_template_that_hangs_is_what_status_check_says(host, language):
    assert ask_status(host, "--check").returncode == 0
    with Stopped(host, language):
        done = wait_for(lambda: next(
            (found for found in [ask_status(host, "--check")] if found.returncode), None),
            "the check fails")
        assert f"template {language} does not" in done.stderr.decode()
        assert done.returncode == 1
    wait_for(lambda: ask_status(host, "--check").returncode == 0, "all is well again")


def test_a_front_that_hangs_is_killed_and_replaced_and_the_clients_it_had_not_accepted_are_answered(
        host):
    old = front_of(host)
    since = host.log_position()
    stop(old)
    asked = [Asked(host, path(language, "hello") + "?queued") for language in SUFFIX]
    host.wait_line("front: does not answer, so it is killed", since=since)
    gone(old)
    assert [each.end().reply().text for each in asked] == ["hello queued\n"] * 2
    assert front_of(host) != old
