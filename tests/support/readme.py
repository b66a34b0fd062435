"""
What README.md tells a reader to write into a configuration, as it stands there: the tests use these
very blocks, with a port, a socket and what else they need put in.
"""

import re
import shlex

from support.host import REPOSITORY
from support.servers import WWW_DATA

README = (REPOSITORY / "README.md").read_text()
# What the blocks say, in whose place a test puts its own.
SOCKET = "/run/exthost/web.sock"
PORT = "8081"


def section(title):
    """
    The text below the heading of this title, up to the next heading. TypeError: there is none.
    """
    return re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", README, re.S | re.M)[1]


def blocks(title):
    """The indented blocks there, a list of texts, each without its indentation."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", section(title), re.M)
    return ["\n".join(line[4:] for line in block.strip("\n").split("\n")) + "\n"
            for block in found if block.strip()]


def block_with(title, marker):
    """
    The one block there that holds the marker. AssertionError: there is none, or more than one.
    """
    found = [block for block in blocks(title) if marker in block]
    assert len(found) == 1, f"README.md, {title}: {len(found)} blocks with {marker!r}"
    return found[0]


def put_in(text, *changes):
    """
    The text with each of these changes, pairs (what stands there, what to put in its place). What
    is to be replaced must be there, once or more often: else AssertionError, for then a recipe has
    changed and nothing would be tested.
    """
    for old, new in changes:
        assert old in text, f"{old!r} is not in:\n{text}"
        text = text.replace(old, new)
    return text


def host_options(title):
    """What the command `exthost serve` there is given, as {option: value}, less --root."""
    command = block_with(title, "exthost serve").replace("\\\n", " ")
    words = shlex.split(command.replace("$(id -u www-data)", str(WWW_DATA)))
    words = words[words.index("serve") + 1:]
    given = dict(zip(words[::2], words[1::2]))
    assert given.pop("--root")
    return given
