"""What is in the image: usage: sbom.py ROOT BUILD EPOCH BILL

Writes the file BILL (SPDX 2.3), and into ROOT the licence of each package that a file or a linked
archive comes from. Which package that is, dpkg says.
"""

import datetime
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
DOC = "usr/share/doc"


def owners(paths):
    """{path: package} of those paths that dpkg knows, in one of the two places of a merged /usr."""
    names = {}
    for path in paths:
        names[str(path)] = str(path)
        if str(path).startswith("/usr/lib"):
            names[str(path)[4:]] = str(path)
    found = {}
    listed = sorted(names)
    for start in range(0, len(listed), 500):
        done = subprocess.run(["dpkg-query", "-S", *listed[start:start + 500]], check=False,
                              capture_output=True, text=True)
        for line in done.stdout.splitlines():
            package, _, path = line.rpartition(": ")
            if path in names:
                found[names[path]] = package.split(",")[0].partition(":")[0]
    return found


def cached(build, name):
    return re.search(rf"^{name}:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M)[1]


def linked_archives(root, build):
    """The archives of other projects in exthost, if it is there, and in the relay."""
    found = set()
    if (root / "usr/bin/exthost").exists():
        found = set(re.findall(r"(?<=[ =])/usr/\S+\.a\b", (build / "build.ninja").read_text()))
    specs = Path(cached(build, "EXTHOST_MUSL_SPECS"))
    libc = specs.parent / "libc.a"
    if not specs.is_file():
        libc = subprocess.run([cached(build, "CMAKE_C_COMPILER"), "-print-file-name=libc.a"],
                              check=True, capture_output=True, text=True).stdout.strip()
    return sorted(str(Path(path).resolve()) for path in found | {libc})


def sources(root, build):
    """{path on this machine: path in the image} of all that was copied."""
    result = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            inside = "/" + str(path.relative_to(root))
            result[inside] = inside
    # The image's Fossil was copied from EXTHOST_FOSSIL, which need not be Debian's.
    result.pop("/usr/bin/fossil", None)
    result[cached(build, "EXTHOST_FOSSIL")] = "/usr/bin/fossil"
    for archive in root.glob("usr/lib/python3*.zip"):
        library = re.sub(r"python3(\d+)\.zip$", r"python3.\1", "/" + str(archive.relative_to(root)))
        for name in ("os.py", "json/__init__.py", "asyncio/base_events.py"):
            result[f"{library}/{name}"] = "/" + str(archive.relative_to(root))
    return result


def describe(package):
    fields = ("Version", "Architecture", "source:Package", "source:Version", "Maintainer",
              "Homepage")
    line = "\\t".join("${%s}" % field for field in fields)
    # Of several architectures, the first is this machine's.
    done = subprocess.run(["dpkg-query", "-W", "-f", line + "\\n", package], check=True,
                          capture_output=True, text=True)
    return dict(zip(fields, done.stdout.splitlines()[0].split("\t")))


def copyright_of(package):
    path = Path("/usr/share/doc", package, "copyright")
    return path.read_text(errors="replace") if path.exists() else ""


def version_of_fossil(root):
    """What it says itself, where it can be run."""
    done = subprocess.run([root / "usr/bin/fossil", "version"], check=False, capture_output=True,
                          text=True)
    told = re.search(r"version (\S+)", done.stdout)
    return told[1] if told else "NOASSERTION"


def put_licences(root, texts):
    """One file for each package; those of one text are links to the first."""
    first = {}
    for package, text in sorted(texts.items()):
        folder = root / DOC / package
        folder.mkdir(parents=True, exist_ok=True)
        if text in first:
            (folder / "copyright").symlink_to(f"../{first[text]}/copyright")
        else:
            first[text] = package
            (folder / "copyright").write_text(text)
    common = set(re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", "".join(texts.values())))
    for name in sorted(common):
        source = Path("/usr/share/common-licenses", name)
        if source.exists():
            target = root / "usr/share/common-licenses" / source.resolve().name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            # The newest of its kind: GPL is a link to GPL-3.
            if source.is_symlink():
                target.with_name(name).symlink_to(target.name)


def spdx_id(name):
    return re.sub(r"[^A-Za-z0-9.-]", "-", name)


def package_entry(name, about):
    version = about.get("Version", "NOASSERTION")
    entry = {
        "SPDXID": f"SPDXRef-Package-{spdx_id(name)}", "name": name, "versionInfo": version,
        "supplier": f"Organization: {about['Maintainer'].partition(' <')[0]}"
                    if "Maintainer" in about else "NOASSERTION",
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",
        "licenseDeclared": f"LicenseRef-{spdx_id(name)}",
    }
    if about.get("Homepage"):
        entry["homepage"] = about["Homepage"]
    if "source:Package" in about:
        entry["sourceInfo"] = f"built from {about['source:Package']} {about['source:Version']}"
        entry["externalRefs"] = [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{name}@{version}?arch={about['Architecture']}"}]
    return entry


def program_entries(root):
    for path in sorted((root / "usr/bin").iterdir()):
        if not path.is_symlink():
            yield {"SPDXID": f"SPDXRef-File-{path.name}", "fileName": f"./usr/bin/{path.name}",
                   "fileTypes": ["BINARY"], "licenseConcluded": "NOASSERTION",
                   "licenseInfoInFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION",
                   "checksums": [{"algorithm": algorithm, "checksumValue":
                                  hashlib.new(algorithm, path.read_bytes()).hexdigest()}
                                 for algorithm in ("SHA1", "SHA256")]}


def main(root, build, epoch, bill):
    root, build = Path(root), Path(build)
    copied = owners(sources(root, build))
    linked = owners(linked_archives(root, build))
    packages = sorted(set(copied.values()) | set(linked.values()) | {"ca-certificates"})
    own = {"exthost": {"Maintainer": "exthost"}}
    if cached(build, "EXTHOST_FOSSIL") not in copied:
        own["fossil"] = {"Version": version_of_fossil(root)}
    about = {name: describe(name) for name in packages} | own
    # The licence of another Fossil is that of Debian's.
    texts = {name: copyright_of(name) for name in {*packages, "fossil"}}
    texts["exthost"] = (SOURCE / "LICENSE").read_text()
    put_licences(root, texts)

    version = cached(build, "CMAKE_PROJECT_VERSION")
    entries = [package_entry(name, about[name]) for name in sorted(about)]
    for entry in entries:
        if entry["name"] == "exthost":
            entry |= {"versionInfo": version, "licenseDeclared": "BSD-2-Clause"}
        elif not texts.get(entry["name"]):
            entry["licenseDeclared"] = "NOASSERTION"
    image = package_entry("exthost-image", {}) | {
        "versionInfo": version, "licenseDeclared": "NOASSERTION"}
    files = list(program_entries(root))
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", image["SPDXID"])]
    relations += [(image["SPDXID"], "CONTAINS", each["SPDXID"]) for each in entries + files]
    relations += [("SPDXRef-Package-exthost", "STATIC_LINK", f"SPDXRef-Package-{spdx_id(name)}")
                  for name in sorted(set(linked.values()))]
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"exthost-image-{version}",
        "creationInfo": {
            "creators": [f"Tool: exthost-sbom-{version}"],
            "created": datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc).strftime(
                "%Y-%m-%dT%H:%M:%SZ")},
        "packages": [image, *entries], "files": files,
        "hasExtractedLicensingInfos": [
            {"licenseId": f"LicenseRef-{spdx_id(name)}", "name": f"the licences of {name}",
             "extractedText": text}
            for name, text in sorted(texts.items()) if text and name != "exthost"],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"https://exthost.invalid/spdx/{digest}"
    Path(bill).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
