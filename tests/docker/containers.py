"""
Containers of the two built images, by podman; or, where that cannot run containers, in the root
file systems of the images in new namespaces. kind() says which it is.
"""

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

from support.processes import Program
from support.waiting import wait_for

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUILD = Path(os.environ.get("EXTHOST_DOCKER_BUILD", REPOSITORY / "build" / "docker")).resolve()
UID = 499
_DRIVER = (BUILD / "driver").read_text().strip() if (BUILD / "driver").exists() else "vfs"
_STORE = ["--root", f"{BUILD}/store", "--runroot", f"{BUILD}/run", "--storage-driver", _DRIVER]
_PODMAN = ["podman", *_STORE, "--runtime", "crun", "--cgroup-manager", "cgroupfs"]
_LIMITS = ["--cgroups=disabled", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}


@dataclasses.dataclass
class Container:
    """A container as a manifest sets it up. Volumes are absolute paths of local directories."""

    image: str
    arguments: list | None = None  # instead of those of the image
    entrypoint: str | None = None
    user: str = f"{UID}:{UID}"
    mounts: list = dataclasses.field(default_factory=list)  # (source, target, read-only)
    tmpfs: list = dataclasses.field(default_factory=list)   # TARGET:OPTIONS
    read_only: bool = False
    no_new_privileges: bool = False
    cap_drop: list = dataclasses.field(default_factory=list)
    network: str = "host"
    check: list | None = None  # the command that tells whether it is well


def _tool(tool, *arguments):
    return subprocess.run([*tool, *arguments], capture_output=True, text=True, check=False,
                          timeout=120)


@functools.cache
def kind():
    """podman or namespaces, and why not podman."""
    if os.environ.get("EXTHOST_IMAGE_KIND", "podman") != "podman":
        return "namespaces", "asked for"
    done = _tool(_PODMAN, "run", "--rm", *_LIMITS, "--network", "none", "--pull=never",
                 "localhost/exthost", "--help")
    if done.returncode == 0:
        return "podman", ""
    return "namespaces", " ".join(done.stderr.strip().splitlines()[-1:])


@functools.cache
def root_of(image):
    """The directory where the root file system of an image is mounted."""
    buildah = ["buildah", *_STORE]
    made = _tool(buildah, "from", "--pull-never", f"localhost/{image}")
    assert made.returncode == 0, made
    return Path(_tool(buildah, "mount", made.stdout.strip()).stdout.strip())


@functools.cache
def configuration_of(image):
    """What the image says of how it is run: entry point, user and so on."""
    done = _tool(_PODMAN, "image", "inspect", f"localhost/{image}")
    assert done.returncode == 0, done
    (inspected,) = json.loads(done.stdout)
    return inspected["Config"] | {"Healthcheck": inspected.get("Healthcheck")}


def remove_containers():
    if kind()[0] == "podman":
        _tool(_PODMAN, "rm", "-fa", "-t", "0")
    _tool(["buildah", *_STORE], "rm", "-a")


def volume(name, image, target):
    """
    An empty volume as an engine makes it: a directory with the owner and mode of the image's
    directory at `target`.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"xd-{name}-", dir="/tmp"))
    shutil.copystat(root_of(image) / target.lstrip("/"), folder)
    status = (root_of(image) / target.lstrip("/")).stat()
    os.chown(folder, status.st_uid, status.st_gid)
    return folder


def _podman_command(container, name):
    options = []
    for source, target, read_only in container.mounts:
        options += ["-v", f"{source}:{target}" + (":ro" if read_only else "")]
    for each in container.tmpfs:
        options += ["--tmpfs", each]
    for each in container.cap_drop:
        options += ["--cap-drop", each]
    if container.read_only:
        options += ["--read-only", "--read-only-tmpfs=false"]
    if container.no_new_privileges:
        options += ["--security-opt", "no-new-privileges"]
    if container.entrypoint:
        options += ["--entrypoint", container.entrypoint]
    return [*_PODMAN, "run", "--rm", "--pull=never", "--name", name, *_LIMITS,
            "--network", container.network, "--user", container.user, *options,
            f"localhost/{container.image}", *(container.arguments or [])]


def _namespaces_command(container):
    """
    By enter.sh, whose root is read-only and whose /tmp is what the manifests say; so it is
    asserted.
    """
    assert container.read_only and container.network in ("host", "none")
    configuration = configuration_of(container.image)
    start = [container.entrypoint] if container.entrypoint else configuration["Entrypoint"]
    arguments = container.arguments or []
    if container.arguments is None and not container.entrypoint:
        arguments = configuration["Cmd"]
    unshare = ["unshare", "-mpf", "--kill-child", *(["-n"] if container.network == "none" else [])]
    privileges = ["setpriv", *(["--no-new-privs"] if container.no_new_privileges else [])]
    mounts = [f"{source}:{target}" + (":ro" if read_only else "")
              for source, target, read_only in container.mounts]
    return [*privileges, *unshare, str(HERE.parent / "image/enter.sh"),
            str(root_of(container.image)),
            container.user.partition(":")[0], "/museum", *mounts, "--", *start, *arguments]


def command(container, name):
    if kind()[0] == "podman":
        return _podman_command(container, name)
    return _namespaces_command(container)


def run(container, timeout=60):
    """A container, to its end."""
    return subprocess.run(command(container, f"x{uuid.uuid4().hex}"), env=_ENVIRONMENT, cwd="/",
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=timeout)


class Started:
    """A container beside the test."""

    def __init__(self, container):
        self.container = container
        self.name = f"x{uuid.uuid4().hex}"
        self._program = Program(command(container, self.name), env=_ENVIRONMENT, cwd="/",
                                name=container.image)
        self.log = self._program.log
        self.log_position = self._program.log_position
        self.running = self._program.running
        self.wait_line = self._program.wait_line

    def inside(self, *argv):
        """
        Another program in it, as `podman exec` starts it; in namespaces, in another such container.
        """
        if kind()[0] == "podman":
            return _tool(_PODMAN, "exec", self.name, *argv)
        return run(
            dataclasses.replace(self.container, entrypoint=argv[0], arguments=list(argv[1:])))

    def pid(self):
        """Its first process, seen from here."""
        if kind()[0] == "podman":
            return int(_tool(_PODMAN, "inspect", "--format", "{{.State.Pid}}", self.name).stdout)
        start = os.path.basename(configuration_of(self.container.image)["Entrypoint"][0])
        return wait_for(lambda: next((pid for pid in self._program.pids() if os.path.basename(
            os.readlink(f"/proc/{pid}/exe")) == start), None), "its first process")

    def stop(self, seconds=15):
        """
        As `docker stop` does: by the signal that the image names, and after some seconds by
        SIGKILL.
        """
        if self.running() and kind()[0] == "podman":
            _tool(_PODMAN, "stop", "-t", str(seconds), self.name)
        elif self.running():
            name = configuration_of(self.container.image).get("StopSignal", "SIGTERM")
            os.kill(self.pid(), signal.Signals[name] if not name.isdigit() else int(name))
            self._program.wait_exit(seconds)
        self._program.stop()
