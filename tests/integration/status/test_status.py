"""`exthost status`: what the running host reports, to which users, and at which socket."""

import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from support import fastcgi
from support.faults import Asked
from support.held import Held, ask_status, find_runs, put_held, status_of, wait_counted
from support.host import EXTHOST, SUFFIX, environment, put_script, run_exthost
from support.marks import LANGUAGES
from support.processes import Program, descendants, lives, named
from support.users import open_to_all, root_only
from support.waiting import wait_for

HELLO = 'print("Content-Type: text/plain\\n\\nhello")\n'
OWN_PID = {"python": 'import os\nprint(f"Content-Type: text/plain\\n\\n{os.getpid()}")\n',
           "tcl": 'puts "Content-Type: text/plain\\n\\n[pid]"\n'}
DEEP = "a-path/" * 10 + "with-a-script-of-a-name-that-is-wider-than-a-column.py"


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    put_script(made, "hello.py", "python", HELLO)
    return made


@pytest.fixture
def hold(tmp_path):
    """Held requests of a host; they end before it does."""
    made = []

    def make(host):
        made.append(Held(host, tmp_path))
        return made[-1]
    yield make
    for held in made:
        held.end()


def is_pending(pid, number):
    """The signal has been sent to this process, and not been taken."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"ShdPnd:\s*(\w+)", f.read())[1], 16) >> (number - 1) & 1


def fails(done, status, *texts):
    """It ended so, with one line that holds these texts."""
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines), done.stdout) == (status, 1, b""), done
    assert all(text in lines[0] for text in texts), lines


def test_the_table_names_each_process_and_run_and_fits_80_columns(start_host, root, hold):
    put_script(root, DEEP, "python", "import os\n" + HELLO)
    put_script(root, "wrong.py", "python", 'print("x" * 3000)\n')
    url = put_held(root, "python", DEEP.removesuffix(".py") + "-held")
    host = start_host(root, "--lane", "1")
    for target in ("/hello.py", "/" + DEEP, "/wrong.py", "/nosuch"):
        host.get(target)
    with hold(host) as held:
        held.begin(url)
        held.begin(url, "waits")
        wait_counted(host, 4)
        text = ask_status(host).stdout.decode()
        told = status_of(host)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    for process in told["processes"]:
        name = " ".join(
            [process["role"], *([process["language"]] if "language" in process else [])])
        assert re.search(rf"^{name} +{process['pid']} +[\d.]+ MiB", text, re.M), text
    assert [run["state"] for run in told["runs"]] == ["runs", "waits"]
    for run in told["runs"]:
        pid = f" {run['pid']} " if run["state"] == "runs" else ""
        assert re.search(rf"^{run['id']} .*-held\.py +{run['state']} .*{pid}", text, re.M), text
    assert "1 of 16 runs, 1 of 128 waiting" in text
    assert re.search(r"^\(none\) +1 +1 +0 ", text, re.M), text
    assert "last error: " in text


def test_json_holds_what_the_manual_says(start_host, root, hold):
    url = put_held(root, "tcl")
    host = start_host(root, "--lane", "1", "--concurrency", "3", "--queue", "5",
                      "--max-connections", "40", "--spares", "1")
    assert host.get("/hello.py").status == 200
    with hold(host) as held:
        held.begin(url)
        held.begin(url, "waits")
        told = wait_counted(host, 1)
    assert set(told) == {"version", "root", "seconds", "processes", "spares", "runs", "queue",
                         "connections", "extensions", "services", "apps"}
    assert told["services"] == [] and told["apps"] == []
    assert told["root"] == str(root) and told["version"] == "0.1.0" and told["seconds"] > 0
    assert [(p["role"], p.get("language")) for p in told["processes"]] == [
        ("master", None), ("front", None), ("template", "python"), ("template", "tcl")]
    assert told["processes"][0]["pid"] == host.pid
    assert all(p["pid"] in host.pids() and p["memory_kib"] > 0 for p in told["processes"])
    assert set(told["spares"]) == {"python", "tcl"}
    runs, waits = told["runs"]
    for run in (runs, waits):
        assert set(run) == {"id", "extension", "state", "seconds", "pid", "user", "memory_kib"}
        assert re.fullmatch(r"[0-9a-f]{16}", run["id"]) and run["extension"] == "held.tcl"
        assert 0 <= run["seconds"] < 60
    assert (runs["state"], waits["state"]) == ("runs", "waits")
    assert runs["memory_kib"] > 0 and (waits["pid"], waits["memory_kib"]) == (0, 0)
    assert told["queue"] == {"running": 1, "concurrency": 3, "waiting": 1, "most": 5}
    assert told["connections"]["most"] == 40 and told["connections"]["open"] == 2
    (hello,) = told["extensions"]
    assert hello["name"] == "hello.py" and hello["requests"] == 1
    assert hello["answers"] == {"2xx": 1, "3xx": 0, "4xx": 0, "5xx": 0}
    assert 0 < hello["p50_ms"] == hello["p95_ms"] == hello["p99_ms"]
    assert hello["cpu_ms"] > 0 and hello["peak_kib"] > 0 and "last_error" not in hello


def test_a_user_whom_fossil_names_stands_with_the_run(start_host, root, tmp_path, hold):
    put_held(root, "python")
    host = start_host(root)
    held = hold(host)
    with fastcgi.Connection(host.trusted) as client:
        client.begin()
        client.params(fastcgi.variables("GET", "/held.py", FOSSIL_USER="ada\xff",
                                        SCRIPT_FILENAME=f"{root}/held.py",
                                        QUERY_STRING=str(tmp_path / "go on")))
        client.stdin(b"")
        (run,) = wait_for(lambda: find_runs(host, "runs"), "the run")
        assert run["user"] == "ada\xff"
        held.end()
        assert client.read_outcome().reply().status == 200


@LANGUAGES
def test_a_run_says_where_it_is_and_goes_on_to_its_end(start_host, root, hold, language):
    url = put_held(root, language)
    host = start_host(root, "--timeout", "300")
    with hold(host) as held:
        reply = held.begin(url)
        (run,) = find_runs(host, "runs")

        def ask():
            # Asked in its first moments it may still be loading.
            done = ask_status(host, "--stack", run["id"])
            assert done.returncode == 0, done.stderr
            return done.stdout.decode() if "hold" in done.stdout.decode() else None
        stack = wait_for(ask, "the stack shows the function")
        assert re.search(rf"{re.escape(str(root))}{url}\W+line \d+", stack), stack
        parsed = json.loads(ask_status(host, "--stack", run["id"], "--json").stdout)
        assert set(parsed) == {"stack"} and url in parsed["stack"]
        assert not reply.done()
        held.end()
        assert (reply.result().status, reply.result().text) == (200, "held\n")


@LANGUAGES
def test_a_run_that_is_asked_before_it_has_begun_goes_on(start_host, root, language):
    """The run's process has not yet read its order when it is asked. It answers the request."""
    put_script(root, "early" + SUFFIX[language], language, OWN_PID[language])
    host = start_host(root, "--timeout", "300")

    def spares():
        return [pid for template in named(host.pid, "exthost-templ")
                for pid in descendants(template)]
    stopped = wait_for(lambda: len(spares()) == 2 * len(SUFFIX) and spares(), "the spares")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    asked = Asked(host, "/early" + SUFFIX[language])
    try:
        (run,) = wait_for(lambda: find_runs(host, "runs"), "the run")
        question = Program([EXTHOST, "status", "--root", str(root), "--stack", run["id"]],
                           env=environment())
        wait_for(lambda: any(is_pending(pid, signal.SIGRTMAX) for pid in stopped), "the question")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    reply = asked.end().reply()
    assert (reply.status, reply.text) == (200, f"{run['pid']}\n"), host.program.log()
    question.wait_exit()


