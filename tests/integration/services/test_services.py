"""
Services: programs that the host keeps running beside itself, from their start to their end.
"""

import json
import os
import re
import signal
import time

import pytest

from service_host import LOOP, STUBBORN, WAITS, run, shell
from support.faults import front_of
from support.host import EXTHOST, copy_scripts, environment, put, run_exthost
from support.log_lines import in_order
from support.processes import lives, name_of
from support.waiting import wait_for


# Start.


def test_services_are_started_in_their_order_when_the_host_is_ready(services):
    host = services.start(*[(name, WAITS) for name in "cab"])
    services.started("b")
    assert in_order(host.program.log(), "ready, serving", "service c: started",
                    "service a: started",
                    "service b: started")


def test_what_a_service_writes_is_logged_line_by_line_with_its_name(services):
    host = services.start(("one two", shell("echo out; echo err >&2; echo; printf \"last\"",
                                            restart="never")))
    host.wait_line("service one two: exit status 0")
    lines = [line for line in host.program.log() if 'service="one two"' in line]
    assert [line.split(" info ")[1].partition(" service=")[0] for line in lines] == [
        "out", "err", "", "last"]


def test_what_a_service_writes_is_logged_as_json_too(services):
    host = services.start(("quotes", shell("echo \"a \\\"b\\\"\"", restart="never")),
                          log_format="json")
    line = json.loads(host.wait_line('"service":"quotes"'))
    assert (line["message"], line["level"], line["service"]) == ('a "b"', "info", "quotes")


def test_a_long_line_is_logged_in_pieces_and_nothing_of_it_is_lost(services):
    text = "".join(f"{i:06d}." for i in range(2000))
    services.program("long", f"print({text!r})\nprint('next')\n")
    host = services.start(("long", run(services.folder / "long", restart="never")))
    host.wait_line("service long: exit status 0")
    pieces = services.said("long")
    assert pieces[-1] == "next"
    assert len(pieces) == 8
    assert "".join(pieces[:-1]) == text


def test_bytes_that_are_no_text_are_logged_as_escapes(services):
    services.program("bytes", "import sys\nsys.stdout.buffer.write(b'a\\xff\\x00\\x1b[1m\\r\\n')\n")
    host = services.start(("bytes", run(services.folder / "bytes", restart="never")))
    host.wait_line("service bytes: exit status 0")
    assert services.said("bytes") == [r"a\xff\x00\x1b[1m\x0d"]


def test_a_service_that_writes_for_ever_keeps_nobody_waiting(services):
    writes = ("writes", {"run": "/usr/bin/yes " + "y" * 100})
    host = services.start(writes, ("other", WAITS))
    services.ready("other")
    services.reload(writes)
    host.wait_line("service other: signal 15")
    wait_for(lambda: list(services.status()) == ["writes"], "the other is forgotten")


# Its end, and its next start.


def starts(host, name):
    return [line for line in host.program.log() if f"service {name}: started" in line]


@pytest.mark.parametrize("restart, code, again", [
    ("always", 0, True), ("always", 3, True), ("on-failure", 0, False), ("on-failure", 3, True),
    ("never", 0, False), ("never", 3, False)])
def test_restart_says_whether_a_service_is_started_again(services, restart, code, again):
    host = services.start(("ends", shell(f"exit {code}", restart=restart, restart_delay=0)))
    line = host.wait_line(f"service ends: exit status {code}")
    assert ("again in" in line) == again
    if again:
        wait_for(lambda: len(starts(host, "ends")) >= 3, "it is started again and again")
    else:
        wait_for(lambda: services.status()["ends"]["state"] == f"ended: exit status {code}",
                 "its end")
        assert len(starts(host, "ends")) == 1
    assert (" error " in line) == (again or code != 0)


def test_a_service_that_a_signal_ends_has_failed(services):
    host = services.start(("dies", {**WAITS, "restart": "on-failure", "restart_delay": 0}))
    first = services.ready("dies")
    since = host.log_position()
    os.kill(first, signal.SIGKILL)
    assert "again in" in host.wait_line("service dies: signal 9 (Killed)", since=since)
    assert services.ready("dies", since) != first
    wait_for(lambda: services.status()["dies"]["state"] == "runs; before: signal 9 (Killed)",
             "its state")


def test_a_service_that_ends_at_once_is_started_later_each_time(services):
    host = services.start(("ends", shell("exit 1", restart_delay=0)))
    wait_for(lambda: len(starts(host, "ends")) >= 5, "five starts")
    waits = [float(re.search(r"again in (\S+) s", line)[1])
             for line in host.program.log() if "again in" in line]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]


