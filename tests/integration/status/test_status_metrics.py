"""What is counted: in `exthost status --json`, and at --metrics PATH for Prometheus."""

import math
import re
import statistics
import time

import pytest

from support import fastcgi
from support.held import Held, put_held, status_of, wait_counted
from support.host import SUFFIX, copy_scripts, put_script
from support.marks import LANGUAGES
from support.waiting import wait_for

METRICS = "/metrics"
FAMILIES = {
    "exthost_running": "gauge", "exthost_waiting": "gauge", "exthost_connections": "gauge",
    "exthost_requests_total": "counter", "exthost_request_seconds": "summary",
    "exthost_cpu_seconds_total": "counter", "exthost_peak_memory_bytes": "gauge",
    "exthost_app_workers": "gauge", "exthost_app_loads_total": "counter",
    "exthost_app_connections_lost_total": "counter",
    "exthost_app_requests_total": "counter", "exthost_app_refused": "gauge"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return copy_scripts(tmp_path_factory.mktemp("root"))


def parse_labels(text):
    """{name: value} of the inside of the braces; nothing may be left over."""
    labels = {}
    while text:
        found = re.match(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)', text)
        assert found, f"bad labels: {text!r}"
        assert found[1] not in labels, f"{found[1]} stands twice"
        labels[found[1]] = re.sub(r"\\(.)", lambda c: {"n": "\n"}.get(c[1], c[1]), found[2])
        text = text[found.end():]
    return labels


def parse_metrics(text):
    """
    {(name, labels): value} of Prometheus' text format, version 0.0.4, taken strictly: each family
    in one piece, HELP and TYPE once and before it, no sample twice; {family: type} beside it.
    """
    samples, types, helped, family = {}, {}, set(), None
    assert text.endswith("\n") and "\r" not in text
    for line in text.splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
        if comment and comment[1] == "HELP":
            assert comment[2] not in helped, line
            helped.add(comment[2])
            family = comment[2]
        elif comment:
            assert comment[2] == family and family not in types, line
            assert comment[3] in ("counter", "gauge", "summary"), line
            types[family] = comment[3]
        else:
            found = re.fullmatch(
                r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", line)
            assert found, f"no sample: {line!r}"
            more = ("", "_sum", "_count") if types.get(family) == "summary" else ("",)
            assert found[1] in [family + end for end in more], f"{line!r} stands in {family}"
            labels = parse_labels(found[2] or "")
            assert ("quantile" in labels) == (types[family] == "summary" and found[1] == family)
            key = (found[1], tuple(sorted(labels.items())))
            assert key not in samples, f"{line!r} stands twice"
            samples[key] = float(found[3])
    assert set(types) == helped
    return samples, types


def sample(samples, name, **labels):
    return samples.get((f"exthost_{name}", tuple(sorted(labels.items()))), 0)


def metrics_of(host):
    reply = host.get(METRICS)
    assert reply.status == 200, reply
    assert reply.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return parse_metrics(reply.text)[0]


def extension(host, name, requests=1):
    """The status of this extension once it has at least so many requests."""
    def look():
        return next((x for x in status_of(host)["extensions"]
                     if x["name"] == name and x["requests"] >= requests), None)
    return wait_for(look, f"{requests} requests of {name} are counted")


def test_prometheus_gets_its_text_format_through_nginx(start_host, start_nginx, root):
    host = start_host(root, "--metrics", METRICS)
    nginx = start_nginx(host.socket)
    for target in ("/python/hello.py", "/tcl/hello.tcl", "/python/exception.py", "/nosuch"):
        nginx.get(target)
    wait_counted(host, 4)
    reply = nginx.get(METRICS)
    assert reply.status == 200
    assert reply.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    samples, types = parse_metrics(reply.text)
    assert types == FAMILIES
    for name in ("python/hello.py", "tcl/hello.tcl", "python/exception.py", ""):
        assert sample(samples, "request_seconds_count", extension=name) == 1
        p50, p95, p99 = (sample(samples, "request_seconds", extension=name, quantile=quantile)
                         for quantile in ("0.5", "0.95", "0.99"))
        total = sample(samples, "request_seconds_sum", extension=name)
        assert p50 == p95 == p99 and math.isclose(p50, total, rel_tol=1 / 12)
    assert sample(samples, "requests_total", extension="python/exception.py", code="5xx") == 1
    assert sample(samples, "requests_total", extension="", code="4xx") == 1
    assert sample(samples, "cpu_seconds_total", extension="python/hello.py") > 0
    assert sample(samples, "peak_memory_bytes", extension="tcl/hello.tcl") > 1e6
    assert sample(samples, "connections") >= 1 and sample(samples, "running") == 0


def test_an_odd_path_from_a_script_does_not_break_the_format(start_host, tmp_path):
    name = "A-Z_a.z/" * 40 + "x.py"
    put_script(tmp_path, name, "python", 'print("Content-Type: text/plain\\n\\nx")\n')
    host = start_host(tmp_path, "--metrics", METRICS)
    for _ in range(3):
        assert host.get("/" + name).status == 200
    wait_counted(host, 3)
    counts = [value for (what, _), value in metrics_of(host).items()
              if what == "exthost_request_seconds_count"]
    # The name is longer than is kept of it, and still one extension's. The other is "".
    assert counts == [3]


def test_without_the_option_there_are_no_metrics(start_host, root):
    assert start_host(root).get(METRICS).status == 404


def test_the_path_of_the_metrics_stands_below_the_prefix(start_host, root):
    host = start_host(root, "--metrics", METRICS, "--prefix", "/ext")
    assert host.get(METRICS).status == 404
    assert host.get("/ext" + METRICS).status == 200
    assert host.get("/ext" + METRICS + "/more").status == 404


def test_the_relay_gets_no_metrics(start_host, start_fossil, root):
    host = start_host(root, "--metrics", METRICS)
    assert host.as_fossil("GET", "metrics").reply().status == 404
    trusted = fastcgi.request(host.trusted, "GET", METRICS)
    assert trusted.reply().status == 404
    assert start_fossil(root).get(METRICS).status == 404


def test_running_and_waiting_requests_are_seen_while_they_are(start_host, tmp_path):
    url = put_held(tmp_path, "python")
    host = start_host(tmp_path, "--lane", "1", "--metrics", METRICS)
    with Held(host, tmp_path) as held:
        held.begin(url)
        held.begin(url, "waits")
        held.begin(url, "waits")
        samples = metrics_of(host)
        assert (sample(samples, "running"), sample(samples, "waiting")) == (1, 2)
    extension(host, "held.py", 3)
    wait_for(lambda: status_of(host)["queue"]["running"] == 0, "none runs any more")
    samples = metrics_of(host)
    assert (sample(samples, "running"), sample(samples, "waiting")) == (0, 0)
    assert sample(samples, "requests_total", extension="held.py", code="2xx") == 3


@LANGUAGES
def test_counters_grow_by_what_was_answered(start_host, root, language):
    host = start_host(root, "--metrics", METRICS)
    folder, end = f"/{language}/", SUFFIX[language]
    asked = {"hello": ("2xx", 3), "redirect": ("3xx", 2), "status_404": ("4xx", 1),
             "exception": ("5xx", 2)}
    for round in (1, 2):
        for name, (_, times) in asked.items():
            for _ in range(times):
                host.get(folder + name + end)
        wait_counted(host, 8 * round + round - 1)
        samples = metrics_of(host)
        for name, (code, times) in asked.items():
            told = extension(host, f"{language}/{name}{end}", times * round)
            assert told["requests"] == times * round
            assert told["answers"] == {**dict.fromkeys(("2xx", "3xx", "4xx", "5xx"), 0),
                                       code: times * round}
            assert sample(samples, "requests_total", extension=told["name"],
                          code=code) == times * round
            assert ("last_error" in told) == (code == "5xx")


def test_static_files_are_counted_too(start_host, root):
    host = start_host(root)
    host.get("/python/static.txt")
    assert extension(host, "python/static.txt")["answers"]["2xx"] == 1


@LANGUAGES
def test_the_last_error_says_what_went_wrong(start_host, root, language):
    host = start_host(root)
    before = int(time.time())
    for name, reason in (("exception", "exit status 1"), ("crash", "signal"),
                         ("no_header", "header"), ("exit_3", "exit status 3")):
        host.get(f"/{language}/{name}{SUFFIX[language]}")
        told = extension(host, f"{language}/{name}{SUFFIX[language]}")
        assert told["answers"]["5xx"] == 1
        assert reason in told["last_error"]
        assert before <= told["last_error_time"] <= time.time()


def test_a_request_that_found_no_place_is_an_error_of_its_extension(start_host, tmp_path):
    url = put_held(tmp_path, "python")
    host = start_host(tmp_path, "--lane", "1", "--queue", "0")
    with Held(host, tmp_path) as held:
        held.begin(url)
        assert host.get(url).status == 503
        told = extension(host, "held.py")
    assert told["answers"]["5xx"] == 1 and "--queue" in told["last_error"]


def test_the_median_is_what_the_requests_took(start_host, root):
    host = start_host(root)
    times = []
    for _ in range(9):
        began = time.monotonic()
        host.get("/python/sleep.py?200")
        times.append((time.monotonic() - began) * 1000)
    told = extension(host, "python/sleep.py", len(times))
    # The client's clock bounds it where the machine is too busy to sleep 200 ms in 200 ms.
    assert 180 <= told["p50_ms"] <= 1.1 * statistics.median(times)
    assert told["p50_ms"] <= told["p95_ms"] <= told["p99_ms"]
    assert 0 < told["cpu_ms"] < sum(times)
