"""
The image at work: programs in it, each in a container of its own, by podman; or, where that cannot
run containers, in the same root file system in new namespaces. KIND says which it is.
"""

import functools
import json
import os
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from support.processes import Program, descendants
from support.waiting import listens, wait_for

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("EXTHOST_IMAGE_BUILD", HERE.parents[1] / "build" / "image")).resolve()
ROOT = BUILD / "rootfs"
ARCHIVE = BUILD / "exthost.oci.tar"
UID = int(
    (ROOT / "etc/passwd").read_text().split("fossil:x:")[1].split(":")[0]) if ROOT.exists() else 499

_STORE = tempfile.mkdtemp(prefix="xi-", dir="/tmp")
_PODMAN = ["podman", "--root", f"{_STORE}/store", "--runroot", f"{_STORE}/run",
           "--storage-driver", "vfs", "--runtime", "crun", "--cgroup-manager", "cgroupfs"]
_LIMITS = ["--cgroups=disabled", "--network", "host", "--ulimit", "nofile=1024:1024",
           "--ulimit", "nproc=1000:1000"]
# Drop all capabilities; drop those that Fossil's own guide for containers drops.
NO_CAPABILITIES = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")
GUIDE = tuple(word for name in ("AUDIT_WRITE", "CHOWN", "FSETID", "KILL", "MKNOD",
                                "NET_BIND_SERVICE", "NET_RAW",
                                "SETFCAP", "SETPCAP") for word in ("--cap-drop", name))
# What the image starts by itself.
DEFAULT = ["/usr/bin/exthost", "serve", "--config", "/etc/exthost.conf"]
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}


def podman(*arguments, **more):
    return subprocess.run([*_PODMAN, *arguments], capture_output=True, text=True, check=False,
                          timeout=120, **more)


@functools.cache
def kind():
    """podman or namespaces, and why not podman. Loads the image."""
    if os.environ.get("EXTHOST_IMAGE_KIND", "podman") == "podman":
        try:
            done = podman("load", "-i", str(ARCHIVE))
            if done.returncode == 0:
                name = podman("images", "-q").stdout.split()[0]
                podman("tag", name, "exthost:test")
                done = podman("run", "--rm", *_LIMITS, "exthost:test", "--help")
                if done.returncode == 0:
                    return "podman", ""
            why = done.stderr.strip().splitlines()[-1:]
        except FileNotFoundError:
            why = "podman is not installed"
    else:
        why = "asked for"
    return "namespaces", why


def remove_store():
    if kind()[0] == "podman":
        podman("rm", "-fa", "-t", "0")
    subprocess.run(["rm", "-rf", _STORE], check=False)


def _command(argv, mounts, uid, options=NO_CAPABILITIES, name=None):
    """
    DEFAULT by podman is the image's own entry point. A mount is SOURCE:TARGET[:ro], or
    tmpfs:TARGET.
    """
    if kind()[0] != "podman":
        return ["unshare", "-mpf", "--kill-child", str(HERE / "enter.sh"), str(ROOT),
                str(uid), "/museum",
                *mounts, "--", *argv]
    volumes = [part for mount in mounts
               for part in (("--tmpfs", mount.partition(":")[2]) if mount.startswith("tmpfs:")
                            else ("-v", mount))]
    entry = [] if argv == DEFAULT else ["--entrypoint", json.dumps(argv[:1])]
    return [*_PODMAN, "run", "--rm", *(["--name", name] if name else []), *_LIMITS, *options,
            "--read-only",
            # Else podman adds a /run and a /var/tmp where what is written can be started.
            "--read-only-tmpfs=false", "--tmpfs", "/tmp:rw,noexec,nosuid,nodev,mode=1777",
            "--user", f"{uid}:{uid}", *volumes, *entry, "exthost:test",
            *([] if argv == DEFAULT else argv[1:])]


def run(argv, mounts=(), uid=None, timeout=30):
    """A program of the image, to its end."""
    return subprocess.run(_command(argv, mounts, UID if uid is None else uid), env=_ENVIRONMENT,
                          capture_output=True, text=True, check=False, timeout=timeout, cwd="/",
                          stdin=subprocess.DEVNULL)


