"""Apps in the image: loaded once, asked through Fossil, and at sockets of their own."""

import os

import pytest

from one import One
from support.fastcgi import request
from support.waiting import wait_for

# Each counts its requests, tells what it was sent, and tries to write beside itself.
APPS = {
    "count.wsgi": """\
count = 0

def application(environ, start_response):
    global count
    count += 1
    try:
        open(__file__ + ".x", "w")
        wrote = "wrote"
    except OSError:
        wrote = "wrote nothing"
    body = environ["wsgi.input"].read().decode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [f"{count} {environ['PATH_INFO']} {body} {wrote}".encode()]
""",
    "count.tcl": """\
# exthost: app
package require json::write
set count 0

proc application {} {
    set wrote [expr {[catch {open [info script].x w}] ? "wrote nothing" : "wrote"}]
    puts "Content-Type: application/json\\n"
    puts -nonewline "[incr ::count] $::env(PATH_INFO) [read stdin] $wrote"
}
"""}
FORM = [("Content-Type", "application/octet-stream")]


@pytest.fixture(scope="module", name="one")
def _one():
    """Fossil and both apps, which have sockets of their own too."""
    made = One()
    run = made.folder / "run"
    run.mkdir()
    os.chown(run, made.museum.stat().st_uid, made.museum.stat().st_gid)
    made.mounts.remove("tmpfs:/run/exthost")
    made.mounts.append(f"{run}:/run/exthost")
    with open(made.configuration, "a", encoding="utf-8") as file:
        for name, text in APPS.items():
            made.put(name, text)
            made.put("own-" + name, text)
            file.write(f"\n[app {name}]\nscript = own-{name}\n"
                       f"listen = unix:/run/exthost/{name}.sock\nworkers = 1\n")
    try:
        made.start_ready()
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("name", APPS)
def test_an_app_answers_through_fossil_and_stays_loaded(one, name):
    for count in (1, 2, 3):
        reply = one.ask(f"/ext/{name}/more", "POST", FORM, b"body")
        assert (reply.status, reply.text) == (
            200, f"{count} /more body wrote nothing"), one.container.log()
    assert any(f"POST /ext/{name}/more status=200" in line for line in one.container.log())


@pytest.mark.parametrize("name", APPS)
def test_an_app_answers_at_a_socket_of_its_own(one, name):
    socket = f"{one.folder}/run/{name}.sock"
    wait_for(lambda: os.path.exists(socket), "the socket")
    for count in (1, 2, 3):
        reply = request(socket, "POST", "/more", FORM, b"body", 20, SCRIPT_NAME="",
                        PATH_INFO="/more").reply()
        assert (reply.status, reply.text) == (
            200, f"{count} /more body wrote nothing"), one.container.log()


def test_the_apps_are_well_and_status_shows_them(one):
    done = one.container.execute("exthost", "status", "--check")
    assert (done.returncode, done.stderr) == (0, "")
    shown = one.container.execute("exthost", "status").stdout
    assert all(name in shown for name in APPS), shown


def test_exthost_check_says_that_the_apps_would_run(one):
    done = one.container.execute("exthost", "check", "--config", "/etc/exthost.conf")
    assert (done.returncode, done.stderr) == (0, ""), done
