"""
What is written about the options must be what the program has: every option of --help stands in the
manual and the other way round, the manuals are well-formed, and README names no target or option
that is not there.

    documentation.py EXTHOST
"""

import pathlib
import re
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
HOST = REPOSITORY / "host" / "man"


def options_of_help(program, command):
    text = subprocess.run([program, command, "--help"], capture_output=True, text=True,
                          check=True).stdout
    return set(re.findall(r"^  --([a-z-]+)", text, re.M))


def options_of_mailer(program):
    script = REPOSITORY / "extensions" / "mailer.tcl"
    text = subprocess.run([program, "tclsh", script, "--help"], capture_output=True, text=True,
                          check=True).stdout
    return set(re.findall(r"^  --([a-z-]+)", text, re.M))


def options_of_manual(name):
    return set(re.findall(r"^\.It Fl -([a-z-]+)", (HOST / name).read_text(), re.M))


def main():
    program = sys.argv[1]
    complaints = []
    serve, request, status = (
        options_of_help(program, command) for command in ("serve", "request", "status"))
    if not serve or not request or not status:
        complaints.append("--help shows no options")
    manual = options_of_manual("exthost.8")
    keys = set(re.findall(r"^\.It ([a-z-]+) Ta", (HOST / "exthost.conf.5").read_text(), re.M))
    for name in sorted((serve | request | status) ^ manual):
        complaints.append(f"exthost.8 and --help differ in --{name}")
    for name in sorted((serve - {"config", "app"}) ^ keys):
        complaints.append(f"exthost.conf.5 and --help differ in {name}")
    for name in ("exthost.8", "exthost.conf.5", "exthost-cgi.1"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", HOST / name],
                              capture_output=True, text=True, check=False)
        complaints += (done.stdout + done.stderr).splitlines()
    readme = (REPOSITORY / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    for name in sorted(set(re.findall(r"\bmake ([a-z-]+)", readme)) - targets):
        complaints.append(f"README.md: no target 'make {name}'")
    # Of Fossil, systemctl, podman, docker and python3.
    others = {"extroot", "port", "localhost", "nojail", "now", "entrypoint", "read-only",
              "read-only-tmpfs", "tmpfs", "name",
              "cap-drop", "security-opt", "health-cmd", "version", "build-arg", "target", "from"}
    options = serve | request | status | others | options_of_mailer(program)
    for name in sorted(set(re.findall(r"--([a-z][a-z-]+)", readme)) - options):
        complaints.append(f"README.md: no option --{name}")
    for complaint in complaints:
        print(f"documentation: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
