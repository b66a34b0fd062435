"""
A real Fossil among the services: while the host is ending, Fossil still serves requests through the
relay.
"""

import json
import os
import signal
import subprocess
import threading

import pytest

from service_host import WAITS
from support import web
from support.host import EXTHOST, environment, put_script, run_exthost, sanitized
from support.log_lines import in_order
from support.own_namespace import may_unshare
from support.processes import Program, descendants, lives
from support.servers import FOSSIL
from support.waiting import free_port, listens, wait_for

starts_exthost = pytest.mark.skipif(
    sanitized(), reason="Fossil limits a program's memory to 1 GB, less than a sanitizer maps")


SLOW = {
    "python": "import os, time\nprint('Content-Type: application/x-slow\\n\\nbegun', flush=True)\n"
              "while not os.path.exists('GO'): time.sleep(0.02)\nprint('done')\n",
    "tcl": "puts \"Content-Type: application/x-slow\\n\\nbegun\"\nflush stdout\n"
           "while {![file exists GO]} {after 20}\nputs done\n"}


class Museum:
    """
    What `fossil server` serves as a service, and an extension in each language whose runs go on
    until .let_go().
    """

    def __init__(self, folder, root):
        self.folder = folder
        self.env = {"HOME": str(folder), "USER": "admin"}
        self.repository = folder / "project.fossil"
        for command in (["init", "-A", "admin", str(self.repository)],
                        ["user", "capabilities", "nobody", "jorz", "-R", str(self.repository)],
                        ["settings", "backoffice-disable", "1", "-R", str(self.repository)]):
            subprocess.run([FOSSIL, *command], env={**environment(), **self.env},
                           cwd=folder, check=True,
                           capture_output=True, timeout=30)
        self.go = folder / "go"
        for language, text in SLOW.items():
            put_script(root, f"slow-{language}", language, text.replace("GO", str(self.go)))
        self.port = free_port()
        self.service = {
            "run": f"{FOSSIL} server {self.repository}\n  --port {self.port} --localhost\n"
                   f"  --nojail --extroot {root}"}

    def wait(self):
        """
        Until it serves; what several first requests at once write to its database is an error.
        """
        wait_for(lambda: listens(self.port), "Fossil listens")
        assert web.request(self.port, "GET", "/stat").status in (200, 302)

    def begin(self, count, root, seconds=20):
        """This many requests, until each has its run; .finish() gives the answers."""
        self.answers = []

        def ask(target):
            try:
                self.answers.append(web.request(self.port, "GET", target, timeout=seconds))
            except Exception as e:
                self.answers.append(e)
        targets = [f"/ext/slow-{language}" for language in SLOW for _ in range(count // 2)]
        self.threads = [threading.Thread(target=ask, args=(target,)) for target in targets]
        for thread in self.threads:
            thread.start()
        wait_for(lambda: len(running(root)) == count or self.answers, "a run for each request")
        assert self.answers == []

    def let_go(self):
        self.go.touch()

    def finish(self):
        for thread in self.threads:
            thread.join()
        return self.answers


def running(root):
    done = run_exthost("status", "--root", str(root), "--json")
    return [one for one in json.loads(done.stdout)["runs"] if one["state"] == "runs"]


def all_whole(answers):
    return [(answer.status, answer.text) if isinstance(answer, web.Reply) else answer
            for answer in answers] == [(200, "begun\ndone\n")] * len(answers)


@starts_exthost
def test_no_request_to_fossil_is_cut_when_the_host_is_told_to_end(services):
    museum = Museum(services.folder, services.root)
    host = services.start(("fossil", museum.service), env=environment(**museum.env))
    fossil = services.started("fossil")
    museum.wait()
    museum.begin(6, services.root)
    host.program.send(signal.SIGTERM)
    wait_for(lambda: not lives(fossil), "Fossil itself has ended, its requests have not")
    assert museum.answers == []
    museum.let_go()
    assert host.program.wait_exit() == 0
    assert host.program.pids() == []
    assert all_whole(museum.finish()), museum.answers
    assert not listens(museum.port)
    assert not any("killed" in line for line in host.program.log())
    host.kill()


@starts_exthost
def test_a_fossil_whose_description_changes_cuts_no_request_and_serves_on(services):
    museum = Museum(services.folder, services.root)
    host = services.start(("fossil", museum.service), env=environment(**museum.env))
    old = services.started("fossil")
    museum.wait()
    museum.begin(4, services.root)
    since = host.log_position()
    services.reload(("fossil", {"run": museum.service["run"] + " --nossl"}))
    wait_for(lambda: not lives(old), "Fossil itself has ended, its requests have not")
    assert museum.answers == []
    museum.let_go()
    assert services.started("fossil", since) != old
    assert all_whole(museum.finish()), museum.answers
    museum.wait()
    assert web.request(museum.port, "GET", "/ext/slow-tcl").text == "begun\ndone\n"
    assert not any("again in" in line for line in host.program.log())


@starts_exthost
def test_as_pid_1_it_ends_as_a_container_does_with_no_request_cut_and_nothing_left(services):
    reason = may_unshare()
    if reason:
        pytest.skip(f"a PID namespace of its own cannot be made: {reason}")
    museum = Museum(services.folder, services.root)
    services.put(("fossil", museum.service), ("other", WAITS))
    program = Program(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", EXTHOST, "serve",
         "--root", str(services.root), "--config", str(services.configuration)],
        env=environment(**museum.env), cwd="/")
    try:
        program.wait_line("here service=other")
        museum.wait()
        first = descendants(program.pid)[0]
        museum.begin(4, services.root)
        inside = program.pids()
        os.kill(first, signal.SIGTERM)
        program.wait_line("service fossil: stopping")
        museum.let_go()
        assert program.wait_exit() == 0
        assert all_whole(museum.finish()), museum.answers
        wait_for(lambda: not any(map(lives, inside)), "nothing is left")
        assert in_order(program.log(), "service other: stopping", "service fossil: stopping",
                        " stopped$")
        assert not any("killed" in line for line in program.log())
    finally:
        program.stop()