def test_a_run_that_waits_and_one_that_is_not_there_say_so_in_one_line(start_host, root, hold):
    url = put_held(root, "python")
    host = start_host(root, "--lane", "1")
    fails(ask_status(host, "--stack", "0123456789abcdef"), 1, "0123456789abcdef", "no such run")
    with hold(host) as held:
        held.begin(url)
        held.begin(url, "waits")
        (waiting,) = find_runs(host, "waits")
        fails(ask_status(host, "--stack", waiting["id"]), 1, waiting["id"], "waits")


def test_what_an_extension_says_does_not_steer_the_terminal(start_host, root, hold):
    url = put_held(root, "tcl")
    text = (root / "held.tcl").read_text().replace("after 10", 'after 10 ;# \x1b[31m')
    text = text.replace("hold $env", "hold\x1b $env").replace("proc hold ", "proc hold\x1b ")
    (root / "held.tcl").write_text(text)
    host = start_host(root)
    with hold(host) as held:
        held.begin(url)
        (run,) = find_runs(host, "runs")
        shown = wait_for(lambda: [out for out in [ask_status(host, "--stack", run["id"]).stdout]
                                  if b"hold" in out], "the stack")[0]
    assert b"\x1b" not in shown and b"hold\\x1b" in shown, shown


def test_without_a_host_it_is_one_line_and_status_1(root, tmp_path):
    control = str(root / ".exthost.control")
    fails(run_exthost("status", "--root", str(root)), 1, "no host answers", control,
          "No such file")
    fails(run_exthost("status", "--control", str(tmp_path / "x/y")), 1, "no host answers")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(control)
    fails(run_exthost("status", "--root", str(root)), 1, control, "refused")


