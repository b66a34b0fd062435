"""
`make soak`: mixed requests of 8 clients, for SOAK_SECONDS (600), while runs, the front and the
templates are killed, the host reloads its configuration, clients vanish, and scripts crash or never
end.

Each kind of request has its allowed outcomes. Any other outcome must be explained by a fault that
was injected at that time. Memory and descriptors must not grow. Ends with status 1 if not.
Everything random comes from one seed, which is printed; SOAK_SEED sets it.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

CLIENTS = 8
SPARES = 2
OUTCOMES = ("200", "404", "500", "502", "503", "504", "cut", "gone")
LOG_KEPT = 20000  # lines
SHOWN = 20        # unexplained results, at most


class Places:
    """Where the clients go."""

    def __init__(self, host, nginx, repository):
        self.port, self.socket, self.trusted = nginx.port, host.socket, host.trusted
        self.root, self.repository = host.root, repository


class Ledger:
    """What became of all requests."""

    def __init__(self, host, injector):
        self.host, self.injector = host, injector
        self.lock = threading.Lock()
        self.outcomes = collections.Counter()  # (kind, outcome)
        self.ways = collections.Counter()
        self.explained = collections.Counter()  # (fault, outcome)
        self.unexplained = 0

    def add(self, result):
        with self.lock:
            self.outcomes[result.request.kind, result.outcome] += 1
            self.ways[result.way] += 1
            if result.outcome in result.request.answers:
                return
            log = self._log_of(result)
            fault = self.injector.explain(result, "\n".join(log))
            if fault is not None:
                self.explained[fault.name, result.outcome] += 1
                return
            self.unexplained += 1
            if self.unexplained <= SHOWN:
                self._show(result, log)

    def _log_of(self, result):
        """The log's lines about it: an error page tells its id."""
        found = re.search(r"request ([0-9a-f]{16})", result.detail)
        if not found:
            return []
        self.host.program.wait_line(found[1], " status=")
        return [line for line in self.host.program.log() if found[1] in line]

    def _show(self, result, log):
        request = result.request
        print(f"UNEXPLAINED {request.kind} ({request.language}), {result.way}"
              f"{', as Fossil' if request.as_fossil else ''}: {request.method} {request.target} "
              f"-> {result.outcome}, from {result.began:.3f} to {result.ended:.3f}")
        print("   ", result.detail[-300:].replace("\n", " "))
        for fault in self.injector.faults[-4:]:
            print(f"    before it: {fault.name} at {fault.began:.3f}")
        for line in log:
            print("    log:", line)
        sys.stdout.flush()

    def total(self):
        return sum(self.outcomes.values())


def print_minute(began, ledger, injector, sampler):
    with ledger.lock:
        explained = sum(ledger.explained.values())
        figures = [f"{role} {sample.memory} KiB {sample.descriptors} fd"
                   for role, sample in sampler.latest.items()]
        print(f"{time.monotonic() - began:6.0f} s  {ledger.total():8} requests  "
              f"{sum(injector.counts.values()):5} faults  {explained:5} explained  "
              f"{ledger.unexplained:3} unexplained  {'; '.join(figures)}", flush=True)


def print_summary(ledger, injector):
    others = sorted({outcome for _, outcome in ledger.outcomes} - set(OUTCOMES))
    columns = [*OUTCOMES, *others]
    print(f"\n{'request':<12}" + "".join(f"{column:>9}" for column in columns))
    for kind in sorted({kind for kind, _ in ledger.outcomes}):
        counts = [ledger.outcomes[kind, column] for column in columns]
        print(f"{kind:<12}" + "".join(f"{count or '-':>9}" for count in counts))
    print("\n" + "; ".join(f"{way}: {count}" for way, count in sorted(ledger.ways.items())))
    print("done to the host: " + "; ".join(
        f"{name}: {count}" for name, count in sorted(injector.counts.items())))
    print("explained by it: " + ("; ".join(
        f"{outcome} by {name}: {count}"
        for (name, outcome), count in sorted(ledger.explained.items())) or "nothing had to be"))


