"""More requests than may run: lanes, the queue, a flood."""

import threading
import time

import pytest

from faults import Asked, Beside, begin, path, put_config, put_faults, untouched
from host import SUFFIX
from waiting import wait_for

LANGUAGES = pytest.mark.parametrize("language", SUFFIX)
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
    },
    "tcl": {
        "slow": """
puts stderr begun
after $env(QUERY_STRING)
puts "Content-Type: text/plain\\n\\nslept"
""",
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return put_faults(tmp_path_factory.mktemp("root"), SCRIPTS)


@pytest.fixture
def lane_of_one(root, start_host, tmp_path):
    """Starts a host with these options, where the script "slow" has a lane of one, which is taken."""
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
        assert 0.9 < time.monotonic() - began < 5.0
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
        began = time.monotonic()
        slow = [Asked(host, path(language, "slow") + "?300") for _ in range(4)]
        answered = beside.answered
        replies = [each.end().reply() for each in slow]
        assert [reply.text for reply in replies] == 4 * ["slept\n"]
        assert time.monotonic() - began >= 4 * 0.3  # one after another
        assert beside.answered - answered >= 12


@LANGUAGES
def test_ten_times_as_many_requests_as_may_run_are_all_answered(root, start_host, language):
    host = start_host(root, "--concurrency", "4", "--queue", "400", listen=LISTEN)
    wrong = []
    most = [0]
    together = threading.Barrier(40)

    def ask(client):
        together.wait(10)
        for i in range(4):
            target = f"{path(language, 'hello')}?{client}-{i}"
            try:
                reply = host.get(target, timeout=30)
                if (reply.status, reply.text) != (200, f"hello {client}-{i}\n"):
                    wrong.append(reply)
            except (OSError, AssertionError) as e:
                wrong.append(e)
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most[0] = max(most[0], len(host.pids()))
        threads[0].join(0.05)
    assert wrong == []
    # Master, front, templates; four that run, four that just end, and the spares of two languages.
    assert most[0] <= 4 + 8 + 4 + 4
