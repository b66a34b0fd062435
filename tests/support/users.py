"""Other users than the one who runs the tests. Only root can be another."""

import os
import subprocess
import sys

import pytest

from support.host import TESTS

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's id")

CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
import os
os.setgroups([int(group) for group in sys.argv[4:]])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[3]))
from support import fastcgi
outcome = fastcgi.request(sys.argv[2], "GET", "/tcl/hello.tcl")
print("answered" if outcome.ended else "closed")
"""


def speak_as(uid, address, *groups):
    """
    Whether this user (its id), with a group of the same id and these supplementary groups, is
    "answered" at this address, or "closed"; or what Python says of another mistake.
    """
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(TESTS), address, str(uid),
         *map(str, groups)],
        capture_output=True, text=True, timeout=30, check=False,
        env={"PYTHONDONTWRITEBYTECODE": "1"})
    return done.stdout.strip() or done.stderr


def open_to_all(root):
    """Let every user enter this temporary directory, a Path; returns it."""
    for folder in (root, *root.parents):
        if folder == folder.parent or str(folder) == "/tmp":
            break
        folder.chmod(0o755)
    return root
