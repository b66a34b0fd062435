"""The memory of a run's Python objects, which lie apart from the template's: python_heap.c."""

import subprocess

import pytest

from host import PLAIN, put_script, sanitized

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


def test_cpythons_own_tests_of_its_containers_pass_in_a_run(run):
    count, passed, report = run(OWN_TESTS)[1].split(maxsplit=2)
    assert passed == "True", report
    assert int(count) > 500
