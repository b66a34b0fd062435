"""Apps, in the tiny language: which workers there are, and what each request meets."""

import os
import re
import signal
import subprocess

import pytest

from support import fastcgi
from support.processes import lives
from support.waiting import wait_for
from tiny_host import APP, HEAD, TINY, Asked, Load, put, status


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    put(folder, "count.tiny", APP + HEAD + "process\ncount\n")
    put(folder, "query.tiny", APP + HEAD + "env QUERY_STRING\n")
    put(folder, "echo.tiny", APP + HEAD + "body\n")
    # Held until the file "go" is there.
    put(folder, "held.tiny", APP + HEAD + "process\npid\nawait go\nprint gone on\n")
    put(folder, "plain.tiny", HEAD + "process\ncount\n")
    return folder


def ask(host, target="count.tiny"):
    """Its process and what it has counted."""
    reply = host.get(target)
    assert reply.status == 200, reply
    return tuple(int(line) for line in reply.text.splitlines())


def config(folder, text):
    path = folder / "exthost.conf"
    path.write_text(text)
    return "--config", str(path)


def loaded(host, name, since=0):
    """How often the log says that it was loaded."""
    return len([line for line in host.program.log(since) if f"{name} loaded in process" in line])


def begun(host):
    """How many requests have written their process to standard error."""
    return len([line for line in host.log() if "process " in line and "stream=stderr" in line])


def test_an_app_keeps_its_state_from_request_to_request(host):
    answers = [ask(host) for _ in range(5)]
    assert [count for _, count in answers] == [1, 2, 3, 4, 5]
    assert len({process for process, _ in answers}) == 1


def test_each_app_has_workers_of_its_own(host, root):
    put(root, "other.tiny", APP + HEAD + "process\ncount\n")
    one, _ = ask(host)
    two, count = ask(host, "other.tiny")
    assert one != two and count == 1


def test_a_script_without_the_line_is_run_anew_each_time(host):
    answers = [ask(host, "plain.tiny") for _ in range(3)]
    assert [count for _, count in answers] == [0, 0, 0]
    assert len({process for process, _ in answers}) == 3


def test_the_line_stands_among_the_first_ten_or_means_nothing(host, root):
    put(root, "tenth.tiny", "#\n" * 8 + APP + HEAD + "process\ncount\n")
    put(root, "eleventh.tiny", "#\n" * 9 + APP + HEAD + "process\ncount\n")
    assert [ask(host, "tenth.tiny")[1] for _ in range(2)] == [1, 2]
    assert [ask(host, "eleventh.tiny")[1] for _ in range(2)] == [0, 0]


def test_the_mode_of_a_section_goes_before_the_line(start, root, tmp_path):
    host = start(*config(tmp_path, "[extension plain.tiny]\nmode = app\n"
                                   "[extension count.tiny]\nmode = cgi\n"))
    assert [ask(host, "plain.tiny")[1] for _ in range(3)] == [1, 2, 3]
    assert [ask(host, "count.tiny")[1] for _ in range(3)] == [0, 0, 0]


def test_a_body_of_a_megabyte_comes_back_as_it_was(host):
    body = os.urandom(1 << 20)
    for _ in range(3):
        reply = fastcgi.request(host.socket, "POST", "/echo.tiny", body=body, timeout=60).reply()
        assert reply.status == 200 and reply.body == body


def test_sixteen_clients_get_each_their_own_answers(host):
    load = Load(host, clients=16, requests=50)
    assert load.end() == []
    assert load.answered == 800
    assert 1 <= loaded(host, "query.tiny") <= 4, "\n".join(
        x for x in host.log() if " status=200 " not in x)


def test_workers_are_started_by_need_up_to_the_limit_and_further_requests_wait(start, root):
    host = start("--workers", "3")
    held = [Asked(host, "held.tiny") for _ in range(3)]
    wait_for(lambda: loaded(host, "held.tiny") == 3, "three workers")
    wait_for(lambda: begun(host) == 3, "three requests begun")
    late = [Asked(host, "held.tiny") for _ in range(4)]
    assert host.get("query.tiny?beside").text == "beside\n"
    assert all(asked.outcome is None for asked in held + late)
    (root / "go").touch()
    replies = [asked.end().reply() for asked in held + late]
    assert all(reply.status == 200 for reply in replies)
    assert len({reply.text.split()[0] for reply in replies}) == 3
    assert loaded(host, "held.tiny") == 3


def test_one_request_at_a_time_needs_one_worker(start, root):
    host = start("--workers", "3")
    assert len({ask(host)[0] for _ in range(20)}) == 1
    assert loaded(host, "count.tiny") == 1


def test_an_idle_worker_that_dies_is_replaced_before_anybody_asks(host):
    old, _ = ask(host)
    host.wait_line("count.tiny loaded in process")
    since = host.program.log_position()
    os.kill(old, signal.SIGKILL)
    host.wait_line("count.tiny loaded in process", since=since)
    host.wait_line(f"count.tiny: app worker {old}, ended by signal 9", since=since)
    assert ask(host)[1] == 1
    assert loaded(host, "count.tiny", since) == 1


