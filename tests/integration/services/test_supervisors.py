"""
Under a supervisor: its notifications, the sockets it passes in, and exthost as a container's PID 1.

The tests play the supervisor. systemd itself is asked about the units alone, where it is installed.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import fastcgi
from support.host import (BUILD, EXTHOST, RELAY, SUFFIX, copy_scripts, environment, put_script,
                          run_exthost)
from support.own_namespace import may_unshare
from support.processes import Program, children_of, descendants, lives, name_of, state_of
from support.waiting import wait_for

WATCHDOG = 400000  # microseconds


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return copy_scripts(tmp_path_factory.mktemp("root"))


class Supervisor:
    """A NOTIFY_SOCKET, and what was heard there."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)
        self.socket.settimeout(10)

    def hear(self):
        """The next message, as a dictionary."""
        lines = self.socket.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def hear_until(self, name):
        """All messages up to the first that holds this variable."""
        heard = [self.hear()]
        while name not in heard[-1]:
            heard.append(self.hear())
        return heard


@pytest.fixture(params=["path", "abstract name"])
def any_supervisor(request, tmp_path):
    address = str(
        tmp_path / "notify") if request.param == "path" else f"@exthost-test-{os.getpid()}"
    made = Supervisor(address)
    yield made
    made.socket.close()


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def under(supervisor, **more):
    return environment(NOTIFY_SOCKET=supervisor.address, **more)


def test_the_supervisor_hears_that_the_host_is_ready_and_what_it_serves(
        start_host, root, any_supervisor):
    host = start_host(root, env=under(any_supervisor))
    heard = any_supervisor.hear_until("READY")
    assert heard[-1] == {"READY": "1"}
    assert {"STATUS": f"serving {root}"} in heard
    assert host.get("/tcl/hello.tcl").status == 200


def test_a_reload_is_told_at_its_beginning_and_at_its_end(start_host, root, supervisor):
    host = start_host(root, env=under(supervisor))
    supervisor.hear_until("READY")
    before = time.monotonic_ns() // 1000
    old = templates(host.pid)
    host.program.send(signal.SIGHUP)
    told = supervisor.hear()
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert supervisor.hear() == {"READY": "1"}
    assert len(templates(host.pid) - old) == 2  # one for each language


def templates(master):
    return {pid for pid in children_of(master) if name_of(pid) == "exthost-templ"}


def test_every_reload_is_told(start_host, root, supervisor):
    host = start_host(root, env=under(supervisor))
    supervisor.hear_until("READY")
    for _ in range(3):
        host.program.send(signal.SIGHUP)
        assert "RELOADING" in supervisor.hear()
        assert "READY" in supervisor.hear()


def test_the_end_is_told(start_host, root, supervisor):
    host = start_host(root, env=under(supervisor))
    supervisor.hear_until("READY")
    host.stop()
    assert supervisor.hear() == {"STOPPING": "1"}
    supervisor.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        supervisor.hear()


def test_the_watchdog_is_fed_twice_in_its_time(start_host, root, supervisor):
    host = start_host(root, env=under(supervisor, WATCHDOG_USEC=str(WATCHDOG)))
    supervisor.hear_until("READY")
    supervisor.hear_until("WATCHDOG")
    began = time.monotonic()
    for _ in range(10):
        assert supervisor.hear() == {"WATCHDOG": "1"}
    # 2 s; some were sent before.
    assert time.monotonic() - began > 1
    assert host.get("/tcl/hello.tcl").status == 200


def test_a_master_that_is_stopped_no_longer_feeds_the_watchdog(start_host, root, supervisor):
    host = start_host(root, env=under(supervisor, WATCHDOG_USEC=str(WATCHDOG)))
    supervisor.hear_until("READY")
    host.program.send(signal.SIGSTOP)
    try:
        wait_for(lambda: state_of(host.pid) == "T", "the master stands")
        supervisor.socket.settimeout(0)
        with pytest.raises(BlockingIOError):
            while True:
                supervisor.hear()
        supervisor.socket.settimeout(2 * WATCHDOG / 1e6)
        with pytest.raises(TimeoutError):
            supervisor.hear()
    finally:
        host.program.send(signal.SIGCONT)


