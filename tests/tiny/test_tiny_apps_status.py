"""What the host tells of its apps: `exthost status`, and Prometheus' figures."""

import re
import subprocess
import time

import pytest

from support.waiting import wait_for
from tiny_host import APP, HEAD, TINY, Asked, put, status

LONG = "a-directory-with-a-long-name/" * 4


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / LONG).mkdir(parents=True)
    for name in ("app.tiny", LONG + "app.tiny"):
        put(folder, name, APP + HEAD + "pid\nwhen wait await go\nprint hello\n")
    return folder


def table(root):
    return subprocess.run([TINY, "status", "--root", str(root)], capture_output=True,
                          timeout=30, check=True).stdout.decode()


def apps(root):
    return {app["name"]: app for app in status(root)["apps"]}


def wait_app(root, **wanted):
    """Wait until the status of app.tiny has these values."""
    def look():
        app = apps(root).get("app.tiny", {})
        return app if {**app, **wanted} == app else None
    return wait_for(look, f"{wanted} in the status")


def break_it(host, root):
    put(root, "app.tiny", APP + "load exit 7\n")
    assert host.get("app.tiny").text == "hello\n"
    wait_app(root, error="exit status 1")


def test_without_apps_there_is_no_table_of_them(host, root):
    assert apps(root) == {}
    assert not re.search("^app ", table(root), re.M)


def test_workers_are_counted_by_what_they_do(host, root):
    assert host.get("app.tiny").text == "hello\n"
    assert wait_app(root, idle=1, busy=0, loading=0, loads=1) == {
        "name": "app.tiny", "idle": 1, "busy": 0, "loading": 0, "loads": 1}
    asked = [Asked(host, "app.tiny?wait") for _ in range(2)]
    wait_app(root, idle=0, busy=2, loading=0, loads=2)
    (root / "go").touch()
    assert all(each.end().reply().text == "hello\n" for each in asked)
    wait_app(root, idle=2, busy=0)


def test_one_that_loads_is_counted(host, root):
    put(root, "app.tiny", APP + "load await go\n" + HEAD + "print hello\n")
    asked = Asked(host, "app.tiny")
    wait_app(root, idle=0, busy=0, loading=1, loads=0)
    (root / "go").touch()
    assert asked.end().reply().text == "hello\n"
    wait_app(root, idle=1, loading=0, loads=1)


def test_a_version_that_does_not_load_is_told_with_its_reason_and_since_when(host, root):
    assert host.get("app.tiny").text == "hello\n"
    began = time.time()
    break_it(host, root)
    since = apps(root)["app.tiny"]["error_time"]
    assert began - 1 <= since <= time.time()
    # It is tried again, and does not load since the same time.
    position = host.program.log_position()

    def tried_again():
        host.get("app.tiny")
        return [x for x in host.program.log(position) if "does not load" in x]
    wait_for(tried_again, "another try")
    assert apps(root)["app.tiny"]["error_time"] == since
    assert re.search(r"^  does not load, for [\d.]+ s: exit status 1$", table(root), re.M)
    put(root, "app.tiny", APP + HEAD + "print mended\n")
    assert host.get("app.tiny").text == "mended\n"
    assert "error" not in apps(root)["app.tiny"]
    assert "does not load" not in table(root)


def test_the_table_fits_80_columns(host, root):
    for name in ("app.tiny", LONG + "app.tiny"):
        assert host.get(name).status == 200
    break_it(host, root)
    text = table(root)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert re.search(r"^app +idle +busy +loading +loads +requests +5xx$", text, re.M), text
    assert re.search(r"^app\.tiny +\d+ +0 +\d+ +1$", text, re.M), text
    assert re.search(r"^\.\..*-long-name/app\.tiny +1 +0 +0 +1$", text, re.M), text


def test_a_request_to_an_app_stands_among_the_runs_as_any_other(host, root):
    asked = Asked(host, "app.tiny?wait")
    pid = asked.begun()
    (run,) = wait_for(lambda: status(root)["runs"], "a run")
    assert (run["extension"], run["state"], run["pid"]) == ("app.tiny", "runs", pid)
    assert run["memory_kib"] > 0
    (root / "go").touch()
    assert asked.end().reply().status == 200
    wait_for(lambda: status(root)["runs"] == [], "no run")


def test_prometheus_finds_the_workers_of_each_app(start, root):
    host = start("--metrics", "/metrics")
    assert host.get("app.tiny").text == "hello\n"
    wait_app(root, idle=1)
    lines = host.get("metrics").text.splitlines()
    for line in ('exthost_app_workers{app="app.tiny",state="idle"} 1',
                 'exthost_app_workers{app="app.tiny",state="busy"} 0',
                 'exthost_app_workers{app="app.tiny",state="loading"} 0',
                 'exthost_app_loads_total{app="app.tiny"} 1',
                 'exthost_app_refused{app="app.tiny"} 0'):
        assert line in lines
    break_it(host, root)
    assert 'exthost_app_refused{app="app.tiny"} 1' in host.get("metrics").text.splitlines()
