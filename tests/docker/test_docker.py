"""
The two images that the Dockerfile builds, as they are and as they run: the whole one alone; and
Fossil and the host apart, as compose.yaml and kubernetes.yaml say.
"""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from containers import (HERE, REPOSITORY, UID, Container, Started, configuration_of, root_of, run,
                        volume)
from manifests import documents, folders_of, from_compose, from_kubernetes, one
from support import web
from support.waiting import listens, wait_for

PORT = 8080
EXTENSIONS = REPOSITORY / "extensions"
LANGUAGES = ["hello.py", "hello.tcl"]


def programs(image):
    """
    (ELF files that are no shared objects by their name, and scripts; what may be executed), less
    the names by which an extension starts an interpreter: they are links of exthost.
    """
    found, executable = set(), set()
    root = root_of(image)
    exthost = root / "usr/bin/exthost"
    for path in root.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        if path.parent == root / "usr/lib/exthost/bin" and path.samefile(exthost):
            continue
        with open(path, "rb") as file:
            head = file.read(4)
        if head == b"\x7fELF" and ".so" not in path.name or head[:2] == b"#!":
            found.add(path.name)
        if path.stat().st_mode & 0o111:
            executable.add(path.name)
    return found, {name for name in executable if not name.startswith("ld-linux")}


# As they are.

@pytest.mark.parametrize("image, expected", [
    ("exthost", {"fossil", "exthost", "exthost-cgi"}),
    ("exthost-relay", {"fossil", "exthost-cgi"})])
def test_an_image_has_its_programs_and_no_other(image, expected):
    assert programs(image) == (expected, expected)


def test_the_relays_image_has_no_language():
    root = root_of("exthost-relay")
    names = [path.name for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert "libc.so.6" in names
    assert [name for name in names if re.search(r"python|tcl|\.(py|pyc|zip|tm)$", name)] == []


@pytest.mark.parametrize("name, mode, owner", [
    ("museum", 0o750, UID), ("log", 0o755, UID), ("run/exthost", 0o755, UID), ("tmp", 0o1777, 0),
    ("ext", 0o755, 0)])
@pytest.mark.parametrize("image", ["exthost", "exthost-relay"])
def test_a_folder_has_its_owner_and_mode(image, name, mode, owner):
    status = (root_of(image) / name).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, owner, owner)


@pytest.mark.parametrize("image, start", [("exthost", ["/usr/bin/exthost", "serve"]),
                                          ("exthost-relay", ["/usr/bin/fossil", "server"])])
def test_an_image_starts_its_program_as_the_user_fossil(image, start):
    configuration = configuration_of(image)
    assert (configuration["Entrypoint"], configuration["User"]) == (start, f"{UID}:{UID}")


def test_the_relay_can_be_copied_into_any_image():
    done = subprocess.run(
        ["readelf", "-ld", root_of("exthost-relay") / "usr/bin/exthost-cgi"], check=True,
        capture_output=True, text=True)
    assert "LOAD" in done.stdout and "INTERP" not in done.stdout and "(NEEDED)" not in done.stdout


# As they run.

def get(target):
    return web.request(PORT, "GET", target, (), None, 60)


def answers(name):
    reply = get("/ext/" + name)
    assert reply.status == 200 and "Hello" in reply.text and "visitor" in reply.text, reply


def test_the_whole_image_serves_both_languages_in_one_container():
    folders = {target: volume("one", "exthost", target) for target in ("/museum", "/run/exthost")}
    started = Started(
        Container("exthost", read_only=True, cap_drop=["ALL"], no_new_privileges=True,
                  mounts=[*[(source, target, False) for target, source in folders.items()],
                          (EXTENSIONS, "/ext", True)],
                  tmpfs=["/tmp:noexec"]))
    try:
        wait_for(lambda: listens(PORT) or not started.running(), "fossil listens", 30)
        assert started.running(), started.log()
        for name in LANGUAGES:
            answers(name)
            started.wait_line(f"GET /ext/{name} status=200")
        check = configuration_of("exthost")["Healthcheck"]["Test"]
        assert check[0] == "CMD" and started.inside(*check[1:]).returncode == 0
    finally:
        started.stop()
        for folder in folders.values():
            shutil.rmtree(folder)


class Pair:
    """Fossil's container and the host's."""

    def __init__(self, kind, containers):
        self.kind = kind
        self.containers = containers
        assert set(containers) == {"fossil", "exthost"}
        self.fossil = Started(containers["fossil"])
        self.host = Started(containers["exthost"])

    def wait_ready(self):
        wait_for(lambda: listens(PORT) or not self.fossil.running(), "fossil listens", 30)
        assert self.fossil.running(), self.fossil.log()
        self.host.wait_line(" ready", seconds=30)

    def stop(self):
        self.host.stop()
        self.fossil.stop()
        for folder in folders_of(self.containers):
            subprocess.run(["umount", "-l", folder], check=False, capture_output=True)
            shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["compose.yaml", "kubernetes.yaml"])
