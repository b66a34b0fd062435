"""
`make bench-tuning`: what each part of the speed machinery gains.

For each part a host runs that leaves it out (EXTHOST_WITHOUT), beside a whole host, each under a
Fossil of its own. Both get the same requests in turn, round after round, from two clients. What
is compared is the processor time of all processes of the host, for one request. A part's gain is
that of the page that gains most. What is done ahead (spares, warm) gains no processor time but
latency with one client, which is measured too. JSON with every figure is written beside the build.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import measure  # noqa: E402
import run  # noqa: E402
from support.demo import with_demo  # noqa: E402
from support.waiting import free_port  # noqa: E402

CLOCK = ("# exthost: rerun\nputs \"Content-Type: text/plain\\n\\nhello "
         "[clock format [clock seconds]]\"\n")
PYTHON, TCL = ("nothing-python", "imports-python"), ("nothing-tcl", "imports-tcl")
# The parts, as host/base/tuning.c names them, with the pages that they are for.
PARTS = {
    "spares": PYTHON + TCL, "warm": PYTHON + TCL,
    "heap-fill": PYTHON + TCL, "huge-heap": PYTHON + TCL, "huge-text": PYTHON + TCL,
    "kept-code": PYTHON, "noticed-modules": PYTHON[1:] + TCL[1:],
    "python-arenas": PYTHON, "python-objects": PYTHON,
    "python-freeze": PYTHON, "tcl-memory": TCL, "tcl-packages": TCL, "tcl-clock": ("clock-tcl",)}
CLIENTS = 2
ALONE_SHARE = 4  # so many times fewer requests with one client
LEAST = 3.0  # per cent: what gains less is not worth its code


class Contestant:
    """A host that leaves out a part (None: it has all), and a Fossil in front of it."""

    def __init__(self, demo, part):
        self.demo, self.name = demo, part or "all"
        self.root = demo.folder / self.name
        self.root.mkdir()
        for page in PYTHON + TCL:
            kind, language = page.split("-")
            text = (run.NOTHING if kind == "nothing" else run.IMPORTS)[language]
            self.write(page, language, text)
        self.write("clock-tcl", "tcl", CLOCK)
        log = f"host-{self.name}.log"
        demo.environment["EXTHOST_WITHOUT"] = part or ""
        self.host = demo.start(demo.bin / "exthost", "serve", "--root", self.root, log=log)
        del demo.environment["EXTHOST_WITHOUT"]
        demo.wait_ready(self.host, "exthost", log, lambda: " ready" in demo.log(log))
        self.port = free_port()
        demo.start_fossil(self.root, self.port)
        run.warm_up(demo, self.port, (*PYTHON, *TCL, "clock-tcl"), log)

    def write(self, page, language, text):
        file = self.root / page
        file.write_text(f"{self.demo.relay_line(language)}\n{text}", encoding="utf-8")
        file.chmod(0o755)

    def measure(self, page, requests):
        """
        Microseconds of processor time that the host uses for a request of this page with two
        clients, and of the median latency with one.
        """
        before = measure.cpu(self.host.pid)
        run.load(self.demo, self.port, page, CLIENTS, requests)
        used = measure.cpu(self.host.pid) - before
        alone = run.load(self.demo, self.port, page, 1, requests // ALONE_SHARE)
        return {"cpu": used / requests * 1e6, "latency": alone["median"]}


def gain(pairs, what):
    """Per cent that a request without the part takes more of this: median of the rounds, spread."""
    rounds = [(without[what] / whole[what] - 1) * 100 for whole, without in pairs]
    return statistics.median(rounds), min(rounds), max(rounds)


def show(parts, figures):
    print(f"  {'part':<18} {'page':<16} {'processor time: all, without, gain':<44} "
          "latency: all, without, gain")
    for part in parts:
        for page in PARTS[part]:
            pairs = figures[part, page]
            columns = []
            for what in ("cpu", "latency"):
                whole, without = (statistics.median(f[what] for f in side) for side in zip(*pairs))
                found, least, most = gain(pairs, what)
                columns.append(f"{whole:>6.0f} {without:>6.0f} us  {found:+.1f} % "
                               f"({least:+.1f}..{most:+.1f})")
            print(f"  {part:<18} {page:<16} {columns[0]:<44} {columns[1]}")
    for part in parts:
        if all(gain(figures[part, page], what)[0] < LEAST
               for page in PARTS[part] for what in ("cpu", "latency")):
            print(f"\n  {part} gains less than {LEAST:g} per cent")


def bench(demo, options):
    subprocess.run(["gcc", "-O2", "-pthread", "-o", demo.folder / "load", HERE / "load.c"],
                   check=True)
    demo.make_repository()
    parts = options.parts or list(PARTS)
    whole = Contestant(demo, None)
    others = [Contestant(demo, part) for part in parts]
    figures = {}
    for number in range(options.rounds):
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
        for other in others:
            for page in PARTS[other.name]:
                figures.setdefault((other.name, page), []).append(
                    (whole.measure(page, options.requests), other.measure(page, options.requests)))
    if sys.stderr.isatty():
        print("\r" + " " * 30 + "\r", end="", file=sys.stderr, flush=True)
    print(f"Under Fossil: processor time of the host for a request with {CLIENTS} clients, and "
          f"median latency with one;\nmedians of {options.rounds} rounds of {options.requests} "
          "requests (smallest..largest).\n")
    show(parts, figures)
    target = pathlib.Path(options.build) / "bench-tuning.json"
    target.write_text(json.dumps(
        {"rounds": options.rounds, "requests": options.requests, "figures": [
            {"part": part, "page": page, "rounds": pairs}
            for (part, page), pairs in figures.items()]}, indent=1) + "\n", encoding="utf-8")
    print(f"\nAll figures: {target}")


def main():
    parser = argparse.ArgumentParser(description="Measure each part of the speed machinery.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return with_demo("make bench-tuning", options.build, lambda demo: bench(demo, options))


if __name__ == "__main__":
    sys.exit(main())
