"""Check the repository's files: usage: lint.py [--root DIR] [--build DIR] [--jobs N] [CHECK...]

Runs the named checks, or all of them, over the files that git lists, and prints a line for each
finding and one line of summary:

    FILE:LINE: what is wrong; what to do [CHECK]

Exits 1 if there is a finding. `--list` prints the names of the checks. The tools are Debian 12's;
a check whose tool is missing, or has another version where the version matters, is a finding.

tests/lint/baseline.txt says how many findings of a check a file may still have. A file with more
findings is an error, and so is a file with fewer, so that the baseline only shrinks. `--baseline`
counts again after files have moved or improved, and refuses if a check's total has grown.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from prose import prose

HERE = Path(__file__).resolve().parent
COLUMNS = 100
# The width of a tab: in C as .clang-format has it.
TAB_IN_C, TAB = 8, 4
# Test data, and a text by others.
NOT_OURS = re.compile(r"^tests/fuzz/corpus/|^LICENSE$")

Finding = collections.namedtuple("Finding", "path line reason")


class Missing(Exception):
    """A tool or file that a check needs is missing: the check fails."""


class Tree:
    """
    The files that git lists: the tracked ones, and new ones that it does not ignore. In a directory
    that is no checkout (an archive of the sources): all but what is built.
    """

    def __init__(self, root, build, jobs):
        self.root, self.build, self.jobs = root, build, jobs
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"], cwd=root, capture_output=True, text=True, check=False)
        names = done.stdout.split("\0") if done.returncode == 0 else self._walk(root)
        self.files = sorted({name for name in names
                             if name and not NOT_OURS.search(name) and (root / name).is_file()})
        self.texts = {}

    @staticmethod
    def _walk(root):
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in ("build", "__pycache__")]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), root)

    def match(self, pattern):
        return [name for name in self.files if re.search(pattern, name)]

    def text(self, name):
        if name not in self.texts:
            self.texts[name] = (self.root / name).read_text(errors="replace")
        return self.texts[name]

    def inside(self, path):
        """The path relative to the root."""
        path = os.path.join(self.root, path)
        return os.path.relpath(path, self.root)

    def run(self, *command, **more):
        try:
            return subprocess.run(command, cwd=self.root, capture_output=True, text=True,
                                  errors="replace", check=False, **more)
        except FileNotFoundError as e:
            raise Missing(f"{command[0]} is not installed") from e

    def each(self, function, items):
        """Call function(item) for each item, in `jobs` threads. All findings."""
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            return [found for part in pool.map(function, items) for found in part]

    def commands(self):
        """For each C file of the debug build: (working directory, arguments of the compiler)."""
        path = self.build / "compile_commands.json"
        if not path.is_file():
            raise Missing(f"no {path}: run `cmake --preset debug`")
        return {self.inside(os.path.join(entry["directory"], entry["file"])):
                (entry["directory"], shlex.split(entry["command"]))
                for entry in json.loads(path.read_text())}

    def database(self):
        """Write a compile_commands.json for clang-tidy and cppcheck, and return its directory.

        It has each file once, no options that only gcc knows, and no -Werror: clang's own warnings
        are not ours.
        """
        entries = []
        for name, (directory, words) in self.commands().items():
            words = [word for word in words if word != "-Werror" and not word.startswith("-specs=")]
            entries.append({"directory": directory, "file": str(self.root / name),
                            "command": " ".join(re.sub(r"([\\\"' ])", r"\\\1", word)
                                                for word in words)})
        directory = self.build / "lint"
        directory.mkdir(exist_ok=True)
        (directory / "compile_commands.json").write_text(json.dumps(entries, indent=1))
        return directory


def tool(name, package=None):
    if shutil.which(name) is None:
        raise Missing(f"{name} is not installed, and so nothing was checked: "
                      f"install the package {package or name} of Debian 12")
    return name


def parse(tree, output, pattern=r"(?P<path>[^:\n]+):(?P<line>\d+):(?:\d+:)? ?(?P<reason>.*)"):
    """The findings in the output of a tool."""
    for line in output.splitlines():
        found = re.fullmatch(pattern, line)
        if found:
            yield Finding(tree.inside(found["path"]), int(found["line"]), found["reason"].strip())


def findings_of(tree, done, **how):
    """As parse. If the tool failed without output that can be parsed, that is the finding."""
    found = list(parse(tree, done.stdout + "\n" + done.stderr, **how))
    if done.returncode != 0 and not found:
        said = (done.stderr or done.stdout).strip() or "nothing"
        return [Finding(done.args[0], 0, f"exit status {done.returncode}: {said[-500:]}")]
    return found


# The checks, quick ones first: name, function (the tree is its argument, it returns findings) and
# advice for each finding.

CHECKS = {}


def check(name, advice=None):
    def put(function):
        CHECKS[name] = (function, advice)
        return function
    return put


@check("format", "run `make format`")
def check_format(tree):
    files = tree.match(r"^(host|bindings|tests)/.*\.[ch]$")
    name = tool("clang-format-14", "clang-format")
    done = tree.run(name, "--dry-run", "-Werror", *files) if files else None
    seen = set()
    for found in findings_of(tree, done) if done else ():
        if found.path not in seen and "error:" in found.reason:
            seen.add(found.path)
            yield found._replace(reason="not as clang-format writes it")


@check("shell", "fix it, or write `# shellcheck disable=CODE` with the reason above the line")
def check_shell(tree):
    files = tree.match(r"\.sh$|^\.ci/")
    files += [name for name in tree.files if name not in files and "." not in os.path.basename(name)
              and re.match(r"#!.*\b(sh|bash)\b", tree.text(name))]
    name = tool("shellcheck")
    return findings_of(tree, tree.run(name, "-x", "-f", "gcc", *files)) if files else ()


def is_marked(tree, finding, mark):
    lines = tree.text(finding.path).split("\n")
    return 0 < finding.line <= len(lines) and mark in lines[finding.line - 1]


@check("python", "fix it, or end the line with `# noqa: REASON`")
def check_python(tree):
    files = tree.match(r"\.(py|wsgi)$")
    done = tree.run(tool("pyflakes3"), *files) if files else None
    for found in findings_of(tree, done) if done else ():
        if not is_marked(tree, found, "# noqa:"):
            yield found


@check("manuals", "fix it: see mdoc(7)")
def check_manuals(tree):
    files = tree.match(r"^(host|bindings)/.*\.[1-9]$")
    done = tree.run(tool("mandoc"), "-T", "lint", "-W", "warning", *files) if files else None
    return findings_of(tree, done, pattern=r"mandoc: (?P<path>[^:]+):(?P<line>\d+):\d+: "
                       r"(?P<reason>.*)") if done else ()


@check("spelling", "correct it, or add the word to tests/lint/words.txt")
def check_spelling(tree):
    files = [name for name in tree.files if name != "tests/lint/words.txt"]
    done = tree.run(tool("codespell"), "-I", str(HERE / "words.txt"), *files)
    return findings_of(tree, done)


def without_code_and_tables(text):
    """The lines of a Markdown file; lines of code blocks and tables are made empty."""
    fenced = False
    for line in text.split("\n"):
        fence = re.match(r"\s*(```|~~~)", line)
        fenced ^= bool(fence)
        skip = fence or fenced or re.match(r"\s*\|| {4}|\t", line)
        yield "" if skip else line


def is_one_word(line):
    """Whether the line has no blank to break it at: a URL, for example."""
    return len(re.sub(r"^[\s#/*\"'-]+", "", line).split()) < 2


@check("columns", f"break it before column {COLUMNS + 1} (a tab is {TAB_IN_C} in C, else {TAB})")
def check_columns(tree):
    for name in tree.match(r"\.([ch]|c\.in|py|wsgi|tcl|sh|cmake|md)$|(^|/)CMakeLists\.txt$"
                           r"|(^|/)Makefile$|^\.ci/"):
        text = tree.text(name)
        tab = TAB_IN_C if re.search(r"\.[ch](\.in)?$", name) else TAB
        lines = without_code_and_tables(text) if name.endswith(".md") else text.split("\n")
        for number, line in enumerate(lines, 1):
            width = len(line.expandtabs(tab))
            if width > COLUMNS and not is_one_word(line):
                yield Finding(name, number, f"{width} columns")


def read_phrases(path):
    """The rows of phrases.txt: (pattern, kinds of prose, better wording)."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t") if column.strip()]
        if len(columns) != 3:
            raise SystemExit(f"{path}:{number}: not three columns with tabs between them")
        kinds = ("comment", "message", "document") if columns[1] == "all" else tuple(
            columns[1].split(","))
        pattern = re.compile(columns[0].replace(" ", r"\s+"), re.I | re.M)
        yield pattern, kinds, columns[2]


