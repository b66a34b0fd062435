"""
`make bench`: requests a second and latency under a real Fossil, side by side in one run.

The contestants take turns, round after round, so that a change in the machine's speed meets all of
them; what is printed are medians over the rounds, with the smallest and the largest beside them.
Ratios are taken within a round. JSON with every single figure is written beside the build.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.demo import Trouble, fetch, wait_for, with_demo  # noqa: E402
from support.waiting import free_port  # noqa: E402

NOTHING = {"python": 'print("Content-Type: text/plain\\n\\nhello")\n',
           "tcl": 'puts "Content-Type: text/plain\\n\\nhello"\n'}
IMPORTS = {"python": "import json, html, sqlite3, urllib.parse, datetime\n" + NOTHING["python"],
           "tcl": "package require sqlite3\npackage require json::write\n" + NOTHING["tcl"]}
PLAIN = {"python": "/usr/bin/python3", "tcl": "/usr/bin/tclsh"}
CLIENTS = (1, 2)
SETTLED = 2  # seconds without news: the host gathers names for 0.3 s, then starts a new template
PLAIN_SHARE = 3  # plain CGI is slow: it gets so many times fewer requests


def make_root(demo):
    """Name of the page: its file, for each contestant."""
    root = demo.folder / "bench"
    root.mkdir()
    subprocess.run(["gcc", "-O2", "-static", "-o", root / "c", HERE / "hello.c"], check=True)
    subprocess.run(["gcc", "-O2", "-pthread", "-o", demo.folder / "load", HERE / "load.c"],
                   check=True)
    for language in PLAIN:
        for name, text in (("nothing", NOTHING), ("imports", IMPORTS)):
            for how, line in (("exthost", demo.relay_line(language)),
                              ("plain", f"#!{PLAIN[language]}")):
                page = root / f"{name}-{language}-{how}"
                page.write_text(f"{line}\n{text[language]}", encoding="utf-8")
                page.chmod(0o755)
    return root


def load(demo, port, page, clients, requests):
    done = subprocess.run([demo.folder / "load", str(port), f"/ext/{page}", "hello", str(clients),
                           str(requests)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"{page}: {done.stderr.strip()}")
    rate, median, ninety = map(float, done.stdout.split())
    return {"rate": rate, "median": median, "p90": ninety}


def warm_up(demo, port, pages, log="host.log"):
    """Until the modules in use are noticed and preloaded: the host says nothing new any more."""
    seen, since = -1, 0.0

    def settled():
        nonlocal seen, since
        for page in pages:
            fetch(port, f"/ext/{page}")
        now = demo.log(log).count("is preloaded from now on")
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > SETTLED
    wait_for(settled, "the end of warming up")


def measure(demo, port, pages, rounds, requests):
    """{(page, clients): [figures of each round]}"""
    figures = {}
    for number in range(rounds):
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        for page in pages:
            count = requests // PLAIN_SHARE if page.endswith("-plain") else requests
            for clients in CLIENTS:
                figures.setdefault((page, clients), []).append(
                    load(demo, port, page, clients, count))
    if sys.stderr.isatty():
        print("\r" + " " * 30 + "\r", end="", file=sys.stderr, flush=True)
    return figures


def ratios(figures, what, page, other, clients):
    return [a[what] / b[what] for a, b in zip(figures[page, clients], figures[other, clients])]


def spread(values, form):
    return (f"{format(statistics.median(values), form)} "
            f"({format(min(values), form)}..{format(max(values), form)})")


def print_table(figures, pages):
    print(f"  {'page':<24} {'clients':>7}  {'requests/s':<22} {'median latency, ms':<22} "
          f"{'rate / C CGI':<20} {'latency / C CGI':<20}")
    for page in pages:
        for clients in CLIENTS:
            own = figures[page, clients]
            print(f"  {page:<24} {clients:>7}  {spread([f['rate'] for f in own], '.0f'):<22} "
                  f"{spread([f['median'] / 1000 for f in own], '.2f'):<22} "
                  f"{spread(ratios(figures, 'rate', page, 'c', clients), '.2f'):<20} "
                  f"{spread(ratios(figures, 'median', page, 'c', clients), '.2f'):<20}")


def goals(figures):
    """(sentence, figures, whether it is reached)"""
    for language, least in (("python", 4.0), ("tcl", 3.0)):
        for clients in CLIENTS:
            found = ratios(figures, "rate", f"imports-{language}-exthost",
                           f"imports-{language}-plain", clients)
            yield (f"with imports, {clients} client{'s' * (clients > 1)}: at least {least:g} times "
                   f"plain {language}", found, statistics.median(found) >= least)
    for language in PLAIN:
        found = ratios(figures, "median", f"nothing-{language}-exthost", "c", 1)
        yield (f"{language}, 1 client: latency at most 1.3 times the C CGI's", found,
               statistics.median(found) <= 1.3)
        found = ratios(figures, "rate", f"nothing-{language}-exthost", "c", 2)
        yield (f"{language}, 2 clients: at least 0.75 of the C CGI's requests", found,
               statistics.median(found) >= 0.75)


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          input="puts [info patchlevel]")
    found = re.search(r"\d+\.[\d.]+", done.stdout)
    return found[0] if found else "unknown"


def bench(demo, options):
    root = make_root(demo)
    pages = ["c"] + [f"{name}-{language}-{how}" for name in ("nothing", "imports")
                     for language in PLAIN for how in ("exthost", "plain")]
    demo.make_repository()
    demo.start_host(root)
    port = free_port()
    demo.start_fossil(root, port)
    versions = {"fossil": version("fossil", "version"), "python": version("/usr/bin/python3", "-V"),
                "tcl": version("/usr/bin/tclsh"), "kernel": platform.release()}
    busy = os.getloadavg()[0]
    print(f"Under a real Fossil, a new connection for each request; {options.requests} of them in "
          f"a round, {options.requests // PLAIN_SHARE} for plain CGI;\n"
          f"medians of {options.rounds} rounds (smallest..largest).")
    print("; ".join(f"{name} {text}" for name, text in versions.items())
          + f"; {os.cpu_count()} processors, load average before {busy:.2f}\n", flush=True)
    exthost_pages = [page for page in pages if page.endswith("-exthost")]
    warm_up(demo, port, exthost_pages)
    figures = measure(demo, port, pages, options.rounds, options.requests)
    for page in exthost_pages:
        demo.check_served(page, options.rounds * sum(
            options.requests // clients * clients for clients in CLIENTS))
    print_table(figures, pages)
    print()
    results = list(goals(figures))
    for sentence, found, reached in results:
        print(f"  {sentence:<58} {spread(found, '.2f'):<20} "
              f"{'reached' if reached else 'not reached'}")
    target = pathlib.Path(options.build) / "bench.json"
    target.write_text(json.dumps({
        "versions": versions, "rounds": options.rounds, "requests": options.requests,
        "plain_requests": options.requests // PLAIN_SHARE, "load_average": busy,
        "figures": [{"page": page, "clients": clients, "rounds": rounds}
                    for (page, clients), rounds in figures.items()],
        "goals": [{"goal": s, "ratios": f, "reached": r} for s, f, r in results]}, indent=1) + "\n")
    print(f"\nAll figures: {target}")


def main():
    parser = argparse.ArgumentParser(description="Measure the samples beside plain CGI.")
    parser.add_argument("--build", default="build/release")
    # Many short ones: what is compared lies seconds apart, and not half a minute.
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=100)
    options = parser.parse_args()
    if shutil.which("gcc") is None:
        print("make bench: gcc is needed", file=sys.stderr)
        return 1
    if options.rounds < 1 or options.requests < PLAIN_SHARE * max(CLIENTS):
        parser.error(f"at least 1 round and {PLAIN_SHARE * max(CLIENTS)} requests")
    return with_demo("make bench", options.build, lambda demo: bench(demo, options))


if __name__ == "__main__":
    sys.exit(main())
