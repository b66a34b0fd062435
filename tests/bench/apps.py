"""
`make bench-apps`: apps behind a real nginx, beside what else serves such programs, in one run.

For each row its contestants are started, and take turns in short rounds, so that a change in the
machine's speed meets all of them. What is printed are medians over the rounds, with the smallest
and the largest; ratios are taken within a round, and of the medians. A goal is judged by the
median of the ratios. Where much else is at work on the machine, requests a second say little; then
"by CPU" tells what they would be without it: the ratio of the processor time that a request needs
of all together, nginx and the load included. JSON with every single figure is written beside the
build.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import measure  # noqa: E402
import nginx  # noqa: E402
import peers  # noqa: E402
import rows  # noqa: E402
from support.demo import DEADLINE, Trouble, wait_for, with_demo  # noqa: E402

SETTLED = 2  # seconds without news: the host gathers names for 0.3 s, then starts a new template
MEMORY_REQUESTS = 1000
UNITS = {"rate": "requests/s", "cpu": "CPU us/request",
         "whole": "with nginx and load", "p50": "p50 ms", "p99": "p99 ms",
         "max": "max ms", "unanswered": "never answered"}


def check(row, contestant):
    """That it answers with what belongs to the row."""
    request = urllib.request.Request(contestant.url, data=b"x" * row.body if row.body else None)
    with urllib.request.urlopen(request, timeout=DEADLINE) as reply:
        body = reply.read()
    if (len(body) != row.size) if row.size else (row.text.encode() not in body):
        raise Trouble(f"{contestant.url}: not the page that was expected")


def settle(demo, row, contestant):
    """Until the modules in use are noticed and preloaded: the host says nothing new any more."""
    seen, since = -1, 0.0

    def settled():
        nonlocal seen, since
        check(row, contestant)
        now = demo.log(f"{contestant.name}.log").count("is preloaded from now on")
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > SETTLED
    wait_for(settled, "the end of warming up")


def tell(text):
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def start(demo, functions):
    """(contestants, nginx)"""
    contestants = [function(demo) for function in functions]
    return contestants, nginx.start(demo, contestants)


def stop(demo):
    for program in reversed(demo.programs[:]):
        demo.stop(program)


def measure_row(demo, row, options):
    """{name: [figures of each round]}"""
    if row.prepare is not None:
        row.prepare(demo)
    contestants, front = start(demo, row.contestants)
    for contestant in contestants:
        check(row, contestant)
        if contestant.name in row.settles:
            settle(demo, row, contestant)
        measure.load(contestant, row, 1, demo.folder)
    figures = {contestant.name: [] for contestant in contestants}
    for number in range(options.rounds):
        tell(f"{row.title[:40]}: round {number + 1} of {options.rounds}")
        for contestant in contestants:
            figures[contestant.name].append(measure.measure(
                contestant, row, options.seconds * row.longer, demo.folder, front))
    tell("")
    for contestant in contestants:
        check(row, contestant)
    stop(demo)
    return figures


def judge(figures, what, name, other, bound):
    """One goal: a sentence, the figures it is judged by, whether it is reached."""
    at_most = what != "rate"
    if other is None:
        found = [figure[what] for figure in figures[name]]
        sentence = f"{name}: {UNITS[what]} at most {bound:g}"
        of_medians = None
    else:
        found = measure.ratios(figures[name], figures[other], what)
        of_medians = measure.median(figures[name], what) / measure.median(figures[other], what)
        sentence = f"{name}: {UNITS[what]} at {'most' if at_most else 'least'} {bound:g} of {other}"
    by_cpu = None
    if what == "rate" and all("whole" in f for f in figures[name] + figures[other]):
        by_cpu = statistics.median(measure.ratios(figures[other], figures[name], "whole"))
    middle = max(found) if what == "unanswered" else statistics.median(found)
    return {"goal": sentence, "found": found, "of_medians": of_medians, "by_cpu": by_cpu,
            "reached": middle <= bound if at_most else middle >= bound}


def print_goals(goals):
    for goal in goals:
        more = [f"{text} {goal[key]:.2f}" for key, text in (
            ("of_medians", "medians"), ("by_cpu", "by CPU")) if goal.get(key) is not None]
        print(f"    {goal['goal']:<50} {measure.spread(goal['found']):<22} {', '.join(more):<28} "
              f"{'reached' if goal['reached'] else '** not reached **'}")
    print(flush=True)


def print_row(row, figures, goals):
    others = measure.spread(f["others"] for rounds in figures.values() for f in rounds)
    print(f"  {row.title}; {row.clients} connections; at work for others: {others} %")
    shown = [what for what in UNITS if what != "unanswered" or row.straight]
    print(f"    {'':<10}" + "".join(f"{UNITS[what]:<24}" for what in shown).rstrip())
    for name, rounds in figures.items():
        print(f"    {name:<10}" + "".join(
            f"{measure.spread(f.get(what) for f in rounds):<24}" for what in shown).rstrip())
    print_goals(goals)


def measure_memory(demo):
    """KiB of the processes that have answered, and of all, when each has had its requests."""
    contestants, _ = start(demo, (rows.own("hello.wsgi"), rows.uwsgi("hello.wsgi")))
    found = {}
    for contestant in contestants:
        before = {pid: measure.cpu_of(pid) for pid in measure.processes(contestant.pid)}
        for _ in range(MEMORY_REQUESTS):
            check(rows.ROWS["hello"], contestant)
        pids = sorted(measure.processes(contestant.pid), key=lambda pid: before.get(pid, 0.0)
                      - measure.cpu_of(pid))
        found[contestant.name] = {"workers": measure.pss(pids[:peers.WORKERS]),
                                  "all": measure.pss(pids), "processes": len(pids)}
    stop(demo)
    return found


def print_memory(found):
    print(f"  Memory (PSS) after {MEMORY_REQUESTS} requests for WSGI hello")
    for name, figures in found.items():
        print(f"    {name:<10}{figures['workers']} KiB: two processes that answer; "
              f"{figures['all']} KiB: all {figures['processes']} processes")
    ratio = found["own"]["workers"] / found["uwsgi"]["workers"]
    goals = [{"goal": "own: PSS of two workers at most 1 of uwsgi", "found": [ratio],
              "reached": ratio <= 1}]
    print_goals(goals)
    return goals


def print_head(options, versions):
    print(f"Behind nginx (1 worker, no access log, unix sockets), two processes each. wrk asks for "
          f"{options.seconds} s at a time;\nmedians of {options.rounds} alternating rounds "
          f"(smallest..largest). Each logs its requests to a file, in its own kind\nof line; "
          f"fcgiwrap and the program on libfcgi have no such log. Rivet has HTTP at a TCP port.\n"
          f"CPU: user and system time of all processes of the contestant; then with those of nginx "
          f"and the load.")
    print("; ".join(versions) + f"; {os.cpu_count()} processors, load average before "
          f"{os.getloadavg()[0]:.2f}\n", flush=True)


def bench(demo, options):
    if os.geteuid() == 0:
        demo.folder.chmod(0o755)  # Apache's processes are another user's
    versions = peers.versions(demo) + [f"kernel {platform.release()}"]
    results = {"versions": versions, "rounds": options.rounds, "seconds": options.seconds,
               "load_average": os.getloadavg()[0], "rows": []}
    print_head(options, versions)
    for name in options.rows:
        if name == "memory":
            found = measure_memory(demo)
            results["rows"].append({"row": name, "figures": found, "goals": print_memory(found)})
            continue
        row = rows.ROWS[name]
        try:
            figures = measure_row(demo, row, options)
        except Trouble as e:
            print(f"  {row.title}: ** {e} **\n", flush=True)
            results["rows"].append({"row": name, "title": row.title, "trouble": str(e),
                                    "goals": [{"goal": "to answer", "reached": False}]})
            stop(demo)
            continue
        goals = [judge(figures, *goal) for goal in row.goals]
        print_row(row, figures, goals)
        results["rows"].append({"row": name, "title": row.title, "clients": row.clients,
                                "figures": figures, "goals": goals})
    target = pathlib.Path(options.build) / "bench-apps.json"
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    missed = sum(not goal["reached"] for row in results["rows"] for goal in row["goals"])
    print(f"{missed or 'No'} goal{'s' * (missed != 1)} missed. All figures: {target}")


def main():
    names = [*rows.ROWS, "memory"]
    parser = argparse.ArgumentParser(description="Measure apps beside other servers.")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of each contestant in a round")
    parser.add_argument("rows", nargs="*", default=names, metavar="ROW", help=", ".join(names))
    options = parser.parse_args()
    if not set(options.rows) <= set(names) or options.rounds < 1 or options.seconds < 1:
        parser.error(f"rows are {', '.join(names)}; at least 1 round of 1 second")
    return with_demo("make bench-apps", options.build, lambda demo: bench(demo, options))


if __name__ == "__main__":
    sys.exit(main())
