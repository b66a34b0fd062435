"""The relay between a host that says what it likes and a server that does what it likes."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

from fake_host import PAGE, FakeHost, Relay, drop_to, end
from support import fastcgi
from support.host import RELAY, put
from support.users import root_only
from support.waiting import wait_for

MEGABYTE = os.urandom(1 << 20)
NOBODY = 65534


@pytest.fixture
def root():
    """An extension root to which every user may come."""
    folder = tempfile.mkdtemp(prefix="xr-", dir="/tmp")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def host(root):
    found = FakeHost(root)
    yield found
    found.close()


@pytest.fixture
def relay(root):
    relays = []

    def start(*options, **more):
        relays.append(Relay(root, *options, **more))
        return relays[-1]
    yield start
    for one in relays:
        one.stop()


def test_the_host_gets_the_environment_and_the_server_the_reply(host, relay):
    one = relay(QUERY_STRING="a=1", EMPTY="")
    found = host.accept()
    host.answer()
    assert one.end().text == "hello\n"
    assert {name: found[name] for name in one.environment} == one.environment


def test_an_environment_of_any_size_arrives_whole(host, relay):
    variables = {f"NAME_{i}": "x" * (i * 37 % 300) for i in range(400)}
    variables.update({"LARGE": "y" * 100000, "EDGE": "z" * 32768})
    one = relay(**variables)
    found = host.accept()
    host.answer()
    assert one.end().status == 200
    assert {name: found.get(name) for name in variables} == variables


@pytest.mark.parametrize("length", [1, 7, 8, 32767, 32768, 32769, 100000])
def test_exactly_the_bodys_length_is_read_and_its_end_is_told(host, relay, length):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    one = relay(length=length, stdin=reader)
    host.accept()
    sent = 0
    body = MEGABYTE[:length] + b"of the next"
    got = b""
    while sent < len(body):
        try:
            sent += os.write(writer, body[sent:])
        except BlockingIOError:
            got += host.connection.read_record()[2]
    got += host.read_stream(fastcgi.STDIN)
    host.answer()
    assert one.end(None).status == 200
    assert got == MEGABYTE[:length]
    assert os.read(reader, 100) == b"of the next"
    os.close(reader)
    os.close(writer)


def test_a_body_that_ends_early_is_ended_early(host, relay):
    one = relay(length=1000)
    host.accept()
    one.process.stdin.write(b"short")
    one.process.stdin.close()
    one.process.stdin = None
    assert host.read_stream(fastcgi.STDIN) == b"short"
    host.answer()
    assert one.end(None).status == 200


def test_both_directions_move_at_once(host, relay):
    one = relay(length=len(MEGABYTE))
    host.accept()
    host.send(*(fastcgi.record(fastcgi.STDOUT, 1, PAGE if i == 0 else MEGABYTE[:65000])
                for i in range(16)))
    got = []
    reader = threading.Thread(target=lambda: got.append(host.read_stream(fastcgi.STDIN)))
    reader.start()
    answered = threading.Thread(target=lambda: (reader.join(), host.send(end())))
    answered.start()
    reply = one.end(MEGABYTE)
    answered.join()
    assert got == [MEGABYTE]
    assert len(reply.body) == 6 + 15 * 65000


def test_what_the_host_leaves_of_the_body_is_read_away_before_the_reply(host, relay):
    """Fossil writes the whole body first, and a broken pipe would end it."""
    one = relay(length=len(MEGABYTE))
    host.accept()
    host.answer()
    one.process.stdin.write(MEGABYTE)  # raises if it is not read to its end
    one.process.stdin.flush()
    assert one.end(None).text == "hello\n"


def test_a_host_that_answers_and_reads_no_more_is_heard(host, relay):
    one = relay(length=len(MEGABYTE))
    host.accept()
    host.connection.socket.shutdown(socket.SHUT_RD)
    one.process.stdin.write(MEGABYTE[:40000])
    one.process.stdin.flush()
    host.answer()
    assert one.end(MEGABYTE[40000:]).text == "hello\n"


def test_a_server_that_is_gone_ends_the_relay_and_so_the_run(host, relay):
    one = relay()
    host.accept()
    host.read_stream(fastcgi.STDIN)
    host.send(fastcgi.record(fastcgi.STDOUT, 1, PAGE))
    one.process.stdout.close()
    assert host.connection.read_record() is None
    assert one.has_ended()


@pytest.mark.parametrize("size", [65535, 65536, 65537, 200000, 1 << 20])
def test_a_reply_of_any_size_is_printed_whole(host, relay, size):
    body = MEGABYTE[:size - len(PAGE)]
    one = relay()
    host.accept()
    host.answer(PAGE + body)
    assert one.end().body == b"hello\n" + body


def test_a_large_reply_needs_no_folder(host, relay):
    one = relay(TMPDIR="/nowhere")
    host.accept()
    host.answer(PAGE + MEGABYTE)
    assert one.end().body == b"hello\n" + MEGABYTE


@pytest.mark.parametrize("records, reason", [
    ((), "the host went away in the middle of the reply"),
    ((fastcgi.record(fastcgi.STDOUT, 1, b""), end()), "the host's reply is empty"),
    ((fastcgi.record(fastcgi.STDOUT, 2, PAGE), end()), "a record of another request"),
    ((fastcgi.record(255, 1),), "the host says that the reply failed half way"),
    ((fastcgi.record(fastcgi.GET_VALUES_RESULT, 1, b""),), "a record of unexpected type"),
    ((end(fastcgi.UNKNOWN_ROLE),), "the host refused the request"),
], ids=["end", "empty", "other", "poison", "type", "refused"])
def test_half_a_reply_is_none(host, relay, records, reason):
    one = relay()
    host.accept()
    host.read_stream(fastcgi.STDIN)
    if reason != "the host's reply is empty":
        host.send(fastcgi.record(fastcgi.STDOUT, 1, PAGE + MEGABYTE[:50000]))
    host.send(*records)
    host.connection.close()
    reply = one.end()
    assert reply.status == 502
    assert reason in reply.text and reason in one.errors
    assert "hello" not in reply.text


def test_a_host_that_is_full_is_503_with_a_time_to_come_again(host, relay):
    one = relay()
    host.accept()
    host.answer(b"", fastcgi.OVERLOADED)
    reply = one.end()
    assert (reply.status, reply.header("Retry-After")) == (503, "1")


def test_what_the_host_says_beside_the_reply_goes_to_standard_error(host, relay):
    one = relay()
    host.accept()
    host.send(fastcgi.record(fastcgi.STDERR, 1, b"beside\n"))
    host.answer()
    assert one.end().text == "hello\n"
    assert one.errors == "beside\n"


def test_a_reply_in_single_bytes_is_the_same(host, relay):
    one = relay()
    host.accept()
    data = fastcgi.record(fastcgi.STDOUT, 1, PAGE, padding=3) + end()
    for i in range(len(data)):
        host.send(data[i:i + 1])
    assert one.end().text == "hello\n"


@pytest.mark.parametrize("length", ["abc", "-1", "1x", "99999999999999999999"])
def test_a_length_that_is_no_number_is_400_and_no_host_is_asked(host, relay, length):
    reply = relay(length=length).end()
    assert reply.status == 400
    host.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        host.listener.accept()


def test_a_relative_repository_is_made_absolute(host, root, relay):
    one = relay(FOSSIL_REPOSITORY="a.fossil", cwd="/")
    assert host.accept()["FOSSIL_REPOSITORY"] == "//a.fossil"
    host.answer()
    one.end()
    one = relay(FOSSIL_REPOSITORY="/b.fossil", cwd=root)
    assert host.accept()["FOSSIL_REPOSITORY"] == "/b.fossil"
    host.answer()
    one.end()


def test_the_socket_of_the_first_line_goes_before_that_of_the_root(host, root, relay):
    other = FakeHost(root, f"{root}/other")
    one = relay(f"--socket {root}/other tcl")
    other.accept()
    other.answer()
    assert one.end().status == 200
    other.close()
    # A host that is gone leaves its socket's file: the relay tries the next path.
    one = relay(f"--socket {root}/other tcl")
    host.accept()
    host.answer()
    assert one.end().status == 200


@pytest.mark.parametrize("size", [107, 108, 200])
def test_a_socket_with_a_path_longer_than_an_address_is_reached(root, relay, size):
    folder = f"{root}/{'x' * (size - len(root) - len('//s'))}"
    os.mkdir(folder)
    before = os.open(".", os.O_PATH | os.O_DIRECTORY)
    os.chdir(folder)
    try:
        other = FakeHost(root, "s")
    finally:
        os.fchdir(before)
        os.close(before)
    one = relay(f"--socket {folder}/s tcl", cwd="/", FOSSIL_REPOSITORY="a")
    # The relay has changed back to the directory that it was started in.
    assert other.accept()["FOSSIL_REPOSITORY"] == "//a"
    other.answer()
    assert one.end().status == 200
    other.close()


@root_only
def test_a_host_that_does_not_let_it_in_is_503_and_no_other_is_asked(root, relay):
    closed = FakeHost(root)
    os.chmod(closed.path, 0o600)
    one = relay(preexec_fn=drop_to(NOBODY), program=_for_all(root))
    reply = one.end()
    assert reply.status == 503
    assert "Permission denied" in reply.text
    closed.close()


@root_only
def test_a_host_whose_socket_is_hidden_by_a_folder_is_none(root, relay):
    os.mkdir(f"{root}/hidden", 0o700)
    hidden, other = FakeHost(root, f"{root}/hidden/s"), FakeHost(root)
    os.chmod(other.path, 0o666)
    one = relay(f"--socket {root}/hidden/s tcl", preexec_fn=drop_to(NOBODY), program=_for_all(root))
    other.accept()
    other.answer()
    assert one.end().status == 200
    hidden.close()
    other.close()


def _for_all(root):
    """The relay where every user can start it."""
    path = f"{root}/exthost-cgi"
    shutil.copy(RELAY, path)
    os.chmod(path, 0o755)
    return path


def test_it_waits_where_the_hosts_queue_is_full(root, relay):
    host = FakeHost(root, backlog=0)
    waiting = []
    while True:
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].setblocking(False)
        try:
            waiting[-1].connect(host.path)
        except BlockingIOError:
            break
    one = relay()
    wait_for(lambda: _system_call(one.process.pid) in ("poll", "ppoll"), "it waits", 10)
    assert one.process.poll() is None
    for client in waiting:
        client.close()
    for _ in waiting[:-1]:
        host.listener.accept()[0].close()
    host.accept()
    host.answer()
    assert one.end().status == 200
    host.close()


def _system_call(pid):
    """What a process waits in."""
    numbers = {7: "poll", 271: "ppoll", 73: "ppoll"} if os.uname().machine == "x86_64" \
        else {73: "ppoll"}
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            return numbers.get(int(file.read().split()[0]))
    except (OSError, ValueError):
        return None


@pytest.mark.parametrize("words, told", [
    ("--unknown tcl", b"--unknown;"), ("tcl --socket", b"--socket without a PATH;"),
    ("--socket  ", b"--socket without a PATH;"), ("--<b>x</b> tcl", b"an unknown option;")])
def test_an_unknown_option_in_the_shebang_line_is_a_page_that_names_it(relay, words, told):
    one = relay(words)
    out, errors = one.process.communicate(timeout=30)
    assert one.process.returncode == 2 and out.startswith(b"Status: 500 ")
    for text in (out, errors):
        assert b"the shebang line of page.tiny has " + told in text
        assert b"known are --socket PATH and a language" in text


def test_blanks_in_the_shebang_line_may_be_many(root, host, relay):
    one = relay(f"  --socket\t {root}/.exthost.sock \t tcl ")
    host.accept()
    host.answer()
    assert one.end().status == 200


def test_without_a_host_and_without_exthost_it_is_503(root, relay):
    if os.path.exists("/run/exthost/exthost.sock"):
        pytest.skip("a host listens at /run/exthost/exthost.sock")
    one = relay(program=_for_all(root), length=len(MEGABYTE))
    one.process.stdin.write(MEGABYTE)
    reply = one.end()
    if reply.status != 503:
        pytest.skip("exthost is installed where the relay looks for it")
    assert "exthost cannot be started" in reply.text


def test_called_by_an_interpreters_name_it_relays_what_fossil_starts_alone(host, root, relay):
    link = f"{root}/tclsh"
    os.symlink(RELAY, link)
    one = relay(program=link)
    host.accept()
    host.answer()
    assert one.end().text == "hello\n"
    # What a run starts has a PATH: it is the interpreter then, and asks no host.
    script = put(root, "page.tiny", "puts 42\n")
    done = subprocess.run([link, script], env={**one.environment, "PATH": "/bin"},
                          capture_output=True, timeout=60, check=False)
    assert done.stdout == b"42\n", done
