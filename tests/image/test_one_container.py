"""
The image as it starts by itself: Fossil and exthost in one container, from its start to its end.
"""

import json
import sqlite3
import tarfile
import time

import pytest

import image
from image import ARCHIVE, GUIDE, NO_CAPABILITIES, UID
from one import Asked, One, default_configuration
from support import web
from support.log_lines import in_order, time_of
from support.waiting import listens, wait_for


# Its start.

def test_an_empty_museum_gets_a_repository_whose_password_the_log_tells(make):
    one = make()
    container = one.start_ready()
    assert (one.museum / "repo.fossil").stat().st_uid == UID
    container.program.wait_line("admin-user: admin (initial password is", "service=fossil")
    assert one.get("/ext/hello.py").text == "hello\n"


def test_a_repository_that_is_there_is_served(make):
    one = make()
    one.make_repository()
    before = one.fossil("sql", "-R", "repo.fossil",
                        "SELECT value FROM config WHERE name='project-code'")
    one.start_ready()
    assert before.strip().strip("'") in one.get("/stat").text
    assert one.get("/ext/hello.py").text == "hello\n"


@pytest.mark.parametrize("options", [NO_CAPABILITIES, GUIDE, ()], ids=["none", "guide", "default"])
def test_it_serves_with_few_capabilities_on_a_read_only_root_as_the_user_fossil(make, options):
    podman = image.kind()[0] == "podman"
    if not podman and options is not NO_CAPABILITIES:
        pytest.skip("only podman has these options")
    one = make()
    one.put("who.py", "import os\nprint('Content-Type: application/json\\n')\n"
                      "print(open('/proc/self/status').read())\n"
                      "for path in ('/x', '/usr/bin/x', '/etc/x', '/ext/x'):\n"
                      "    try:\n        open(path, 'w')\n        print('wrote', path)\n"
                      "    except OSError:\n        pass\n")
    one.start_ready(options=options)
    reply = one.get("/ext/who.py")
    assert reply.status == 200
    told = dict(line.split(":\t", 1) for line in reply.text.splitlines() if ":\t" in line)
    assert told["Uid"].split() == [str(UID)] * 4
    assert int(told["CapEff"], 16) == 0
    if options is NO_CAPABILITIES:
        assert told["NoNewPrivs"] == "1"
        assert int(told["CapBnd"], 16) == 0 or not podman
    assert "wrote" not in reply.text


def first_answer(one):
    """
    Seconds from the start of the container's first process, else from the command that starts it.
    """
    container = one.start()

    def answered():
        try:
            return one.get("/ext/hello.py").status == 200
        except (OSError, web.BrokenTransfer):
            assert container.running(), container.log()
            return False
    wait_for(answered, "an answer", 60)
    now, seconds = time.time(), time.monotonic() - container.since
    print(f"from the command that starts Fossil and exthost in one container to the first "
          f"answer: {seconds:.3f} s")
    begun = image.begun(container)
    if begun:
        seconds = now - begun
        print(f"of that, from the start of the container's first process: {seconds:.3f} s")
    return seconds


def test_the_first_request_through_fossil_is_answered_half_a_second_after_the_start(make):
    one = make()
    one.make_repository()
    # A machine that is busy with something else makes it later, and nothing makes it earlier.
    for _ in range(6):
        if first_answer(one) <= 0.5:
            return
        one.container.stop()
    pytest.fail("it was later each time")


# Services.

def test_status_shows_fossil_as_a_service(make):
    one = make()
    one.start_ready()
    told = one.status()
    assert [(each["name"], each["state"], each["well"]) for each in told["services"]] == [
        ("fossil", "runs", True)]
    assert told["root"] == "/ext"


def test_the_mailer_in_the_comments_of_the_configuration_sends_what_fossil_stores(make):
    section = default_configuration().partition("; [service mailer]\n")[2]
    assert section
    example = "; [service mailer]\n" + section
    live = "".join(line.removeprefix("; ") + "\n" for line in example.splitlines())
    assert live.count("--smtp mail.example.org:25") == 1
    one = make([(example, live.replace("--smtp mail.example.org:25", "--maildir /museum/outbox"))])
    one.start_ready()
    queue = one.museum / "mail.db"
    wait_for(queue.exists, "the mailer makes the database")
    message = "From: a@example.org\r\nTo: b@example.org\r\nSubject: one\r\n\r\ntext\r\n"

    def stored():
        """As Fossil does: its own table, once it is there."""
        try:
            with sqlite3.connect(queue, timeout=1) as db:
                db.execute("INSERT INTO email(msg) VALUES(?)", (message,))
            return True
        except sqlite3.OperationalError:
            return False
    wait_for(stored, "the table")
    new = one.museum / "outbox" / "new"
    wait_for(lambda: new.is_dir() and list(new.iterdir()), "the message")
    assert b"Subject: one" in list(new.iterdir())[0].read_bytes()


# Its end.

