"""The ways a case is asked: each returns what was wrong, as lines of text."""

import json

from clients import SECONDS, Silence
from clients import ask as ask_client
from served import url
from support.waiting import wait_for
from support.web import BrokenTransfer, Reply
from table import NEXT, Answer

NEXT_PAGE = Answer(200, NEXT, {"Set-Cookie": "user=next"})


def _request(case, kind):
    return case.method, case.target(url(kind)), case.headers, case.framing, case.body


def _after(row, kind):
    """What the next user gets, over the same kept connections where there are any."""
    return f"{url(kind)}?page&next"


def _compared(expect, reply, second):
    return expect.complaints(
        reply) + [f"the next request: {line}" for line in NEXT_PAGE.complaints(second)]


def ask(row, kind, case, expect):
    reply, second = ask_client(row.column.connect, row.port(kind), _after(row, kind),
                               *_request(case, kind))
    return _compared(expect, reply, second)


def see(row, kind, case, expect):
    """The variables that the script sees, compared as if they were headers."""
    reply, second = ask_client(row.column.connect, row.port(kind), _after(row, kind),
                               *_request(case, kind))
    if not isinstance(reply, BrokenTransfer) and reply.status == 200:
        reply = Reply(200, list(json.loads(reply.body).items()), b"")
    return _compared(expect, reply, second)


def leave(row, kind, case, expect):
    """A client that goes away while it is answered, and the next one."""
    del expect
    host = row.hosts.by_kind[kind]
    since = host.log_position()
    connection = row.column.connect(row.port(kind))
    connection.send("GET", case.target(url(kind)))
    host.wait_line("drips", since=since, seconds=SECONDS)
    connection.leave_after(0)
    return [line for _ in range(2) for line in _compared(NEXT_PAGE, *ask_client(
        row.column.connect, row.port(kind), _after(row, kind), "GET", _after(row, kind)))]


def in_turn(row, kind, case, expect):
    """Two users, one after the other, ten times over the same connections."""
    del case, expect
    found = []
    for _ in range(10):
        for user in ("ada", "bob"):
            page = Answer(200, f"{user} ".encode() * 5000, {"Set-Cookie": f"user={user}"})
            reply, second = ask_client(row.column.connect, row.port(kind), _after(row, kind),
                                       "GET", f"{url(kind)}?page&{user}")
            found += _compared(page, reply, second)
    return found


def run(row, kind, case, expect):
    """
    Ask a case of one kind of extension; what is wrong with the answer, and with the host's log.
    """
    host = row.hosts.by_kind[kind]
    since = host.log_position()
    try:
        found = {"ask": ask, "see": see, "leave": leave,
                 "in_turn": in_turn}[case.how](row, kind, case, expect)
    except Silence as e:
        return [f"{e}, for {SECONDS:.0f} s"]
    except AssertionError as e:
        return [str(e)]
    if case.log and not found and expect is case.expect:
        try:
            wait_for(lambda: any(case.log in line for line in host.program.log(since)), "", SECONDS)
        except AssertionError:
            found.append(f"no {case.log} in the host's log")
    return found