def test_a_front_that_is_stopped_no_longer_feeds_the_watchdog_until_it_is_replaced(
        start_host, root, supervisor):
    host = start_host(root, env=under(supervisor, WATCHDOG_USEC=str(WATCHDOG)))
    supervisor.hear_until("READY")
    front = next(pid for pid in children_of(host.pid) if name_of(pid) == "exthost-front")
    os.kill(front, signal.SIGSTOP)
    wait_for(lambda: state_of(front) == "T", "the front stands")
    supervisor.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        while True:
            supervisor.hear()
    host.wait_line("front: does not answer, so it is killed")
    # What the front had answered before, or the next one has by now; else there would be eight.
    heard = 0
    with pytest.raises(BlockingIOError):
        while supervisor.hear():
            heard += 1
    assert heard < 4
    supervisor.socket.settimeout(10)
    host.wait_line("front: signal 9 (Killed); starting another")
    supervisor.hear_until("WATCHDOG")
    assert host.get("/tcl/hello.tcl").status == 200


def test_a_watchdog_that_is_for_another_process_is_not_fed(start_host, root, supervisor):
    start_host(root, env=under(supervisor, WATCHDOG_USEC=str(WATCHDOG), WATCHDOG_PID="1"))
    assert not any("WATCHDOG" in message for message in supervisor.hear_until("READY"))
    supervisor.socket.settimeout(2 * WATCHDOG / 1e6)
    with pytest.raises(TimeoutError):
        supervisor.hear()


def test_a_supervisor_that_has_gone_is_no_matter(start_host, root, supervisor):
    host = start_host(root, env=under(supervisor, WATCHDOG_USEC="20000"))
    supervisor.hear_until("READY")
    supervisor.socket.close()
    old = templates(host.pid)
    host.program.send(signal.SIGHUP)
    wait_for(lambda: len(templates(host.pid)) >= 2 and not old & templates(host.pid),
             "new templates")
    assert host.get("/tcl/hello.tcl").status == 200


SUPERVISORS = {"NOTIFY_SOCKET": "/run/none", "WATCHDOG_USEC": "1000000", "LISTEN_FDS": "1",
               "LISTEN_PID": "1", "LISTEN_FDNAMES": "web"}
SEES = {
    "python": "import os\nprint('Content-Type: text/plain\\n')\n"
              "print(*os.environ, *os.listdir('/proc/self/fd'))\n",
    "tcl": "puts \"Content-Type: text/plain\\n\"\nputs [array names env]\n"
           "puts [glob -tails -directory /proc/self/fd *]\n"}


def test_an_extension_sees_nothing_of_the_supervisor(start_host, tmp_path, language):
    put_script(tmp_path, "sees", language, SEES[language])
    host = start_host(tmp_path, env=environment(**SUPERVISORS))
    seen = host.get("/sees").text.split()
    assert "SCRIPT_NAME" in seen
    assert [name for name in seen if re.match("NOTIFY|WATCHDOG|LISTEN", name)] == []


# Sockets that are passed in.

ANSWERS = {"python": """# exthost: app
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"app"]
""", "tcl": """# exthost: app
proc application {} {puts -nonewline "Content-Type: text/plain\\n\\napp"}
"""}

# Descriptors to 3 and up, and the process itself is the one they are for.
PASS_IN = """
import os, sys
sockets, pid, command = sys.argv[1].split(), sys.argv[2], sys.argv[3:]
for i, descriptor in enumerate(sockets):
    os.dup2(int(descriptor), 3 + i)
    os.close(int(descriptor))
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=pid or str(os.getpid()),
                  LISTEN_FDNAMES="x:y")
os.execv(command[0], command)
"""


