"""
What is wrong with museum, user or configuration: one clear line, an exit status, nothing lost.
"""

import os
import re
import sqlite3
import subprocess

import pytest

from image import UID, Site, run
from one import REPOSITORY
from support import web
from support.waiting import free_port, wait_for

MEGABYTE = 1 << 20


# Fossil and exthost in one container.

def test_a_container_without_a_museum_that_it_may_write_to_does_not_start(make):
    assert make(museum=False).refused() == (
        "exthost: service fossil: writable: /museum/: Read-only file system", 2)


def test_a_read_only_museum_is_one_clear_line_and_nothing_in_it_changes(make):
    one = make(read_only=True)
    one.make_repository()
    before = {path.name: path.read_bytes() for path in one.museum.iterdir() if path.is_file()}
    assert one.refused() == ("exthost: service fossil: writable: /museum/: Read-only file system",
                             2)
    assert {path.name: path.read_bytes() for path in one.museum.iterdir()
            if path.is_file()} == before


def test_a_wrong_user_is_one_clear_line(make):
    assert make().refused(
        UID + 1) == ("exthost: service fossil: writable: /museum/: Permission denied", 2)


def test_a_repository_that_is_another_users_is_one_clear_line(make):
    one = make()
    one.make_repository()
    os.chown(one.museum / "repo.fossil", 0, 0)
    assert one.refused() == (f"exthost: service fossil: writable: {REPOSITORY}: Permission denied",
                             2)


def test_a_service_whose_program_is_missing_is_one_clear_line(make):
    assert make([("/usr/bin/fossil server", "/usr/bin/fosil server")]).refused() == (
        "exthost: service fossil: /usr/bin/fosil: No such file or directory", 2)


def test_a_service_that_ends_at_once_is_told_and_tried_again_and_the_host_serves_on(make):
    one = make([("--create ", "")])
    container = one.start()
    line = container.program.wait_line("service fossil: exit status 1; again in")
    assert " error " in line
    said = [line for line in container.log() if line.endswith(" service=fossil")]
    assert len(said) == 1 and "repository does not exist" in said[0] and REPOSITORY in said[0]
    assert container.running()
    one.make_repository()
    wait_for(lambda: one.status()["services"][0]["state"].startswith("runs"),
             "it is started again", 20)
    wait_for(lambda: container.execute("exthost", "status", "--check").returncode == 0,
             "it is well", 20)


# A full disk.

class Small:
    """A museum on a file system of its own, of this size; what fill() takes, free() gives back."""

    def __init__(self, museum, size):
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700,uid={UID},gid={UID}", "tmpfs",
             str(museum)], check=True)
        self.museum = museum
        self.filler = museum / "filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as e:
                assert "No space" in str(e)

    def free(self):
        self.filler.unlink()

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.museum)], check=True)


@pytest.fixture(name="small")
def _small(make):
    one = make()
    one.small = Small(one.museum, 4 * MEGABYTE)
    try:
        one.make_repository()
        one.start_ready()
        yield one
    finally:
        one.container.stop()
        one.small.unmount()


