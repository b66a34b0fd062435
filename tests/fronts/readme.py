"""The recipes of README.md as they stand there, but for the port, the socket and what a test adds."""

import re

from support.host import REPOSITORY

SOCKET = "/run/exthost/web.sock"
PORT = "8081"


def _sections():
    text = (REPOSITORY / "README.md").read_text()
    return {heading: body for heading, body in re.findall(r"^##+ ([^\n]*)\n(.*?)(?=^##|\Z)", text, re.M | re.S)}


def _blocks(section):
    """Indented blocks, blank lines within them included."""
    found = re.findall(r"(?:^    [^\n]*\n(?:\n(?=    ))*)+", section, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in found]


def recipe(heading, marker):
    """The one block below this heading of README.md that holds the marker."""
    found = [block for block in _blocks(_sections()[heading]) if marker in block]
    assert len(found) == 1, f"README.md, {heading}: {len(found)} blocks with {marker!r}"
    return found[0]


def replaced(text, old, new):
    """As str.replace, for what must be there: else a recipe has changed and nothing is tested."""
    assert old in text, f"{old!r} is not in:\n{text}"
    return text.replace(old, new)