class Sockets:
    """Sockets as a supervisor holds them, at numbers that the started program does not use."""

    def __init__(self, folder):
        self.folder = folder
        self.descriptors = []

    def add(self, made):
        self.descriptors.append(fcntl.fcntl(made.fileno(), fcntl.F_DUPFD, 50))
        made.close()

    def unix(self, name, kind=socket.SOCK_STREAM):
        """A listening socket; its address."""
        path = str(self.folder / name)
        made = socket.socket(socket.AF_UNIX, kind)
        made.bind(path)
        if kind != socket.SOCK_DGRAM:
            made.listen(16)
        self.add(made)
        return path

    def tcp(self):
        made = socket.create_server(("127.0.0.1", 0))
        address = made.getsockname()
        self.add(made)
        return address

    def before(self, pid=""):
        """The words that start a program (the words behind them) with these sockets."""
        return ["/usr/bin/python3", "-ISc", PASS_IN, " ".join(map(str, self.descriptors)), str(pid)]

    def pass_to(self, start_host, root, *listen, pid=""):
        return start_host(root, listen=listen, before=self.before(pid), pass_fds=self.descriptors)

    def run(self, root, *arguments, pid=""):
        """Run exthost with these sockets. It must fail with status 1 and one line; the line."""
        done = subprocess.run(
            [*self.before(pid), EXTHOST, "serve", "--root", str(root), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
            env=environment(), pass_fds=self.descriptors)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert done.stderr.startswith("exthost: ")
        return done.stderr


@pytest.fixture
def sockets(tmp_path):
    made = Sockets(tmp_path)
    yield made
    for descriptor in made.descriptors:
        os.close(descriptor)


def answers(address):
    return fastcgi.request(address, "GET",
                           "/tcl/hello.tcl?in").reply().text == "Hello from tcl: in\n"


def test_all_sockets_that_are_passed_in_are_served(start_host, root, sockets):
    addresses = [sockets.unix("one"), sockets.tcp(), sockets.unix("three")]
    host = sockets.pass_to(start_host, root, "fd")
    assert all(answers(address) for address in addresses)
    for number in (3, 4, 5):
        host.wait_line(f"listening at fd {number}")


def test_each_fd_is_one_socket_with_its_own_attributes(start_host, root, sockets):
    trusted, plain, last = (sockets.unix(name) for name in ("one", "two", "three"))
    sockets.pass_to(start_host, root, "fd,trust=fossil", "fd,prefix=/ext")

    def sees_user(address, target):
        reply = fastcgi.request(address, "GET", target, FOSSIL_USER="ada").reply()
        return "FOSSIL_USER" in reply.text if reply.status == 200 else reply.status
    assert sees_user(trusted, "/tcl/env.tcl") is True
    assert sees_user(plain, "/ext/tcl/env.tcl") is False
    assert sees_user(last, "/ext/tcl/env.tcl") is False
    assert sees_user(last, "/tcl/env.tcl") == 404


@pytest.fixture
def app(tmp_path, language):
    """An app that answers "app", alone in its root; its path."""
    (tmp_path / "root").mkdir()
    return put_script(tmp_path / "root", "hello" + SUFFIX[language], language, ANSWERS[language])


def answers_app(address):
    return wait_for(lambda: fastcgi.request(address, "GET", "/").reply(), "an answer").text == "app"


def test_an_app_is_served_at_a_socket_that_is_passed_in(start_host, sockets, app):
    addresses = [sockets.unix("one"), sockets.tcp()]
    start_host(app.parent, "--app", str(app), listen=["fd"], before=sockets.before(),
               pass_fds=sockets.descriptors)
    assert all(answers_app(address) for address in addresses)


def test_sockets_go_to_the_host_first_and_then_to_each_app(start_host, sockets, app, tmp_path):
    plain, first, second, third = (sockets.unix(str(i)) for i in range(4))
    config = tmp_path / "c.conf"
    config.write_text(f"[app a]\nscript = {app.name}\nlisten = fd\n"
                      f"[app b]\nscript = {app.name}\nlisten = fd\n")
    host = start_host(app.parent, "--config", str(config), listen=["fd"],
                      before=sockets.before(), pass_fds=sockets.descriptors)
    assert all(answers_app(address) for address in (first, second, third))
    assert host.get(f"/{app.name}", address=plain).text == "app"
    assert fastcgi.request(plain, "GET", "/").reply().status == 404


def test_an_app_is_served_at_descriptor_0_as_spawn_fcgi_and_lighttpd_pass_it(sockets, app):
    address = sockets.unix("one")
    as_0 = "import os, sys; os.dup2(int(sys.argv[1]), 0); os.execv(sys.argv[2], sys.argv[2:])"
    host = Program(["/usr/bin/python3", "-ISc", as_0, str(sockets.descriptors[0]), EXTHOST, "serve",
                    "--app", str(app), "--listen", "fd"], env=environment(),
                   pass_fds=sockets.descriptors)
    try:
        assert answers_app(address)
    finally:
        assert host.stop()[0] == 0


def test_more_sockets_than_an_app_may_have_are_one_clear_line(sockets, app):
    for i in range(5):
        sockets.unix(str(i))
    assert "5 sockets were passed in for it, allowed are 4" in sockets.run(
        app.parent, "--app", str(app), "--listen", "fd")


def test_a_socket_that_was_passed_in_stays_when_the_host_ends(start_host, root, sockets):
    path = sockets.unix("one")
    host = sockets.pass_to(start_host, root, "fd")
    host.stop()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_host_that_is_started_again_answers_who_waited_meanwhile(start_host, root, sockets):
    path = sockets.unix("one")
    sockets.pass_to(start_host, root, "fd").stop()
    waiting = []
    thread = threading.Thread(
        target=lambda: waiting.append(
            fastcgi.request(path, "GET", "/tcl/hello.tcl?in", timeout=30)))
    thread.start()
    sockets.pass_to(start_host, root, "fd")
    thread.join()
    assert waiting[0].reply().text == "Hello from tcl: in\n"


def test_a_socket_that_was_passed_in_is_close_on_exec_and_only_the_front_gets_it(
        start_host, root, sockets):
    sockets.unix("one")
    host = sockets.pass_to(start_host, root, "fd", "unix:{folder}/s")
    assert host.get("/tcl/hello.tcl").status == 200
    passed = os.readlink(f"/proc/self/fd/{sockets.descriptors[0]}")
    assert {name_of(pid) for pid in host.pids() if passed in open_files(pid)} == {
        "exthost", "exthost-front"}
    with open(f"/proc/{host.pid}/fdinfo/3") as f:
        assert int(re.search(r"^flags:\s*(\d+)", f.read(), re.M)[1], 8) & os.O_CLOEXEC


def open_files(pid):
    found = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    except OSError:
        pass  # it has ended
    return found


def test_sockets_of_another_process_are_not_taken(root, sockets):
    sockets.unix("one")
    assert "no listening socket was passed in" in sockets.run(root, "--listen", "fd", pid=1)


def test_a_descriptor_that_does_not_listen_is_one_clear_line(root, sockets):
    sockets.unix("one")
    sockets.add(socket.socket(socket.AF_UNIX))
    assert "descriptor 4 of LISTEN_FDS" in sockets.run(root, "--listen", "fd")


@pytest.mark.parametrize("kind", ["SOCK_DGRAM", "SOCK_SEQPACKET"])
def test_a_socket_that_is_no_stream_is_one_clear_line(root, sockets, kind):
    sockets.unix("one", getattr(socket, kind))
    assert "descriptor 3 of LISTEN_FDS" in sockets.run(root, "--listen", "fd")


def test_a_descriptor_that_is_no_socket_is_one_clear_line(root, sockets):
    with open("/dev/null", "rb") as null:
        sockets.descriptors.append(fcntl.fcntl(null.fileno(), fcntl.F_DUPFD, 50))
    assert "descriptor 3 of LISTEN_FDS" in sockets.run(root, "--listen", "fd")


def test_more_fds_than_sockets_is_one_clear_line(root, sockets):
    sockets.unix("one")
    assert "fewer sockets" in sockets.run(root, "--listen", "fd", "--listen", "fd,prefix=/x")


# The units, for systemd.


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The installed units, by their suffix: service and socket."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", str(BUILD), "--prefix", str(prefix)], check=True,
                   capture_output=True, timeout=60)
    folder = prefix / "lib" / "systemd" / "system"
    return {suffix: folder / f"exthost.{suffix}" for suffix in ("service", "socket")}


