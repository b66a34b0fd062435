"""The rules of the layers, checked: usage: layers.py BUILD

Prints "file:line: reason" for each breach, and exits 1 if there is one. BUILD is a build directory:
what calls what is read from its objects by nm(1). `--arrows` prints the calls between the
directories as well, and how many there are.
"""

import argparse
import collections
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The directories of each part, from the lowest up: a file includes and calls what stands in its own
# directory and in those before it, and no files call each other in a circle. "": the part's top.
PARTS = {
    "host": ["base", "config", "net", "ipc", "request", "run", "worker", "pool", "direct",
             "template", "front", "master", "command", ""],
    "bindings/python": ["interpreter", "cgi", "wsgi", "app", ""],
    "bindings/tcl": ["interpreter", "packages", "cgi", "app", ""],
}
# The relay stands alone: all that it includes of the host.
RELAY = {"net/wire.h", "base/error.h", "base/fd.h"}
# What a binding sees of the host.
FOR_BINDINGS = {"host/binding.h", "host/base/error.h", "host/base/buffer.h", "host/base/fd.h",
                "host/base/tuning.h"}
# What stands beside the directories: a language sees it, and what carries it out.
CONTRACT = {"host": "binding.h"}

# Where a process may end. In bindings: the end of a run where Tcl itself calls exit(3), and the
# child that tries a package.
MAY_EXIT = {"host/main.c", "host/master/master.c", "host/front/front_main.c",
            "host/template/template.c", "host/master/service_process.c",
            "host/worker/host_calls.c", "host/template/request_process.c",
            "host/direct/guardian.c", "host/relay/relay.c",
            "bindings/tcl/cgi/tcl_end.c", "bindings/tcl/packages/tcl_trial.c"}

FILE_MOST = 600
FUNCTION_MOST = 100
LANGUAGE_SYMBOL = re.compile(r"\b(_?Py[A-Z_]|Tcl_|FCGX_)\w*")


def place(inside):
    """(part, directory) of a path beneath the repository: ("host", "net"); None: of no part."""
    for part in PARTS:
        if inside.startswith(part + "/"):
            directory = Path(inside).relative_to(part).parent.as_posix()
            return part, "" if directory == "." else directory
    return None


def is_upward(part, lower, upper):
    order = PARTS[part]
    return order.index(lower) < order.index(upper)


def without_comments(text):
    """The text with comments and the contents of strings blanked, line for line."""
    def blank(found):
        token = found[0]
        if token.startswith("/"):
            return "\n" * token.count("\n")
        return token[0] + token[-1]
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text,
                  flags=re.S)


def includes(text):
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if found:
            yield number, found[1] == '"', found[2]


def check_include(inside, ours, name):
    """Why this file may not include this one, or None."""
    part, directory = place(inside)
    if "tests/" in name:
        return f"{name} belongs to the tests"
    if name in ("Python.h", "tcl.h") and not re.fullmatch(
            r"bindings/\w+/interpreter/\w+_include\.h", inside):
        return f"{name} stands outside of a binding's interpreter/*_include.h"
    if name == "fcgiapp.h" and inside != "host/request/request.c":
        return "fcgiapp.h stands outside of request.c"
    if not ours:
        return None
    if directory == "relay":
        known = name in RELAY or name.startswith("relay/")
        return None if known else f"the relay may not include {name}"
    if part == "host" and name.startswith("bindings/"):
        return None if inside == "host/main.c" else f"only main.c may include {name}"
    if name.startswith("host/"):
        return None if name in FOR_BINDINGS else f"a binding may not see {name}"
    if name == CONTRACT.get(part):
        return None
    if not (ROOT / part / name).is_file():
        return f"{name} is not in {part}/"
    included = Path(name).parent.as_posix().replace(".", "")
    if included not in PARTS[part]:
        return f"{name} stands in no known directory"
    if is_upward(part, directory, included):
        return f"upward include of {name}"
    return None


def check_lengths(lines):
    """(line, reason) for a file and for functions that are too long. Braces stand in column 0."""
    if len(lines) > FILE_MOST:
        yield len(lines), f"{len(lines)} lines, more than {FILE_MOST}"
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_MOST:
                yield start, f"a function of {number - start + 1} lines, more than {FUNCTION_MOST}"
            start = None


