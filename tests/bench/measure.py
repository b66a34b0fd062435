"""How a contestant is measured, and how figures are summed up.

Processor time is what the kernel has counted for all processes of a contestant: those that its
program has started, and what they have started in turn.
"""

import os
import pathlib
import re
import resource
import statistics
import subprocess
import time

from support.demo import Trouble
from support.processes import descendants

LUA = pathlib.Path(__file__).resolve().parent / "load.lua"
TICK = os.sysconf("SC_CLK_TCK")


def processes(top):
    """The process ids of a program and of all that descend from it."""
    return [top, *descendants(top)]


def cpu_of(pid):
    """Seconds of this process's threads, and of the children that it has waited for."""
    process = pathlib.Path("/proc", str(pid))
    spent = sum(int((task / "schedstat").read_text(encoding="utf-8").split()[0])
                for task in (process / "task").iterdir()) / 1e9
    fields = (process / "stat").read_text(encoding="utf-8",
                                          errors="replace").rpartition(")")[2].split()
    return spent + (int(fields[13]) + int(fields[14])) / TICK


def cpu(top):
    """Seconds of all processes of a program."""
    spent = 0.0
    for pid in processes(top):
        try:
            spent += cpu_of(pid)
        except OSError:  # it has ended; what it used is its parent's now
            continue
    return spent


def pss(pids):
    """KiB: what is shared counts in proportion."""
    total = 0
    for pid in pids:
        rollup = pathlib.Path("/proc", str(pid), "smaps_rollup").read_text(encoding="utf-8")
        total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])
    return total


def load(contestant, row, seconds, folder):
    """What so many clients get for so long: requests a second, latencies in ms."""
    if row.straight:
        command = [folder / "kept", contestant.socket, contestant.script, row.clients, seconds]
    else:
        command = ["wrk", "-t1", f"-c{row.clients}", f"-d{seconds}s", "--timeout", "20s", "-s", LUA,
                   contestant.url, "--"] + ([row.body] if row.body else [])
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, timeout=seconds + 60)
    line = re.search(r"^figures (.*)$", done.stdout, re.M)
    if line is None:
        raise Trouble(f"{command[0]}: {(done.stderr or done.stdout).strip()}")
    count, duration, errors, timeouts, p50, p99, most, *unanswered = map(float, line[1].split())
    if errors + timeouts > 0 or count == 0:
        raise Trouble(f"{contestant.name}, {row.title}: {count:.0f} answers, {errors:.0f} errors, "
                      f"{timeouts:.0f} timeouts {done.stderr.strip()}")
    figures = {"requests": int(count), "rate": count / duration * 1e6, "p50": p50 / 1e3,
               "p99": p99 / 1e3, "max": most / 1e3}
    return figures | ({"unanswered": unanswered[0]} if unanswered else {})


def busy():
    """Seconds that the processors have worked, for anybody, or were taken by other machines."""
    user, nice, system, _, _, *rest = map(int, pathlib.Path("/proc/stat").read_text(
        encoding="utf-8").split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / TICK


def clocks(contestant, front):
    """Seconds so far: the contestant's; with nginx and the load; everybody's; by the clock."""
    own = cpu(contestant.pid)
    load_used = resource.getrusage(resource.RUSAGE_CHILDREN)
    every = own + cpu(front.pid) + load_used.ru_utime + load_used.ru_stime
    return own, every, busy(), time.monotonic()


def measure(contestant, row, seconds, folder, front):
    """
    As load, and microseconds of processor time for each request: "cpu", the contestant's, and
    "whole", with nginx and the load too. "others" is the share of the machine that was at work for
    something else.
    """
    before = clocks(contestant, front)
    figures = load(contestant, row, seconds, folder)
    own, every, everybody, elapsed = (b - a for a, b in zip(before, clocks(contestant, front)))
    figures["others"] = max(0.0, everybody - every) / elapsed / os.cpu_count() * 100
    if contestant.counts:
        figures["cpu"] = own / figures["requests"] * 1e6
        figures["whole"] = every / figures["requests"] * 1e6
    return figures


def median(rounds, what):
    return statistics.median(figures[what] for figures in rounds)


def ratios(rounds, others, what):
    """Of figures that were taken one after the other."""
    return [a[what] / b[what] for a, b in zip(rounds, others)]


def spread(values):
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    middle = statistics.median(values)
    form = ".0f" if middle >= 1000 else ".1f" if middle >= 20 else ".2f"
    return f"{middle:{form}} ({min(values):{form}}..{max(values):{form}})"
