"""
What a block marked with a suite says, and which test of the suite runs the like: for each command
of the block there must be such a test, and the suite must know each of the command's options.
"""

import re
import shlex

import yaml

from support.host import REPOSITORY

# The beginning of a command: (file below tests/, what stands there).
COMMANDS = {
    "check-docker": {
        "docker build": ("docker/build.sh", "build exthost-relay --target relay-only"),
        "docker run": (
            "docker/test_docker.py",
            "def test_the_whole_image_serves_both_languages_in_one_container",
        ),
        "docker logs": ("docker/test_docker.py", "started.wait_line("),
        "docker compose": ("docker/manifests.py", "def from_compose"),
        "kubectl apply": ("docker/manifests.py", "def from_kubernetes"),
        "kubectl port-forward": (
            "docker/test_docker.py",
            "def test_the_clusters_objects_mean_each_other",
        ),
    },
    "check-image": {
        "make image": ("../Makefile", "check-image: image"),
        "podman load": ("image/image.py", "load"),
        "podman run": (
            "image/test_one_container.py",
            "def test_it_serves_with_few_capabilities_on_a_read_only_root_as_the_user_fossil",
        ),
        "podman exec museum exthost status": (
            "image/test_one_container.py",
            "def test_exthost_status_inside_needs_no_option",
        ),
        "podman exec museum python3 --version": (
            "image/test_one_container.py",
            "def test_python3_inside_tells_its_version",
        ),
        "podman exec -i museum tclsh": (
            "image/test_one_container.py",
            "def test_tclsh_inside_reads_a_script_from_standard_input",
        ),
    },
}
# The engine's own, with no bearing on what is in the container.
ENGINES_OWN = {"--name", "-d", "-p", "-t", "-f", "-i", "-v", "--version"}
# To make ready what the test makes by itself.
PREPARES = ("mkdir", "cat", "chmod", "sudo chown", "echo")
SUITES = {"check-docker": "docker", "check-image": "image", "check-fronts": "fronts"}


def check(block, mark):
    """Fails unless the suite behind the mark runs what the block says."""
    makefile = (REPOSITORY / "Makefile").read_text()
    assert re.search(rf"^{mark}:", makefile, re.M), f"{block.place}: no target {mark}"
    directory = REPOSITORY / "tests" / SUITES[mark]
    suite = "\n".join(
        path.read_text() for path in sorted(directory.iterdir()) if path.suffix in (".py", ".sh")
    )
    if block.recipe:
        assert (
            f'recipe("{block.recipe}")' in suite
        ), f"{block.place}: {directory} does not ask for this recipe"
    elif block.language == "sh":
        for command in _commands(block.text):
            _check_command(block, mark, command, suite)
    elif block.language == "dockerfile":
        _check_dockerfile(block)
    elif block.language == "text":
        for line in block.text.splitlines():
            assert line in suite, f"{block.place}: no test of {directory} expects {line!r}"
    else:
        raise AssertionError(f"{block.place}: nothing is known of {block.language} in {mark}")
    if block.language == "yaml":
        assert list(yaml.safe_load_all(block.text)), block.place


def _commands(text):
    """The commands of a shell's text, without here documents; of a pipe its last part."""
    text = re.sub(r"(?ms)(<<'END'\n).*?^END$", r"\1", text).replace("\\\n", " ")
    return [line.rpartition(" | ")[2].strip() for line in text.splitlines() if line.strip()]


def _check_command(block, mark, command, suite):
    command = re.sub(r"^\w+=\S+ ", "", command)
    if command.startswith(PREPARES):
        return
    known = [begin for begin in COMMANDS[mark] if command.startswith(begin)]
    assert len(known) == 1, f"{block.place}: no test of {mark} is known for: {command}"
    name, evidence = COMMANDS[mark][known[0]]
    assert (
        evidence in (REPOSITORY / "tests" / name).read_text()
    ), f"{block.place}: {evidence!r} is not in {name}"
    for word in shlex.split(command):
        option = word.partition("=")[0]
        if option.startswith("-") and option not in ENGINES_OWN:
            assert option in suite, f"{block.place}: {mark} does not know {option}"
        if word.endswith((".yaml", ".yml")):
            assert list(yaml.safe_load_all((REPOSITORY / word).read_text())), word
    forwarded = re.match(r"kubectl port-forward service/(\w+) \d+:(\d+)$", command)
    if forwarded:
        parts = yaml.safe_load_all((REPOSITORY / "host/image/kubernetes.yaml").read_text())
        (service,) = [
            part
            for part in parts
            if part["kind"] == "Service" and part["metadata"]["name"] == forwarded[1]
        ]
        assert int(forwarded[2]) in [port["port"] for port in service["spec"]["ports"]], command


def _check_dockerfile(block):
    """Each line is an instruction, and the suite looks at what is copied."""
    for line in block.text.splitlines():
        assert re.match(
            r"(FROM|COPY|RUN|ENV|USER|ADD|ENTRYPOINT|CMD|ARG|WORKDIR|EXPOSE) \S", line
        ), f"{block.place}: {line}"
        found = re.match(r"COPY --from=(\S+) (\S+) ", line)
        if found:
            source = (REPOSITORY / "tests/docker/test_docker.py").read_text()
            assert f'root_of("{found[1]}") / "{found[2][1:]}"' in source, f"{block.place}: {line}"