@pytest.mark.skipif(os.path.exists("/etc/exthost.conf"),
                    reason="/etc/exthost.conf tells where the host is")
@pytest.mark.parametrize("options", [(), ("--json",), ("--check",)])
def test_without_a_root_it_is_one_line_and_status_2(options):
    fails(run_exthost("status", *options), 2, "--root", "--control")


def test_with_no_control_socket_it_is_one_line_and_status_2():
    fails(run_exthost("status", "--control", "none"), 2, "--root", "--control")


def test_the_configuration_file_tells_where_the_host_is(start_host, root, tmp_path):
    host = start_host(root, "--control", f"{tmp_path}/c")
    (tmp_path / "conf").write_text(f"root = {root}\ncontrol = {tmp_path}/c\ngrace = 3\n"
                                   "[extension x]\ntimeout = 3\n")
    done = run_exthost("status", "--config", f"{tmp_path}/conf", "--json")
    assert json.loads(done.stdout)["processes"][0]["pid"] == host.pid


def test_check_says_nothing_of_a_host_that_serves(start_host, root):
    start_host(root)
    done = run_exthost("status", "--root", str(root), "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_check_says_in_one_line_that_no_host_answers(root):
    fails(run_exthost("status", "--root", str(root), "--check"), 1, "no host answers")


@pytest.mark.parametrize("section, says", [
    ("run = /bin/sleep 600", None),
    ("run = /bin/true\nrestart = on-failure", None),
    ("run = /bin/false\nrestart = never", "service one: ended: exit status 1"),
    ("run = /bin/true\nrestart-delay = 600", "service one: exit status 0; to be started again")])
def test_check_says_in_one_line_which_service_is_not_well(
        start_host, root, tmp_path, section, says):
    configuration = tmp_path / "conf"
    configuration.write_text(f"[service one]\n{section}\n")
    host = start_host(root, "--config", str(configuration))
    host.wait_line("service one: started")
    if "sleep" not in section:
        host.wait_line("service one: exit status")

    def told():
        """The command's result once the front, which it asks, knows the state; else None."""
        done = run_exthost("status", "--root", str(root), "--check")
        right = done.returncode == 0 if says is None else says in done.stderr.decode()
        return done if right else None
    done = wait_for(told, "what it says")
    if says:
        fails(done, 1, says)
    else:
        assert done.stdout + done.stderr == b""


def test_watch_prints_again_and_again_until_sigint(start_host, root):
    start_host(root)
    # What a shell starts in the background ignores SIGINT, and so does all that is started there.
    program = Program(
        ["/usr/bin/env", "--default-signal=INT", EXTHOST, "status", "--root", str(root),
         "--watch"], env=environment())
    try:
        wait_for(lambda: sum(line.startswith("exthost ") for line in program.log()) >= 2,
                 "the second table")
        program.send(signal.SIGINT)
        assert program.wait_exit() == -signal.SIGINT
    finally:
        program.stop()


def test_after_the_front_has_died_the_new_one_tells(start_host, root):
    host = start_host(root)
    front = status_of(host)["processes"][1]["pid"]
    os.kill(front, signal.SIGKILL)
    wait_for(lambda: not lives(front), "the front is gone")
    # Until the new front accepts, clients that have connected get no answer.
    wait_for(lambda: ask_status(host, "--json").returncode == 0
             and len(status_of(host)["processes"]) == 4, "the new front and templates")
    assert status_of(host)["processes"][1]["pid"] not in (front, 0)


@pytest.mark.parametrize("question, answer", [
    (b"nothing\n", "unknown question"), (b"x" * 127, "unknown question"), (b"", "unknown question"),
    (b"stack \n", "no such run")])
def test_a_question_that_is_none_is_answered_with_an_error(start_host, root, question, answer):
    host = start_host(root)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(f"{root}/.exthost.control")
        s.sendall(question)
        s.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: s.recv(65536), b""))
    assert json.loads(received) == {"error": answer}
    assert host.get("/hello.py").status == 200