def test_as_many_workers_as_min_workers_says_stay_there(start, root):
    host = start("--min-workers", "2")
    old, _ = ask(host)
    wait_for(lambda: loaded(host, "count.tiny") == 2, "a second worker")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: loaded(host, "count.tiny") == 3, "a third worker")
    assert not lives(old)


def test_workers_beyond_min_workers_end_when_they_are_idle(start, root):
    host = start("--workers", "3", "--idle-exit", "1")
    held = [Asked(host, "held.tiny") for _ in range(3)]
    wait_for(lambda: loaded(host, "held.tiny") == 3, "three workers")
    wait_for(lambda: begun(host) == 3, "three requests begun")
    (root / "go").touch()
    workers = {int(asked.end().reply().text.split()[0]) for asked in held}
    assert len(workers) == 3
    wait_for(lambda: sum(lives(pid) for pid in workers) == 1, "two of three end")
    assert int(host.get("held.tiny").text.split()[0]) in workers


def test_without_min_workers_none_stays(start, root):
    host = start("--min-workers", "0", "--idle-exit", "1")
    old, _ = ask(host)
    wait_for(lambda: not lives(old), "the end of the idle worker")
    new, count = ask(host)
    assert new != old and count == 1


def test_a_worker_is_replaced_after_max_requests(start, root):
    host = start("--max-requests", "3")
    answers = [ask(host) for _ in range(9)]
    assert [count for _, count in answers] == [1, 2, 3] * 3
    assert len({process for process, _ in answers}) == 3


def test_a_worker_that_asks_to_retire_is_replaced(host, root):
    put(root, "retire.tiny", APP + HEAD + "process\ncount\nwhen last retire\n")
    assert [ask(host, "retire.tiny?go")[1] for _ in range(2)] == [1, 2]
    old, _ = ask(host, "retire.tiny?last")
    wait_for(lambda: not lives(old), "the end of the worker")
    assert ask(host, "retire.tiny?go")[1] == 1


def test_a_worker_that_has_grown_beyond_max_rss_is_replaced_after_its_reply(start, root):
    put(root, "grow.tiny", APP + HEAD + "when grow hold 260\nprocess\ncount\n")
    host = start("--max-rss", "256m")
    old, _ = ask(host, "grow.tiny?no")
    assert ask(host, "grow.tiny?grow") == (old, 2)
    wait_for(lambda: not lives(old), "the end of the worker")
    assert ask(host, "grow.tiny?no")[1] == 1


@pytest.fixture
def unload(root):
    put(root, "unload.tiny", APP + HEAD + "unload error it ends\nprocess\nwhen last retire\n")


def test_a_worker_that_retires_ends_in_order(host, unload):
    host.get("unload.tiny?last")
    host.wait_line("it ends", "script=unload.tiny", "stream=stderr")


def test_sigterm_lets_a_request_finish_and_then_each_worker_ends_in_order(host, root, unload):
    assert host.get("unload.tiny").status == 200
    held = Asked(host, "held.tiny")
    held.begun()
    with fastcgi.Connection(host.socket) as idle:
        idle.run(fastcgi.variables("GET", "/query.tiny"), flags=fastcgi.KEEP_CONN)
        host.program.send(signal.SIGTERM)
        assert idle.is_closed()
    assert held.outcome is None
    (root / "go").touch()
    assert held.end().reply().text.endswith("gone on\n")
    host.stop()
    assert [line for line in host.log() if "it ends" in line and "script=unload.tiny" in line]


def test_a_worker_that_does_not_come_to_its_end_is_killed(host, root):
    put(root, "stays.tiny", APP + HEAD + "process\nretire\nunload deaf\nunload spin\n")
    pid = int(host.get("stays.tiny").text)
    assert lives(pid)
    wait_for(lambda: not lives(pid), "the end of the worker")


def test_what_it_writes_between_requests_is_in_the_log_with_its_name(host, root):
    put(root, "later.tiny", APP + HEAD + "print done\nlater an afterthought\n")
    assert host.get("later.tiny").text == "done\n"
    (root / "go").touch()
    line = host.wait_line("an afterthought", "script=later.tiny", "stream=stderr")
    assert "[" not in line


def test_what_it_prints_while_it_loads_is_in_the_log_and_in_no_reply(host, root):
    put(root, "prints.tiny", APP + "load print on loading\n" + HEAD + "print reply\n")
    assert host.get("prints.tiny").text == "reply\n"
    host.wait_line("on loading", "script=prints.tiny")


def test_the_environment_of_one_request_is_not_seen_by_the_next(host, root):
    put(root, "environment.tiny", APP + HEAD + "env HTTP_X_SECRET\nprocess\n")
    first = host.get("environment.tiny", headers=[("X-Secret", "of one")]).text.split("\n")
    second = host.get("environment.tiny").text.split("\n")
    assert (first[0], second[0]) == ("of one", "(not set)") and first[1] == second[1]


