"""
Memory and descriptors, looked at each second. A process must not grow: the median of the last fifth
of its life is compared with that of the second fifth. The front and the templates are replaced
during the first half, so of each role the processes with the longest life are judged.
"""

import os
import statistics
import threading
import time

from support.processes import status_number
from tree import Tree

# A process may take so much more than it had in the second fifth: what malloc keeps of the largest
# bodies. The front starts a thread when all are busy, and keeps it with its buffers and its arena.
MEMORY_SHARE, MEMORY_MORE, THREAD = 1.10, 1024, 1536  # KiB
DESCRIPTORS_MORE = 8  # a client's request has some open
LEAST_SAMPLES = 60


class Sample:
    def __init__(self, pid):
        self.memory = status_number(pid, "VmRSS")
        self.threads = status_number(pid, "Threads")
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
            found = Tree(self.host.pid)
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
                second, last = samples[fifth:2 * fifth], samples[-fifth:]
                memory, descriptors, threads = (
                    [statistics.median(getattr(sample, what) for sample in part)
                     for part in (second, last)] for what in ("memory", "descriptors", "threads"))
                who = f"{role} {pid}, {len(samples)} s"
                yield who, "KiB", *memory, (memory[0] * MEMORY_SHARE + MEMORY_MORE
                                            + max(0, threads[1] - threads[0]) * THREAD)
                yield who, "descriptors", *descriptors, descriptors[0] + DESCRIPTORS_MORE
