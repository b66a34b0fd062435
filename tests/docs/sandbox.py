"""
A temporary home in which one document's blocks are executed in their order, by one bash.

What is not taken literally is this, and no more:

- Directories: /srv, /etc, /run/exthost, /var/log and /usr/local are below the sandbox, as are /ext
  and /museum in a configuration file. /usr/bin/exthost-cgi is the relay that was installed there.
- Ports: 80, 8080, 8081 and 9000 are free ones.
- build/debug is the build under test.
- mail.example.org is a port of the loopback interface at which nobody listens.
- Commands that need another user or a running system are shims: see shim.py.

Before a document begins, README's commands that install exthost and make the first extension are
done, the same extension is in /srv/ext, and a stand-in for wapp.tcl is beside it. After commands in
the background the next ones wait: until a server is ready, and until the host has each request of a
curl.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import shim
from support import documents as blocks
from support.host import BUILD
from support.processes import MARK, descendants, lives, marked
from support.waiting import free_port, listens, wait_for

HERE = Path(__file__).resolve().parent
DIRECTORIES = r"(srv|etc|run/exthost|var/log|usr/local)"
PORTS = (80, 8080, 8081, 9000)
DEADLINE = 60
# As much of wapp as the documents' script needs.
WAPP = r"""
package provide wapp 1.0
proc wapp-param {name} {return $::env($name)}
proc wapp-subst {text} {
	regsub -all {%html\(} [string map {\\n \n} $text] {[list } text
	puts -nonewline [subst [string map {])< ]]<} $text]]
}
proc wapp-start {arguments} {
	puts "Content-Type: text/html\n"
	wapp-default
}
"""
WITHIN = r"""
set -m -o pipefail
trap 'echo "$? $BASH_COMMAND" >>"$SANDBOX/failed"' ERR
"""


class Sandbox:
    """The home of one document."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="xd-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.home = self.directory / "home"
        self.mark = uuid.uuid4().hex
        self.ports = {port: free_port() for port in PORTS}
        self.count = 0
        self._ready = 0
        self._host = None  # the option by which `exthost status` finds it
        shims = self.directory / "shims"
        for directory in (
            "home",
            "shims",
            "srv/ext",
            "srv/fossil",
            "etc/nginx/conf.d",
            "etc/apache2/sites-enabled",
            "etc/systemd/system",
            "run",
            "var/log",
            "usr/local",
            "museum",
            "ext",
        ):
            (self.directory / directory).mkdir(parents=True)
        (self.home / "build").mkdir()
        (self.home / "build/debug").symlink_to(BUILD)
        for name in shim.NAMES:
            (shims / name).symlink_to(HERE / "shim.py")
        (self.directory / "etc/mail.password").write_text("secret\n")
        # Else its meter, which a terminal does not show for a page, stands amidst the log's lines.
        (self.home / ".curlrc").write_text("silent\nshow-error\n")
        passed = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        self.environment = {
            # No USER: a container has no login.
            "HOME": str(self.home),
            "PATH": f"{shims}:{self.directory}/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "SANDBOX": str(self.directory),
            "EXTHOST_BUILD": str(BUILD),
            MARK: self.mark,
            **{f"PORT_{port}": str(free) for port, free in self.ports.items()},
            **passed,
        }
        # Apart: a page that ends without a newline must not have a line of the log behind it.
        self.output = [self.directory / "stdout", self.directory / "stderr"]
        with open(self.output[0], "ab") as stdout, open(self.output[1], "ab") as stderr:
            self._bash = subprocess.Popen(
                ["/bin/bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                cwd=self.home,
                env=self.environment,
                text=True,
            )
        self._send(WITHIN)

    def _send(self, text):
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def begin(self):
        """What every document takes for granted."""
        install, first = [
            block for block in blocks.blocks(blocks.PAGES[0]) if block.language == "sh"
        ][:2]
        self.run(install)
        self.run(first)
        for directory in ("ext", "srv/ext"):
            shutil.copy(self.home / "ext/hello.py", self.directory / directory)
        (self.home / "ext/wapp.tcl").write_text(WAPP)

    def mapped(self, text, configuration=False):
        """The text with what is not taken literally put in."""
        text = re.sub(
            rf"(?<![\w.$}}/])/{DIRECTORIES}(?=[/\s:,;'\"|)]|$)",
            rf"{self.directory}/\1",
            text,
            flags=re.M,
        )
        text = text.replace("/usr/bin/exthost-cgi", f"{self.directory}/usr/local/bin/exthost-cgi")
        if configuration:
            text = re.sub(
                r"(?<= )/(ext|museum)(?=[/\s]|$)", rf"{self.directory}/\1", text, flags=re.M
            )
            text = text.replace("~", str(self.home))
        text = text.replace("http://localhost/", f"http://localhost:{self.ports[80]}/")
        text = re.sub(
            r"(?<=[: ])(8080|8081|9000)\b", lambda found: str(self.ports[int(found[0])]), text
        )
        return re.sub(r"mail\.example\.org:\d+", f"127.0.0.1:{free_port()}", text)

    def run(self, block):
        """Run commands, and wait for what they have started. Fails as they do."""
        self.count += 1
        script = self.directory / f"{self.count}.sh"
        done = self.directory / f"{self.count}.done"
        script.write_text(self.mapped(block.text))
        self._send(f". {script}; echo >{done}\n")
        wait_for(
            lambda: done.exists() or self._bash.poll() is not None,
            f"the end of {block.place}",
            DEADLINE,
        )
        failed = self.directory / "failed"
        problem = failed.read_text() if failed.exists() else ""
        assert not problem and done.exists(), f"{block.place}: {problem}\n{self.tail()}"
        self._wait_for_background(block)

    def _wait_for_background(self, block):
        started = re.findall(r"^[^#\n]*(?:\\\n[^\n]*)*&$", block.text, re.M)
        for text in started:
            if "exthost serve" in text:
                self._ready += 1
                self._host = re.search(r"--(root|config) \S+|$", self.mapped(text))[0].replace(
                    "~", str(self.home)
                )
        wait_for(
            lambda: self._count_ready() >= self._ready,
            f"a host is ready: {block.place}\n{self.tail()}",
            DEADLINE,
        )
        for text in started:
            if "fossil server" in text:
                found = re.search(r"--port (\d+)", text)
                wait_for(
                    lambda: listens(self.ports[int(found[1])] if found else 8080),
                    "Fossil listens",
                    DEADLINE,
                )
        curls = sum("curl " in text for text in started)
        wait_for(lambda: not curls or self._has_begun(curls), f"requests: {block.place}", DEADLINE)

    def _count_ready(self):
        return sum(" info ready, serving " in line for line in self.printed()[1])

    def _has_begun(self, count):
        """
        Whether the host has so many requests, and one has run for a second, up to its sleep.
        """
        runs = self._status()["runs"]
        return len(runs) >= count and any(
            run["state"] == "runs" and run["seconds"] >= 1 for run in runs
        )

    def _status(self):
        done = subprocess.run(
            ["exthost", "status", *self._host.split(), "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
        )
        return json.loads(done.stdout)

    def put(self, block):
        """Write the file that the block is."""
        name = self.mapped(block.file)
        path = Path(name.replace("~", str(self.home), 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.mapped(block.text))

    def check_configuration(self, block):
        """`exthost check` takes it, with a root if it has none; what it names is there."""
        text = self.mapped(block.text, configuration=True)
        if not re.search(r"^root\b", text, re.M):
            text = f"root = {self.directory}/srv/ext\n{text}"
        for name in re.findall(r"^script = ([\w-]+\.\w+)", text, re.M):
            script = self.directory / "srv/ext" / name
            script.write_text(
                f"#!{self.directory}/usr/local/bin/exthost-cgi python\n"
                "def application(environ, start_response):\n    raise NotImplementedError\n"
            )
            script.chmod(0o755)
        for name in re.findall(r"^python-venv = (\S+)", text, re.M):
            subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", name], check=True)
        configuration = self.directory / "checked.conf"
        configuration.write_text(text)
        done = subprocess.run(
            ["exthost", "check", "--config", configuration],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, f"{block.place}: {done.stdout}{done.stderr}\n{text}"

    def printed(self):
        """Lines on standard output, and on standard error."""
        return [path.read_text(errors="replace").splitlines() for path in self.output]

    def tail(self):
        return "\n".join(line for lines in self.printed() for line in lines[-30:])

    def check_output(self, block):
        """
        The lines were printed, in this order for each of standard output and standard error,
        but for numbers, times, ids, the home, and what "..." is.
        """
        wanted = [
            re.compile(re.escape(_alike(line, "/home/ada")).replace(re.escape("..."), ".*"))
            for line in block.text.splitlines()
            if line.strip()
        ]

        def missing():
            left = [[_alike(line, str(self.home)) for line in lines] for lines in self.printed()]
            for line in wanted:
                for lines in left:
                    at = next(
                        (at for at, printed in enumerate(lines) if line.fullmatch(printed)), None
                    )
                    if at is not None:
                        del lines[: at + 1]
                        break
                else:
                    return line.pattern
            return None

        try:
            wait_for(lambda: missing() is None, "", 10)
        except AssertionError:
            raise AssertionError(
                f"{block.place}: not printed, or not in this order: {missing()}\n" f"{self.tail()}"
            ) from None

    def check_json(self, block):
        """A line of the log as JSON has the members that the request's line had as text."""
        told = json.loads(block.text)
        line = [line for line in self.printed()[1] if f"] {told['message']} " in line][-1]
        names = re.findall(r" (\w+)=", line)
        assert list(told) == [
            "time",
            "level",
            "request",
            "message",
            *names,
        ], f"{block.place}: {line}"

    def end(self):
        """Nothing of it stays behind."""
        self._bash.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._left():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + 15
            while self._left() and time.monotonic() < end:
                time.sleep(0.02)
        left = self._left()
        self._bash.wait(5)
        shutil.rmtree(self.directory, ignore_errors=True)
        assert not left, f"processes are left: {left}"

    def _left(self):
        """
        The living processes that were started here: by their environment; and servers, which write
        their title over it, with their children.
        """
        servers = self.directory / "servers"
        known = [int(pid) for pid in servers.read_text().split()] if servers.exists() else []
        found = [*known, *marked(self.mark)]
        for pid in known:
            found += descendants(pid)
        return [pid for pid in dict.fromkeys(found) if lives(pid)]


def _alike(line, home):
    line = line.replace(home, "HOME")
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", line)
    line = re.sub(r"0x[0-9a-f]+", "HEX", line)
    line = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{16}\b", "ID", line)
    line = re.sub(r"(?<![\w'/.])\d+(\.\d+)?(?!\w|')", "N", line)
    return re.sub(r"\s+", " ", line).strip()
