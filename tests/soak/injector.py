"""
What is done to the host, and which lost requests that explains.

Processes are killed (SIGKILL, SIGSEGV) and stopped (SIGSTOP). The front and the templates suffer
that in the first half only, as they do SIGHUP: then each of them lives long enough to see whether
it grows. Apps are edited, and left half written for a while; the log is rotated. None of these
three, nor SIGHUP, may cost the host a request.
"""

import os
import signal
import threading
import time

from support.host import put_script
from support.processes import lives, state_of
from support.waiting import wait_for
from tree import KINDS, Tree

PAUSE = (0.1, 0.6)
GUARDIAN_STOPPED = 5   # seconds: its worker answers without it, and none replaces it
REPLACED_STOPPED = 15  # seconds: a template that was replaced since gets no ping any more
HANGS = 90             # seconds after which a process that is stopped must have been replaced
LOADS = 1              # seconds: a mended file is loaded by then
MIDDLE = ("template", "front")  # whose requests it is that die with them; one such fault at a time


class Fault:
    """
    .began: before it is done. .pids: the process and what must die with it. .died: the process is
    seen dead; .ended: all of them are, or it goes on.
    """

    def __init__(self, name, kind=None, pid=None, pids=()):
        self.name, self.kind, self.pid, self.pids = name, kind, pid, set(pids)
        self.script = None  # a file that is written in place
        # Seconds, then it goes on.
        self.most = {"guardian": GUARDIAN_STOPPED, "template": REPLACED_STOPPED}.get(kind)
        self.began, self.died, self.ended = time.monotonic(), None, None

    def overlaps(self, result):
        """It was done before the request ended, and was not over when that began."""
        return self.began <= result.ended and (self.ended is None or result.began <= self.ended)