@check("phrases")
def check_phrases(tree):
    phrases = list(read_phrases(HERE / "phrases.txt"))
    for name in tree.files:
        if name == "tests/lint/phrases.txt":
            continue
        for kinds in {kinds for _, kinds, _ in phrases}:
            text = prose(name, tree.text(name), kinds)
            if name.endswith(".py"):
                # The names in a formatted string are code.
                text = re.sub(r"\{[^{}\n]*\}", lambda field: " " * len(field[0]), text)
            for pattern, wanted, better in phrases:
                for found in pattern.finditer(text) if wanted == kinds else ():
                    shown = " ".join(re.sub(r"\s[*#/]+\s", " ", found[0]).split())
                    yield Finding(name, tree.text(name).count("\n", 0, found.start()) + 1,
                                  f"unwanted phrase '{shown}'; write {better}")


@check("headers", "include or declare in the header what it uses")
def check_headers(tree):
    commands = tree.commands()

    def flags_for(header):
        """The compiler's arguments for the .c file of the same name, else for one beside it."""
        same = re.sub(r"\.h$", ".c", header)
        if same in commands:
            return commands[same]
        directory = os.path.dirname(header)
        while directory:
            beside = sorted(name for name in commands if os.path.dirname(name) == directory)
            below = sorted(name for name in commands if name.startswith(directory + "/"))
            if beside or below:
                return commands[(beside or below)[0]]
            directory = os.path.dirname(directory)
        return None

    def compile_alone(header):
        command = flags_for(header)
        if command is None:
            return [Finding(header, 0, "no file of its library is compiled")]
        words = [command[1][0]]
        after = iter(command[1][1:])
        for word in after:
            if word in ("-isystem", "-I", "-D", "-include"):
                words += [word, next(after)]
            elif re.match(r"-(I|D|W|std|specs|isystem)", word):
                words.append(word)
        done = tree.run(*words, "-Werror", "-fsyntax-only", "-x", "c", "-",
                        input=f'#include "{tree.root / header}"\n')
        return [found._replace(reason="does not compile alone: " + found.reason)
                for found in findings_of(tree, done) if "error:" in found.reason][:1]

    return tree.each(compile_alone, tree.match(r"^(host|bindings)/.*\.h$"))


