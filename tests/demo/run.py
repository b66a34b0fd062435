"""`make run`: the samples answer inside a real Fossil, and the same pages by plain CGI beside them.

Everything lives in one temporary directory and ends with this program: Fossil, the host, the files.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.demo import (  # noqa: E402
    ENDING, LANGUAGES, REPOSITORY, SAMPLES, Trouble, ended, fetch, with_demo)
from support.waiting import free_port  # noqa: E402


def start_plain(demo):
    """Fossil with the same samples as plain CGI programs, for comparison: (program, port)."""
    root = demo.make_root("plain", lambda word, plain: f"#!{plain}")
    for library in ("python/exthost.py", "tcl/exthost.tcl", "tcl/pkgIndex.tcl"):
        shutil.copy(REPOSITORY / "bindings" / library, root)
    port = free_port()
    return demo.start_fossil(root, port), port


def compare(demo, port):
    """Fetch each page both ways and print what came. The pages that answered otherwise."""
    plain, plain_port = start_plain(demo)
    for suffix, _, _ in LANGUAGES.values():
        fetch(port, f"/ext/hello{suffix}")
        fetch(plain_port, f"/ext/hello{suffix}")
    print(f"  {'page':<12} {'title':<24} {'language':<9} {'status':>6} {'exthost':>10} "
          f"{'plain CGI':>10}")
    bad = []
    for sample, name in SAMPLES.items():
        for language, (suffix, _, _) in LANGUAGES.items():
            page = sample + suffix
            status, title, taken = fetch(port, f"/ext/{page}")
            plain_status, plain_title, plain_taken = fetch(plain_port, f"/ext/{page}")
            print(f"  {page:<12} {title:<24} {language:<9} {status:>6} {taken:>7.1f} ms "
                  f"{plain_taken:>7.1f} ms")
            expected = (200, f"{name} ({language})")
            if (status, title) != expected:
                bad.append(page)
            if (plain_status, plain_title) != expected:
                bad.append(f"{page} by plain CGI")
    demo.stop(plain)
    return bad


def run(demo, options):
    port = free_port(options.port)
    print("exthost: the samples, once through exthost and once by plain CGI, in a real Fossil.\n"
          "Making a repository and starting both; this takes a few seconds.\n", flush=True)
    demo.make_repository()
    root = demo.make_root("extensions", lambda word, plain: demo.relay_line(word))
    demo.start_host(root)
    demo.start_fossil(root, port)
    bad = compare(demo, port)
    if bad:
        raise Trouble(f"not the page that was expected: {', '.join(bad)}")
    for suffix, _, _ in LANGUAGES.values():
        demo.check_served(suffix, len(SAMPLES) + 1)
    print("\nEach page was fetched once, after one of its language.")
    if not options.once:
        print_addresses(port)
        serve(demo)


def print_addresses(port):
    print("\nSee for yourself:\n")
    print(f"  http://127.0.0.1:{port}/ext/index.html   all samples")
    for sample in SAMPLES:
        print("  " + "   ".join(f"{f'http://127.0.0.1:{port}/ext/{sample}{suffix}':<40}"
                                for suffix, _, _ in LANGUAGES.values()).rstrip())


def serve(demo):
    """Until Ctrl-C. Trouble when a program ends by itself."""
    print("\nCtrl-C ends it and leaves nothing behind.", flush=True)
    awaited = ENDING | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    while not any(ended(program) for program in demo.programs):
        if signal.sigwait(awaited) in ENDING:
            print("\nstopping", flush=True)
            return
    gone = next(program for program in demo.programs if ended(program))
    raise Trouble(f"{os.path.basename(gone.args[0])} ended by itself")


def main():
    parser = argparse.ArgumentParser(description="See the samples answer in a real Fossil.")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--once", action="store_true", help="end after the table")
    options = parser.parse_args()
    return with_demo("make run", options.build, lambda demo: run(demo, options))


if __name__ == "__main__":
    sys.exit(main())
