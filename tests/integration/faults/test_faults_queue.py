"""More requests than may run: lanes, the queue, a flood."""

import threading
import time

import pytest

from support.faults import Asked, Beside, begin, put_config, put_faults, untouched
from support.host import path
from support.marks import LANGUAGES
from support.waiting import wait_for

LISTEN = ["unix:{folder}/s"]
LANE = "[extension */slow.*]\nlane = 1\n"

SCRIPTS = {
    "python": {
        "slow": """
import os, sys, time
print("begun", file=sys.stderr, flush=True)
time.sleep(int(os.environ["QUERY_STRING"]) / 1000)
print("Content-Type: text/plain\\n\\nslept")
""",
        # Itself, and how many of its kind it has seen run, itself among them.
        "together": """
import os, pathlib
mark = pathlib.Path("running-" + os.environ["QUERY_STRING"])
mark.touch()
count = len(list(pathlib.Path().glob("running-*")))
mark.unlink()
print(f"Content-Type: text/plain\\n\\n{mark.name[8:]} beside {count}")
""",
    },
    "tcl": {
        "slow": """
puts stderr begun
after $env(QUERY_STRING)
puts "Content-Type: text/plain\\n\\nslept"
""",
        "together": """
set mark running-$env(QUERY_STRING)
close [open $mark w]
set count [llength [glob running-*]]
file delete $mark
puts "Content-Type: text/plain\\n\\n$env(QUERY_STRING) beside $count"
""",
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return put_faults(tmp_path_factory.mktemp("root"), SCRIPTS)


@pytest.fixture
def lane_of_one(root, start_host, tmp_path):
    """
    Starts a host with these options, where the script "slow" has a lane of one, which is taken.
    """
    held = []

    def start(language, *options):
        host = start_host(root, *options, *put_config(tmp_path, LANE), listen=LISTEN)
        since = host.log_position()
        held.append(begin(host, path(language, "slow") + "?30000"))
        host.wait_line("begun", since=since)
        return host, held[0], since
    yield start
    for client in held:
        client.close()


@LANGUAGES
def test_a_full_queue_is_503_with_retry_after(lane_of_one, language):
    host, held, since = lane_of_one(language, "--queue", "2")
    with Beside(host):
        clients = [Asked(host, path(language, "slow") + "?1") for _ in range(5)]
        wait_for(lambda: sum(client.outcome is not None for client in clients) == 3,
                 "three are refused")
        refused = [client for client in clients if client.outcome]
        for client in refused:
            reply = client.end().reply()
            assert (reply.status, reply.header("Retry-After")) == (503, "1")
        host.wait_line("status=503", "2 requests wait already", "--queue", since=since)
        held.close()
        rest = [client.end().reply() for client in clients if client not in refused]
        assert [reply.text for reply in rest] == 2 * ["slept\n"]


@LANGUAGES
def test_nginx_and_fossil_hand_on_503_with_retry_after(
        root, start_host, start_nginx, start_fossil, tmp_path, language):
    host = start_host(root, "--queue", "0", *put_config(tmp_path, LANE), listen=[*LISTEN, "relay"])
    with begin(host, path(language, "slow") + "?30000"), Beside(host):
        host.wait_line("begun")
        for server in (start_nginx(host.socket), start_fossil(root)):
            reply = server.get(path(language, "slow") + "?1")
            assert (reply.status, reply.header("Retry-After")) == (503, "1")


@LANGUAGES
def test_who_waits_too_long_in_the_queue_gets_503_with_retry_after(lane_of_one, language):
    host, _, since = lane_of_one(language, "--queue-timeout", "1")
    with Beside(host):
        began = time.monotonic()
        reply = host.get(path(language, "slow") + "?1")
        assert (reply.status, reply.header("Retry-After")) == (503, "1")
        assert time.monotonic() - began > 0.9
        host.wait_line("status=503", "within 1 s", "--queue-timeout", since=since)


@LANGUAGES
def test_a_client_that_goes_away_while_it_waits_leaves_the_queue(lane_of_one, language):
    host, held, since = lane_of_one(language, "--queue", "1")
    with Beside(host):
        for _ in range(3):
            begin(host, path(language, "slow") + "?1").close()
            host.wait_line("status=499", "while it waited", since=since)
            since = host.log_position()
        held.close()
        assert host.get(path(language, "slow") + "?1").text == "slept\n"


@LANGUAGES
def test_a_slow_extension_in_a_lane_of_one_delays_no_other(root, start_host, tmp_path, language):
    host = start_host(root, *put_config(tmp_path, LANE), listen=LISTEN)
    with untouched(host) as beside:
        since = host.log_position()
        with begin(host, path(language, "slow") + "?60000"):
            host.wait_line("begun", since=since)
            waiting = Asked(host, path(language, "slow") + "?1")
            beside.wait_more(12)
            assert waiting.outcome is None
        assert waiting.end().reply().text == "slept\n"
        began = time.monotonic()
        slow = [Asked(host, path(language, "slow") + "?300") for _ in range(4)]
        assert [each.end().reply().text for each in slow] == 4 * ["slept\n"]
        assert time.monotonic() - began >= 4 * 0.3  # one after another


@LANGUAGES
def test_ten_times_as_many_requests_as_may_run_are_all_answered(root, start_host, language):
    host = start_host(root, "--concurrency", "4", "--queue", "400", listen=LISTEN)
    wrong, together = [], []
    start = threading.Barrier(40)

    def ask(client):
        start.wait(60)
        for i in range(4):
            target = f"{path(language, 'together')}?{client}-{i}"
            try:
                reply = host.get(target, timeout=60)
                name, _, count = reply.text.strip().partition(" beside ")
                if (reply.status, name) != (200, f"{client}-{i}"):
                    wrong.append(reply)
                together.append(int(count))
            except (OSError, AssertionError, ValueError) as e:
                wrong.append(e)
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 1 <= max(together) <= 4
