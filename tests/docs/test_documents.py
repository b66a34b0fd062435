"""
Every block of the documents is run, parsed, or marked with the suite that runs it, in the order in
which it stands there: support/documents.py has the words behind a fence, sandbox.py what is not
literal.
"""

import re
import shutil
from pathlib import Path

import pytest
import yaml

import marks
from sandbox import Sandbox
from support import documents as blocks
from support.documents import DOCUMENTS
from support.host import REPOSITORY, TESTS, sanitized

NAMES = [str(document.relative_to(REPOSITORY)) for document in DOCUMENTS]
# What a block may need: when it is there.
NEEDS = {
    "needs-gdb": lambda: shutil.which("gdb") is not None and not sanitized() and _may_trace(),
    "needs-core": lambda: Path("/proc/sys/kernel/core_pattern").read_text()[0] not in "|/\n"
    and not sanitized(),
}
SERVERS = {"nginx": "nginx -s reload", "apache": "apache2ctl graceful"}  # what takes such a file


def _may_trace():
    try:
        return int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text()) == 0
    except FileNotFoundError:
        return True


@pytest.fixture(name="sandbox")
def _sandbox():
    made = Sandbox()
    try:
        made.begin()
        yield made
    finally:
        made.end()


def execute(sandbox, block, later):
    """What is done with a block; later: the blocks behind it."""
    if block.marks:
        for mark in block.marks:
            marks.check(block, mark)
        return
    if block.recipe:
        asked = "".join(
            path.read_text()
            for folder in ("docs", "fronts")
            for path in (TESTS / folder).glob("*.py")
        )
        assert f'recipe("{block.recipe}")' in asked, f"{block.place}: no test asks for this recipe"
    if block.file:
        wanted = SERVERS.get(block.language, block.file.rpartition("/")[2])
        used = any(
            wanted in other.text for other in later if other.language == "sh" and not other.marks
        )
        assert used, f"{block.place}: no command below uses {block.file}"
        sandbox.put(block)
    elif block.language == "sh":
        sandbox.run(block)
    elif block.language == "ini":
        sandbox.check_configuration(block)
    elif block.language == "text":
        sandbox.check_output(block)
    elif block.language == "yaml":
        assert list(yaml.safe_load_all(block.text)), block.place
    elif block.language == "json":
        sandbox.check_json(block)
    else:
        assert block.recipe, f"{block.place}: this block is neither run nor parsed nor marked"


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_a_document_holds_what_it_says(document, request):
    found = blocks.blocks(document)
    sandbox = request.getfixturevalue("sandbox") if found else None
    missing = set()
    for number, block in enumerate(found):
        without = [need for need in block.needs if not NEEDS[need]()]
        missing.update(f"{block.place} {need}" for need in without)
        if not without:
            execute(sandbox, block, found[number + 1 :])
    if missing:
        pytest.skip(f"the rest holds; left out: {', '.join(sorted(missing))}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_a_link_leads_to_a_file_and_a_heading(document):
    text = document.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, heading = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
            assert heading in [
                re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles
            ], target


# The rules themselves.


def block(language, *words, text="x\n"):
    return blocks.Block(DOCUMENTS[0], 1, language, words, text)


@pytest.mark.parametrize(
    "bad",
    [
        block(""),
        block("c"),
        block("nginx"),
        block("nginx", "no-such-recipe"),
        block("sh", "check-nothing"),
        block("sh", "check-docker", text="docker push exthost\n"),
        block("sh", "check-docker", text="docker run --privileged exthost\n"),
        block("sh", "check-docker", text="kubectl port-forward service/fossil 8080:81\n"),
        block("text", "check-image", text="exthost: never said\n"),
        block("python", "~/ext/unused.py"),
    ],
    ids=repr,
)
def test_a_block_that_nothing_runs_fails(bad):
    with pytest.raises((AssertionError, KeyError)):
        execute(None, bad, [])


@pytest.mark.parametrize(
    "bad",
    [
        block("sh", text="true\nfalse\ntrue\n"),
        block("sh", text="exthost request /nothing.py --root ~/ext\n"),
        block("sh", text="exthost serve --no-such-option | cat\n"),
        block("sh", text="make no-such-target\n"),
        block("sh", text="ctest --preset release -R no-such-test\n"),
        block("ini", text="timeout = never\n"),
        block("sh", text="sudo systemctl reload no-such-unit\n"),
        block("text", text="never printed\n"),
        block("yaml", text="a: [\n"),
    ],
    ids=repr,
)
def test_a_block_that_does_not_hold_fails(sandbox, bad):
    with pytest.raises((AssertionError, yaml.YAMLError)):
        execute(sandbox, bad, [])