def judge_growth(sampler):
    """How many grew."""
    grown = 0
    print(f"\n{'process':<28}{'':<13}{'second fifth':>13}{'last fifth':>12}{'allowed':>10}")
    for who, what, before, after, most in sampler.verdicts():
        grown += after > most
        print(f"{who:<28}{what:<13}{before:>13.0f}{after:>12.0f}{most:>10.0f}"
              f"{'  GREW' if after > most else ''}")
    return grown


def soak(seconds, seed, folder):
    from clients import Client
    from injector import Injector
    from growth import Sampler
    from support.host import Host
    from support.servers import FOSSIL, Nginx
    import kinds

    root, repository = folder / "root", folder / "project.fossil"
    root.mkdir()
    kinds.make_root(root)
    subprocess.run([FOSSIL, "init", repository], env={"HOME": str(folder), "USER": "soak"},
                   check=True, capture_output=True)
    host = nginx = None
    clients, helpers = [], []
    ending = threading.Event()
    try:
        host = Host(root, "--prefix", "/ext", "--config", str(root / ".limits"),
                    "--spares", str(SPARES))
        nginx = Nginx(host.socket, keepalive=CLIENTS)
        began = time.monotonic()
        injector = Injector(random.Random(seed), host, seconds)
        sampler = Sampler(host)
        helpers += [injector, sampler]
        ledger = Ledger(host, injector)
        for number in range(CLIENTS):
            clients.append(Client(number, random.Random(f"{seed} {number}"),
                                  Places(host, nginx, str(repository)), ledger.add, ending))
        wait_and_tell(began, seconds, host, ledger, injector, sampler)
        ending.set()
        for client in clients:
            client.thread.join()
        for helper in helpers:
            helper.stop()
        print_summary(ledger, injector)
        grown = judge_growth(sampler)
        trouble = injector.trouble or find_left_over(host)
        if trouble:
            print(f"\nsoak: {trouble}")
        print(f"\n{ledger.total()} requests in {time.monotonic() - began:.0f} s, "
              f"{ledger.unexplained} unexplained, {grown} grew; seed {seed}", flush=True)
        stopping, host = host, None
        nginx.stop()
        nginx = None
        stopping.stop()  # and nothing of it may be left
        return 1 if ledger.unexplained or grown or trouble else 0
    finally:
        ending.set()
        for helper in helpers:
            helper.stop()
        if nginx:
            nginx.stop()
        if host:
            host.kill()


def find_left_over(host):
    from injector import wait_until_settled

    try:
        wait_until_settled(host.pid, SPARES)
    except AssertionError as e:
        return str(e)
    return None


def wait_and_tell(began, seconds, host, ledger, injector, sampler):
    for second in range(1, seconds + 1):
        time.sleep(max(0.0, began + second - time.monotonic()))
        host.program.forget(LOG_KEPT)
        if second % 60 == 0 or second == seconds:
            print_minute(began, ledger, injector, sampler)
        if injector.trouble or not host.program.running():
            print("\n".join(["soak: the host is not what it should be:", injector.trouble or "",
                             *host.program.log()[-20:]]))
            return


def main():
    parser = argparse.ArgumentParser(
        description="Long and mixed load while the host is being hurt.")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("SOAK_SECONDS") or 600))
    parser.add_argument("--seed", type=int,
                        default=int(os.environ.get("SOAK_SEED") or random.randrange(1 << 31)))
    options = parser.parse_args()
    os.environ["EXTHOST_BUILD"] = str(pathlib.Path(options.build).resolve())
    # SIGTERM ends this program like SIGINT: after it has ended all that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="exthost-soak-"))
    print(f"soak: {options.seconds} s, {CLIENTS} clients, seed {options.seed}", flush=True)
    try:
        return soak(options.seconds, options.seed, folder)
    except KeyboardInterrupt:
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