def check_file(path):
    text = path.read_text()
    inside = path.relative_to(ROOT).as_posix()
    if place(inside)[1] not in PARTS[place(inside)[0]] + ["relay"]:
        yield inside, 1, "the directory is in no order of tests/layers.py"
        return
    for number, ours, name in includes(text):
        reason = check_include(inside, ours, name)
        if reason:
            yield inside, number, reason
    bare = without_comments(text).split("\n")
    for number, line in enumerate(bare, 1):
        found = re.search(r"(?<![\w.>])_?_?[eE]xit\s*\(", line)
        if found and inside not in MAY_EXIT:
            yield inside, number, f"{found[0].rstrip('(')} outside of the tops"
    for number, reason in check_lengths(text.rstrip("\n").split("\n")):
        yield inside, number, reason


def symbols(path):
    """(those that an object or program defines for others, those that it needs)."""
    done = subprocess.run(["nm", path], capture_output=True, text=True, check=True)
    defined, needed = set(), set()
    for line in done.stdout.splitlines():
        *_, kind, name = line.split()
        if kind in "TDBRCVW":
            defined.add(name)
        elif kind == "U":
            needed.add(name)
    return defined, needed


def calls(build, part):
    """{(file, other file): names}, of the objects of a part. Both without suffix: "net/wire"."""
    read = {}
    for path in sorted((build / part).glob("CMakeFiles/exthost-*.dir/**/*.o")):
        name = path.as_posix().split(".dir/")[1].removesuffix(".c.o")
        # Objects of files that have been moved since may still lie there.
        if "exthost-cgi.dir" not in path.parts and (ROOT / part / f"{name}.c").is_file():
            read[name] = symbols(path)
    where = {name: file for file, (defined, _) in read.items() for name in defined}
    found = collections.defaultdict(set)
    for file, (_, needed) in read.items():
        for name in needed:
            if where.get(name, file) != file:
                found[file, where[name]].add(name)
    return found


def ring_of(found):
    """Files that call each other in a ring, or None."""
    graph = collections.defaultdict(set)
    for file, other in found:
        graph[file].add(other)
    done = set()

    def visit(file, way):
        if file in way:
            return way[way.index(file):] + [file]
        if file in done:
            return None
        for other in sorted(graph[file]):
            ring = visit(other, way + [file])
            if ring:
                return ring
        done.add(file)
        return None
    for file in sorted(graph):
        ring = visit(file, [])
        if ring:
            return ring
    return None


def directory_of(file):
    return file.rpartition("/")[0]


def check_calls(part, found):
    if not found:
        yield part, 0, "nm finds no calls: is it built?"
    for (file, other), names in sorted(found.items()):
        if is_upward(part, directory_of(file), directory_of(other)):
            yield (f"{part}/{file}.c", 1,
                   f"upward call into {other}.c: {', '.join(sorted(names))}")
    ring = ring_of(found)
    if ring:
        yield f"{part}/{ring[0]}.c", 1, "files call each other in a circle: " + " > ".join(ring)


def print_arrows(part, found):
    between = collections.Counter((directory_of(a), directory_of(b)) for a, b in found)
    outer = {arrow: n for arrow, n in between.items() if arrow[0] != arrow[1]}
    print(f"{part}: {len(found)} arrows between files, {len(outer)} between directories")
    for lower in reversed(PARTS[part]):
        to = [f"{b or 'top'} {outer[a, b]}" for a, b in sorted(outer) if a == lower]
        print(f"  {lower or 'top'}: {', '.join(to) or 'nothing'}")


def check_relay(program):
    defined, needed = symbols(program)
    if "main" not in defined:
        yield program, 0, "nm finds no symbols"
    for symbol in sorted(defined | needed):
        if LANGUAGE_SYMBOL.match(symbol):
            yield program, 0, f"the relay holds the symbol {symbol}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--arrows", action="store_true", help="print the calls between directories")
    options = parser.parse_args()
    files = sorted([*ROOT.glob("host/**/*.[ch]"), *ROOT.glob("bindings/**/*.[ch]")])
    breaches = [breach for path in files for breach in check_file(path)]
    for part in PARTS:
        found = calls(options.build, part)
        breaches += check_calls(part, found)
        if options.arrows:
            print_arrows(part, found)
    breaches += check_relay(options.build / "bin/exthost-cgi")
    for name, line, reason in breaches:
        print(f"{name}:{line}: {reason}")
    return 1 if breaches or not files else 0


if __name__ == "__main__":
    sys.exit(main())
