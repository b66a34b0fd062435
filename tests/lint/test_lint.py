"""Each check of lint.py finds a planted fault, and finds nothing in a clean tree."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
LINT = HERE / "lint.py"
TOOLS = {"format": "clang-format-14", "headers": "gcc", "tidy": "clang-tidy-14",
         "cppcheck": "cppcheck", "shell": "shellcheck", "python": "pyflakes3",
         "manuals": "mandoc", "spelling": "codespell"}

# A tree without a fault.
CLEAN = {
    "host/sum.h": "#ifndef SUM_H\n#define SUM_H\n\n/* The sum of both. */\n"
                  "int sum(int a, int b);\n\n#endif\n",
    "host/sum.c": '#include "sum.h"\n\nint sum(int a, int b)\n{\n\treturn a + b;\n}\n',
    "host/sum.1": ".Dd November 1, 2026\n.Dt SUM 1\n.Os\n.Sh NAME\n.Nm sum\n.Nd add two numbers\n"
                  ".Sh DESCRIPTION\nIt prints the sum.\n",
    "tests/run.sh": '#!/bin/sh\nset -eu\nprintf "%s\\n" "$1"\n',
    "tests/sum.py": '"""A sum."""\n\n\ndef add(a, b):\n    return a + b\n',
    "README.md": "# Sum\n\nIt adds.\n\n    " + "code " * 25 + "\n\n| "
                 + "a table " * 20 + "|\n",
}
# Of each check: the file in which the fault is, its text, and a part of what is found.
FAULTS = {
    "format": ("host/sum.c", '#include "sum.h"\n\nint sum(int a, int b) { return a + b; }\n',
               "not as clang-format writes it"),
    "shell": ("tests/run.sh", "#!/bin/sh\nrm $1\n", "SC2086"),
    "python": ("tests/sum.py", "import os\n", "imported but unused"),
    "manuals": ("host/sum.1", CLEAN["host/sum.1"].replace(".Nd", ".Zz"), "Zz"),
    "spelling": ("README.md", "It " + "rec" + "ieves.\n", "receives"),
    "columns": ("tests/sum.py", "# " + "word " * 20 + "\n", "102 columns"),
    "phrases": ("host/sum.c", "/*\n * The front takes one" + "\n * that is idle.\n */\n",
                "'one" + " that'; write"),
    "headers": ("host/size.h", "#ifndef SIZE_H\n#define SIZE_H\n\nsize_t size(void);\n\n#endif\n",
                "size_t"),
    "tidy": ("host/sum.c", '#include "sum.h"\n\nint sum(int a, int b)\n{\n\tint *nowhere = 0;\n\n'
             "\treturn b > 0 ? a + *nowhere : b;\n}\n", "NullDereference"),
    "cppcheck": ("host/sum.c", '#include "sum.h"\n\nint sum(int a, int b)\n{\n'
                 "\tint list[2] = {a, b};\n\n\treturn list[0] + list[2];\n}\n",
                 "arrayIndexOutOfBounds"),
}
NOT_FROM_A_TOOL = ("columns", "phrases")


def make_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in (".clang-format", ".clang-tidy"):
        shutil.copy(REPOSITORY / name, root)
    shutil.copy(REPOSITORY / "tests/.clang-tidy", root / "tests")
    build = root / "build/debug"
    build.mkdir(parents=True)
    (root / ".gitignore").write_text("/build/\n")
    (build / "compile_commands.json").write_text(json.dumps([
        {"directory": str(build), "file": str(root / "host/sum.c"),
         "command": f"/usr/bin/gcc -std=gnu17 -Wall -o sum.o -c {root / 'host/sum.c'}"}]))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)


def lint(root, *arguments, **environment):
    return subprocess.run([sys.executable, "-B", LINT, "--root", root, *arguments],
                          capture_output=True, text=True, check=False,
                          env={**os.environ, **environment})


def need(check):
    name = TOOLS.get(check, "git")
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed; .ci/deps lint installs it")


def test_there_is_a_fault_for_each_check():
    assert lint(HERE, "--list").stdout.split() == list(FAULTS)


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_found(check, tmp_path):
    need(check)
    name, text, reason = FAULTS[check]
    make_tree(tmp_path, {**CLEAN, name: text})
    done = lint(tmp_path, check)
    assert done.returncode == 1, done.stdout + done.stderr
    *findings, summary = done.stdout.splitlines()
    assert summary.endswith(f"({check} {len(findings)})")
    assert any(line.startswith(name) and reason in line for line in findings), done.stdout
    for line in findings:
        assert line.endswith(f"[{check}]") and "; " in line


def test_sources_that_are_no_checkout_are_looked_at_but_for_what_is_built(tmp_path):
    name, text, _ = FAULTS["columns"]
    make_tree(tmp_path, {**CLEAN, name: text, "build/made.py": text})
    shutil.rmtree(tmp_path / ".git")
    done = lint(tmp_path, "columns")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == [name], done.stdout


@pytest.mark.parametrize("check", FAULTS)
def test_a_clean_tree_has_no_findings(check, tmp_path):
    need(check)
    make_tree(tmp_path, CLEAN)
    done = lint(tmp_path, check)
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, []), done.stdout + done.stderr
    assert done.stdout.endswith("nothing found\n")


@pytest.mark.parametrize("check", [name for name in FAULTS if name not in NOT_FROM_A_TOOL])
def test_a_tool_that_is_not_there_is_a_finding(check, tmp_path):
    make_tree(tmp_path, CLEAN)
    programs = tmp_path / "build/bin"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git"))
    json_file = tmp_path / "build/debug/compile_commands.json"
    json_file.write_text(json_file.read_text().replace("/usr/bin/gcc", "gcc"))
    done = lint(tmp_path, check, PATH=str(programs))
    assert done.returncode == 1
    assert "is not installed" in done.stdout.splitlines()[0]


@pytest.mark.parametrize("check", ["headers", "tidy", "cppcheck"])
def test_a_build_that_is_not_configured_is_a_finding(check, tmp_path):
    need(check)
    make_tree(tmp_path, CLEAN)
    (tmp_path / "build/debug/compile_commands.json").unlink()
    done = lint(tmp_path, check)
    assert done.returncode == 1 and "cmake --preset debug" in done.stdout


def write_baseline(root, *lines):
    path = root / "tests/lint/baseline.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


LONG = "# " + "word " * 20 + "\n"


def test_as_many_findings_as_the_baseline_allows_are_none(tmp_path):
    make_tree(tmp_path, {**CLEAN, "tests/sum.py": LONG * 2})
    write_baseline(tmp_path, "columns tests/sum.py 2")
    assert lint(tmp_path, "columns").returncode == 0


@pytest.mark.parametrize("allowed, reason", [
    (1, "2 findings where the baseline allows 1"), (3, "run `make lint-baseline`")])
def test_another_number_than_the_baseline_has_is_a_finding(allowed, reason, tmp_path):
    make_tree(tmp_path, {**CLEAN, "tests/sum.py": LONG * 2})
    write_baseline(tmp_path, f"columns tests/sum.py {allowed}")
    done = lint(tmp_path, "columns")
    assert done.returncode == 1 and reason in done.stdout


def test_a_baseline_of_a_file_that_is_gone_is_a_finding(tmp_path):
    make_tree(tmp_path, CLEAN)
    write_baseline(tmp_path, "columns tests/gone.py 1")
    assert "tests/gone.py has 0 findings" in lint(tmp_path, "columns").stdout


def test_a_baseline_is_written_that_follows_a_file_and_does_not_grow(tmp_path):
    make_tree(tmp_path, {**CLEAN, "tests/new.py": LONG})
    path = write_baseline(tmp_path, "columns tests/old.py 1")
    assert lint(tmp_path, "--baseline").returncode == 0
    assert path.read_text().splitlines()[-1] == "columns tests/new.py 1"
    (tmp_path / "tests/new.py").write_text(LONG * 2)
    before = path.read_text()
    done = lint(tmp_path, "--baseline")
    assert done.returncode == 1 and "2 findings, and the baseline allows 1" in done.stderr
    assert path.read_text() == before


def load_prose():
    spec = importlib.util.spec_from_file_location("prose", HERE / "prose.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name, text, kept", [
    ("a.c", 'int what; /* one\n * two */ f("three\\n"\n"four");\n', "one two|three four"),
    ("a.c", '\t/* one */\n\tint a;\n\t// two\n#include "three"\n', "one|two"),
    ("a.py", 'what = "one"  # two\n"""three"""\n', "one|two|three"),
    ("a.sh", "what=$1 # one\n# two\necho $#\n", "one two"),
    ("a.md", "one `two`\n```\nthree\n```\n    four\n", "one"),
    ("a.8", '.\\" one\n.Sh TWO\n.Bd -literal\nthree\n.Ed\nfour\n', "TWO|four"),
    ("a.json", "one\n", ""),
])
def test_prose_is_what_is_no_code(name, text, kept):
    found = load_prose().prose(name, text)
    assert len(found) in (0, len(text))
    parts = (" ".join(part.split()) for part in found.split("\0"))
    assert "|".join(part for part in parts if part) == kept
