"""Fossil and exthost in one container, as the image starts by itself."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from image import DEFAULT, NO_CAPABILITIES, ROOT, UID, Started
from support import web
from support.waiting import free_port, listens, wait_for

REPOSITORY = "/museum/repo.fossil"  # inside
FIRST_LINE = {".py": "#!/usr/bin/python3\n", ".wsgi": "#!/usr/bin/python3\n",
              ".tcl": "#!/usr/bin/tclsh\n"}
# They go on until there is a file /museum/go.
SLOW = {
    "slow.py": "import os, time\nprint('Content-Type: application/x-slow\\n\\nbegun', flush=True)\n"
               "while not os.path.exists('/museum/go'): time.sleep(0.02)\nprint('done')\n",
    "slow.tcl": "puts \"Content-Type: application/x-slow\\n\\nbegun\"\nflush stdout\n"
                "while {![file exists /museum/go]} {after 20}\nputs done\n"}
HELLO = "print('Content-Type: application/json\\n\\nhello')\n"


def default_configuration():
    return (ROOT / "etc/exthost.conf").read_text()


class One:
    """
    One container with a museum, extensions, and the image's configuration at a port that is free:
    the network is this machine's. Each pair in `changes` is replaced there.
    """

    def __init__(self, changes=(), museum=True, read_only=False):
        self.folder = Path(tempfile.mkdtemp(prefix="xo-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.museum = self.folder / "museum"
        self.ext = self.folder / "ext"
        self.museum.mkdir()
        self.ext.mkdir()
        os.chown(self.museum, UID, UID)
        self.put("hello.py", HELLO)
        self.port = free_port()
        self.configuration = self.folder / "exthost.conf"
        text = default_configuration()
        for old, new in [("--port 8080", f"--port {self.port}"), *changes]:
            assert text.count(old) == 1, (old, text)
            text = text.replace(old, new)
        self.configuration.write_text(text)
        self.mounts = [f"{self.ext}:/ext:ro", f"{self.configuration}:/etc/exthost.conf:ro",
                       "tmpfs:/run/exthost"]
        if museum:
            self.mounts.append(f"{self.museum}:/museum" + (":ro" if read_only else ""))
        self.container = None

    def put(self, name, text):
        path = self.ext / name
        path.write_text(FIRST_LINE[path.suffix] + text)
        path.chmod(0o755)

    def fossil(self, *arguments):
        """This machine's Fossil, at the repository, as the user of the image."""
        done = subprocess.run(["/usr/bin/fossil", *arguments], cwd=self.museum,
                              capture_output=True, text=True,
                              check=False, timeout=60, user=UID, group=UID, extra_groups=[],
                              env={"HOME": str(self.museum), "USER": "admin",
                                   "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0, done
        return done.stdout

    def make_repository(self):
        self.fossil("init", "-A", "admin", "repo.fossil")
        self.fossil("user", "capabilities", "nobody", "gjorz", "-R", "repo.fossil")
        self.fossil("user", "password", "admin", "secret", "-R", "repo.fossil")
        self.fossil("settings", "backoffice-disable", "1", "-R", "repo.fossil")

    def start(self, uid=None, options=NO_CAPABILITIES):
        self.container = Started(DEFAULT, self.mounts, uid, options)
        return self.container

    def start_ready(self, **how):
        """
        Until Fossil serves; what several first requests at once write to its database is an error.
        """
        self.start(**how)
        wait_for(lambda: listens(self.port) or not self.container.running(), "Fossil listens", 60)
        assert self.container.running(), self.container.log()
        assert web.request(self.port, "GET", "/stat").status in (200, 302)
        return self.container

    def get(self, target, timeout=20):
        return self.ask(target, timeout=timeout)

    def ask(self, target, method="GET", headers=(), body=None, timeout=20):
        return web.request(self.port, method, target, headers, body, timeout)

    def status(self):
        done = self.container.execute("exthost", "status", "--json")
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def refused(self, uid=None):
        """The one line with which it ends at once, and its exit status."""
        self.start(uid)
        status = self.container.finish()
        assert len(self.container.log()) == 1, self.container.log()
        return self.container.log()[0], status

    def stop(self):
        if self.container:
            self.container.stop()
        shutil.rmtree(self.folder)


class Asked:
    """Requests that run until let_go()."""

    def __init__(self, one, count):
        self.one = one
        self.answers = []
        for name, text in SLOW.items():
            one.put(name, text)
        targets = [f"/ext/{name}" for name in SLOW for _ in range(count // 2)]
        self.threads = [threading.Thread(target=self._ask, args=(target,)) for target in targets]
        for thread in self.threads:
            thread.start()
        wait_for(lambda: self._running() == count or self.answers, "a run for each request")
        assert self.answers == []

    def _ask(self, target):
        try:
            self.answers.append(self.one.get(target, 30))
        except Exception as e:
            self.answers.append(e)

    def _running(self):
        return len([run for run in self.one.status()["runs"] if run["state"] == "runs"])

    def let_go(self):
        (self.one.museum / "go").touch()

    def finish(self):
        for thread in self.threads:
            thread.join()
        return [(answer.status, answer.text) if isinstance(answer, web.Reply) else answer
                for answer in self.answers]
