"""
What compose.yaml and kubernetes.yaml say, as containers. A word in them that is not known here
fails the test, so that nothing stands there that was not looked at.
"""

import os
import re
import subprocess
from pathlib import Path

import yaml

from containers import REPOSITORY, UID, Container, volume

FOLDER = REPOSITORY / "host" / "image"

_SERVICE = {"image", "build", "ports", "volumes", "user", "read_only", "tmpfs", "cap_drop",
            "security_opt",
            "command", "network_mode", "healthcheck", "restart"}
_POD = {"automountServiceAccountToken", "enableServiceLinks", "securityContext",
        "containers", "volumes"}
_POD_CONTEXT = {"runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID, "fsGroup": UID,
                "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER = {"name", "image", "imagePullPolicy", "ports", "args", "volumeMounts",
              "securityContext",
              "readinessProbe", "livenessProbe"}
_CONTEXT = {"readOnlyRootFilesystem", "allowPrivilegeEscalation", "capabilities"}


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def one(parts, kind):
    found = [part for part in parts if part["kind"] == kind]
    assert len(found) == 1, kind
    return found[0]


def from_compose(extensions):
    """{name: Container} of compose.yaml, with EXT=extensions."""
    (file,) = documents("compose.yaml")
    assert set(file) == {"services", "volumes"}
    first = file["services"]["fossil"]
    folders = {}
    for each in first["volumes"]:
        source, target = each.split(":")[:2]
        if source in file["volumes"]:
            folders[source] = volume(source, first["image"], target)
            _mount(folders[source], file["volumes"][source])
    assert set(folders) == set(file["volumes"])
    return {name: _from_service(service, folders, extensions)
            for name, service in file["services"].items()}


def _mount(folder, details):
    """Mount what the volume's driver options name, as the engine does; without options nothing."""
    if details:
        assert set(details) == {"driver_opts"}
        options = details["driver_opts"]
        assert set(options) == {"type", "device", "o"}
        subprocess.run(["mount", "-t", options["type"], "-o", options["o"], options["device"],
                        folder], check=True)


def _from_service(service, folders, extensions):
    assert set(service) <= _SERVICE, set(service) - _SERVICE
    assert set(service["security_opt"]) <= {"no-new-privileges"}
    assert (FOLDER / service["build"]["context"]).resolve() == REPOSITORY
    mounts = []
    for each in service["volumes"]:
        text = re.sub(r"\$\{EXT:-[^}]*\}", str(extensions), each)
        source, target, *mode = text.split(":")
        assert mode in ([], ["ro"])
        mounts.append((folders.get(source, source), target, bool(mode)))
    check = service.get("healthcheck", {}).get("test")
    assert check is None or check[0] == "CMD"
    return Container(
        image=service["image"], arguments=service.get("command"), user=service["user"],
        mounts=mounts,
        tmpfs=service["tmpfs"], read_only=service["read_only"], cap_drop=service["cap_drop"],
        no_new_privileges="no-new-privileges" in service["security_opt"],
        # The host's: that is the test's own network.
        network=service.get("network_mode", "host"), check=check and check[1:])


def from_kubernetes(more_extensions):
    """
    {name: Container} of kubernetes.yaml; more_extensions: {name: text}, to be in its ConfigMap too.
    """
    parts = documents("kubernetes.yaml")
    pod = one(parts, "Deployment")["spec"]["template"]["spec"]
    assert set(pod) == _POD and pod["securityContext"] == _POD_CONTEXT
    folders = {}
    for each in pod["volumes"]:
        name, (sort, details) = each["name"], next(
            item for item in each.items() if item[0] != "name")
        folders[name] = volume(name, "exthost", "/tmp")
        if sort == "configMap":
            _fill(folders[name], one(parts, "ConfigMap"), details, more_extensions)
        else:
            assert sort in ("emptyDir", "persistentVolumeClaim")
            # fsGroup: the directory belongs to the group.
            os.chown(folders[name], 0, UID)
            os.chmod(folders[name], 0o2777 if sort == "emptyDir" else 0o2775)
    return {each["name"]: _from_container(each, folders) for each in pod["containers"]}


def _fill(folder, config_map, details, more):
    """Write files as the kubelet does: NAME -> ..data/NAME, and ..data -> ..1, a directory."""
    assert config_map["metadata"]["name"] == details["name"]
    os.chmod(folder, 0o755)
    (folder / "..1").mkdir()
    (folder / "..data").symlink_to("..1")
    for name, text in (config_map["data"] | more).items():
        file = folder / "..1" / name
        file.write_text(text)
        file.chmod(details["defaultMode"])
        (folder / name).symlink_to(f"..data/{name}")


def _from_container(each, folders):
    context = each["securityContext"]
    assert set(each) <= _CONTAINER and set(context) == _CONTEXT
    assert set(context["capabilities"]) == {"drop"}
    mounts = []
    for mount in each["volumeMounts"]:
        assert set(mount) <= {"name", "mountPath", "readOnly"}
        mounts.append((folders[mount["name"]], mount["mountPath"], mount.get("readOnly", False)))
    check = each["readinessProbe"].get("exec", {}).get("command")
    assert each.get("livenessProbe", {}).get("exec", {}).get("command") == check
    return Container(
        image=each["image"], arguments=each.get("args"), mounts=mounts,
        read_only=context["readOnlyRootFilesystem"], cap_drop=context["capabilities"]["drop"],
        no_new_privileges=not context["allowPrivilegeEscalation"], check=check)


def folders_of(containers):
    """The local directories that were made for these containers."""
    return {Path(source) for container in containers.values() for source, _, _ in container.mounts
            if str(source).startswith("/tmp/xd-")}