@check("tidy", "fix it, or switch the check off in .clang-tidy with the reason")
def check_tidy(tree):
    name = tool("clang-tidy-14", "clang-tidy")
    database = str(tree.database())

    def look_at(source):
        done = tree.run(name, "-p", database, "--quiet", source)
        return [found for found in findings_of(tree, done)
                if re.match(r"(error|warning):", found.reason) or found.line == 0]
    return sorted(set(tree.each(look_at, tree.match(r"\.c$"))))


@check("cppcheck", "fix it, or add its id to tests/lint/cppcheck.txt with the reason")
def check_cppcheck(tree):
    name = tool("cppcheck")
    database = tree.database()
    done = tree.run(
        name, "--quiet", "--enable=warning,style,performance,portability", "--std=c11",
        "--inline-suppr", "--library=posix,gnu", f"--library={HERE / 'cppcheck.cfg'}",
        f"--suppressions-list={HERE / 'cppcheck.txt'}", "--error-exitcode=1", f"-j{tree.jobs}",
        "--template={file}:{line}: {message} ({id})",
        f"--project={database / 'compile_commands.json'}")
    return sorted(set(findings_of(tree, done)))


# The baseline: findings that are older than their check.

BASELINE = "tests/lint/baseline.txt"
MAY_HAVE_A_BASELINE = ("columns", "phrases")


