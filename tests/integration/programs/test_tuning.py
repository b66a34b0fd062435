"""EXTHOST_WITHOUT: a host without its speed machinery is slower, and answers the same."""

import re
import subprocess

import pytest

from support.host import EXTHOST, REPOSITORY, SUFFIX, copy_scripts


def parts():
    """The names that host/base/tuning.c knows."""
    text = (REPOSITORY / "host/base/tuning.c").read_text(encoding="utf-8")
    return re.findall(r'^    \[TUNING_\w+\] = "([\w-]+)",', text, re.M)


def test_the_page_and_the_benchmark_have_every_part():
    page = (REPOSITORY / "host/template/README.md").read_text(encoding="utf-8")
    bench = (REPOSITORY / "tests/bench/tuning.py").read_text(encoding="utf-8")
    table = page[page.index("| name | where"):]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.M) == parts()
    measured = bench[bench.index("PARTS = {"):bench.index("\nCLIENTS")]
    assert sorted(re.findall(r'"([\w-]+)": ', measured)) == sorted(parts())


def test_an_unknown_part_is_an_error(tmp_path):
    done = subprocess.run([EXTHOST, "serve", "--root", tmp_path], capture_output=True, text=True,
                          env={"EXTHOST_WITHOUT": "wings"}, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'exthost: EXTHOST_WITHOUT: there is no part "wings"\n'


@pytest.mark.parametrize("page", ["hello", "echo", "library"])
def test_without_all_parts_the_answers_are_the_same(start_host, host, tmp_path, language, page):
    slow = start_host(copy_scripts(tmp_path / "root"),
                      before=["env", f"EXTHOST_WITHOUT={','.join(parts())}"])
    url = f"/{language}/{page}{SUFFIX[language]}?a=b"
    expected = host.get(url)
    for _ in range(3):
        found = slow.get(url)
        assert (found.status, found.body) == (expected.status, expected.body)