def test_who_asks_and_says_nothing_holds_up_nobody(start_host, root):
    host = start_host(root)
    quiet = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    try:
        for s in quiet:
            s.connect(f"{root}/.exthost.control")
        assert status_of(host)["connections"]["open"] == 0
        assert host.get("/hello.py").status == 200
        for s in quiet:
            s.settimeout(60)
            assert json.loads(s.makefile("rb").read()) == {"error": "unknown question"}
    finally:
        for s in quiet:
            s.close()


def test_more_questions_are_answered_than_may_be_asked_at_once(start_host, root):
    host = start_host(root)
    for _ in range(40):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(f"{root}/.exthost.control")
            s.sendall(b"status\n")
            assert json.loads(s.makefile("rb").read())["root"] == str(root)
    assert host.get("/hello.py").status == 200


def test_the_control_socket_is_for_its_owner_alone_and_gone_with_the_host(start_host, root):
    host = start_host(root)
    control = root / ".exthost.control"
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    host.stop()
    assert [name for name in os.listdir(root) if name.startswith(".exthost")] == []


def test_the_control_socket_of_a_host_that_was_killed_is_taken_over(start_host, root):
    first = start_host(root)
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: len(first.pids()) == 0, "all of it is gone")
    first.kill()
    assert (root / ".exthost.control").exists()
    assert status_of(start_host(root))["root"] == str(root)


def test_with_control_none_there_is_no_socket(start_host, root):
    host = start_host(root, "--control", "none")
    assert not (root / ".exthost.control").exists()
    fails(ask_status(host), 1, "no host answers")
    assert host.get("/hello.py").status == 200


def test_the_control_socket_can_be_elsewhere(start_host, root, tmp_path):
    path = tmp_path / "elsewhere"
    host = start_host(root, "--control", str(path))
    assert not (root / ".exthost.control").exists()
    done = run_exthost("status", "--control", str(path), "--json")
    assert json.loads(done.stdout)["processes"][0]["pid"] == host.pid
    host.stop()
    assert not path.exists()


def test_a_control_socket_that_was_asked_for_and_cannot_be_is_a_reason_to_end(root, tmp_path):
    done = run_exthost("serve", "--root", str(root), "--control", f"{tmp_path}/no/where")
    fails(done, 1, "control", f"{tmp_path}/no/where")
    done = run_exthost("serve", "--root", str(root), "--control", "here")
    fails(done, 2, "--control", "'here'")


@root_only
def test_a_read_only_root_folder_gives_a_warning_and_is_served(start_host, root):
    read_only = ["unshare", "-m", "sh", "-c",
                 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"', str(root)]
    trial = subprocess.run([*read_only, "true"], capture_output=True, timeout=10, check=False)
    if trial.returncode != 0:
        pytest.skip(f"no directory can be mounted read-only: {trial.stderr.decode().strip()}")
    host = start_host(root, before=read_only, listen=["unix:{folder}/s"])
    host.wait_line("warning", "exthost status cannot ask", "Read-only file system")
    assert host.get("/hello.py").status == 200


@root_only
def test_another_user_is_not_answered(start_host, root):
    host = start_host(root, "--allow-uid", "12345")
    open_to_all(root)

    def ask_as(uid):
        return run_exthost("status", "--root", str(root), user=uid, group=uid, extra_groups=[])
    try:
        done = ask_as(12345)
    except PermissionError:
        pytest.skip("other users cannot enter the build directory")
    fails(done, 1, "no host answers", "Permission denied")
    # The host checks the peer's user even if the socket's mode lets it connect.
    (root / ".exthost.control").chmod(0o666)
    fails(ask_as(12345), 1, "does not answer you", "its own user and root")
    line = host.wait_line("control: refused", "12345", "only the host's own user and root")
    assert "--allow" not in line
    assert ask_as(0).returncode == 0