def test_an_app_answers_one_request_without_a_server(root):
    put(root, "unload.tiny", APP + HEAD + "unload error it ends\nenv QUERY_STRING\ncount\n")
    done = subprocess.run([TINY, "request", "/unload.tiny?a=b", "--root", str(root)],
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\na=b\n1\n"
    assert b"it ends" in done.stderr


def test_an_app_answers_a_cgi_request_that_no_host_takes(root):
    variables = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/ext/echo.tiny", "PATH_INFO": "",
                 "SCRIPT_FILENAME": f"{root}/echo.tiny", "DOCUMENT_ROOT": str(root),
                 "QUERY_STRING": "", "CONTENT_LENGTH": "6", "CONTENT_TYPE": "text/plain",
                 "GATEWAY_INTERFACE": "CGI/1.0"}
    done = subprocess.run([TINY, "request", "--cgi", f"{root}/echo.tiny"], input=b"a body",
                          capture_output=True, timeout=60, check=False,
                          env={"PATH": "/usr/bin:/bin", **variables})
    assert (done.stdout.decode().replace("\r", "")
            == "Content-Length: 6\nContent-Type: text/plain\n\na body")
    assert done.returncode == 0, done.stderr


def test_a_full_queue_is_503_with_retry_after(start, root):
    host = start("--workers", "1", "--queue", "1")
    held = Asked(host, "held.tiny")
    held.begun()
    late = Asked(host, "held.tiny")
    wait_for(lambda: status(root)["queue"]["waiting"] == 1, "one waits")
    refused = host.get("held.tiny")
    assert (refused.status, refused.header("Retry-After")) == (503, "1")
    (root / "go").touch()
    assert [held.end().reply().status, late.end().reply().status] == [200, 200]


def test_64_kept_connections_on_two_workers_all_get_their_answers_beside_a_slow_app(start, root):
    host = start("--workers", "2")
    slow = [Asked(host, "held.tiny") for _ in range(2)]
    load = Load(host, clients=64, requests=15, keep=True)
    assert load.end() == []
    assert load.answered == 64 * 15
    assert all(asked.outcome is None for asked in slow)
    (root / "go").touch()
    assert all(asked.end().reply().status == 200 for asked in slow)
    assert loaded(host, "query.tiny") <= 2


def test_sighup_replaces_template_and_workers_under_load_and_loses_no_request(host):
    load = Load(host)
    try:
        for _ in range(3):
            load.wait_more()
            template = host.template()
            since = host.program.log_position()
            host.program.send(signal.SIGHUP)
            host.wait_line("query.tiny loaded in process", since=since)
            # No worker of the old template's is left, or it would be there still.
            wait_for(lambda: not lives(template), "the end of the old template")
    finally:
        mistakes = load.end()
    assert mistakes == []


def test_sighup_has_idle_workers_replaced_though_nobody_asks(host):
    old, _ = ask(host)
    host.wait_line("count.tiny loaded in process")
    since = host.program.log_position()
    host.program.send(signal.SIGHUP)
    host.wait_line("count.tiny loaded in process", since=since)
    wait_for(lambda: not lives(old), "the end of the old worker")
    new, count = ask(host)
    assert new != old and count == 1


def test_sighup_loses_none_of_the_requests_that_are_being_answered(host, root):
    held = [Asked(host, "held.tiny") for _ in range(3)]
    wait_for(lambda: begun(host) == 3, "three begun")
    template = host.template()
    host.program.send(signal.SIGHUP)
    wait_for(lambda: host.template() != template, "a new template")
    assert host.get("query.tiny?beside").text == "beside\n"
    (root / "go").touch()
    assert all(asked.end().reply().text.endswith("gone on\n") for asked in held)
    wait_for(lambda: not lives(template), "the end of the old template")


def test_a_worker_that_loads_longer_than_that_of_the_new_template_does_not_stay(host, root):
    put(root, "slow.tiny", APP + "load pid\nload await go\n" + HEAD + "print loaded\n")
    asked = Asked(host, "slow.tiny")
    worker = int(re.search(r"process (\d+)", host.wait_line("process "))[1])
    template = host.template()
    os.kill(worker, signal.SIGSTOP)
    host.program.send(signal.SIGHUP)
    wait_for(lambda: host.template() != template, "a new template")
    (root / "go").touch()
    assert asked.end().reply().text == "loaded\n"
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: not lives(template), "the end of the old template")


def test_other_settings_are_those_of_new_workers_from_the_next_request_on(start, tmp_path):
    host = start(*config(tmp_path, "[extension count.tiny]\nmax-requests = 1000\n"))
    assert [ask(host)[1] for _ in range(3)] == [1, 2, 3]
    template = host.template()
    config(tmp_path, "[extension count.tiny]\nmax-requests = 1\n")
    host.program.send(signal.SIGHUP)
    wait_for(lambda: not lives(template), "the end of the old template")
    assert [ask(host)[1] for _ in range(3)] == [1, 1, 1]
