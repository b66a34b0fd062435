"""What a case is, and what an answer is compared by."""

import dataclasses
import hashlib
import re

from scripts import KINDS
from support.web import BrokenTransfer

BROKEN = "broken"  # in the place of a status: the transfer breaks off, as the client can see
NEXT = b"next " * 5000


@dataclasses.dataclass(frozen=True)
class Answer:
    """
    What a client gets. A body of None is not compared (the host's own page). A header's value of
    None stands for no such header. A set, for status or header, holds all that are right.
    """

    status: int | str | set
    body: bytes | None = None
    headers: dict = dataclasses.field(default_factory=dict)

    def complaints(self, reply):
        """How a reply (or a BrokenTransfer) differs; empty if it does not."""
        status = BROKEN if isinstance(reply, BrokenTransfer) else reply.status
        right = self.status if isinstance(self.status, set) else {self.status}
        if status not in right:
            return [f"{_short(reply)}, expected {self.status}"]
        if status == BROKEN:
            return []
        found = []
        if self.body is not None and reply.body != self.body:
            found.append(f"body {_hash(reply.body)}, expected {_hash(self.body)}")
        for name, value in self.headers.items():
            got = reply.all(name) or [None]
            if got not in ([value], value) and not (isinstance(value, set) and got[0] in value):
                found.append(f"{name}: {_cut(got)}, expected {_cut(value)}")
        return found


def _cut(value):
    text = repr(value)
    return text if len(text) < 120 else f"{text[:60]}... ({len(text)} characters)"


def _hash(body):
    return f"of {len(body)} bytes, {hashlib.sha256(body).hexdigest()[:12]} {body[:60]!r}"


def _short(reply):
    if isinstance(reply, BrokenTransfer):
        return f"broken ({reply})"
    return f"{reply.status} with {len(reply.body)} bytes"


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table: what is asked, and the one right answer."""

    name: str
    expect: Answer
    word: str = "reply"          # what the script is to do: see scripts.py
    reply: bytes = b""           # what it prints
    kinds: tuple = tuple(KINDS)
    method: str = "GET"
    path_info: str = ""
    query: str = ""
    headers: tuple = ()
    framing: str = "none"
    body: bytes = b""
    how: str = "ask"             # a function of asking.py
    log: str = ""                # what the host's log must hold then

    @property
    def slug(self):
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def target(self, url):
        more = f"&{self.slug}" if self.word in ("reply", "cut") else self.query
        return f"{url}{self.path_info}?{self.word}{more}"


@dataclasses.dataclass(frozen=True)
class Deviation:
    """
    What a front makes of a case, whatever a FastCGI server does. `fronts` and `cases` are regular
    expressions. No answer: the front cannot be asked this.
    """

    cases: str
    fronts: str
    answer: Answer | None
    reason: str
    kinds: str = ".*"

    def of(self, column, case, kind):
        return all(re.fullmatch(pattern, name) for pattern, name in (
            (self.cases, case), (self.fronts, column), (self.kinds, kind)))