def test_the_service_starts_the_program_that_was_installed_with_it(units):
    program = units["service"].parents[3] / "bin" / "exthost"
    assert os.access(program, os.X_OK)
    assert f"\nExecStart={program} serve " in units["service"].read_text()
    for path in units.values():
        assert re.findall(r"@\w+@", path.read_text()) == []


def test_the_service_gives_the_host_longer_to_end_than_the_host_gives_requests(units):
    limit = int(re.search(r"^TimeoutStopSec=(\d+)$", units["service"].read_text(), re.M)[1])
    grace = re.search(r"--grace.*?\((\d+)\)", run_exthost("serve", "--help").stdout.decode(), re.S)
    assert limit > int(grace[1]) + 2


def test_the_socket_is_where_the_relay_looks(units):
    relay = subprocess.run(["strings", RELAY], capture_output=True, text=True, check=True).stdout
    path = re.search(r"^ListenStream=(.*)$", units["socket"].read_text(), re.M)[1]
    assert path in relay.splitlines()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                    reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(units):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units.values()], check=False,
                          capture_output=True, text=True, timeout=60)
    told = [line for line in done.stderr.splitlines() if "exthost" in line]
    assert (told, done.returncode) == ([], 0), done.stderr


# exthost as PID 1 of a container.


class FirstProcess:
    """A host that is PID 1 of a namespace of its own; .pid as it is seen from outside."""

    def __init__(self, root, folder):
        self.socket = str(folder / "s")
        self.program = Program(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
             EXTHOST, "serve", "--root", str(root), "--listen", f"unix:{self.socket}"],
            env=environment(), cwd="/")
        try:
            self.program.wait_line("ready, serving")
            self.pid = descendants(self.program.pid)[0]
            assert self.namespace_pids() == [self.pid, 1]
        except BaseException:
            self.program.stop()
            raise

    def namespace_pids(self):
        with open(f"/proc/{self.pid}/status") as f:
            found = re.search(r"^NSpid:(.*)$", f.read(), re.M)
        return [int(number) for number in found[1].split()][-2:]

    def adopt(self):
        """Have it be the parent of a process that it has not started; that one's id."""
        subprocess.run(
            ["nsenter", "--target", str(self.pid), "--pid", "sh", "-c",
             "sleep 600 >/dev/null 2>&1 &"],
            stdin=subprocess.DEVNULL, check=True, timeout=10, env={"PATH": "/usr/bin:/bin"})
        return wait_for(
            lambda: next((pid for pid in children_of(self.pid) if name_of(pid) == "sleep"), 0),
            "the orphan is PID 1's")

    def end(self):
        """SIGTERM; its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.program.wait_exit()


@pytest.fixture
def first(root, tmp_path):
    reason = may_unshare()
    if reason:
        pytest.skip(f"a PID namespace of its own cannot be made: {reason}")
    made = FirstProcess(root, tmp_path)
    yield made
    if lives(made.pid):
        os.kill(made.pid, signal.SIGKILL)  # and with it the whole namespace
    made.program.stop()


def test_as_pid_1_it_serves_and_ends_at_sigterm_with_status_0(first):
    assert answers(first.socket)
    assert first.end() == 0
    assert not os.path.exists(first.socket)


def test_as_pid_1_it_reaps_an_orphan_that_it_has_not_started(first):
    orphan = first.adopt()
    os.kill(orphan, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{orphan}"), "the orphan is reaped")
    assert answers(first.socket)
    assert first.end() == 0


def test_as_pid_1_it_does_not_wait_at_its_end_for_an_orphan_that_lives(first):
    orphan = first.adopt()
    assert first.end() == 0
    wait_for(lambda: not lives(orphan), "the kernel ends the rest of the namespace")


def test_a_child_from_before_the_exec_does_not_hold_up_the_end(root, tmp_path):
    program = Program(["/bin/sh", "-c", 'sleep 600 & exec "$0" "$@"', EXTHOST, "serve", "--root",
                       str(root), "--listen", f"unix:{tmp_path}/s"], env=environment(), cwd="/")
    try:
        program.wait_line("ready, serving")
        other = next(pid for pid in children_of(program.pid) if name_of(pid) == "sleep")
        program.send(signal.SIGTERM)
        assert program.wait_exit() == 0
        assert lives(other)
    finally:
        program.stop()