def pair(request, tmp_path_factory):
    probe = (HERE / "probe.py").read_text()
    if request.param == "compose.yaml":
        folder = Path(shutil.copytree(EXTENSIONS, tmp_path_factory.mktemp("pair") / "ext"))
        for parent in [folder, *folder.parents[:3]]:
            parent.chmod(parent.stat().st_mode | 0o055)
        (folder / "probe.py").write_text(probe)
        (folder / "probe.py").chmod(0o755)
        made = Pair(request.param, from_compose(folder))
    else:
        made = Pair(request.param, from_kubernetes({"probe.py": probe}))
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def probed(pair):
    reply = get("/ext/probe.py")
    assert reply.status == 200, (reply, pair.host.log())
    return json.loads(reply.text)


@pytest.mark.parametrize("name", LANGUAGES)
def test_fossil_is_answered_by_the_host_in_the_other_container(pair, name):
    since = pair.host.log_position()
    answers(name)
    pair.host.wait_line(f"GET /ext/{name} status=200", since=since)


def test_the_host_reaches_nothing_where_compose_gives_it_no_network(pair, probed):
    if pair.kind == "compose.yaml":
        assert probed["interfaces"] == ["lo"] and probed["connect"] in (
            "ECONNREFUSED", "ENETUNREACH")
    else:
        # A pod's containers share a network: Fossil is reached, and the policy keeps all else away.
        assert probed["connect"] == "ok"


def test_an_extension_reads_the_repository_and_cannot_write_it(probed):
    assert probed["users"] >= 1
    for what in ("open the repository", "make in /museum", "make in /ext", "make in /"):
        assert probed[what] == "EROFS", what
    assert probed["make in /tmp"] == "ok"


def test_an_extension_can_start_nothing_that_it_writes(pair, probed):
    assert probed["start in /tmp"] == ("EACCES" if pair.kind == "compose.yaml" else "ok")
    # A cluster has no word for that.
    assert probed["start in /run/exthost"] == ("EACCES" if pair.kind == "compose.yaml" else "ok")


def test_an_extension_has_no_privilege(probed):
    assert (probed["uid"], probed["no new privileges"]) == (UID, "1")
    assert {int(each, 16) for each in probed["capabilities"][:2]} == {0}


def test_fossil_has_no_privilege(pair):
    status = Path(f"/proc/{pair.fossil.pid()}/status").read_text()
    assert re.search(r"^Name:\s+fossil$", status, re.M)
    assert re.search(rf"^Uid:\s+{UID}\s", status, re.M)
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(
        r"^NoNewPrivs:\s+1$", status, re.M)


@pytest.mark.parametrize("name", ["python3", "tclsh"])
def test_fossils_container_has_no_interpreter(pair, name):
    done = pair.fossil.inside(f"/usr/bin/{name}", "-c", "print(6 * 7)")
    assert done.returncode == 127
    assert "/exthost: No such file or directory" in done.stderr and "42" not in done.stdout


def test_the_check_of_the_manifest_is_well_with_the_host_and_not_without(pair):
    check = pair.containers["exthost"].check
    done = pair.host.inside(*check)
    assert done.returncode == 0, done
    done = run(Container("exthost", list(check[1:]), check[0], read_only=True, network="none"))
    assert done.returncode == 1 and "no host answers" in done.stderr, done


def test_without_the_host_a_reply_says_so_and_a_new_host_is_found(pair):
    pair.host.stop()
    reply = get("/ext/hello.py")
    assert reply.status == 503, reply
    pair.host = Started(pair.containers["exthost"])
    pair.wait_ready()
    answers("hello.py")


# What only a cluster heeds.

def test_the_clusters_objects_mean_each_other():
    parts = documents("kubernetes.yaml")
    labels = one(parts, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert one(parts, "Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert one(parts, "Service")["spec"]["selector"] == labels
    policy = one(parts, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert "Egress" in policy["policyTypes"] and policy["egress"] == []
    volumes = one(parts, "Deployment")["spec"]["template"]["spec"]["volumes"]
    claims = [each["persistentVolumeClaim"] for each in volumes if "persistentVolumeClaim" in each]
    assert [each["claimName"] for each in claims] == [
        one(parts, "PersistentVolumeClaim")["metadata"]["name"]]
    fossil = one(parts, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert fossil["ports"] == [{"name": "http", "containerPort": PORT}]
    assert one(parts, "Service")["spec"]["ports"][0]["targetPort"] == "http"
    assert policy["ingress"] == [{"ports": [{"port": "http"}]}]
    assert fossil["readinessProbe"]["tcpSocket"]["port"] == "http"


def test_compose_publishes_fossils_port_alone():
    (file,) = documents("compose.yaml")
    services = file["services"]
    assert services["fossil"]["ports"] == [f"{PORT}:{PORT}"] and "ports" not in services["exthost"]
    assert services["fossil"]["build"]["target"] == "relay-only"
    assert "target" not in services["exthost"]["build"]
