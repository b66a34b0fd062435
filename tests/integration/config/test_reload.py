"""SIGHUP: the configuration is read again, and holds for new requests from then on."""

import json
import os
import signal

import pytest

from support.held import Held, ask_status, find_runs, put_held, status_of
from support.host import EXTHOST, SUFFIX, environment, put, put_script, run_exthost
from support.marks import LANGUAGES
from support.processes import Program, has_open, lives, named
from support.reloading import Configured, templates_of
from support.users import open_to_all, root_only, speak_as
from support.waiting import wait_for

HELLO = 'print("Content-Type: text/plain\\n\\nhello")\n'


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    put_script(made, "hello.py", "python", HELLO)
    for language in SUFFIX:
        put_held(made, language)
    return made


PATIENT = "queue-timeout = 300\n"


@pytest.fixture
def configured(start_host, root, tmp_path):
    return lambda text="", *options, **more: Configured(
        start_host, root, tmp_path, text, *options, **more)


@LANGUAGES
def test_a_new_timeout_is_for_new_requests_and_one_that_runs_keeps_its_own(
        configured, tmp_path, language):
    made = configured("timeout = 60\n")
    url = f"/held{SUFFIX[language]}"
    with Held(made.host, tmp_path) as held:
        old = held.begin(url)
        made.apply("timeout = 1\n")
        since = made.host.log_position()
        new = held.begin(url)
        assert new.result().status == 504
        made.host.wait_line("status=504", "longer than 1 s", since=since)
        wait_for(lambda: len(find_runs(made.host, "runs")) == 1, "the old one alone")
        assert not old.done()
        held.end()
        assert (old.result().status, old.result().text) == (200, "held\n")


def test_a_wider_lane_lets_more_run_at_once(configured, tmp_path):
    made = configured(PATIENT + "lane = 1\n")
    with Held(made.host, tmp_path) as held:
        replies = [held.begin("/held.py")]
        made.apply(PATIENT + "lane = 3\n")
        replies += [held.begin("/held.py"), held.begin("/held.py")]
        replies += [held.begin("/held.py", "waits")]
        made.apply(PATIENT + "lane = 1\n")
        assert len(find_runs(made.host, "runs")) == 3
        held.end()
        assert {reply.result().status for reply in replies} == {200}


def test_one_who_waits_when_the_lane_is_widened_is_not_passed(configured, tmp_path):
    made = configured(PATIENT + "lane = 1\n")
    with Held(made.host, tmp_path) as held:
        replies = [held.begin("/held.py"), held.begin("/held.py", "waits")]
        made.apply(PATIENT + "lane = 3\n")
        replies += [held.begin("/held.py")]
        wait_for(lambda: len(find_runs(made.host, "runs")) == 3, "all three run")
        held.end()
        assert {reply.result().status for reply in replies} == {200}


def test_a_longer_queue_lets_more_wait(configured, tmp_path):
    made = configured(PATIENT + "lane = 1\nqueue = 0\n")
    with Held(made.host, tmp_path) as held:
        held.begin("/held.py")
        assert made.host.get("/held.py").status == 503
        made.apply(PATIENT + "lane = 1\nqueue = 1\n")
        second = held.begin("/held.py", "waits")
        assert made.host.get("/held.py").status == 503
        held.end()
        assert second.result().status == 200


def test_a_section_comes_changes_and_goes(configured):
    made = configured()

    def status(url):
        return made.host.run("POST", url, body=b"x" * 100).reply().status
    assert status("/hello.py") == 200
    made.apply("[extension hel*]\nmax-body = 10\n")
    assert status("/hello.py") == 413
    made.apply("max-body = 10\n[extension hello.*]\nmax-body = 100\n")
    assert status("/hello.py") == 200
    assert status("/held.tcl") == 413
    made.apply("")
    assert status("/hello.py") == 200


def test_more_spares_are_there_and_fewer_when_they_are_used_up(configured):
    made = configured("spares = 1\n")

    def are(count):
        wait_for(lambda: set(status_of(made.host)["spares"].values()) == {count}, f"{count} spares")
    are(1)
    made.apply("spares = 4\n")
    are(4)
    made.apply("spares = 2\n")
    are(2)


def test_modules_to_preload_come_and_go(configured, root):
    put_script(root, "loaded.py", "python", """\
import sys
print("Content-Type: text/plain\\n\\n" + str("wave" in sys.modules))
""")
    made = configured("preload = python:wave\n")
    assert made.host.get("/loaded.py").text == "True\n"
    made.apply("")
    wait_for(lambda: made.host.get("/loaded.py").text == "False\n", "a template without")
    made.apply("preload = python:wave\npreload = tcl:no::such\n")
    wait_for(lambda: made.host.get("/loaded.py").text == "True\n", "a template with it again")


def test_error_pages_and_the_path_of_the_metrics_change_too(configured, root):
    put_script(root, "wrong.py", "python", 'raise ValueError("rhubarb")\n')
    made = configured("metrics = /m\n")
    assert "rhubarb" not in made.host.get("/wrong.py").text
    assert made.host.get("/m").status == 200
    made.apply("debug = yes\nmetrics = /n\n")
    assert "rhubarb" in made.host.get("/wrong.py").text
    assert (made.host.get("/m").status, made.host.get("/n").status) == (404, 200)


@root_only
def test_users_are_let_in_and_shut_out_again(configured, root):
    put(root, "tcl/hello.tcl", "anything")
    open_to_all(root)
    made = configured("", listen=["unix:{folder}/s,mode=0666"])
    assert speak_as(1234, made.host.socket) == "closed"
    made.apply("allow-uid = 1234\n")
    assert speak_as(1234, made.host.socket) == "answered"
    made.apply("allow-uid = 1235\n")
    assert speak_as(1234, made.host.socket) == "closed"


