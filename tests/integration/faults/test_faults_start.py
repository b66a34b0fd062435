"""What dies on starting is started again later each time, with the reason in the log."""

import os
import signal
import time

import pytest

from support.faults import Asked, front_of, put_faults, template_of
from support.held import find_runs, status_of
from support.host import SUFFIX, Host, path
from support.processes import children_of, descendants, named, state_of
from support.waiting import wait_for

ROUNDS = 4
# Longer than the host waits between the end of the output and that of the process.
NAP = {"tcl": {"nap": "after 1200\nputs \"Content-Type: text/plain\\n\\nrested\"\n"}}


# A package that takes its time, so that a template can be met while it starts: a third of a second.
SLOW = "tcl:pt::pgen"


@pytest.fixture
def host(tmp_path):
    made = Host(put_faults(tmp_path / "root", NAP), "--preload", SLOW)
    try:
        assert not [line for line in made.program.log() if "not preloaded" in line]
        yield made
    finally:
        made.stop()


def kill_with_kin(pid):
    """Kill a process. Returns it and its descendants, which may become the master's children."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) == "T", "a process that forks no more")
    kin = {pid, *descendants(pid)}
    os.kill(pid, signal.SIGKILL)
    return kin


def kill_each(look, seen):
    """Kill what `look` finds and its successors, as soon as they are there; the times between."""
    times, seen = [], set(seen)
    for _ in range(ROUNDS):
        pid = wait_for(lambda: next((pid for pid in look() if pid not in seen), None),
                       "the next one")
        seen |= kill_with_kin(pid)
        times.append(time.monotonic())
    return [after - before for before, after in zip(times, times[1:])]


def grows(gaps, first):
    """Each wait is twice the one before; what the machine adds can only make it longer."""
    return all(gap >= first * 2 ** number for number, gap in enumerate(gaps))


def test_a_template_that_dies_on_starting_is_started_later_each_time(host):
    python, tcl = (template_of(host, language) for language in ("python", "tcl"))
    since = host.log_position()
    gaps = kill_each(lambda: named(host.pid, "exthost-templ"), {python, *kill_with_kin(tcl)})
    assert grows(gaps, 0.1), gaps
    host.wait_line("tcl template: signal 9 (Killed) while starting", since=since)
    assert host.get(path("tcl", "hello")).status == 200
    assert template_of(host, "python") == python


def test_a_front_that_dies_on_starting_is_started_later_each_time(host):
    since = host.log_position()
    gaps = kill_each(lambda: named(host.pid, "exthost-front"), ())
    assert grows(gaps[1:], 0.1), gaps
    host.wait_line("front: signal 9 (Killed); starting another", since=since)
    for language in SUFFIX:
        assert host.get(path(language, "hello")).status == 200
    assert front_of(host) in named(host.pid, "exthost-front")


def test_a_run_whose_first_process_died_unbegun_has_all_its_time_with_the_next(host):
    template = template_of(host, "tcl")
    wait_for(lambda: status_of(host)["spares"]["tcl"] == len(children_of(template)) == 2,
             "two spares")
    spares = children_of(template)
    for pid in spares:
        os.kill(pid, signal.SIGSTOP)
    asked = Asked(host, path("tcl", "nap"))
    wait_for(lambda: {run["pid"] for run in find_runs(host, "runs")} & set(spares),
             "the run, in a process that is stopped")
    for pid in spares:
        os.kill(pid, signal.SIGKILL)
    reply = asked.end().reply()
    assert (reply.status, reply.text) == (200, "rested\n")
