"""The memory of a run's Python objects, which lie apart from the template's: python_memory.c."""

import subprocess

import pytest

from support.host import PLAIN, put_script, run_exthost, run_plain, sanitized

# What can go wrong with memory: blocks that are used again, that grow and shrink, that were the
# template's, that other threads and processes use, and more of them than one piece holds.
CHURN = """\
import gc, json, os, sys, threading, zlib
print("Content-Type: text/plain\\n")
for turn in range(10):
    table = {i: (str(i), [i] * (i % 7), bytes(i % 600)) for i in range(20000)}
    print(turn, zlib.crc32(b"".join(v[2] + v[0].encode() for v in table.values())))
    del table
kept = [(i, str(i)) for i in range(200000)]
print(sum(len(text) for _, text in kept))
grown = bytearray()
for i in range(50000):
    grown.append(i & 255)
while len(grown) > 10:
    del grown[-(len(grown) // 3 + 1):]
print(bytes(grown))
for name in [name for name in sys.modules if name.startswith("json")]:
    del sys.modules[name]
import json
print(json.loads(json.dumps({"a": [1, 2, {"b": None}]})), gc.collect() >= 0)
sums = []
threads = [threading.Thread(target=lambda n: sums.append(sum(len(str(i)) for i in range(n))),
                            args=(20000,)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sums)
sys.stdout.flush()
child = os.fork()
if child == 0:
    del kept
    print(len([str(i) for i in range(100000)]))
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""

PEAK = """\
print("Content-Type: text/plain\\n")
for turn in range(30):
    table = [(i, str(i)) for i in range(50000)]
    del table
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""

# CPython's own, in a run and not in `exthost python`.
OWN_TESTS = """\
import io, unittest
names = ["test.test_dict", "test.test_list", "test.test_set", "test.test_deque"]
told = io.StringIO()
suite = unittest.defaultTestLoader.loadTestsFromNames(names)
result = unittest.TextTestRunner(told).run(suite)
print("Content-Type: text/plain\\n")
print(result.testsRun, result.wasSuccessful())
print(told.getvalue())
"""


# What a run finds of its own in place of what the template had, and what becomes of it at the end.
FOUND = """\
import sys
print("Content-Type: text/plain\\n")
main = sys.modules["__main__"]
print(main.__dict__ is globals(), type(__loader__).__name__, __loader__.name)
print(__loader__.path == __file__ == sys.argv[0], __loader__.get_source("__main__")[-9:])
print(len(sys.argv), sys.orig_argv[1:] == sys.argv, sys.path[0], sys.path[1:4])
"""
PLACES = """\
import os, sys
print("Content-Type: text/plain\\n")
class Place(str):
    def __del__(self, write=os.write):
        write(1, f"{self} is freed\\n".encode())
sys.stdout.flush()
sys.path.append(Place("the last"))
CHANGE
"""
CHANGES = {"nothing": "", "a second": "sys.path.insert(1, Place('the second'))",
           "another list": "sys.path = [Place('the only one')]", "an empty one": "sys.path.clear()",
           "a turned one": "sys.path.reverse()", "none": "del sys.path"}
# {name: code that leaves standard output or error in some state at the end of a script}.
OUTPUTS = {
    "closed": "sys.stdout.close()",
    "the buffer closed": "sys.stdout.flush(); sys.stdout.buffer.close()",
    "the file closed": "sys.stdout.flush(); sys.stdout.buffer.raw.close()",
    "the file closed too early": "sys.stdout.buffer.raw.close()",
    "detached": "sys.stdout.flush(); sys.stdout.detach()", "none": "sys.stdout = None",
    "another": "import io; sys.stdout = io.StringIO()",
    "an object that fails": "class Out:\n    closed = False\n    def flush(self): 1 / 0\n"
                            "sys.stdout = Out()",
    "a closed object": "class Out:\n    closed = True\n    def flush(self): 1 / 0\n"
                       "sys.stdout = Out()",
    "standard error closed": "sys.stderr.close()",
    "standard error that fails": "class Out:\n    closed = False\n    def flush(self): 1 / 0\n"
                                 "sys.stderr = Out()",
    "an object that fails after exit 0": "class Out:\n    closed = False\n"
                                         "    def flush(self): 1 / 0\n"
                                         "sys.stdout = Out()\nsys.exit(0)",
    "a full disk": "os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"}


def plain(path):
    done = subprocess.run([PLAIN["python"], path], capture_output=True, text=True, check=True)
    return done.stdout.split("\n\n", 1)[1]


@pytest.fixture
def run(start_host, tmp_path):
    def run(text):
        path = put_script(tmp_path, "script.py", "python", text)
        reply = start_host(tmp_path, "--timeout", "120").get("/script.py", timeout=120)
        assert reply.status == 200, reply
        return path, reply.text
    return run


def test_a_script_that_churns_through_objects_prints_what_python3_prints(run):
    path, text = run(CHURN)
    assert text == plain(path)


@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps what is freed")
def test_what_is_freed_is_used_again(run):
    path, text = run(PEAK)
    assert int(text) < 2 * int(plain(path))


def test_a_run_finds_names_and_places_as_under_python3(run):
    path, text = run(FOUND)
    assert text == plain(path)


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_script_puts_into_its_path_is_let_go(run, change):
    path, text = run(PLACES.replace('CHANGE', CHANGES[change]))
    assert "is freed" in text
    assert sorted(text.splitlines()) == sorted(plain(path).splitlines())


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_end_is_that_of_python3_whatever_became_of_standard_output(tmp_path, output):
    path = put_script(tmp_path, "script.py", "python", "import os, sys\n"
                      f"print('Content-Type: text/plain\\n\\nall', "
                      f"flush=True)\n{OUTPUTS[output]}\n")
    own = run_exthost("request", "/script.py", "--root", str(tmp_path))
    wanted = run_plain("python", path, {})
    told = wanted.stderr.splitlines()[-1:]
    assert (b"exit status 120" in own.stderr) == (wanted.returncode == 120), own
    assert all(text in own.stderr for text in told), own
    assert told or b"Error" not in own.stderr, own


def test_cpythons_own_tests_of_its_containers_pass_in_a_run(run):
    count, passed, report = run(OWN_TESTS)[1].split(maxsplit=2)
    assert passed == "True", report
    assert int(count) > 500
