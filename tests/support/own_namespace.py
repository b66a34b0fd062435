"""
Namespaces for the test itself, so that nothing that it mounts or listens at is seen by others.
"""

import ctypes
import fcntl
import socket
import struct
import subprocess

_CLONE_NEWNS = 0x20000
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def _unshare(flags):
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def enter_namespace():
    """
    Mounts of this process are seen by it and its children alone; and cgroups are as crun wants
    them.
    """
    _unshare(_CLONE_NEWNS)
    for command in (["mount", "--make-rprivate", "/"], ["umount", "-R", "/sys/fs/cgroup"],
                    ["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"]):
        subprocess.run(command, check=False, capture_output=True)


def enter_network():
    """
    A network of this process and its children alone, with a loopback interface and every port free.
    """
    _unshare(_CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def may_unshare():
    """Why no process here may begin a namespace of processes with its own /proc; "": it may."""
    done = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False,
                          capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip() or "unshare failed"