def test_a_delay_longer_than_a_minute_is_kept(services):
    host = services.start(("ends", shell("exit 1", restart_delay=3600)))
    assert "again in 3600.0 s" in host.wait_line("service ends: exit status 1")


@pytest.mark.parametrize("end, why", [
    ("rm $0", "No such file or directory"), ("chmod -x $0", "Permission denied"),
    ("rm $0; mkdir $0", "Permission denied")])
def test_a_program_that_can_no_longer_be_run_is_one_clear_line_and_the_host_serves_on(
        services, end, why):
    path = put(services.folder, "bad", f"#!/bin/sh\n{end}\n")
    copy_scripts(services.root)
    host = services.start(("bad", run(path, restart_delay=0)), ("good", WAITS))
    host.wait_line("service bad: exit status 127")
    assert services.said("bad")[0] == f"{path}: {why}"
    services.ready("good")
    assert host.get("/tcl/hello.tcl").status == 200


def test_a_program_whose_interpreter_is_not_there_is_one_clear_line(services):
    path = put(services.folder, "strange", "#!/nowhere/sh\n")
    host = services.start(("bad", run(path, restart="never")), ("good", WAITS))
    host.wait_line("service bad: exit status 127")
    assert services.said("bad") == [f"{path}: No such file or directory"]
    services.ready("good")


# What it sees.

SEES = """
import json, os, signal, sys
path = '/proc/self/'
with open(path + 'status') as f:
    masks = {line.split(':')[0]: int(line.split()[1], 16) for line in f
             if line.startswith(('SigBlk', 'SigIgn'))}
print(json.dumps({
    'arguments': sys.argv[1:], 'environment': dict(os.environ), 'input': sys.stdin.read(),
    'descriptors': sorted(int(d) for d in os.listdir(path + 'fd')
                          if os.path.exists(path + 'fd/' + d)),
    'blocked': masks['SigBlk'], 'ignored': masks['SigIgn'],
    'group': os.getpgrp() == os.getpid()}))
"""
# Python itself ignores these two.
PYTHON_IGNORES = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
# Signals 32 and 33 are the C library's own. The program that starts the tests may ignore them, and
# no program can change that by sigaction(2).
OF_THE_C_LIBRARY = 3 << 31


def test_a_service_sees_the_environment_and_nothing_else_of_the_host(services):
    services.program("sees", SEES)
    supervised = {"NOTIFY_SOCKET": "/run/none", "WATCHDOG_USEC": "9000000", "LISTEN_FDS": "1",
                  "LISTEN_PID": "1", "LISTEN_FDNAMES": "web"}
    host = services.start(
        ("sees", run(services.folder / "sees", "'a b'", '""', "\\'", "$HOME", restart="never")),
        env=environment(OF_THE_HOST="seen", **supervised))
    host.wait_line("service sees: exit status 0")
    seen = json.loads(services.said("sees")[0])
    assert seen["arguments"] == ["a b", "", "'", "$HOME"]
    assert seen["environment"].items() >= environment(OF_THE_HOST="seen").items()
    assert not supervised.keys() & seen["environment"].keys()
    assert seen["input"] == ""
    assert seen["descriptors"] == [0, 1, 2]
    assert (seen["blocked"], seen["ignored"] & ~(PYTHON_IGNORES | OF_THE_C_LIBRARY)) == (0, 0)
    assert seen["group"]


def test_a_service_does_not_ignore_the_signals_that_the_host_ignores(services):
    host = services.start(("sleeps", {"run": "/bin/sleep 600"}))
    pid = services.started("sleeps")
    wait_for(lambda: name_of(pid) == "sleep", "the program")
    masks = re.findall(r"^Sig(?:Blk|Ign):\s*(\w+)$", open(f"/proc/{pid}/status").read(), re.M)
    assert [int(mask, 16) & ~OF_THE_C_LIBRARY for mask in masks] == [0, 0]
    assert os.getpgid(pid) == pid != os.getpgid(host.pid)
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]


SCRIPTS_OF_SERVICES = {
    "python": (
        "import os, sys\nprint(sys.argv[1:], sys.argv[0][-9:], os.readlink('/proc/self/exe'))\n",
        "['a b', 'c'] script.py {exthost}"),
    "tcl": ("puts \"$argv [string range $argv0 end-9 end] [file readlink /proc/self/exe]\"\n",
            "{{a b}} c script.tcl {exthost}")}


