"""
`make soak`: mixed requests of 8 clients, for SOAK_SECONDS (600), while processes of every kind are
killed and stopped, apps are edited and left half written, the configuration is read again, the log
is rotated, clients vanish, and scripts crash or never end.

Each kind of request has its allowed outcomes. A request that has any other is lost, and must have
been in the hands of a process that was killed or stopped at that time: by the process id in its log
line, or, if it has no line, because the front was hit. Memory and descriptors must not grow. Ends
with status 1 if not. Everything random comes from one seed, which is printed; SOAK_SEED sets it.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

CLIENTS = 8
SPARES = 2
OUTCOMES = ("200", "404", "500", "502", "503", "504", "cut", "gone")
LOG_LATE = 3  # seconds that the log line of a lost request may take to come
SHOWN = 20    # unexplained results, at most


class Places:
    """Where the clients go."""

    def __init__(self, host, folder, repository):
        self.host, self.folder, self.repository = host, folder, repository
        self.root = host.root
        self.servers = {}  # by name, all with a port

    def address(self, request):
        """The FastCGI socket for this request."""
        if request.own:
            return f"{self.folder}/{request.language}"
        return self.host.trusted if request.as_fossil else self.host.socket

    def port(self, request, way):
        """The web server's port for this request."""
        if way == "Fossil":
            return self.servers["fossil"].port
        return self.servers[request.language if request.own else "shared"].port


class Ledger:
    """What became of all requests."""

    def __init__(self, log, injector):
        self.log, self.injector = log, injector
        self.lock = threading.Lock()
        self.outcomes = collections.Counter()  # (kind, outcome)
        self.ways = collections.Counter()
        self.lost = collections.Counter()       # by way
        self.explained = collections.Counter()  # (fault, outcome)
        self.unexplained = 0

    def add(self, result):
        lost = result.outcome not in result.request.answers
        with self.lock:
            self.outcomes[result.request.kind, result.outcome] += 1
            self.ways[result.way] += 1
            self.lost[result.way] += lost
        if not lost:
            return
        entries = self.log.entries(result.request.token, LOG_LATE)
        fault = self.injector.explain(result, entries)
        with self.lock:
            if fault is not None:
                self.explained[fault.name, result.outcome] += 1
                return
            self.unexplained += 1
            if self.unexplained <= SHOWN:
                self._show(result, entries)

    def _show(self, result, entries):
        request = result.request
        print(f"UNEXPLAINED {request.kind} ({request.language}), {result.way}"
              f"{', as Fossil' if request.as_fossil else ''}: {request.method} {request.target} "
              f"({len(request.body)} bytes) -> {result.outcome}, "
              f"from {result.began:.3f} to {result.ended:.3f}")
        print("   ", result.detail[-300:].replace("\n", " "))
        for fault in self.injector.faults:
            if fault.pid and fault.began > result.began - 5 and fault.began <= result.ended:
                print(f"    beside it: {fault.name} of {sorted(fault.pids)}, from "
                      f"{fault.began:.3f} to {fault.ended or 0:.3f}")
        for _, line in entries:
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
    print(f"\n{'way':<28}{'requests':>9}{'lost':>9}")
    for way, count in sorted(ledger.ways.items()):
        print(f"{way:<28}{count:>9}{ledger.lost[way] or '-':>9}")
    print(f"\n{'done to the host':<28}{'times':>9}   lost by it")
    for name, count in sorted(injector.counts.items()):
        lost = ", ".join(f"{outcome}: {number}" for (fault, outcome), number
                         in sorted(ledger.explained.items()) if fault == name)
        print(f"{name:<28}{count:>9}   {lost or '-'}")


def judge_growth(sampler):
    """How many grew."""
    grown = 0
    print(f"\n{'process':<28}{'':<13}{'second fifth':>13}{'last fifth':>12}{'allowed':>10}")
    for who, what, before, after, most in sampler.verdicts():
        grown += after > most
        print(f"{who:<28}{what:<13}{before:>13.0f}{after:>12.0f}{most:>10.0f}"
              f"{'  GREW' if after > most else ''}")
    return grown


def start_host(root, log):
    """A host that logs to this file, which is rotated."""
    from support.host import Host

    class Logging(Host):
        log_path = log

        def _ready(self):
            return log.exists() and " ready" in log.read_text()

    return Logging(root, "--prefix", "/ext", "--config", str(root / ".conf"), "--log", str(log),
                   "--spares", str(SPARES))


def start_servers(places):
    from support.servers import Fossil, Nginx

    for name, address in (("shared", places.host.socket), ("python", f"{places.folder}/python"),
                          ("tcl", f"{places.folder}/tcl")):
        places.servers[name] = Nginx(address, keepalive=CLIENTS)
    places.servers["fossil"] = Fossil(places.root)
    places.repository = places.servers["fossil"].repository


def soak(seconds, seed, folder):
    from clients import Client
    from growth import Sampler
    from injector import Injector
    from log_reader import LogReader
    import kinds

    root = folder / "root"
    root.mkdir()
    apps = kinds.make_root(root, folder)
    host = places = None
    clients, helpers = [], []
    ending = threading.Event()
    try:
        host = start_host(root, folder / "log")
        places = Places(host, folder, None)
        start_servers(places)
        began = time.monotonic()
        log = LogReader(host.log_path)
        injector = Injector(random.Random(seed), host, seconds, apps)
        sampler = Sampler(host)
        helpers += [injector, sampler, log]
        ledger = Ledger(log, injector)
        for number in range(CLIENTS):
            clients.append(Client(number, random.Random(f"{seed} {number}"), places, ledger.add,
                                  ending))
        wait_and_tell(began, seconds, host, ledger, injector, sampler)
        injector.stop()  # while clients still ask: what is stopped is found by that
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
        for server in places.servers.values():
            server.stop()
        places = None
        stopping.stop()  # and nothing of it may be left
        return 1 if ledger.unexplained or grown or trouble else 0
    finally:
        ending.set()
        for helper in helpers:
            helper.stop()
        for server in places.servers.values() if places else ():
            server.stop()
        if host:
            host.kill()


def find_left_over(host):
    from tree import wait_until_settled

    try:
        wait_until_settled(host.pid, SPARES)
    except AssertionError as e:
        return str(e)
    return None


def wait_and_tell(began, seconds, host, ledger, injector, sampler):
    for second in range(1, seconds + 1):
        time.sleep(max(0.0, began + second - time.monotonic()))
        if second % 60 == 0 or second == seconds:
            print_minute(began, ledger, injector, sampler)
        if injector.trouble or not host.program.running():
            print("\n".join(["soak: the host is not what it should be:", injector.trouble or "",
                             *ledger.log.last[-20:]]))
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