def test_the_command_line_wins_each_time(configured):
    made = configured("timeout = 1\nspares = 3\n", "--spares", "1")
    made.apply("spares = 5\n")
    wait_for(lambda: set(status_of(made.host)["spares"].values()) == {1}, "1 spare")


def test_without_a_file_a_reload_starts_fresh_templates(start_host, root):
    host = start_host(root)
    before = templates_of(host)
    host.program.send(signal.SIGHUP)
    wait_for(lambda: not set(before.values()) & set(templates_of(host).values()), "new templates")
    assert host.get("/hello.py").status == 200


@LANGUAGES
def test_a_template_that_was_replaced_is_gone_when_its_runs_have_ended(
        configured, tmp_path, language):
    made = configured()
    old = templates_of(made.host)
    with Held(made.host, tmp_path) as held:
        reply = held.begin(f"/held{SUFFIX[language]}")
        (run,) = find_runs(made.host, "runs")
        made.apply("")
        wait_for(lambda: not set(old.values()) & set(templates_of(made.host).values()),
                 "new templates")
        # A template without a run ends at once; the other one's run can still be asked where it is.
        other = next(pid for name, pid in old.items() if name != language)
        wait_for(lambda: not lives(other), "the idle template ends")
        wait_for(lambda: b"hold" in ask_status(made.host, "--stack", run["id"]).stdout, "its stack")
        assert lives(old[language])
        held.end()
        assert reply.result().status == 200
    wait_for(lambda: not lives(old[language]), "the old template ends")


def test_a_front_that_is_replaced_has_the_configuration_of_the_last_reload(configured):
    made = configured("[extension hello.py]\nmax-body = 5\n")
    made.apply("[extension hello.py]\nmax-body = 10\n")
    front = status_of(made.host)["processes"][1]["pid"]
    os.kill(front, signal.SIGKILL)
    wait_for(lambda: not lives(front), "the front is gone")
    wait_for(lambda: ask_status(made.host, "--json").returncode == 0 and made.is_applied(),
             "the new front")
    answers = [made.host.run("POST", "/hello.py", body=b"x" * size).reply().status
               for size in (10, 11)]
    assert answers == [200, 413]


def test_what_a_restart_alone_changes_is_told_and_stays(root, tmp_path):
    file, other = tmp_path / "conf", tmp_path / "other"
    other.mkdir()
    file.write_text(f"root = {root}\nlisten = unix:{tmp_path}/s\ncontrol = {tmp_path}/c\n")
    program = Program([EXTHOST, "serve", "--config", str(file)], env=environment(), cwd="/")
    try:
        program.wait_line("ready")
        file.write_text(f"root = {other}\nlisten = unix:{tmp_path}/s\nlisten = unix:{tmp_path}/t\n"
                        f"control = {tmp_path}/d\nlog = {tmp_path}/log\nlog-format = json\n"
                        "max-connections = 4\nmax-header = 4k\nconcurrency = 7\n")
        since = program.log_position()
        program.send(signal.SIGHUP)
        program.wait_line(" info reload", since=since)
        for key in ("root", "listen", "control", "log", "log-format", "max-connections",
                    "max-header"):
            (line,) = [line for line in program.log(since) if f"reload: {key} stays" in line]
            assert " warning " in line and "restart" in line
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "c", "conf", "other", "root", "s"]

        def look():
            done = run_exthost("status", "--control", f"{tmp_path}/c", "--json")
            told = json.loads(done.stdout)
            return told if told["queue"]["concurrency"] == 7 else None
        told = wait_for(look, "the front has the rest")
        assert (told["root"], told["connections"]["most"]) == (str(root), 256)
        # Each reload logs the options that stay as they were.
        since = program.log_position()
        program.send(signal.SIGHUP)
        program.wait_line("reload: max-header stays", since=since)
    finally:
        status, left = program.stop()
    assert (status, left) == (0, [])


def test_a_log_file_is_opened_again_after_a_reload_too(root, tmp_path):
    log, rotated = tmp_path / "log", tmp_path / "log.1"
    (tmp_path / "conf").write_text(f"root = {root}\nlog = {log}\n")
    program = Program([EXTHOST, "serve", "--config", f"{tmp_path}/conf"],
                      env=environment(), cwd="/")
    try:
        wait_for(lambda: log.exists() and "ready" in log.read_text(), "the host is ready")
        for _ in range(3):
            program.send(signal.SIGHUP)
        wait_for(lambda: " info reload" in log.read_text(), "a reload")
        log.rename(rotated)
        program.send(signal.SIGUSR1)
        wait_for(log.exists, "a new log file")
        # Templates that had begun to start end too.
        wait_for(lambda: not [pid for pid in named(program.pid, "exthost-templ")
                              if has_open(pid, rotated)],
                 "the new log alone")
        program.send(signal.SIGHUP)
        wait_for(lambda: " info reload" in log.read_text(), "what follows is in the new one")
        assert "error" not in rotated.read_text() + log.read_text()
    finally:
        status, left = program.stop()
    assert (status, left) == (0, [])


def test_the_file_of_an_app_that_is_served_alone_may_set_what_other_languages_know(
        configured, root):
    app = put(root, "alone.wsgi", "#!/usr/bin/python3\ndef application(environ, start_response):\n"
              "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
              "    return [b'alone']\n")
    made = configured("tcl-path = /usr\n", "--app", app, listen=["unix:{folder}/s"])
    made.apply("tcl-path = /bin\npreload = tcl:json\n")
    assert made.host.get("/").text == "alone"
