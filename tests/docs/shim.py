#!/usr/bin/python3 -B
"""
The commands of the documents that cannot be run as they are written; each name in NAMES is a link
to this file, in front on the PATH of a document's commands. SANDBOX is the document's directory.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "tests"))

# pylint: disable=wrong-import-position
from support.servers import ROOT, apache_command, apache_text, nginx_command, nginx_text
from support.waiting import listens, wait_for

# The tests import this file for NAMES alone.
SANDBOX = Path(os.environ.get("SANDBOX", "/nonexistent"))
BUILD = os.environ.get("EXTHOST_BUILD", "")


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def beyond(name):
    """The program of this name that is behind the shims on the PATH."""
    path = os.environ["PATH"].partition(":")[2]
    return shutil.which(name, path=path) or fail("it is not installed")


def become(name, *arguments):
    os.execv(beyond(name), [name, *arguments])


def serve(argv, port):
    """Start a server that stays, and return when it listens."""
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    with open(SANDBOX / "servers", "a", encoding="utf-8") as file:
        file.write(f"{server.pid}\n")
    wait_for(lambda: listens(port) or server.poll() is not None, f"{argv[0]} listens")
    if server.poll() is not None:
        fail("it ended before it listened")


def sudo(*command):
    """The command itself: the tests run as the user who runs them."""
    os.execvp(command[0], command)


def make(*arguments):
    """`make` and `make install` are done with the build under test; other targets must be there."""
    targets = [word for word in arguments if "=" not in word]
    if targets == ["install"]:
        done = subprocess.run(
            [beyond("cmake"), "--install", BUILD, "--prefix", f"{SANDBOX}/usr/local"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        sys.exit(done.returncode)
    if not targets:
        sys.exit(0 if os.access(f"{BUILD}/bin/exthost", os.X_OK) else 1)
    os.chdir(REPOSITORY)
    become("make", "-n", *arguments)


def cmake(*arguments):
    """A preset must be there; nothing is built."""
    os.chdir(REPOSITORY)
    preset = arguments[arguments.index("--preset") + 1]
    kind = "build" if "--build" in arguments else "configure"
    listed = subprocess.run(
        [beyond("cmake"), f"--list-presets={kind}"], capture_output=True, text=True, check=True
    )
    if f'"{preset}"' not in listed.stdout:
        fail(f"no preset {preset}")


def ctest(*arguments):
    """The tests that are meant are listed, and there must be one."""
    chosen = [word for word in arguments if not word.startswith("-j")]
    at = chosen.index("--preset")
    del chosen[at : at + 2]
    # Not in the build itself, where the ctest that runs this test has its log.
    folder = SANDBOX / "ctest"
    folder.mkdir(exist_ok=True)
    (folder / "CTestTestfile.cmake").write_text(f'subdirs("{BUILD}")\n')
    listed = subprocess.run(
        [beyond("ctest"), "--test-dir", folder, "-N", *chosen],
        capture_output=True,
        text=True,
        check=False,
    )
    if not re.search(r"Total Tests: [1-9]", listed.stdout):
        fail(f"no test: {listed.stdout}{listed.stderr}")


def nginx(*arguments):
    """nginx as Debian sets it up, with the files of conf.d; a reload starts it."""
    if arguments != ("-s", "reload"):
        fail(f"only -s reload is known, not {arguments}")
    folder = SANDBOX / "nginx"
    folder.mkdir()
    shutil.copy("/etc/nginx/fastcgi_params", folder)
    include = f"    include {SANDBOX}/etc/nginx/conf.d/*.conf;\n"
    (folder / "nginx.conf").write_text(nginx_text(folder, include, "www-data"))
    serve(nginx_command(folder), int(os.environ["PORT_8081"]))


def a2enmod(*modules):
    with open(SANDBOX / "modules", "a", encoding="utf-8") as file:
        file.writelines(f"{module}\n" for module in modules)


def apache2ctl(*arguments):
    """Apache with the modules that were enabled, and those that they need."""
    if arguments != ("graceful",):
        fail(f"only graceful is known, not {arguments}")
    enabled = (SANDBOX / "modules").read_text().split()
    folder = SANDBOX / "apache"
    folder.mkdir()
    port = int(os.environ["PORT_80"])
    include = f"IncludeOptional {SANDBOX}/etc/apache2/sites-enabled/*.conf\n"
    (folder / "apache.conf").write_text(apache_text(folder, port, ("proxy", *enabled), include))
    serve(apache_command(folder), port)


def _unit(name):
    unit = SANDBOX / "usr/local/lib/systemd/system" / (name if "." in name else f"{name}.service")
    if not unit.exists():
        fail(f"no unit {name}")
    return unit


def systemctl(*arguments):
    """The units must be there; at daemon-reload systemd-analyze and `exthost check` look at all."""
    verb, *units = [word for word in arguments if word != "--now"]
    if verb in ("enable", "reload", "edit") and units:
        for name in units:
            if verb == "reload" and "ExecReload=" not in _unit(name).read_text():
                fail(f"{name} cannot reload")
            _unit(name)
        return
    if verb != "daemon-reload":
        fail(f"{verb} is not known here")
    # The document's user need not be there.
    name = pwd.getpwuid(os.geteuid()).pw_name
    configuration = SANDBOX / "etc/exthost.conf"
    text = re.sub("= fossil$", f"= {name}", configuration.read_text(), flags=re.M)
    configuration.write_text(text)
    checked = subprocess.run(["exthost", "check", "--config", configuration], check=False)
    if checked.returncode != 0:
        fail("exthost check does not take the configuration")
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not installed: the units are not verified")
        return
    together = SANDBOX / "units"
    shutil.copytree(SANDBOX / "usr/local/lib/systemd/system", together)
    shutil.copytree(SANDBOX / "etc/systemd/system", together, dirs_exist_ok=True)
    for drop_in in together.glob("*.d/*.conf"):
        drop_in.write_text(re.sub("=fossil$", f"={name}", drop_in.read_text(), flags=re.M))
    verified = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            together / "exthost.service",
            together / "exthost.socket",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    mine = [line for line in (verified.stdout + verified.stderr).splitlines() if "exthost" in line]
    if mine:
        fail("\n".join(mine))


def journalctl(*arguments):
    if len(arguments) != 2 or arguments[0] != "-u":
        fail(f"-u UNIT is expected, not {arguments}")
    _unit(arguments[1])


def identity(*arguments):
    """As id(1); a user that is not here has the number of the user who runs the tests."""
    if len(arguments) == 2 and arguments[0] == "-u":
        try:
            print(pwd.getpwnam(arguments[1]).pw_uid)
        except KeyError:
            print(os.geteuid())
        return
    become("id", *arguments)


def fossil(*arguments):
    """Started by root, `fossil server` needs --nojail, as README says."""
    more = ["--nojail"] if ROOT and arguments[0] == "server" and "--nojail" not in arguments else []
    become("fossil", *arguments, *more)


NAMES = {
    "sudo": sudo,
    "make": make,
    "cmake": cmake,
    "ctest": ctest,
    "nginx": nginx,
    "a2enmod": a2enmod,
    "apache2ctl": apache2ctl,
    "systemctl": systemctl,
    "journalctl": journalctl,
    "id": identity,
    "fossil": fossil,
}

if __name__ == "__main__":
    NAMES[os.path.basename(sys.argv[0])](*sys.argv[1:])
