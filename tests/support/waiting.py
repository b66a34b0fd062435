"""Wait for what must come, with a deadline: no test sleeps and hopes."""

import socket
import time


class Overdue(AssertionError):
    """What was waited for did not come in time."""


def wait_for(condition, what, seconds=30.0):
    """
    Call condition() until it returns something true, and return that. Overdue, an AssertionError
    that names `what`, after so many seconds: many, for a machine that is busy, and less than the
    minute that scripts wait that should be ended before.
    """
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Overdue(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def free_port(wanted=0):
    """
    A TCP port of the loopback interface that nobody listens on: any; or `wanted`, if that is free,
    or the next free one of the hundred from there. OSError when none is.
    """
    for port in range(wanted, wanted + 100) if wanted else [0]:
        with socket.socket() as s:
            if wanted:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                continue
    raise OSError(f"no free port from {wanted} to {wanted + 99}")


def listens(port):
    """Whether a program accepts connections on this TCP port of the loopback interface."""
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def wait_started(program, condition, seconds=30.0):
    """
    Wait until a started Program is ready, as condition() tells. When it ends before or is not ready
    after so many seconds, it is stopped, and an AssertionError tells its log.
    """
    try:
        wait_for(lambda: condition() or not program.running(), f"{program.name} is ready", seconds)
        assert program.running(), "\n".join([f"{program.name} ended:", *program.log()])
    except BaseException:
        program.stop()
        raise