def test_a_script_is_run_by_exthost_itself_with_its_arguments(services, language):
    text, says = SCRIPTS_OF_SERVICES[language]
    path = put(services.folder, "script." + {"python": "py", "tcl": "tcl"}[language], text)
    host = services.start(("script", {"script": f"{path} 'a b' c", "restart": "never"}))
    assert host.wait_line("script.", "service=script").endswith(
        says.format(exthost=EXTHOST) + " service=script")
    host.wait_line("service script: exit status 0")


def test_beside_the_app_that_is_served_alone_a_script_may_be_of_another_language(
        services, start_host, language):
    app = put(services.root, "alone.py", "#!/usr/bin/python3\n# exthost: app\n"
              "def application(environ, start_response):\n"
              "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
              "    return [b'alone']\n")
    text, _ = SCRIPTS_OF_SERVICES[language]
    path = put(services.folder, "script." + {"python": "py", "tcl": "tcl"}[language], text)
    services.put(("script", {"script": f"{path} a b", "restart": "never"}))
    host = start_host(services.root, "--app", app, "--config", str(services.configuration),
                      listen=["unix:{folder}/s"])
    host.wait_line("service script: exit status 0")
    assert host.get("/").text == "alone"


def test_a_script_that_fails_is_told_and_the_host_serves_on(services, language):
    copy_scripts(services.root)
    path = put(services.folder, "fails" + {"python": ".py", "tcl": ".tcl"}[language],
               {"python": "1 / 0\n", "tcl": "error divided\n"}[language])
    host = services.start(("bad", {"script": path, "restart": "never"}))
    host.wait_line("service bad: exit status")
    assert any("divi" in line for line in services.said("bad"))
    assert host.get("/tcl/hello.tcl").status == 200


# Status.


def test_status_shows_each_service_with_its_process(services):
    services.start(("waits", WAITS), ("ended", shell("exit 7", restart="never")),
                   ("again", shell("exit 8", restart_delay=60)))
    pid = services.ready("waits")
    wait_for(lambda: "exit status 8" in services.status()["again"]["state"], "both have ended")
    told = services.status()
    assert list(told) == ["waits", "ended", "again"]
    assert (told["waits"]["pid"], told["waits"]["state"]) == (pid, "runs")
    assert told["waits"]["memory_kib"] > 0
    assert (told["ended"]["pid"], told["ended"]["state"]) == (0, "ended: exit status 7")
    assert (told["again"]["pid"], told["again"]["state"]) == (
        0, "exit status 8; to be started again")
    table = run_exthost("status", "--root", str(services.root)).stdout.decode()
    assert re.search(rf"^service waits +{pid} +[\d.]+ MiB +runs$", table, re.M), table
    assert re.search(r"^service ended +0 +0\.0 MiB +ended: exit status 7$", table, re.M), table


def test_a_new_front_knows_the_services_too(services):
    host = services.start(("waits", WAITS))
    pid = services.ready("waits")
    before = services.status()
    front = front_of(host)
    since = host.log_position()
    os.kill(front, signal.SIGKILL)
    host.wait_line("front: signal 9", since=since)
    wait_for(lambda: run_exthost("status", "--root", str(services.root)).returncode == 0,
             "a new front")
    wait_for(lambda: list(services.status()) == list(before), "the new front knows them")
    assert services.status()["waits"]["pid"] == pid
    assert lives(pid)


# A reload.


def test_a_reload_starts_the_added_stops_the_removed_restarts_the_changed_and_keeps_the_rest(
        services):
    host = services.start(("stays", WAITS), ("goes", WAITS), ("changes", WAITS))
    old = {name: services.ready(name) for name in ("stays", "goes", "changes")}
    changed = shell("echo here and changed; exec sleep 600")
    since = host.log_position()
    services.reload(("stays", WAITS), ("changes", changed), ("comes", WAITS))
    new = {name: services.ready(name, since) for name in ("changes", "comes")}
    wait_for(lambda: not lives(old["goes"]), "the removed one is stopped")
    wait_for(lambda: set(services.status()) == {"stays", "changes", "comes"}, "status")
    pids = {name: one["pid"] for name, one in services.status().items()}
    assert pids == {"stays": old["stays"], **new}
    assert new["changes"] != old["changes"]
    assert "here and changed" in services.said("changes", since)
    assert not any(" error " in line for line in host.program.log(since))


@pytest.mark.parametrize("change", [
    {"restart": "never"}, {"run": "/bin/sh -c 'echo here;  exec sleep 600'"}])
def test_a_service_whose_description_changes_is_started_anew(services, change):
    services.start(("one", WAITS))
    old = services.ready("one")
    since = services.host.log_position()
    services.reload(("one", {**WAITS, **change}))
    assert services.ready("one", since) != old