def read_baseline(path):
    allowed = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        if line and not line.startswith("#"):
            name, file, count = line.split()
            allowed[name, file] = int(count)
    return allowed


def write_baseline(path, found):
    """Write the counts. If a check's total has grown, write nothing and return a message."""
    allowed = read_baseline(path)
    if path.is_file():
        for name in MAY_HAVE_A_BASELINE:
            before = sum(count for (other, _), count in allowed.items() if other == name)
            after = sum(count for (other, _), count in found.items() if other == name)
            if after > before:
                return f"{name}: {after} findings, and the baseline allows {before}"
    path.write_text(
        "# Findings that a file may still have: CHECK FILE COUNT. `make lint-baseline` writes\n"
        "# this file, and refuses if the total of a check has grown.\n"
        + "".join(f"{name} {file} {count}\n" for (name, file), count in sorted(found.items())))
    return None


def apply_baseline(name, findings, allowed):
    """All findings of files that have more than their baseline, and stale rows of it."""
    counted = collections.Counter(found.path for found in findings)
    limits = {path: limit for (other, path), limit in allowed.items() if other == name}
    for found in findings:
        if counted[found.path] > limits.get(found.path, 0):
            yield found
    for path, limit in limits.items():
        if counted[path] > limit:
            yield Finding(path, 0, f"{counted[path]} findings where the baseline allows {limit}")
    stale = [path for path, limit in limits.items() if counted[path] < limit]
    if stale:
        yield Finding(BASELINE, 0, f"{stale[0]} has {counted[stale[0]]} findings, and the baseline "
                      f"allows {limits[stale[0]]} ({len(stale)} such files)")


def run_check(tree, name):
    function, _ = CHECKS[name]
    try:
        return list(function(tree))
    except Missing as e:
        return [Finding("tests/lint/lint.py", 0, str(e))]


def report(name, found):
    place = f"{found.path}:{found.line}" if found.line else found.path
    advice = "run `make lint-baseline`" if found.path == BASELINE else CHECKS[name][1]
    print(f"{place}: {found.reason}{f'; {advice}' if advice else ''} [{name}]", flush=True)


def lint(tree, names):
    """Run the checks and print their findings. The number of findings of each check."""
    allowed = read_baseline(tree.root / BASELINE)
    counts = {}
    for name in names:
        found = run_check(tree, name)
        if name in MAY_HAVE_A_BASELINE:
            found = list(apply_baseline(name, found, allowed))
        for one in sorted(found):
            report(name, one)
        counts[name] = len(found)
    return counts


def make_baseline(tree):
    found = collections.Counter()
    for name in MAY_HAVE_A_BASELINE:
        for one in run_check(tree, name):
            found[name, one.path] += 1
    trouble = write_baseline(tree.root / BASELINE, found)
    if trouble:
        print(f"lint: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


def read_arguments(arguments):
    parser = argparse.ArgumentParser(description="check the repository's files")
    parser.add_argument("--root", type=Path, default=HERE.parents[1])
    parser.add_argument("--build", type=Path, help="where compile_commands.json is")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="print the names of the checks")
    parser.add_argument("--baseline", action="store_true", help="count for the baseline again")
    parser.add_argument("checks", nargs="*", metavar="CHECK")
    options = parser.parse_args(arguments)
    for name in options.checks:
        if name not in CHECKS:
            parser.error(f"no check '{name}'; there are {', '.join(CHECKS)}")
    options.root = options.root.resolve()
    options.build = (options.build or options.root / "build/debug").resolve()
    return options


def main(arguments):
    options = read_arguments(arguments)
    if options.list:
        print("\n".join(CHECKS))
        return 0
    start = time.monotonic()
    tree = Tree(options.root, options.build, options.jobs)
    if options.baseline:
        return make_baseline(tree)
    counts = lint(tree, options.checks or CHECKS)
    bad = [f"{name} {count}" for name, count in counts.items() if count]
    seconds = time.monotonic() - start
    print(f"lint: {len(tree.files)} files, {len(counts)} checks, {seconds:.0f} s: "
          + (f"{sum(counts.values())} findings ({', '.join(bad)})" if bad else "nothing found"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
