"""
The blocks of the documents: what stands between fences in Markdown, and in literal displays of a
manual.

Behind the fence stand the language and further words, which a reader does not see:

    ```sh                    commands; they are run
    ```ini                   a configuration file; `exthost check` takes it
    ```text                  what the commands above have printed
    ```yaml                  parsed
    ```python ~/ext/a.py     a file (a word with a slash in it); a command below uses it
    ```nginx nginx           a recipe by this name, which a test asks for: recipe("nginx")
    ```sh check-docker       not run here: `make check-docker` runs the like
    ```sh needs-gdb          run where that is there, else left out with the reason printed

In a manual the same words stand in a comment above the display:

    .\\" sh
    .Bd -literal -offset indent
"""

import re
from dataclasses import dataclass
from pathlib import Path

from support.host import REPOSITORY

# What the recipes say, in whose place a test puts its own.
SOCKET = "/run/exthost/web.sock"
PORT = "8081"
MANUALS = sorted((REPOSITORY / "host" / "man").glob("*.[1-8]"))
PAGES = [
    REPOSITORY / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "extensions/README.md",
        "host/man/README.md",
        "host/systemd/README.md",
        "host/image/README.md",
    )
]
DOCUMENTS = [*PAGES, *MANUALS]


@dataclass(frozen=True)
class Block:
    """A block of a document. `line` is the number of its first line there."""

    document: Path
    line: int
    language: str
    words: tuple
    text: str

    @property
    def place(self):
        return f"{self.document.relative_to(REPOSITORY)}:{self.line}"

    @property
    def marks(self):
        return [word for word in self.words if word.startswith("check-")]

    @property
    def needs(self):
        return [word for word in self.words if word.startswith("needs-")]

    @property
    def file(self):
        return next((word for word in self.words if "/" in word), None)

    @property
    def recipe(self):
        return next(
            (
                word
                for word in self.words
                if "/" not in word and word not in self.marks + self.needs
            ),
            None,
        )


def blocks(document):
    """All blocks of a document, in their order."""
    text = document.read_text()
    return list(_of_manual(document, text) if document in MANUALS else _of_page(document, text))


def _of_page(document, text):
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        assert (
            not lines[number].startswith("    ") or lines[number].lstrip()[:1] in "-*123456789"
        ), f"{document}:{number + 1}: a block is between fences"
        if not lines[number].startswith("```"):
            number += 1
            continue
        language, *words = lines[number][3:].split() or [""]
        begin = number + 1
        number = lines.index("```", begin)
        yield Block(
            document, begin + 1, language, tuple(words), "\n".join(lines[begin:number]) + "\n"
        )
        number += 1


def _of_manual(document, text):
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not line.startswith(".Bd -literal"):
            continue
        found = re.match(r'\.\\" (.*)', lines[number - 1])
        language, *words = found[1].split() if found else [""]
        end = lines.index(".Ed", number)
        content = "\n".join(lines[number + 1 : end]) + "\n"
        yield Block(
            document,
            number + 2,
            language,
            tuple(words),
            content.replace("\\e", "\\").replace("\\&", ""),
        )


def recipe(name):
    """The text of the one block with this name, in all documents."""
    found = [block for document in DOCUMENTS for block in blocks(document) if block.recipe == name]
    assert len(found) == 1, f"{len(found)} blocks named {name!r}"
    return found[0].text


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