def with_another_service(one):
    """A program behind Fossil; the image has no other than its interpreters."""
    (one.ext / ".other.py").write_text(
        "import time\nprint('here', flush=True)\nwhile True: time.sleep(60)\n")
    with open(one.configuration, "a", encoding="utf-8") as file:
        file.write("\n[service other]\nscript = /ext/.other.py\n")


def test_no_request_is_cut_when_the_container_is_stopped(make):
    one = make()
    one.make_repository()
    with_another_service(one)
    container = one.start_ready()
    container.program.wait_line("here", "service=other")
    asked = Asked(one, 6)
    container.end()
    container.program.wait_line("service fossil: stopping")
    wait_for(lambda: not listens(one.port), "no new request is taken")
    assert asked.answers == []
    asked.let_go()
    assert asked.finish() == [(200, "begun\ndone\n")] * 6
    assert container.finish() == 0
    assert in_order(container.log(), "service other: stopping", "service fossil: stopping",
                    " stopped$")
    assert not any("killed" in line for line in container.log())


def test_a_request_without_end_does_not_outlast_the_time_that_docker_waits(make):
    grace = int(default_configuration().partition("\ngrace = ")[2].split()[0])
    assert grace + 2 < 10
    one = make([(f"\ngrace = {grace}\n", "\ngrace = 1\n")])
    one.make_repository()
    container = one.start_ready()
    asked = Asked(one, 2)
    container.end()
    assert container.finish() == 0
    first, last = (next(line for line in container.log() if line.endswith(text))
                   for text in (" stopping", " stopped"))
    took = time_of(last) - time_of(first)
    assert took < 1 + 2 + 1, took
    assert all(answer != (200, "begun\ndone\n") for answer in asked.finish())


def test_a_reload_is_asked_for_by_a_signal(make):
    one = make()
    container = one.start_ready()
    with_another_service(one)
    done = container.execute("python3", "-c", "import os, signal; os.kill(1, signal.SIGHUP)")
    assert done.returncode == 0, done
    container.program.wait_line("here", "service=other")
    assert one.get("/ext/hello.py").text == "hello\n"


# In the container.

@pytest.fixture(scope="module", name="one")
def _one():
    made = One()
    try:
        made.start_ready()
        yield made
    finally:
        made.stop()


def test_tclsh_inside_reads_a_script_from_standard_input(one):
    done = one.container.execute("tclsh", text="puts [info patchlevel]\n")
    assert (done.returncode, done.stdout.rsplit(".", 1)[0]) == (0, "8.6"), done


def test_python3_inside_tells_its_version(one):
    done = one.container.execute("python3", "--version")
    assert done.returncode == 0 and done.stdout.startswith("Python 3."), done


def test_exthost_status_inside_needs_no_option(one):
    done = one.container.execute("exthost", "status")
    assert done.returncode == 0, done
    assert "serving /ext" in done.stdout and "service fossil" in done.stdout


def test_exthost_check_inside_says_that_all_is_good(one):
    done = one.container.execute("exthost", "check", "--config", "/etc/exthost.conf")
    assert (done.returncode, done.stdout) == (
        0, "/etc/exthost.conf is good; /ext: 1 extensions, all would run\n"), done


def test_a_health_check_says_nothing_while_all_is_well(one):
    done = one.container.execute("exthost", "status", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_health_check_says_what_is_wrong(make):
    one = make([("--create ", "--nosuch ")])
    container = one.start()
    container.program.wait_line("service fossil: exit status 1; again in")

    def told():
        done = container.execute("exthost", "status", "--check")
        return done if "exit status 1" in done.stderr else None
    done = wait_for(told, "what it says")
    assert done.returncode == 1
    assert done.stderr == "exthost: service fossil: exit status 1; to be started again\n"


def test_podman_asks_for_health_as_the_readme_says(make):
    if image.kind()[0] != "podman":
        pytest.skip("only podman has health checks")
    one = make()
    container = one.start_ready(
        options=(*NO_CAPABILITIES, "--health-cmd", '["exthost", "status", "--check"]',
                 "--health-interval", "disable"))
    done = image.podman("healthcheck", "run", container.container)
    assert done.returncode == 0, done


def test_the_dockerfile_has_the_health_check_which_the_oci_format_cannot_hold():
    dockerfile = (image.HERE.parents[1] / "Dockerfile").read_text()
    assert 'HEALTHCHECK CMD ["/usr/bin/exthost", "status", "--check"]' in dockerfile
    with tarfile.open(ARCHIVE) as tar:
        assert not any(b"Healthcheck" in tar.extractfile(member).read() for member in tar
                       if member.isfile() and member.size < 65536)


def test_exthost_alone_is_another_configuration(make):
    one = make()
    container = image.Started(["/usr/bin/exthost", "serve", "--config", "/etc/exthost-host.conf"],
                              [f"{one.ext}:/ext:ro", "tmpfs:/run/exthost"])
    one.container = container
    container.program.wait_line("ready")
    assert json.loads(container.execute("exthost", "status", "--json").stdout)["services"] == []
