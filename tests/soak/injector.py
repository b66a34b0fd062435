"""
What is done to the host, and what that explains.

Faults of runs and clients go on to the end. The front and the templates are killed, and replaced by
SIGHUP, in the first half only: then each of them lives long enough to see whether it grows.
"""

import os
import re
import signal
import threading
import time

from support.processes import descendants, lives, name_of, parent_of
from support.waiting import wait_for

MARGIN = 0.1  # seconds before and after: a process dies a little later than kill(2) returns
PAUSE = (0.2, 1.5)


class Fault:
    """
    From .began to .ended it explains these outcomes of requests that were being answered: all of
    them, or `most` of them. reason: what the log must say of a 500 then (a regular expression).
    """

    def __init__(self, name, outcomes, reason="", most=None):
        self.name, self.outcomes, self.reason, self.most = name, outcomes, reason, most
        self.began, self.ended = time.monotonic(), None

    def explains(self, result, log_line):
        if self.most == 0 or result.outcome not in self.outcomes:
            return False
        if result.outcome == "500" and not re.search(self.reason, log_line):
            return False
        if result.ended < self.began:
            return False
        return self.ended is None or result.began <= self.ended + MARGIN


class Processes:
    """The host's, by their roles. A run, a spare or an app worker is a child of a template."""

    def __init__(self, master):
        below = descendants(master)
        children = [pid for pid in below if parent_of(pid) == master]
        self.master = master
        self.front = next((pid for pid in children if name_of(pid) == "exthost-front"), None)
        self.templates = [pid for pid in children if name_of(pid) == "exthost-templ"]
        self.runs = [pid for pid in below if parent_of(pid) in self.templates]


def wait_until_settled(master, spares):
    """Wait until only the newest templates, their spares and app workers live. For an idle host."""
    def settled():
        found = Processes(master)
        runs = [pid for pid in found.runs if name_of(pid) != "exthost-app"]
        return len(found.templates) == 2 and len(runs) <= 2 * spares
    wait_for(settled, "all runs, and the templates that were replaced, have ended", 30)


class Injector:
    def __init__(self, random, host, seconds):
        self.random, self.host = random, host
        self.half = time.monotonic() + seconds / 2
        self.faults, self.counts = [], {}
        self._ending = threading.Event()
        self.trouble = None
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def stop(self):
        self._ending.set()
        self.thread.join()

    def explain(self, result, log_line):
        """
        The fault that explains the result, or None. A fault that explains any number of results is
        preferred, then the oldest fault: results come in the order of their ends, so an old fault
        is least likely to be needed for a later result.
        """
        found = [fault for fault in self.faults[-200:] if fault.explains(result, log_line)]
        found.sort(key=lambda fault: fault.most is not None)
        if found and found[0].most is not None:
            found[0].most -= 1
        return found[0] if found else None

    def _main(self):
        while not self._ending.wait(self.random.uniform(*PAUSE)):
            early = time.monotonic() < self.half
            what = self.random.choices(
                [self._kill_run, self._kill_front, self._kill_template, self._reload],
                [6, 1.5 * early, 1.5 * early, 1.5 * early])[0]
            try:
                what()
            except AssertionError as e:
                self.trouble = str(e)
                return

    def _begin(self, *arguments, **more):
        fault = Fault(*arguments, **more)
        self.faults.append(fault)
        self.counts[fault.name] = self.counts.get(fault.name, 0) + 1
        return fault

    def _kill(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def _kill_run(self):
        """Kill a run or a spare. A spare's death costs no request anything."""
        number = self.random.choice([signal.SIGKILL, signal.SIGSEGV])
        runs = Processes(self.host.pid).runs
        if not runs:
            return
        pid = self.random.choice(runs)
        fault = self._begin(f"run, {number.name}", {"500", "cut"},
                            f"ended by signal {number:d} ", most=1)
        self._kill(pid, number)
        wait_for(lambda: not lives(pid), f"process {pid} dies", 20)
        fault.ended = time.monotonic()

    def _kill_front(self):
        """
        What is being answered is lost with it: nginx makes 502 of that, or breaks the transfer.
        """
        old = Processes(self.host.pid).front
        fault = self._begin("front", {"502", "cut"})
        self._kill(old, signal.SIGKILL)
        wait_for(lambda: Processes(self.host.pid).front not in (None, old), "another front", 20)
        fault.ended = time.monotonic()

    def _kill_template(self):
        """Its runs die with it."""
        template = self.random.choice(Processes(self.host.pid).templates or [None])
        if template is None:
            return
        fault = self._begin("template", {"500", "cut"}, "signal 9 |the template went away")
        self._kill(template, signal.SIGKILL)
        wait_for(lambda: not lives(template), "the template dies", 20)
        fault.ended = time.monotonic()

    def _reload(self):
        """No request is lost."""
        fault = self._begin("SIGHUP", set())
        self._kill(self.host.pid, signal.SIGHUP)
        fault.ended = time.monotonic()
