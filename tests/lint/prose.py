"""The English of a file: its comments, messages (strings) and documents, without its code.

`prose(path, text)` returns a text of the same length in which each character of code is a NUL. So a
phrase is found across line ends, but not across code.
"""

import re

C = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<include>^\s*\#\s*include[^\n]*)
  | (?P<message>"(?:\\.|[^"\\\n])*")
  | '(?:\\.|[^'\\\n])*'
  """, re.X | re.S | re.M)
PYTHON = re.compile(r'''
    (?P<comment>\#[^\n]*)
  | (?P<message>"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'
      |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  ''', re.X | re.S)
TCL = re.compile(r"""
    (?P<comment>(?:^|(?<=;))[ \t]*\#[^\n]*)
  | (?P<message>"(?:\\.|[^"\\\n])*")
  """, re.X | re.M)
SHELL = re.compile(r"(?P<comment>(?:^|(?<=[ \t]))\#[^\n]*)", re.M)

# The marks around a comment and at the beginning of its lines are no prose.
MARKS = re.compile(r"/\*+|\*+/|^[ \t]*(?:\*|//+|\#+)(?!\S)|//|^[ \t]*\#+", re.M)
# Escape sequences, and the conversions of printf.
ESCAPES = re.compile(r"\\.|%[-#0 +]*\d*(?:\.(?:\d+|\*))?[hljztL]*[a-zA-Z]", re.S)


def blank(text, filler):
    return filler * len(text)


def keep(pattern, text):
    """(start, end, kind) of each comment and message."""
    for found in pattern.finditer(text):
        if found.lastgroup in ("comment", "message"):
            yield found.start(), found.end(), found.lastgroup


def clean(text, kind):
    text = text if kind == "document" else MARKS.sub(lambda m: blank(m[0], " "), text)
    if kind == "message":
        text = ESCAPES.sub(lambda m: blank(m[0], " "), text)
        text = text.replace('"', " ")
    return text


def markdown(text):
    """(start, end, kind) of each line outside of code blocks."""
    fenced = False
    at = 0
    for line in text.splitlines(keepends=True):
        fence = re.match(r"\s*(```|~~~)", line)
        if fence:
            fenced = not fenced
        elif not fenced and not re.match(r" {4}|\t", line):
            yield at, at + len(line), "document"
        at += len(line)


def manual(text):
    """(start, end, kind) of each line but comments and displays. A macro's arguments are text."""
    display = False
    at = 0
    for line in text.splitlines(keepends=True):
        if line.startswith((".Bd", ".Dl")):
            display = line.startswith(".Bd")
        elif line.startswith(".Ed"):
            display = False
        elif not display and not line.startswith('.\\"'):
            start = len(re.match(r"(?:\.[A-Z]\w?)?", line)[0])
            yield at + start, at + len(line), "document"
        at += len(line)


def language(path):
    """The function that finds the prose in files of this name; None if the language is unknown."""
    name = path.rsplit("/", 1)[-1]
    if re.search(r"\.[ch](\.in)?$", name):
        return lambda text: keep(C, text)
    if name.endswith((".py", ".wsgi")):
        return lambda text: keep(PYTHON, text)
    if name.endswith(".tcl"):
        return lambda text: keep(TCL, text)
    if name.endswith(".md"):
        return markdown
    if re.search(r"\.[1-9]$", name):
        return manual
    if (name in ("CMakeLists.txt", "Makefile", "Dockerfile", ".clang-format", ".clang-tidy")
            or name.endswith((".cmake", ".sh", ".yaml", ".conf", ".ini", ".in"))
            or path.startswith(".ci/")):
        return lambda text: keep(SHELL, text)
    return None


def is_one_text(gap):
    """Whether the comments, or strings, before and after the gap are one text."""
    return gap.isspace() and gap.count("\n") < 2


def prose(path, text, kinds=("comment", "message", "document")):
    """The prose of these kinds in a file. "" if its language is unknown."""
    find = language(path)
    if find is None:
        return ""
    parts = []
    at = 0
    before = None
    for start, end, kind in find(text):
        gap = text[at:start]
        parts.append(blank(gap, " " if kind == before and is_one_text(gap) else "\0"))
        part = text[start:end]
        parts.append(clean(part, kind) if kind in kinds else blank(part, "\0"))
        at, before = end, kind
    parts.append(blank(text[at:], "\0"))
    whole = "".join(parts)
    if find is markdown:
        whole = re.sub(r"`[^`\n]*`", lambda m: blank(m[0], "\0"), whole)
    return whole
