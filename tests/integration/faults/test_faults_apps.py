"""Apps in both languages that hang, hog, end or are left alone, and others beside them."""

import os
import re
import signal

import pytest

from support import fastcgi
from support.clients import Clients, Versions
from support.faults import Asked, put_config, put_faults
from support.held import ask_status, find_runs
from support.host import SUFFIX, Host, path, put_script
from support.marks import LANGUAGES
from support.processes import gone, lives
from support.servers import Nginx
from support.waiting import wait_for

SCRIPTS = {
    "python": {
        # Its process and how many requests that has had, after what the query says.
        "app": """
# exthost: app
import os, subprocess, sys, time
count = 0

def round_and_round():
    while True:
        pass

def held():
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.005)

def application(environ, start_response):
    global count
    count += 1
    what, _, argument = environ["QUERY_STRING"].partition(":")
    more = ""
    if what in ("loop", "held"):
        print("begun", os.getpid(), file=sys.stderr, flush=True)
    if what == "loop":
        round_and_round()
    if what == "held":
        os.environ["GO"] = argument
        held()
    if what == "burn":
        end = time.process_time() + float(argument)
        while time.process_time() < end:
            pass
    if what == "hog":
        bytearray(1 << 29)
    if what == "exit":
        sys.exit(int(argument))
    if what == "end":
        os._exit(int(argument))
    for _ in range(int(argument) if what == "leave" else 0):
        more += f" {subprocess.Popen(['/bin/sleep', '300'], start_new_session=True).pid}"
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if what == "long":
        for _ in range(100_000):
            write(b"x" * 1000)
    return [f"{os.getpid()} {count} {more}".encode()]
""",
        "hello": """
# exthost: app
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"hello {environ['QUERY_STRING']}\\n".encode()]
""",
    },
    "tcl": {
        "app": """
# exthost: app
set count 0

proc round_and_round {} {
    while 1 {}
}

proc held {name} {
    while {![file exists $name]} {
        after 5
    }
}

proc application {} {
    incr ::count
    lassign [split $::env(QUERY_STRING) :] what argument
    set more ""
    if {$what in {loop held}} {
        puts stderr "begun [pid]"
    }
    switch $what {
        loop { round_and_round }
        held { held $argument }
        burn {
            set end [expr {[clock milliseconds] + 1000 * $argument}]
            while {[clock milliseconds] < $end} {}
        }
        hog { string length [string repeat x 500000000] }
        exit - end { exit $argument }
        leave {
            for {set i 0} {$i < $argument} {incr i} {
                lappend more [exec /usr/bin/setsid /bin/sleep 300 &]
            }
        }
    }
    puts "Content-Type: text/plain\\n"
    if {$what eq "long"} {
        for {set i 0} {$i < 100000} {incr i} {
            puts [string repeat x 1000]
        }
    }
    puts -nonewline "[pid] $::count $more"
}
""",
        "hello": """
# exthost: app
proc application {} {
    puts "Content-Type: text/plain\\n\\nhello $::env(QUERY_STRING)"
}
""",
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    for scripts in SCRIPTS.values():
        scripts["limited"] = scripts["timed"] = scripts["few"] = scripts["app"]
    return put_faults(folder, SCRIPTS)


@pytest.fixture(scope="module")
def host(root, tmp_path_factory):
    made = Host(root, *put_config(tmp_path_factory.mktemp("config"), """\
[extension */limited.*]
cpu = 1
timeout = 120
memory = 128m
[extension */timed.*]
timeout = 4
[extension */few.*]
processes = 2
"""))
    yield made
    made.stop()


def ask(host, language, what="", name="app"):
    """Its process, how many requests that has had, and more."""
    reply = host.get(f"{path(language, name)}?{what}")
    assert reply.status == 200, reply
    pid, count, *more = reply.text.split()
    return int(pid), int(count), *(int(each) for each in more)


@LANGUAGES
def test_an_endless_loop_is_504_with_its_stack_in_the_log_and_the_worker_is_replaced(
        host, language):
    name = path(language, "timed")
    asked = Asked(host, f"{name}?loop")
    pid = asked.begun()
    assert host.get(path(language, "hello") + "?beside").text == "hello beside\n"
    assert asked.end().reply().status == 504
    host.wait_line("round_and_round", f"script={name[1:]}", "stream=stack", since=asked.since)
    host.wait_line(f"script={name[1:]}", "status=504", "end=timeout", since=asked.since)
    gone(pid)
    assert ask(host, language, name="timed")[1] == 1


@LANGUAGES
def test_processor_time_is_that_of_one_request(host, language):
    first, *_ = ask(host, language, name="limited")
    for _ in range(4):
        assert ask(host, language, "burn:0.5", "limited")[0] == first
    asked = Asked(host, f"{path(language, 'limited')}?loop", timeout=120)
    assert asked.end().reply().status == 504
    host.wait_line("status=504", "end=cpu", "more than 1 s", since=asked.since)
    host.wait_line("round_and_round", "stream=stack", since=asked.since)
    gone(first)
    assert ask(host, language, name="limited")[1] == 1


@LANGUAGES
def test_more_memory_than_allowed_is_500_and_the_app_answers_on(host, language):
    ask(host, language, name="limited")
    since = host.log_position()
    assert host.get(path(language, "limited") + "?hog").status == 500
    host.wait_line("status=500", "end=memory", "--memory is 134217728", since=since)
    ask(host, language, name="limited")


@LANGUAGES
@pytest.mark.parametrize("what", ["exit:0", "exit:3", "end:0", "end:3"])
def test_an_exit_ends_the_request_and_the_worker_and_costs_no_other(host, language, what):
    pid, *_ = ask(host, language)
    reply = host.get(f"{path(language, 'app')}?{what}")
    # No page was written, so no status makes it one.
    assert reply.status == 500
    gone(pid)
    assert ask(host, language)[1] == 1


@LANGUAGES
def test_a_client_that_goes_away_in_a_streamed_reply_lets_the_worker_live_on(host, language):
    pid, *_ = ask(host, language)
    since = host.log_position()
    with fastcgi.Connection(host.socket) as client:
        client.begin()
        client.params(fastcgi.variables("GET", path(language, "app") + "?long"))
        client.stdin(b"")
        assert client.read_record()
    host.wait_line("?long", "status=499", "end=client", since=since)
    assert ask(host, language)[0] == pid


@LANGUAGES
def test_what_an_app_has_started_ends_with_its_worker(host, language):
    pid, _, child = ask(host, language, "leave:1")
    assert lives(child)
    os.kill(pid, signal.SIGKILL)
    gone(child)


@LANGUAGES
def test_the_limit_of_processes_is_one_of_each_request(host, language):
    first, *_ = ask(host, language, name="few")
    for _ in range(3):
        pid, _, *children = ask(host, language, "leave:2", "few")
        assert pid == first and all(lives(child) for child in children) and len(children) == 2
    since = host.log_position()
    assert host.get(path(language, "few") + "?leave:3").status == 500
    host.wait_line("a process more than --processes 2 was refused", since=since)
    assert len(ask(host, language, "leave:2", "few")) == 4


@LANGUAGES
def test_the_stack_of_a_request_can_be_asked_for_and_the_request_goes_on(host, language, tmp_path):
    go = tmp_path / "go"
    asked = Asked(host, f"{path(language, 'app')}?held:{go}")
    asked.begun()
    (run,) = wait_for(lambda: find_runs(host, "runs", path(language, "app")), "the run")
    stack = ask_status(host, "--stack", run["id"]).stdout.decode()
    assert "held" in stack and "app." in stack, stack
    go.touch()
    assert asked.end().reply().status == 200
    assert not [x for x in host.program.log(asked.since) if "stream=stack" in x]


def asking(get, count=4):
    """
    Clients that ask "hello", by this function, until the block ends; each answer must be right.
    """
    def ask(client, number):
        reply = get(f"{path(list(SUFFIX)[number % 2], 'hello')}?{number}")
        assert (reply.status, reply.text) == (200, f"hello {number}\n"), reply
    return Clients(ask, count)


@pytest.mark.parametrize("keepalive", [0, 8])
def test_sighup_under_load_through_nginx_loses_no_request(host, keepalive):
    nginx = Nginx(host.socket, keepalive)
    try:
        with asking(nginx.get) as clients:
            for _ in range(4):
                clients.wait_more(40)
                since = host.log_position()
                host.program.send(signal.SIGHUP)
                for language in SUFFIX:
                    host.wait_line(f"{path(language, 'hello')[1:]} loaded in process", since=since)
            clients.wait_more(40)
    finally:
        nginx.stop()


@LANGUAGES
def test_workers_that_are_killed_again_and_again_cost_no_more_than_their_own_requests(
        host, language):
    since = host.log_position()
    ask(host, language)
    with asking(host.get) as clients:
        for _ in range(8):
            asked = Asked(host, f"{path(language, 'app')}?loop")
            os.kill(asked.begun(), signal.SIGKILL)
            assert asked.end().reply().status == 500
            clients.wait_more(10)
    assert re.findall("status=5..", "\n".join(host.program.log(since))) == ["status=500"] * 8


VERSION = {
    "python": """
# exthost: app
VERSION = %d
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%%d" %% VERSION]
""",
    "tcl": """
# exthost: app
set version %d
proc application {} {
    puts -nonewline "Content-Type: text/plain\\n\\n$::version"
}
"""}


@LANGUAGES
def test_while_the_file_changes_each_answer_is_of_a_version_at_least_as_new_as_the_last(
        start_host, tmp_path, language):
    url = path(language, "version")
    put_script(tmp_path, url[1:], language, VERSION[language] % 1)
    host = start_host(tmp_path)
    clients = Versions(lambda: int(host.get(url).text))
    with clients:
        for version in range(2, 22):
            clients.wait_answered((version - 1) * 90)
            put_script(tmp_path, url[1:], language, VERSION[language] % version)
            clients.written = version
    assert clients.answered == 2000
    assert host.get(url).text == "21"
