"""The rules of the layers, checked: usage: layers.py [RELAY]

Prints "file:line: reason" for each breach, and exits 1 if there is one. RELAY is the built program
exthost-cgi, in which no symbol of a language or of libfcgi may be.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# From the lowest up. A file of host/ includes its own layer and those below it.
LAYERS = [
    {"error", "buffer", "fd", "log", "clock", "path", "process", "variables", "binding"},
    {"wire", "wire_check", "wire_values"},
    {"config"},
    {"option"},
    {"config_file"},
    {"config_read", "listen", "listen_address", "access", "language", "spool", "reply_header",
     "run_channel", "preload", "idle", "process_limit", "config_share", "noticed", "notify",
     "inherited", "words", "orphans", "app_files", "heap_holes", "huge_pages", "huge_program"},
    {"request", "request_taken", "response", "route", "script", "static_content", "spares", "request_process", "template", "reply",
     "run", "guard", "guard_end", "guarded", "run_end", "run_errors", "lanes", "stats", "status", "status_metrics", "connection",
     "accepting", "answer", "answer_file", "answer_log", "answer_shared", "app", "app_pool", "app_settings", "app_start",
     "app_watch", "app_run", "app_reply", "app_slot", "app_loaded", "app_orders",
     "app_report", "app_sockets", "app_answer", "app_cuts", "app_serve", "app_serve_setup", "app_guardian", "app_worker", "app_server", "app_incoming"},
    {"service_check", "service_process"},
    {"keeper", "service"},
    {"serve_config"},
    {"front_setup"},
    {"front", "front_control"},
    {"front_process"},
    {"front_keeper"},
    {"master"},
    {"command"},
    {"main"},
]
# Those that stand alone: all that they may include.
ALONE = {
    "wire": {"wire"},
    "wire_check": {"wire", "wire_values"},
    "wire_values": {"wire"},
    "relay": {"relay_reply", "relay_start", "wire", "error", "fd"},
    "relay_start": {"relay_start"},
    "relay_reply": {"relay_reply", "wire", "fd"},
}
# What a binding sees of the host.
FOR_BINDINGS = {"binding", "error", "buffer", "fd"}

# Where a process may end. In bindings: the end of a run where Tcl itself calls exit(3), and the
# child that tries a package.
MAY_EXIT = {"host/main.c", "host/master.c", "host/front_process.c", "host/template.c", "host/service_process.c",
            "host/request_process.c", "host/app_guardian.c", "host/relay.c", "bindings/tcl/tcl_end.c",
            "bindings/tcl/tcl_trial.c"}

FILE_MOST = 600
FUNCTION_MOST = 100
LANGUAGE_SYMBOL = re.compile(r"\b(_?Py[A-Z_]|Tcl_|FCGX_)\w*")


def layer(module):
    if module.startswith("command"):
        module = "command"
    for number, modules in enumerate(LAYERS):
        if module in modules:
            return number
    return None


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


def check_host_include(module, name):
    """Why this file of host/ may not include this one, or None."""
    if name.startswith("bindings/"):
        return None if module == "main" else f"only main.c may include {name}"
    included = Path(name).stem
    if "/" in name:
        return f"{name} is not beside it"
    if module in ALONE:
        return None if included in ALONE[module] | {module} else f"{module} may not include {name}"
    if layer(module) is None:
        return "the file belongs to no layer"
    if layer(included) is None:
        return f"{name} belongs to no layer"
    if layer(included) > layer(module):
        return f"upward include of {name}"
    return None


def check_include(path, ours, name):
    """Why this file may not include this one, or None."""
    inside = path.relative_to(ROOT).as_posix()
    if "tests/" in name:
        return f"{name} belongs to the tests"
    if name in ("Python.h", "tcl.h") and not re.fullmatch(r"bindings/\w+/\w+_internal\.h", inside):
        return f"{name} stands outside of a binding's *_internal.h"
    if name == "fcgiapp.h" and inside not in ("host/request.c", "host/response.c"):
        return "fcgiapp.h stands outside of request.c and response.c"
    if not ours:
        return None
    if inside.startswith("host/"):
        return check_host_include(path.stem, name)
    if name.startswith("host/"):
        return None if Path(name).stem in FOR_BINDINGS else f"a binding may not see {name}"
    if not (path.parent / name).is_file():
        return f"{name} is not beside it"
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
    for number, ours, name in includes(text):
        reason = check_include(path, ours, name)
        if reason:
            yield inside, number, reason
    bare = without_comments(text).split("\n")
    for number, line in enumerate(bare, 1):
        found = re.search(r"(?<![\w.>])_?_?[eE]xit\s*\(", line)
        if found and inside not in MAY_EXIT:
            yield inside, number, f"{found[0].rstrip('(')} outside of the tops"
    for number, reason in check_lengths(text.rstrip("\n").split("\n")):
        yield inside, number, reason


def module_cycle(files):
    """Modules of host/ that include each other in a ring, or None."""
    graph = {}
    for path in files:
        if path.parent.name == "host":
            names = {Path(name).stem for _, ours, name in includes(path.read_text()) if ours}
            graph.setdefault(path.stem, set()).update(names - {path.stem})
    done = set()

    def visit(module, way):
        if module in way:
            return way[way.index(module):] + [module]
        if module in done:
            return None
        for other in sorted(graph.get(module, ())):
            ring = visit(other, way + [module])
            if ring:
                return ring
        done.add(module)
        return None
    for module in sorted(graph):
        ring = visit(module, [])
        if ring:
            return ring
    return None


def check_relay(program):
    done = subprocess.run(["nm", program], capture_output=True, text=True, check=False)
    symbols = [line.split()[-1] for line in done.stdout.splitlines() if line.split()]
    if "main" not in symbols:
        yield program, 0, f"nm finds no symbols: {done.stderr.strip()}"
    for symbol in symbols:
        if LANGUAGE_SYMBOL.match(symbol):
            yield program, 0, f"the relay holds the symbol {symbol}"


def main(arguments):
    files = sorted([*ROOT.glob("host/**/*.[ch]"), *ROOT.glob("bindings/**/*.[ch]")])
    breaches = [breach for path in files for breach in check_file(path)]
    ring = module_cycle(files)
    if ring:
        breaches.append((f"host/{ring[0]}.c", 1, "modules include each other: " + " > ".join(ring)))
    for program in arguments:
        breaches += check_relay(program)
    for name, line, reason in breaches:
        print(f"{name}:{line}: {reason}")
    return 1 if breaches or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
