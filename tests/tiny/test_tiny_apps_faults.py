"""Apps that crash, hang, hog or are left alone, and the requests that suffer from it."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from support import fastcgi
from support.processes import gone, lives
from support.waiting import wait_for
from tiny_host import APP, HEAD, LATE_SIGNALS, TINY, Asked, Load, put, sanitizer, status

SIGNALS = pytest.mark.parametrize("number", [
    signal.SIGKILL,
    pytest.param(signal.SIGSEGV, marks=pytest.mark.skipif(
        sanitizer(), reason="a sanitizer takes SIGSEGV for a finding"))])


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    put(folder, "query.tiny", APP + HEAD + "env QUERY_STRING\n")
    put(folder, "count.tiny", APP + HEAD + "process\ncount\n")
    # Its process, as a reply; more if the query says so.
    put(folder, "app.tiny", APP + HEAD + """process
when part repeat 40000 0123456789
when part flush
when part pid
when part await go
when wait pid
when wait await go
when spin pid
when spin spin
when spun repeat 40000 0123456789
when spun flush
when spun pid
when spun spin
when exit exit 3
when quit0 quit 0
when quit3 quit 3
when crash crash
when close close
when long repeat 1000000 0123456789
when long error written
when leave leave
when two leave
when two leave
when hog memory 512
when burn burn 400
when loop burn 60000
when sleep pid
when sleep sleep 60000
""")
    return folder


@pytest.fixture
def beside(host):
    """Clients of another app while the test runs; none of them may notice."""
    assert host.get("query.tiny?first").text == "first\n"
    load = Load(host, clients=2)
    yield host
    load.wait_more()
    assert load.end() == []


def process(host, query=""):
    reply = host.get(f"app.tiny?{query}")
    assert reply.status == 200, reply
    return int(reply.text.split()[0])


def is_cut(outcome):
    return outcome.closed and not outcome.ended and outcome.records[-1][0] == 255


def has_failed(outcome):
    """It is 500, or cut if a part of it was quicker than the failure."""
    return is_cut(outcome) or outcome.reply().status == 500


@SIGNALS
def test_a_worker_killed_before_its_reply_is_500_and_replaced(beside, number):
    asked = Asked(beside, "app.tiny?wait")
    os.kill(asked.begun(), number)
    # The header and the process number are in the worker's hands still.
    assert asked.end().reply().status == 500
    beside.wait_line("GET /app.tiny?wait status=500", "end=signal", f"signal {int(number)} ",
                     since=asked.since)
    assert lives(process(beside))


@SIGNALS
def test_a_worker_killed_in_the_middle_of_its_reply_cuts_it(beside, number):
    asked = Asked(beside, "app.tiny?part")
    os.kill(asked.begun(), number)
    outcome = asked.end()
    assert is_cut(outcome) and len(outcome.stdout) > 400_000
    beside.wait_line("GET /app.tiny?part", "end=signal", since=asked.since)
    assert lives(process(beside))


@SIGNALS
def test_nobody_notices_that_an_idle_worker_is_killed(beside, number):
    for _ in range(10):
        pid = process(beside)
        os.kill(pid, number)
        assert process(beside) != pid


def test_nobody_notices_that_all_idle_workers_are_killed(start, root):
    host = start("--workers", "12")
    asked = [Asked(host, "app.tiny?wait") for _ in range(12)]
    wait_for(lambda: len([x for x in host.log() if "process " in x and "stderr" in x]) == 12,
             "twelve begun")
    (root / "go").touch()
    pids = {int(each.end().reply().text.split()[0]) for each in asked}
    assert len(pids) == 12
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert process(host) not in pids


def test_what_waits_for_a_worker_is_answered_when_that_is_killed(start, root):
    host = start("--workers", "1")
    first = Asked(host, "app.tiny?wait")
    pid = first.begun()
    late = [Asked(host, "app.tiny") for _ in range(3)]
    os.kill(pid, signal.SIGKILL)
    assert first.end().reply().status == 500
    assert {each.end().reply().status for each in late} == {200}


def test_a_crash_is_500_and_the_log_names_the_signal(beside):
    pid = process(beside)
    assert has_failed(fastcgi.request(beside.socket, "GET", "/app.tiny?crash"))
    beside.wait_line("GET /app.tiny?crash", "signal 6")
    gone(pid)
    assert process(beside) != pid


def test_an_exit_status_other_than_0_is_a_failure_and_the_worker_lives_on(beside):
    pid = process(beside)
    assert beside.get("app.tiny?exit").status == 500
    beside.wait_line("GET /app.tiny?exit status=500", "the app failed")
    assert process(beside) == pid


@pytest.mark.parametrize("status", [0, 3])
def test_who_ends_the_process_ends_its_request_and_the_worker_is_replaced(beside, status):
    pid = process(beside)
    outcome = fastcgi.request(beside.socket, "GET", f"/app.tiny?quit{status}")
    if status == 0:
        assert outcome.reply().text == f"{pid}\n"
    else:
        assert has_failed(outcome)
        beside.wait_line("GET /app.tiny?quit3", "exit status 3")
    gone(pid)
    assert process(beside) != pid


@LATE_SIGNALS
def test_an_endless_loop_is_504_with_its_stack_in_the_log_and_the_worker_is_replaced(start, root):
    host = start("--timeout", "1")
    load = Load(host, clients=2)
    asked = Asked(host, "app.tiny?spin")
    pid = asked.begun()
    assert asked.end().reply().status == 504
    host.wait_line(" spin ", "script=app.tiny", "stream=stack", since=asked.since)
    host.wait_line("GET /app.tiny?spin status=504", "end=timeout", "longer than 1 s")
    gone(pid)
    assert process(host) != pid
    assert load.end() == []


def test_an_endless_loop_in_the_middle_of_a_reply_cuts_it(start, root):
    host = start("--timeout", "1")
    asked = Asked(host, "app.tiny?spun")
    pid = asked.begun()
    assert is_cut(asked.end())
    gone(pid)
    assert process(host) != pid


def test_a_client_that_goes_away_in_the_middle_of_its_upload_costs_nothing(beside):
    pid = process(beside)
    body = bytes(1 << 20)
    for size in (0, 1, 1000, 500_000):
        with fastcgi.Connection(beside.socket) as connection:
            connection.begin()
            connection.params(fastcgi.variables("POST", "/app.tiny", body))
            connection.send(fastcgi.stream(fastcgi.STDIN, 1, body)[:size])
    assert process(beside) == pid


def leave_early(host, query):
    """Ask, read the first record of the reply, and go away."""
    with fastcgi.Connection(host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", f"/app.tiny?{query}"))
        connection.stdin(b"")
        assert connection.read_record()


def test_a_client_that_goes_away_in_the_middle_of_a_reply_lets_the_worker_live_on(beside):
    pid = process(beside)
    since = beside.program.log_position()
    leave_early(beside, "long")
    beside.wait_line("GET /app.tiny?long", "status=499", "end=client", since=since)
    assert process(beside) == pid


def test_a_worker_that_does_not_notice_that_its_client_has_gone_is_ended(beside):
    asked = beside.program.log_position()
    with fastcgi.Connection(beside.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", "/app.tiny?sleep"))
        connection.stdin(b"")
        pid = int(beside.wait_line("process ", "stream=stderr", since=asked).split(
            "process ")[1].split()[0])
    beside.wait_line("GET /app.tiny?sleep", "status=499", since=asked)
    gone(pid)
    assert process(beside) != pid


def pipes(pid):
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(fd))
    return {name for name in found if name.startswith("pipe:")}


def test_a_request_that_is_aborted_lets_the_worker_live_on(beside, root):
    pid = process(beside)
    with fastcgi.Connection(beside.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", "/app.tiny?wait"))
        since = beside.program.log_position()
        connection.stdin(b"")
        beside.wait_line("process ", "stream=stderr", since=since)
        reply = pipes(pid) & pipes(beside.front())
        connection.send(fastcgi.record(fastcgi.ABORT_REQUEST, 1))
        # The front closes its pipe for the reply; the worker has some seconds to end the request.
        wait_for(lambda: not reply <= pipes(beside.front()), "the front has taken the abort")
        (root / "go").touch()
        outcome = connection.read_outcome()
    assert outcome.ended and outcome.stdout == b""
    beside.wait_line("GET /app.tiny?wait", "status=499", "end=abort", since=since)
    assert process(beside) == pid


def test_a_reply_that_is_never_read_is_given_up_and_the_worker_lives_on(start, root):
    host = start("--timeout", "1")
    pid = process(host)
    with fastcgi.Connection(host.socket) as connection:
        connection.begin()
        connection.params(fastcgi.variables("GET", "/app.tiny?long"))
        connection.stdin(b"")
        host.wait_line("GET /app.tiny?long", "end=timeout", "the client takes no more")
    assert process(host) == pid


def test_an_output_that_is_closed_early_ends_the_reply_there(beside):
    pid = process(beside)
    assert process(beside, "close") == pid
    assert process(beside) == pid


def left(reply):
    return [int(pid) for pid in re.findall(r"left (\d+)", reply.text)]


def test_what_an_app_has_started_lives_as_long_as_its_worker(beside):
    reply = beside.get("app.tiny?leave")
    (child,) = left(reply)
    pid = process(beside)
    assert lives(child)
    os.kill(pid, signal.SIGKILL)
    gone(child)


def test_what_an_app_has_started_is_gone_after_sigterm(host):
    (child,) = left(host.get("app.tiny?leave"))
    host.stop()
    assert not lives(child)


def test_the_limit_of_processes_is_one_of_each_request(start, root):
    host = start("--processes", "1")
    for _ in range(3):
        assert len(left(host.get("app.tiny?leave"))) == 1
    since = host.program.log_position()
    assert host.get("app.tiny?two").status == 500
    host.wait_line("a process more than --processes 1 was refused", since=since)
    assert len(left(host.get("app.tiny?leave"))) == 1


def test_an_app_may_start_processes_between_its_requests(start, root):
    put(root, "starts.tiny", APP + "load leave\n" + HEAD + "process\n")
    host = start("--processes", "0")
    assert host.get("starts.tiny").status == 200
    assert host.get("app.tiny?leave").status == 500


def test_more_memory_than_allowed_is_500_and_the_worker_lives_on(start, root):
    host = start("--memory", "64m")
    pid = process(host)
    assert host.get("app.tiny?hog").status == 500
    host.wait_line("GET /app.tiny?hog status=500", "end=memory", "--memory is 67108864")
    assert process(host) == pid


@LATE_SIGNALS
def test_processor_time_is_that_of_one_request_and_not_of_the_life_of_the_worker(start, root):
    host = start("--cpu", "1", "--timeout", "120")
    pid = process(host)
    for _ in range(6):
        assert process(host, "burn") == pid
    assert host.get("app.tiny?loop", timeout=120).status == 504
    host.wait_line("GET /app.tiny?loop status=504", "end=cpu", "more than 1 s of processor time")
    host.wait_line(" burn ", "script=app.tiny", "stream=stack")
    gone(pid)
    assert process(host) != pid


def test_the_stack_of_a_request_can_be_asked_for_and_the_request_goes_on(host, root):
    asked = Asked(host, "app.tiny?wait")
    asked.begun()

    def status(*options):
        return subprocess.run([TINY, "status", "--root", str(root), *options], timeout=30,
                              capture_output=True, check=False).stdout.decode()
    found = wait_for(lambda: re.search(r"^([0-9a-f]{16}) +app\.tiny +runs", status(), re.M),
                     "the request in the table")
    assert status("--stack", found[1]) == "await"
    (root / "go").touch()
    assert asked.end().reply().status == 200
    assert not [x for x in host.program.log(asked.since) if "stream=stack" in x]


def test_a_killed_front_takes_the_workers_along_and_the_next_one_starts_others(host):
    pid = process(host)
    asked = Asked(host, "app.tiny?wait")
    other = asked.begun()
    os.kill(host.front(), signal.SIGKILL)
    outcome = asked.end()
    assert outcome.closed and not outcome.ended
    gone(pid)
    gone(other)
    assert process(host) not in (pid, other)


def test_a_killed_template_costs_the_requests_that_are_being_answered_and_no_later_one(host):
    pid = process(host)
    asked = Asked(host, "app.tiny?wait")
    asked.begun()
    template = host.template()
    since = host.program.log_position()
    os.kill(template, signal.SIGKILL)
    assert asked.end().reply().status == 500
    gone(pid)
    assert process(host) != pid
    for _ in range(5):
        template = host.template()
        os.kill(template, signal.SIGKILL)
        gone(template)
        assert host.get("count.tiny").status == 200
    host.wait_line("template: signal 9", since=since)


def wait_lines(host, count, *texts, since):
    wait_for(lambda: count
             == sum(all(text in line for text in texts) for line in host.program.log(since)),
             f"{count} lines with {texts}")


def test_a_template_that_dies_while_an_app_loads_is_no_failure_of_the_app(host, root):
    put(root, "slow.tiny", APP + "load error begun\nload await go\n" + HEAD + "process\n")
    asked = [Asked(host, "slow.tiny") for _ in range(2)]
    since = asked[0].since
    for _ in range(3):
        # One worker tries it; a line of an earlier one must not count for a later one.
        wait_lines(host, 1, "begun", "script=slow.tiny", since=since)
        since = host.program.log_position()
        os.kill(host.template(), signal.SIGKILL)
        wait_lines(host, 1, "slow.tiny: app worker", "is gone, with its template", since=since)
    (root / "go").touch()
    assert [each.end().reply().status for each in asked] == [200, 200]
    assert [line for line in host.log() if "does not load" in line] == []
    (told,) = [app for app in status(root)["apps"] if app["name"] == "slow.tiny"]
    assert "error" not in told


def test_templates_that_die_with_an_idle_worker_do_not_delay_the_next_one(host):
    """As a worker would that died early, again and again, by itself."""
    for _ in range(4):
        pid, since, template = process(host), host.program.log_position(), host.template()
        os.kill(template, signal.SIGKILL)
        gone(template)
        gone(pid)
        host.wait_line("app.tiny loaded in process", since=since)
    assert host.get("app.tiny").status == 200


def test_a_process_that_dies_before_it_has_read_what_to_load_is_no_failure_of_the_app(host, root):
    for number in range(5):
        put(root, f"app{number}.tiny", APP + HEAD + "process\n")
        template = host.template()
        spares = [pid for pid in host.pids_named("exthost-templ") if pid != template]
        for pid in spares:
            os.kill(pid, signal.SIGSTOP)
        asked = Asked(host, f"app{number}.tiny")
        for pid in spares:
            os.kill(pid, signal.SIGKILL)
        assert asked.end().reply().status == 200
    assert [line for line in host.log() if "does not load" in line] == []


def test_after_a_killed_template_the_workers_come_back_though_nobody_asks(host):
    pid = process(host)
    host.wait_line("app.tiny loaded in process")
    since = host.program.log_position()
    os.kill(host.template(), signal.SIGKILL)
    gone(pid)
    host.wait_line("app.tiny loaded in process", since=since)