def test_a_changed_service_starts_when_its_predecessor_has_ended(services):
    # Within a handler nothing may be printed: the signal may come in the middle of another print.
    slow = ("import os, signal, sys, time\ndef end(*_):\n    os.write(1, b'ending\\n')\n"
            "    time.sleep(0.5)\n    os.write(1, b'ended\\n')\n    os._exit(0)\n"
            "signal.signal(signal.SIGTERM, end)\nprint('here', *sys.argv[1:], flush=True)\n" + LOOP)
    path = services.program("slow", slow)
    host = services.start(("slow", run(path, "first")))
    services.ready("slow")
    services.reload(("slow", run(path, "second")))
    host.wait_line("here second")
    assert services.said("slow") == ["here first", "ending", "ended", "here second"]


def test_a_removed_service_that_ignores_sigterm_is_killed_after_the_grace_time(services):
    path = services.program("stubborn", STUBBORN)
    host = services.start(("stubborn", run(path)), grace=1)
    pid = services.ready("stubborn")
    services.reload(grace=1)
    # The reload is reported before the service gets its signal.
    wait_for(lambda: services.status()["stubborn"]["state"] == "is being stopped", "its stop")
    host.wait_line("service stubborn: killed")
    wait_for(lambda: not lives(pid), "its end")
    wait_for(lambda: services.status() == {}, "it is forgotten")


def test_a_reload_that_is_refused_leaves_the_services_alone(services):
    host = services.start(("one", WAITS))
    pid = services.ready("one")
    since = host.log_position()
    services.put(("one", {"run": "relative"}))
    host.program.send(signal.SIGHUP)
    host.wait_line("reload refused", "service one: 'relative' is no absolute path", since=since)
    assert services.status()["one"]["pid"] == pid
    assert lives(pid)


# The end.


def test_services_are_stopped_in_the_reverse_order_each_when_the_one_after_it_has_ended(services):
    text = (
        "import os, signal, time\ndef end(*_):\n    time.sleep(0.2)\n    os.write(1, b'end\\n')\n"
        "    os._exit(0)\nsignal.signal(signal.SIGTERM, end)\nprint('here', flush=True)\n" + LOOP)
    path = services.program("slow", text)
    host = services.start(*[(name, run(path)) for name in "abc"])
    for name in "abc":
        services.ready(name)
    since = host.log_position()
    host.stop()
    assert in_order(host.program.log(since), "service c: stopping", "end service=c",
                    "service b: stopping",
                    "end service=b", "service a: stopping", "end service=a", " stopped$")


def test_a_service_has_ended_when_its_process_group_is_empty(services):
    child = "import time\ntime.sleep(0.7)\nprint('child is done', flush=True)\n"
    path = services.program("child", child)
    host = services.start(("parent", shell(f"{path} & echo here; wait")), ("other", WAITS))
    services.ready("parent")
    since = host.log_position()
    host.stop()
    assert in_order(host.program.log(since), "service other: stopping", "service parent: stopping",
                    "child is done service=parent", " stopped$")


def test_what_a_service_that_has_ended_has_left_behind_is_logged_and_stopped_too(services):
    path = services.program("left", "import os, sys, time\nwhile os.path.exists('/proc/' + "
                                    "sys.argv[1]): time.sleep(0.01)\n"
                                    "print('here', os.getpid(), flush=True)\n" + LOOP)
    host = services.start(("parent", shell(f"{path} $$ & exit 0", restart="never")))
    left = int(host.wait_line("here ", "service=parent").split()[-2])
    host.wait_line("service parent: exit status 0")
    assert lives(left)
    host.stop()
    assert not lives(left)


def test_a_service_that_ignores_sigterm_is_killed_within_the_grace_time(services):
    path = services.program("stubborn", STUBBORN)
    host = services.start(("stubborn", shell(f"trap \"\" TERM; {path} & {path}")), grace=1)
    wait_for(lambda: services.said("stubborn") == ["here", "here"], "both processes")
    began = time.monotonic()
    host.stop()
    assert time.monotonic() - began > 0.5
    assert any("service stubborn: killed at the end of the grace time" in line
               for line in host.program.log())


def test_one_that_ignores_sigterm_leaves_the_others_time_to_end(services):
    stubborn = services.program("stubborn", STUBBORN)
    text = ("import os, signal, time\ndef end(*_):\n    time.sleep(0.05)\n"
            "    os.write(1, b'in peace\\n')\n"
            "    os._exit(0)\nsignal.signal(signal.SIGTERM, end)\nprint('here', flush=True)\n"
            + LOOP)
    host = services.start(("first", run(services.program("slow", text))),
                          ("last", run(stubborn)), grace=2)
    services.ready("first")
    services.ready("last")
    host.stop()
    assert services.said("first")[-1] == "in peace"
    killed = [line for line in host.program.log() if "killed at the end" in line]
    assert len(killed) == 1 and "service last" in killed[0]


