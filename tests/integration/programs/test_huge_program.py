"""The program's text in huge pages, wherever the kernel gives them."""

import ctypes
import mmap
import os
import re
import signal
import subprocess

import pytest

from support.host import EXTHOST, SUFFIX, copy_scripts
from support.processes import descendants, name_of
from support.waiting import wait_for

HUGE = 2 << 20
MADV_COLLAPSE = 25


def kernel_gives_them():
    """Whether memory can be made a huge page here; asked of the kernel itself."""
    with mmap.mmap(-1, 2 * HUGE, flags=mmap.MAP_PRIVATE) as memory:
        memory.write(bytes(2 * HUGE))
        view = ctypes.c_char.from_buffer(memory)
        begin = -ctypes.addressof(view) % HUGE
        del view
        try:
            memory.madvise(MADV_COLLAPSE, begin, HUGE)
        except OSError:
            return False
        return True


def is_at_a_fixed_address():
    with open(EXTHOST, "rb") as f:
        return f.read(18)[16] == 2  # e_type of elf(5): ET_EXEC


def text_of(pid):
    """
    (where it is mapped from, KiB of it in huge pages) for the program's own code; None: it has
    ended.
    """
    try:
        with open(f"/proc/{pid}/smaps") as f:
            mappings = re.split(r"^(?=[0-9a-f]+-)", f.read(), flags=re.M)
    except (FileNotFoundError, ProcessLookupError):
        return None
    for mapping in mappings:
        name = mapping.split("\n")[0].split(maxsplit=5)
        if len(name) == 6 and name[1].startswith("r-x") and "exthost" in name[5]:
            return name[5], int(re.search(r"^ShmemPmdMapped:\s*(\d+)", mapping, re.M)[1])
    return ("", 0) if mappings != [""] else None


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return copy_scripts(tmp_path_factory.mktemp("root"))


def texts_of(host):
    """text_of for every process of the host that lives."""
    return [text for text in map(text_of, descendants(host.pid)) if text]


@pytest.mark.skipif(not is_at_a_fixed_address(), reason="this program may be loaded anywhere")
@pytest.mark.skipif(not kernel_gives_them(), reason="the kernel gives no huge page")
def test_every_process_has_the_programs_text_in_huge_pages(host, language):
    assert host.get(f"/{language}/hello{SUFFIX[language]}").status == 200
    found = texts_of(host)
    assert len(found) >= 3, found
    assert all("memfd:exthost" in name for name, _ in found), found
    # A process that has just been forked has no page of it until it runs.
    wait_for(lambda: all(huge >= HUGE // 1024 for _, huge in texts_of(host)), "huge pages")


def master_of(host):
    """What was started, or below it what that has started."""
    return next(pid for pid in [host.pid, *descendants(host.pid)] if name_of(pid) == "exthost")


def in_a_namespace_without_memory_to_execute():
    return ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
            'echo 2 > /proc/sys/vm/memfd_noexec && exec "$0" "$@"']


def with_small_files():
    return ["prlimit", "--fsize=1000000", "--"]


@pytest.mark.parametrize("refuse", [in_a_namespace_without_memory_to_execute, with_small_files])
def test_where_it_is_refused_all_is_served_as_ever(start_host, root, refuse, language):
    before = refuse()
    done = subprocess.run([*before, "true"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"it cannot be refused here: {done.stderr.strip()}")
    host = start_host(root, before=before)
    try:
        assert host.get(f"/{language}/hello{SUFFIX[language]}").status == 200
        assert not [name for name, _ in texts_of(host) if "memfd" in name]
        os.kill(master_of(host), signal.SIGTERM)
        assert host.program.wait_exit() == 0
    finally:
        host.kill()
