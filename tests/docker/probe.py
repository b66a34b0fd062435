#!/usr/bin/exthost-cgi python
"""An extension that tries what it should not be able to do, and says how far it came."""

import errno
import json
import os
import shutil
import socket
import sqlite3
import subprocess


def attempt(action):
    """ok, or the name of the error."""
    try:
        action()
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
    return "ok"


def connect():
    with socket.socket() as s:
        s.settimeout(5)
        s.connect(("127.0.0.1", 8080))


def make(path):
    with open(path, "x"):
        pass
    os.unlink(path)


def start(path):
    shutil.copyfile("/usr/bin/exthost-cgi", path)
    os.chmod(path, 0o755)
    try:
        subprocess.run([path, "--version"], check=False, capture_output=True)
    finally:
        os.unlink(path)


def status():
    with open("/proc/self/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


repository = os.environ["FOSSIL_REPOSITORY"]
database = sqlite3.connect(f"file:{repository}?mode=ro", uri=True)
print("Content-Type: application/json\n")
print(json.dumps({
    "connect": attempt(connect),
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "open the repository": attempt(lambda: open(repository, "r+b").close()),
    "make in /museum": attempt(lambda: make("/museum/x")),
    "make in /": attempt(lambda: make("/x")),
    "make in /ext": attempt(lambda: make("/ext/x")),
    "make in /tmp": attempt(lambda: make("/tmp/x")),
    "start in /tmp": attempt(lambda: start("/tmp/x")),
    "start in /run/exthost": attempt(lambda: start("/run/exthost/x")),
    "users": database.execute("SELECT count(*) FROM user").fetchone()[0],
    "capabilities": [status()[name] for name in ("CapEff", "CapPrm", "CapBnd")],
    "no new privileges": status()["NoNewPrivs"],
    "uid": os.getuid(),
}))