def test_who_says_it_twice_does_not_wait_for_a_service(services):
    path = services.program("stubborn", STUBBORN)
    host = services.start(("stubborn", run(path)), grace=600)
    pid = services.ready("stubborn")
    host.program.send(signal.SIGTERM)
    host.wait_line("service stubborn: stopping")
    host.program.send(signal.SIGTERM)
    assert host.program.wait_exit() == 0
    assert not lives(pid)
    host.kill()


def test_a_killed_host_takes_the_services_with_it_by_sigterm(services):
    text = ("import signal, sys\ndef end(*_):\n    open(sys.argv[1], 'w').write('SIGTERM')\n"
            "    sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, end)\nprint('here', flush=True)\n" + LOOP)
    told = services.folder / "told"
    host = services.start(("told", run(services.program("told.py", text), str(told))),
                          ("one", WAITS))
    pids = [services.ready("told"), services.ready("one")]
    host.program.send(signal.SIGKILL)
    wait_for(lambda: not any(map(lives, pids)), "their end")
    assert told.read_text() == "SIGTERM"
    host.kill()


# What is refused.


@pytest.mark.parametrize("section, says", [
    ("[service a]\n", "service a: either run or script says what it is"),
    ("[service a]\nrun = /x\nscript = /x.py\n", "service a: either run or script says what it is"),
    ("[service a]\nrun = x\n", "service a: 'x' is no absolute path"),
    ("[service a]\nscript = /x.rb\n", "service a: script /x.rb: its name tells no language"),
    ("[service a]\nrun = /x 'y\n", "service a: run: a quote is not closed"),
    ("[service a]\nrun = /x\nrun = /y\n", "exthost.conf:3: run has a value already"),
    ("[service a]\n run = /x\n restart = never\n", "exthost.conf:2: a key begins at the beginning"),
    ("[service a]\nrun = /x\n[service a]\nrun = /x\n", "exthost.conf:3: there are two services"),
    ("[service a]\nrun = /x\nrestart = often\n", "exthost.conf:3: restart: 'often' is not one of"),
    ("[service a]\nrun = /x\nuser = ada\n", "exthost.conf:3: unknown key 'user'"),
    ("[service a]\nrun = @DIR/x -v\n", "service a: @DIR/x: No such file or directory"),
    ("[service a]\nrun = @DIR\n", "service a: @DIR: not a file"),
    ("[service a]\nrun = @DIR/exthost.conf\n",
     "service a: @DIR/exthost.conf: Permission denied"),
    ("[service a]\nscript = @DIR/x.py -v\n", "service a: @DIR/x.py: No such file or directory"),
    ("[service a]\nrun = /bin/true\nwritable = x\n",
     "service a: writable: 'x' is no absolute path"),
    ("[service a]\nrun = /bin/true\nwritable = @DIR/x/\n",
     "service a: writable: @DIR/x/: No such file or directory"),
    ("[service a]\nrun = /bin/true\nwritable = @DIR/x/y\n",
     "service a: writable: @DIR/x/y: No such file or directory"),
    ("[service a]\nrun = /bin/true\nwritable = @DIR\n  @DIR/x/y\n",
     "service a: writable: @DIR/x/y: No such file or directory")])
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_service_that_could_not_be_kept_is_one_clear_line_and_status_2(
        tmp_path, section, says, command):
    configuration = tmp_path / "exthost.conf"
    configuration.write_text(section.replace("@DIR", str(tmp_path)))
    done = run_exthost(command, "--root", str(tmp_path), "--config", str(configuration))
    told = done.stderr.decode()
    assert (done.returncode, done.stdout, told.count("\n")) == (2, b"", 1), told
    assert told.startswith("exthost: ") and says.replace("@DIR", str(tmp_path)) in told


def test_check_takes_good_services_and_starts_none(tmp_path):
    (tmp_path / "x.tcl").write_text("")
    (tmp_path / "exthost.conf").write_text(
        f"[service a]\nrun = /bin/touch\n  {tmp_path}/started\nwritable = {tmp_path}/\n"
        f"  {tmp_path}/new\n"
        f"[service b]\nscript = {tmp_path}/x.tcl -v\n")
    done = run_exthost("check", "--root", str(tmp_path), "--config", str(tmp_path / "exthost.conf"))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "started").exists()