class Injector:
    def __init__(self, random, host, seconds, apps):
        """apps: {name: (language, whole text, text of its first half)}, below the host's root"""
        self.random, self.host, self.apps = random, host, apps
        self.half = time.monotonic() + seconds / 2
        self.faults, self.counts = [], {}
        self._ending = threading.Event()
        self._edits = self._rotations = 0
        self.trouble = None
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def stop(self):
        self._ending.set()
        self.thread.join()

    def explain(self, result, entries):
        """
        The fault that hit what was answering this request at that time, or None. entries: what the
        log has of it, a (process id, line) each. A request without a line was in the hands of a
        front that died, unless its process logs by itself (result.own): then of a worker that was
        stopped, and whose guardian died so that none could answer for it. And Fossil cannot execute
        a file while another process has it open for writing (ETXTBSY): no host is asked then.
        """
        pids = {pid for pid, _ in entries if pid}
        if not entries and result.own:
            return self._find_silenced(result)
        if any(" does not load" in line for _, line in entries):
            return self._find_unsaved(result)
        for fault in list(self.faults)[-400:]:
            if not fault.overlaps(result):
                continue
            if pids & fault.pids:
                return fault
            if not entries and fault.kind == "front" and (
                    fault.died is None or result.began <= fault.died):
                return fault
            if not entries and result.way == "Fossil" and fault.script == result.request.file:
                return fault
        return None

    def _find_silenced(self, result):
        """The stop of a worker that another fault, of its guardian or above, ended then."""
        faults = [fault for fault in list(self.faults)[-400:] if fault.overlaps(result)]
        for fault in faults:
            if fault.name == "direct worker, SIGSTOP" and any(
                    fault.pid in other.pids for other in faults if other is not fault):
                return fault
        return None

    def _find_unsaved(self, result):
        """A half-written file, beside a fault that may have ended the last worker of the whole."""
        faults = list(self.faults)[-400:]
        for fault in faults:
            if fault.script != result.request.file or result.ended < fault.began or (
                    fault.ended is not None and result.began > fault.ended + LOADS):
                continue
            if any(other.pid and other.kind != "spare or run" and other.began <= result.ended
                   and (other.died is None or other.died >= fault.began - LOADS)
                   for other in faults):
                return fault
        return None

    def _main(self):
        names = [(kind, how) for kind in KINDS for how in ("kill", "stop")]
        try:
            while not self._ending.wait(self.random.uniform(*PAUSE)):
                self._look_at_stopped()
                early = time.monotonic() < self.half
                weights = [(0.5 * early if kind in MIDDLE else 2) for kind, _ in names]
                chosen = self.random.choices(
                    [*names, "edit", "half-written file", "SIGHUP", "SIGUSR1"],
                    [*weights, 2, 2, 0.7 * early, 0.7])[0]
                if isinstance(chosen, tuple):
                    self._hit(*chosen)
                else:
                    {"edit": self._edit, "half-written file": self._write_half,
                     "SIGHUP": self._reload, "SIGUSR1": self._rotate}[chosen]()
            wait_for(self._look_at_stopped, "what is stopped is replaced", HANGS)
        except AssertionError as e:
            self.trouble = str(e)

    def _begin(self, name, *arguments):
        fault = Fault(name, *arguments)
        self.faults.append(fault)
        self.counts[fault.name] = self.counts.get(fault.name, 0) + 1
        return fault

    def _look_at_stopped(self):
        """Whether each process that was hit is dead, or goes on."""
        now = time.monotonic()
        for fault in self.faults:
            if fault.pid is None or fault.ended is not None:
                continue
            if fault.died is None and not lives(fault.pid):
                fault.died = time.monotonic()
            if fault.most is not None and now > fault.began + fault.most and lives(fault.pid):
                self._signal(fault.pid, signal.SIGCONT)
                fault.ended = now
                name = f"{fault.kind}, SIGCONT"
                self.counts[name] = self.counts.get(name, 0) + 1
            elif not any(lives(pid) for pid in fault.pids):
                fault.ended = time.monotonic()
            elif now > fault.began + HANGS:
                raise AssertionError(f"{fault.name}: process {fault.pid} is still there")
        return all(fault.ended is not None for fault in self.faults if fault.pid)

    def _hit(self, kind, how):
        """Kill or stop a process of this kind."""
        if kind in MIDDLE and any(fault.kind in MIDDLE and fault.ended is None
                                  for fault in self.faults):
            return
        number = signal.SIGSTOP if how == "stop" else signal.SIGKILL
        if how == "kill" and kind not in MIDDLE:
            number = self.random.choice([signal.SIGKILL, signal.SIGSEGV])
        pids = [pid for pid in Tree(self.host.pid).of(kind) if state_of(pid) not in ("T", None)]
        if not pids:
            return
        pid = self.random.choice(pids)
        # It forks no more from here on, so that all that must die with it are known.
        began = time.monotonic()
        self._signal(pid, signal.SIGSTOP)
        wait_for(lambda: state_of(pid) in ("T", "Z", None), f"process {pid} is stopped")
        tree = Tree(self.host.pid)
        pids = tree.below(pid)
        if kind == "front":  # all that it guards, and direct workers, die with it
            pids.update(tree.runs, tree.plain, tree.guardians, tree.direct)
        fault = self._begin(f"{kind}, {number.name}", kind, pid, pids)
        fault.began = began
        if how == "stop":
            return
        self._signal(pid, number)
        if number != signal.SIGKILL:
            self._signal(pid, signal.SIGCONT)
        wait_for(lambda: not lives(pid), f"process {pid} dies", 20)
        self._look_at_stopped()

    def _signal(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def _edit(self):
        name = self.random.choice(list(self.apps))
        language, whole, _ = self.apps[name]
        self._edits += 1
        fault = self._begin("edit")
        put_script(self.host.root, name, language, f"{whole}# edit {self._edits}\n")
        fault.ended = time.monotonic()

    def _write_half(self):
        """In place, as an editor or a copy does it."""
        name = self.random.choice(list(self.apps))
        _, _, half = self.apps[name]
        fault = self._begin("half-written file")
        fault.script = name
        path = self.host.root / name
        text = path.read_text()
        at = text.index(half)
        os.truncate(path, at)
        time.sleep(self.random.uniform(0.02, 1.5))
        with open(path, "a", encoding="utf-8") as f:
            f.write(text[at:])
        fault.ended = time.monotonic()

    def _reload(self):
        fault = self._begin("SIGHUP")
        self._signal(self.host.pid, signal.SIGHUP)
        fault.ended = time.monotonic()

    def _rotate(self):
        fault = self._begin("SIGUSR1")
        self._rotations += 1
        path = self.host.log_path
        path.rename(path.with_name(f"{path.name}.{self._rotations}"))
        self._signal(self.host.pid, signal.SIGUSR1)
        wait_for(path.exists, "the log is opened again")
        fault.ended = time.monotonic()
