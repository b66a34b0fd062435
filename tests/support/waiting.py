"""Wait for what must come, with a deadline: no test sleeps and hopes."""

import socket
import time


def wait_for(condition, what, seconds=30.0):
    """
    Call condition() until it returns something true, and return that. Fails after seconds: many, for a
    machine that is busy, and less than the minute that scripts wait that should be ended before.
    """
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def free_port():
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    """Whether somebody accepts connections on this port of the loopback interface."""
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0
