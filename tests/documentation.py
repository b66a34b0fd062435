"""
What is written about the options must be what the program has: every option of --help stands in its
manual and the other way round, with the range that the program allows; the manuals are well-formed;
and no page names a target or option that is not there. docs/ tests what the pages' commands do.

    documentation.py EXTHOST
"""

import re
import subprocess
import sys
import tempfile

from support.documents import MANUALS, PAGES
from support.host import REPOSITORY

MAN = REPOSITORY / "host" / "man"
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# Of Fossil, mount, systemctl, podman, docker, kubectl, cmake, ctest, git and other tools.
OTHERS = set("""
    extroot port localhost nojail now entrypoint read-only read-only-tmpfs tmpfs name
    cap-drop security-opt health-cmd version build-arg target from preset build help
    prefix batch args pid core list bind
""".split())


def options_of_help(program, *command):
    text = subprocess.run(
        [program, *command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"^  (?:-h, )?--([a-z-]+)", text, re.M))


def options_of_manual(name):
    return set(re.findall(r"^\.It Fl -([a-z-]+)", (MAN / name).read_text(), re.M))


def bytes_of(text):
    return int(re.sub(r"\D", "", text)) * UNITS[re.sub(r"\d", "", text)]


def ranges(program):
    """A complaint for each range of exthost.conf(5) that is not the program's."""
    text = (MAN / "exthost.conf.5").read_text()
    for key, least, most in re.findall(
        r"^\.It Ic ([a-z-]+) No = (\d+[kmg]?) to (\d+[kmg]?)\b", text, re.M
    ):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(f"root = /\n{key} = 99999999999999999999\n")
            file.flush()
            told = subprocess.run(
                [program, "check", "--config", file.name],
                capture_output=True,
                text=True,
                check=False,
            ).stderr
        if f"allowed is {bytes_of(least)} to {bytes_of(most)}\n" not in told:
            yield f"exthost.conf.5: {key} is {least} to {most}; the program says: {told.strip()}"


def main():
    program = sys.argv[1]
    complaints = []
    serve, request, status, check = (
        options_of_help(program, command) for command in ("serve", "request", "status", "check")
    )
    mailers = [
        options_of_help(program, language, REPOSITORY / "extensions" / f"mailer{suffix}")
        for language, suffix in (("python", ".py"), ("tclsh", ".tcl"))
    ]
    if not serve or not request or not status or not check:
        complaints.append("--help shows no options")
    keys = set(re.findall(r"^\.It Ic ([a-z-]+)", (MAN / "exthost.conf.5").read_text(), re.M))
    for manual, said, there in (
        ("exthost.8", options_of_manual("exthost.8"), serve | status),
        ("exthost.1", options_of_manual("exthost.1"), request),
        ("exthost.conf.5", keys, serve - {"config", "app"}),
        (
            "exthost-mailer.1",
            options_of_manual("exthost-mailer.1") - {"help"},
            mailers[0] - {"help"},
        ),
        ("mailer.py", mailers[0] - {"help"}, mailers[1]),
    ):
        complaints += [f"{manual} and --help differ in {name}" for name in sorted(said ^ there)]
    complaints += ranges(program)
    for manual in MANUALS:
        done = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", manual],
            capture_output=True,
            text=True,
            check=False,
        )
        complaints += (done.stdout + done.stderr).splitlines()
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    options = serve | request | status | mailers[0] | OTHERS
    for page in PAGES:
        name, text = page.relative_to(REPOSITORY), page.read_text()
        complaints += [
            f"{name}: no target 'make {target}'"
            for target in sorted(set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)`", text)) - targets)
        ]
        complaints += [
            f"{name}: no option --{option}"
            for option in sorted(set(re.findall(r"--([a-z][a-z-]+)", text)) - options)
        ]
    for complaint in complaints:
        print(f"documentation: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