class Started:
    """A program of the image, beside the test; since: when its container was asked for."""

    def __init__(self, argv, mounts=(), uid=None, options=NO_CAPABILITIES):
        self.container = f"x{uuid.uuid4().hex}"
        self.since = time.monotonic()
        self.uid = UID if uid is None else uid
        command = _command(argv, mounts, self.uid, options, self.container)
        self.program = Program(command, env=_ENVIRONMENT, cwd="/", name=os.path.basename(argv[0]))

    def log(self, since=0):
        return self.program.log(since)

    def running(self):
        return self.program.running()

    def first_process(self):
        """The process that is number 1 inside."""
        if kind()[0] == "podman":
            return int(podman("inspect", "--format", "{{.State.Pid}}", self.container).stdout)
        return descendants(self.program.pid)[0]

    def execute(self, *argv, text=None):
        """A program inside, as `podman exec` starts it."""
        if kind()[0] == "podman":
            command = [*_PODMAN, "exec", *(["-i"] if text is not None else []),
                       self.container, *argv]
        else:
            command = ["nsenter", "--target", str(self.first_process()), "--mount", "--pid",
                       "--root", "--wdns=/",
                       "--setuid", str(self.uid), "--setgid", str(self.uid), "--", *argv]
        return subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True,
                              check=False, timeout=60,
                              input=text)

    def end(self, seconds=10):
        """
        What `podman stop` and `docker stop` do, which wait so long; finish() then tells how it
        ended.
        """
        if kind()[0] == "podman":
            subprocess.Popen([*_PODMAN, "stop", "-t", str(seconds), self.container],
                             env=_ENVIRONMENT,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        else:
            os.kill(self.first_process(), signal.SIGTERM)

    def finish(self, seconds=20.0):
        """Its exit status, once it has ended by itself."""
        return self.program.wait_exit(seconds)

    def stop(self):
        # Fossil, as the first process of its container, is deaf to SIGTERM; and so is unshare.
        if kind()[0] == "podman":
            podman("rm", "-f", "-t", "0", self.container)
        else:
            for pid in descendants(self.program.pid)[:1]:
                os.kill(pid, signal.SIGKILL)
        self.program.stop()


class Shelter:
    """
    The root file system with the /tmp, the processes and the network of this machine, and nothing
    but a process that waits: pid, for nsenter. Never by podman, which keeps the processes apart.
    """

    def __init__(self):
        wait = ["python", "-c", "import time; time.sleep(3600)"]
        self._process = subprocess.Popen(
            ["unshare", "-m", str(HERE / "enter.sh"), str(ROOT), "0", "/", "/tmp:/tmp", "--",
             "/usr/bin/exthost",
             *wait], env=_ENVIRONMENT, stdin=subprocess.DEVNULL)
        self.pid = self._process.pid
        wait_for(lambda: os.readlink(f"/proc/{self.pid}/exe") == str(ROOT / "usr/bin/exthost")
                 or os.readlink(f"/proc/{self.pid}/exe") == "/usr/bin/exthost",
                 "the process is in the root")

    def stop(self):
        self._process.kill()
        self._process.wait()


class Site:
    """Fossil and exthost, in two containers with the same /museum, /ext and /run/exthost."""

    def __init__(self, port):
        self.folder = tempfile.mkdtemp(prefix="xs-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        for name in ("museum", "run", "ext"):
            os.mkdir(f"{self.folder}/{name}")
            if name != "ext":
                os.chown(f"{self.folder}/{name}", UID, UID)
        self.ext = Path(self.folder, "ext")
        self.mounts = [f"{self.folder}/museum:/museum:noexec", f"{self.folder}/ext:/ext:ro",
                       f"{self.folder}/run:/run/exthost:noexec"]
        self.port = port
        self.programs = []

    def fossil(self, *arguments):
        return run(["/usr/bin/fossil", *arguments], self.mounts)

    def start_fossil(self):
        made = self.fossil("init", "-A", "admin", "/museum/project.fossil")
        assert made.returncode == 0, made
        for setting in (("user", "capabilities", "nobody", "jorz"),
                        ("settings", "backoffice-disable", "1")):
            done = self.fossil(*setting, "-R", "/museum/project.fossil")
            assert done.returncode == 0, done
        self.programs.append(
            Started(["/usr/bin/fossil", "server", "/museum/project.fossil", "--port",
                     str(self.port), "--localhost", "--extroot", "/ext"], self.mounts))
        wait_for(lambda: listens(self.port), "fossil listens", 60)

    def start_host(self):
        self.programs.append(
            Started(["/usr/bin/exthost", "serve", "--config", "/etc/exthost-host.conf"],
                    self.mounts))
        return self.programs[-1]

    def stop(self):
        for program in reversed(self.programs):
            program.stop()
        subprocess.run(["rm", "-rf", self.folder], check=False)


def wait_ready(program):
    wait_for(lambda: any(" ready" in line for line in program.log()) or not program.running(),
             "ready", 60)
    assert program.running(), program.log()


def begun(started):
    """
    When the first process of a container began, in seconds of time.time(); None if nobody says.
    """
    if kind()[0] != "podman":
        return None
    ticks = Path(f"/proc/{started.first_process()}/stat").read_text().rpartition(")")[2].split()[19]
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + int(ticks) / os.sysconf("SC_CLK_TCK")