def is_whole(one):
    with sqlite3.connect(f"file:{one.museum}/repo.fossil?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    said = one.container.execute("fossil", "test-integrity", "-R", REPOSITORY)
    assert "checked:  0 errors" in said.stdout and "integrity-check: ok" in said.stdout, said


def artifacts(one):
    with sqlite3.connect(f"file:{one.museum}/repo.fossil?mode=ro", uri=True) as db:
        return {row[0] for row in db.execute("SELECT uuid FROM blob WHERE size >= 0")}


def client(folder, *arguments, fails=False):
    """This machine's Fossil, as somebody who works with the repository from elsewhere."""
    done = subprocess.run(["/usr/bin/fossil", *arguments], cwd=folder, capture_output=True,
                          text=True, check=False,
                          timeout=60,
                          env={"HOME": str(folder), "USER": "admin", "PATH": "/usr/bin:/bin"})
    if not fails:
        assert done.returncode == 0, done
    return done.stdout + done.stderr


def test_a_push_to_a_full_disk_is_an_error_that_loses_nothing_and_goes_through_later(
        small, tmp_path):
    url = f"http://admin:secret@127.0.0.1:{small.port}/"
    client(tmp_path, "clone", "--save-http-password", url, "clone.fossil")
    (tmp_path / "work").mkdir()
    work = tmp_path / "work"
    client(work, "open", "../clone.fossil")
    (work / "large").write_bytes(os.urandom(MEGABYTE))
    client(work, "settings", "autosync", "off")
    client(work, "add", "large")
    client(work, "commit", "-m", "large", "--no-warnings")
    before = artifacts(small)
    small.small.fill()

    said = client(work, "push", fails=True)
    assert "Error: Database error: database or disk is full" in said, said
    assert artifacts(small) == before
    is_whole(small)
    assert small.get("/ext/hello.py").text == "hello\n"
    assert small.container.execute("exthost", "status", "--check").returncode == 0

    small.small.free()
    client(work, "push")
    assert len(artifacts(small)) == len(before) + 2  # the file, and the check-in
    is_whole(small)


def test_a_ticket_on_a_full_disk_is_an_error_page_and_the_repository_is_whole(small):
    login = web.request(small.port, "POST", "/login",
                        [("Content-Type", "application/x-www-form-urlencoded")],
                        b"u=admin&p=secret&in=Login")
    cookie = login.header("Set-Cookie").partition(";")[0]
    page = web.request(small.port, "GET", "/tktnew", [("Cookie", cookie)])
    token = re.search(r"name=['\"]csrf['\"] value=['\"](\w+)", page.text)
    form = "&".join(["submit=Submit", "title=full", "type=Code_Defect", "severity=Minor",
                     "icomment=" + "long%20" * 2000] + ([f"csrf={token[1]}"] if token else []))
    before = artifacts(small)
    small.small.fill()

    def post():
        return web.request(small.port, "POST", "/tktnew", [
            ("Cookie", cookie), ("Content-Type", "application/x-www-form-urlencoded"),
            ("Referer", f"http://127.0.0.1:{small.port}/tktnew")], form.encode())
    reply = post()
    assert reply.status >= 400 and "disk is full" in reply.text, reply
    assert artifacts(small) == before
    is_whole(small)
    assert small.get("/ext/hello.py").text == "hello\n"

    small.small.free()
    assert post().status in (200, 302)
    assert len(artifacts(small)) == len(before) + 1
    is_whole(small)


# Each in a container of its own.

@pytest.fixture
def museum():
    made = Site(free_port())
    try:
        done = made.fossil("init", "/museum/project.fossil")
        assert done.returncode == 0, done
        yield made
    finally:
        made.stop()


def serve_museum(museum, mounts, uid=None):
    return run(["/usr/bin/fossil", "server", "/museum/project.fossil", "--port", str(museum.port),
                "--extroot", "/ext"], mounts, uid)


def test_a_missing_museum_is_one_clear_line(museum):
    done = serve_museum(museum, museum.mounts[1:])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1:] == [
        "repository does not exist or is in an unreadable directory: /museum/project.fossil"]


def test_another_users_museum_is_one_clear_line(museum):
    os.chmod(f"{museum.folder}/museum", 0o700)
    done = serve_museum(museum, museum.mounts, uid=UID + 1)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "repository does not exist or is in an unreadable directory: /museum/project.fossil"]


def test_a_host_that_is_another_user_cannot_listen_and_says_so_in_one_line(museum):
    done = run(["/usr/bin/exthost", "serve", "--config", "/etc/exthost-host.conf"],
               museum.mounts, UID + 1)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "Permission denied" in done.stderr


def test_a_museum_that_is_read_only_loses_nothing(museum):
    repository = f"{museum.folder}/museum/project.fossil"
    with open(repository, "rb") as file:
        before = file.read()
    mounts = [museum.mounts[0].replace(":noexec", ":ro"), *museum.mounts[1:]]
    done = run(["/usr/bin/fossil", "user", "new", "ada", "", "secret", "-R",
                "/museum/project.fossil"], mounts)
    assert done.returncode == 1
    assert "readonly database" in done.stderr
    with open(repository, "rb") as file:
        assert file.read() == before
    assert sorted(os.listdir(f"{museum.folder}/museum")) == [".fossil", "project.fossil"]
