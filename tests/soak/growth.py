"""
Memory and descriptors, looked at each second. A process must not grow: the median of the last fifth
of its life is compared with that of the second fifth. The front and a template are replaced while
the first half lasts, so of each role the one that lived longest is judged.
"""

import os
import statistics
import threading
import time

from faults import Processes
from processes import status_number

# A process may take so much more than it had in the second fifth: threads, and what malloc keeps.
MEMORY_SHARE, MEMORY_MORE = 1.10, 1024  # KiB
DESCRIPTORS_MORE = 8  # a client's request has some open
LEAST_SAMPLES = 20


class Sample:
    def __init__(self, pid):
        self.memory = status_number(pid, "VmRSS")
        try:
            self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            self.descriptors = 0


class Sampler:
    def __init__(self, host):
        self.host = host
        self.lives = {}  # (role, pid): samples
        self.latest = {}  # role: the last sample of its newest process
        self._ending = threading.Event()
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def stop(self):
        self._ending.set()
        self.thread.join()

    def _main(self):
        next_look = time.monotonic()
        while not self._ending.wait(max(0.0, next_look - time.monotonic())):
            next_look += 1
            found = Processes(self.host.pid)
            roles = [("master", found.master), ("front", found.front)]
            roles += [("template", pid) for pid in found.templates]
            for role, pid in roles:
                sample = Sample(pid)
                if pid is not None and sample.memory > 0:
                    self.lives.setdefault((role, pid), []).append(sample)
                    self.latest[role] = sample

    def verdicts(self):
        """(role and pid, what, second fifth, last fifth, allowed) for each process judged."""
        for role, count in (("master", 1), ("front", 1), ("template", 2)):
            longest = sorted((life for life in self.lives.items() if life[0][0] == role),
                             key=lambda life: len(life[1]), reverse=True)
            for (_, pid), samples in longest[:count]:
                if len(samples) < LEAST_SAMPLES:
                    continue
                fifth = len(samples) // 5
                for what in ("memory", "descriptors"):
                    values = [getattr(sample, what) for sample in samples]
                    before = statistics.median(values[fifth:2 * fifth])
                    after = statistics.median(values[-fifth:])
                    most = before * MEMORY_SHARE + MEMORY_MORE if what == "memory" \
                        else before + DESCRIPTORS_MORE
                    yield f"{role} {pid}, {len(samples)} s", what, before, after, most
