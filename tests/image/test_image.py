"""The image as it is, and as it runs: by podman, or the same root file system in new namespaces."""

import datetime
import json
import os
import stat
import subprocess
import tarfile
import time
import zoneinfo

import pytest

import image
from image import ARCHIVE, HERE, ROOT, UID, Site, run, wait_ready
from support import web
from support.fastcgi import request
from support.waiting import free_port, wait_for

MEGABYTE = 1 << 20
PROGRAMS = {"usr/bin/fossil", "usr/bin/exthost", "usr/bin/exthost-cgi"}
TOOLS = """sh bash dash ash zsh ksh csh tcsh fish busybox toybox coreutils ls cat cp mv rm ln mkdir
touch chmod chown chroot dd df du echo printf head tail sort tr cut tee wc id whoami uname hostname
date sleep kill ps top mount umount su sudo login passwd useradd find xargs grep sed awk gawk mawk
perl python python2 python3.11 ruby lua node php tclsh8.6 wish expect java gcc cc as ld make gdb
strace vi vim nano ed less more man tar gzip bzip2 xz zip unzip curl wget nc ncat netcat socat
telnet ssh scp sftp ftp rsync git svn hg apt dpkg rpm apk pip crontab at nohup setsid timeout
unshare nsenter ip ping openssl sqlite3 ldd ldconfig strings od hexdump base64""".split()


def regular_files():
    for path in sorted(ROOT.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(ROOT)), path


# What is in it.

def test_only_three_programs_are_in_it():
    """By two names more: those by which an extension starts an interpreter are links of exthost."""
    programs, executable, links = set(), set(), set()
    exthost = (ROOT / "usr/bin/exthost").stat().st_ino
    for name, path in regular_files():
        if path.stat().st_ino == exthost and name != "usr/bin/exthost":
            links.add(name)
            continue
        with open(path, "rb") as file:
            head = file.read(18)
        # An ELF file of type 2 or 3, and no shared object by its name; or a script.
        if head[:4] == b"\x7fELF" and ".so" not in path.name or head[:2] == b"#!":
            programs.add(name)
        if path.stat().st_mode & 0o111:
            executable.add(name)
    assert programs == PROGRAMS
    assert links == {"usr/lib/exthost/bin/python3", "usr/lib/exthost/bin/tclsh"}
    # The kernel starts no program whose loader is not executable too.
    assert {name for name in executable if "/ld-linux" not in name} == PROGRAMS


def test_the_root_file_system_and_the_image_are_small():
    # A hard link takes no blocks of its own.
    files = {path.lstat().st_ino: path.lstat().st_blocks for path in ROOT.rglob("*")}
    blocks = sum(files.values()) * 512
    compressed = ARCHIVE.stat().st_size
    print(f"root file system {blocks / MEGABYTE:.1f} MB, compressed {compressed / MEGABYTE:.1f} MB")
    assert blocks <= 40 * MEGABYTE
    assert compressed <= 15 * MEGABYTE


def test_no_library_that_a_program_needs_is_missing_and_none_is_there_that_nothing_needs():
    needed, present = {"libgcc_s.so.1"}, set()
    for name, path in regular_files():
        with open(path, "rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        out = subprocess.run(["readelf", "-d", str(path)], check=True, capture_output=True,
                             text=True).stdout
        needed |= {line.split("[")[1].rstrip("]") for line in out.splitlines()
                   if "(NEEDED)" in line}
    for path in ROOT.glob("usr/lib/*-linux-gnu/*.so*"):
        present.add(path.name)
    assert needed - present == set()
    links = {os.readlink(path) for path in ROOT.glob("usr/lib/*-linux-gnu/*.so*")
             if path.is_symlink()}
    assert present - needed - links == set()


@pytest.mark.parametrize("name, mode, owner", [
    ("museum", 0o750, UID), ("log", 0o755, UID), ("tmp", 0o1777, 0), ("ext", 0o755, 0),
    ("run/exthost", 0o755, UID), ("etc/passwd", 0o644, 0)])
def test_a_folder_has_its_owner_and_mode(name, mode, owner):
    status = (ROOT / name).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, owner, owner)


def test_nothing_is_setuid_or_may_be_written_by_others():
    for path in ROOT.rglob("*"):
        mode = path.lstat().st_mode
        assert mode & 0o6000 == 0, path
        assert path.is_symlink() or mode & 0o002 == 0 or path == ROOT / "tmp", path


def test_the_bill_of_materials_names_what_is_inside_and_every_licence_is_there():
    bill = json.loads((ARCHIVE.parent / "sbom.spdx.json").read_text())
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0"
    names = {package["name"] for package in bill["packages"]}
    assert {"exthost", "libc6", "libssl3", "tcllib", "tzdata", "ca-certificates"} <= names
    for package in bill["packages"]:
        if package["licenseDeclared"] != "NOASSERTION":
            assert (
                ROOT / "usr/share/doc" / package["name"] / "copyright").exists(), package["name"]
    ids = {each["SPDXID"] for each in [*bill["packages"], *bill["files"]]} | {"SPDXRef-DOCUMENT"}
    for relation in bill["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= ids


def test_the_archive_is_one_layer_that_starts_exthost_as_the_user_fossil():
    with tarfile.open(ARCHIVE) as tar:
        def read(descriptor):
            return json.load(tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/")))
        manifest = read(json.load(tar.extractfile("index.json"))["manifests"][0])
        config = read(manifest["config"])["config"]
    assert len(manifest["layers"]) == 1
    assert config["Entrypoint"] == ["/usr/bin/exthost", "serve"]
    assert config["User"] == f"{UID}:{UID}"


# The interpreters.

def test_every_module_of_the_standard_library_that_is_there_loads():
    code = """
import pkgutil, sys, importlib, zipfile
failed = []
tried = 0
library = zipfile.ZipFile(f"/usr/lib/python{sys.version_info[0]}{sys.version_info[1]}.zip")
names = sorted({n.filename[:-4].removesuffix("/__init__").replace("/", ".")
                for n in library.infolist()})
import os
compiled = f"/usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}/lib-dynload"
names += [n.partition(".")[0] for n in os.listdir(compiled)]
for name in names:
    if ("__main__" in name or name in ("antigravity", "this") or "win32" in name
            or "windows" in name):
        continue
    tried += 1
    try:
        importlib.import_module(name)
    except BaseException as e:
        failed.append(f"{name}: {e!r}")
print(tried, *failed, sep="\\n")
"""
    done = run(["/usr/bin/python3", "-c", code], timeout=60)
    assert done.returncode == 0, done.stderr
    tried, *failed = done.stdout.splitlines()
    assert int(tried) > 400
    # Those of another system, and what a module in C would make faster.
    other = ("_winapi", "_overlapped", "msvcrt", "winreg", "nt'", "_aix", "_scproxy",
             "_gdbm", "_dbm",
             "_curses", "mbcs", "oem", "readline", "_tkinter", "tkinter", "curses", "test")
    assert [line for line in failed if not any(word in line for word in other)] == []


def test_every_package_of_tcllib_that_loads_outside_loads_inside():
    code = """
package require struct::list
set failed {}
catch {package require nosuch}
set tcllib {}
foreach name [lsort [package names]] {
    if {[string match -nocase *tk* $name] || $name in {Tk tcltest}} continue
    foreach version [package versions $name] {
        if {[string match */tcllib* [package ifneeded $name $version]]} {lappend tcllib $name}
    }
    set child [interp create]
    if {[catch {$child eval [list package require $name]} message]} {lappend failed $name}
    interp delete $child
}
puts $tcllib
puts $failed
"""
    inside = run(["/usr/bin/exthost", "python", "-c", f"""
import subprocess, sys
print(subprocess.run(["/usr/bin/tclsh"], input={code!r}, text=True, capture_output=True).stdout)
"""], timeout=120)
    outside = subprocess.run(["/usr/bin/tclsh"], input=code, text=True,
                             capture_output=True, check=True)
    there, failed = (line.split() for line in inside.stdout.split("\n")[:2])
    there_outside, failed_outside = (line.split() for line in outside.stdout.split("\n")[:2])
    assert len(there) > 250
    # oauth needs tls, which may be installed outside. exthost's own directory is on no path of a
    # second interpreter.
    assert set(failed) - set(failed_outside) <= {"oauth", "exthost"}

    # image.tcl says why these are left out.
    left_out = ("bench", "practcl", "page", "pt::", "paramgen", "char", "text::write",
                "configuration",
                "grammar::fa", "grammar::me", "grammar::peg", "doctools", "doc", "dtplite", "mkdoc",
                "term", "ftpd", "pop3d", "smtpd", "httpd", "nameserv", "ident", "canvas",
                "map::slippy")
    assert [name for name in set(there_outside) - set(there) if not name.startswith(left_out)] == []


def test_time_zones_and_certificates_are_there():
    done = run(["/usr/bin/python3", "-c",
                "import ssl, zoneinfo, datetime; "
                "print(zoneinfo.ZoneInfo('Europe/Berlin').utcoffset("
                "datetime.datetime(2024, 7, 1)), len(ssl.create_default_context().get_ca_certs()) "
                "> 50)"])
    assert done.stdout == "2:00:00 True\n", done
    done = run(["/usr/bin/exthost", "request", "/z.tcl", "--root", "/ext"])
    assert done.returncode == 1  # there is no such extension; the interpreter starts


def test_every_time_zone_is_there_and_alike_since_1970():
    def offsets(folder):
        zoneinfo.reset_tzpath([str(folder)])
        zoneinfo.ZoneInfo.clear_cache()
        return {name: [zoneinfo.ZoneInfo(name).utcoffset(datetime.datetime(year, month, 15))
                       for year in range(1970, 2040) for month in (1, 4, 7, 10)]
                for name in zoneinfo.available_timezones()}
    inside = offsets(ROOT / "usr/share/zoneinfo")
    assert len(inside) > 550
    assert inside == offsets("/usr/share/zoneinfo")


def test_a_traceback_out_of_the_library_shows_file_and_line():
    done = run(["/usr/bin/python3", "-c", "import json; json.loads('{')"])
    assert done.returncode == 1
    assert "/json/decoder.py\", line " in done.stderr


@pytest.mark.parametrize("argv, output", [
    (["/usr/bin/python3", "-c", "print(6 * 7)"], "42\n"),
    (["/usr/bin/env", "python3", "-c", "print(6 * 7)"], "42\n"),
    (["/usr/bin/env", "-S", "A=1 python3 -u -c", "import os; print(os.environ['A'])"], "1\n")])
def test_a_link_is_the_interpreter(argv, output):
    assert run(argv).stdout == output


def test_env_starts_nothing_else():
    done = run(["/usr/bin/env", "fossil", "version"])
    assert done.returncode == 127
    assert done.stderr.strip() == "exthost: env: 'fossil' is no interpreter that exthost carries"


# Fossil and the host in it.

FIRST_LINES = {"python3.py": "#!/usr/bin/python3", "python3-u.py": "#!/usr/bin/python3 -u",
               "env.py": "#!/usr/bin/env python3", "env-s.py": "#!/usr/bin/env -S python3 -u",
               "relay.py": "#!/usr/bin/exthost-cgi python", "tclsh.tcl": "#!/usr/bin/tclsh",
               "wapptclsh.tcl": "#!/usr/bin/wapptclsh", "env.tcl": "#!/usr/bin/env tclsh",
               "relay.tcl": "#!/usr/bin/exthost-cgi tcl",
               # As where exthost was installed by `make install`.
               "local.py": "#!/usr/local/bin/exthost-cgi python",
               "local.tcl": "#!/usr/local/bin/tclsh"}
BODY = {".py": 'import os, sys\nprint("Content-Type: application/json\\n\\nparent", os.getppid(),'
               ' len(sys.stdin.read()))\n',
        ".tcl": 'puts "Content-Type: application/json\\n\\nparent [string length [read stdin]]"\n'}


@pytest.fixture(scope="module")
def site():
    made = Site(free_port())
    for name, first in FIRST_LINES.items():
        (made.ext / name).write_text(first + "\n" + BODY[os.path.splitext(name)[1]])
    (made.ext / "self.py").write_text("""#!/usr/bin/python3
import os, subprocess, sys
again = ["again"] if "more" in os.environ["QUERY_STRING"] else []
done = subprocess.run(["/usr/bin/python3", __file__, *again],
                      stdin=subprocess.DEVNULL, capture_output=True,
                      text=True, env=dict(os.environ, DEPTH=os.environ.get("DEPTH", "") + "x")
                      ) if len(os.environ.get("DEPTH", "")) < 2 else None
print("Content-Type: application/json\\n")
print(os.environ.get("DEPTH", "-"))
if done:
    print(done.stdout.split("\\n\\n")[-1], done.stderr)
""")
    for name in ("adversary.py", "adversary.tcl"):
        (made.ext / name).write_text((HERE / name).read_text())
    for path in made.ext.iterdir():
        path.chmod(0o755)
    try:
        made.start_fossil()
        made.host = made.start_host()
        wait_ready(made.host)
        yield made
    finally:
        made.stop()


def get(site, target, method="GET", headers=(), body=None):
    return web.request(site.port, method, "/ext" + target, headers, body, 60)


@pytest.mark.parametrize("name", FIRST_LINES)
def test_a_script_with_its_usual_first_line_is_relayed(site, name):
    since = len(site.host.log())
    reply = get(site, "/" + name, "POST", [("Content-Type", "application/octet-stream")], b"12345")
    assert reply.status == 200 and reply.text.startswith("parent"), reply
    assert reply.text.split()[-1] == "5"
    wait_for(lambda: any(f"/{name} status=200" in line for line in site.host.log()[since:]),
             "the log")


def test_an_extension_that_starts_itself_by_a_links_name_is_not_asked_for_again(site):
    since = len(site.host.log())
    reply = get(site, "/self.py")
    assert reply.status == 200 and reply.text.split() == ["-", "x", "xx"], reply
    assert len([line for line in site.host.log()[since:] if "GET /ext/self.py" in line]) <= 1


def test_an_adversary_finds_nothing_to_start(site):
    assert len(TOOLS) >= 100
    for script in ("adversary.py", "adversary.tcl"):
        for at in range(0, len(TOOLS), 25):
            reply = get(site, f"/{script}?" + "+".join(TOOLS[at:at + 25]))
            assert (reply.status, reply.text.split("\n", 1)[0]) == (200, "end"), reply


def test_nothing_that_is_written_there_can_be_started(site):
    """By itself, or by the loader, which is a program too."""
    script = site.ext / "written.py"
    script.write_text("""#!/usr/bin/python3
import glob, os, shutil, subprocess
print("Content-Type: application/json\\n")
tried = []
for place in ("/tmp", "/", "/usr/bin", "/ext", "/dev", "/dev/shm", "/run", "/run/exthost",
              "/var/tmp", "/museum"):
    for program in ("/usr/bin/exthost-cgi", "/usr/bin/fossil"):
        try:
            shutil.copyfile(program, place + "/x")
            os.chmod(place + "/x", 0o755)
        except OSError:
            continue
        tried.append(place)
        for command in ([place + "/x"], [*glob.glob("/lib64/ld-linux*"), place + "/x"]):
            try:
                done = subprocess.run([*command, "version"], capture_output=True)
                if done.returncode not in (126, 127):
                    print(command, done)
            except OSError:
                pass
        os.unlink(place + "/x")
print("tried", *tried)
""")
    script.chmod(0o755)
    *started, tried = get(site, "/written.py").text.splitlines()
    assert started == []
    assert {"/tmp", "/museum"} <= set(tried.split())


def first_answer():
    """
    Seconds from the start of the container's first process, else from the command that starts it.
    """
    site = Site(free_port())
    (site.ext / "hello.py").write_text(
        "#!/usr/bin/python3\nprint('Content-Type: application/json\\n\\nhello')\n")
    (site.ext / "hello.py").chmod(0o755)
    socket = f"{site.folder}/run/exthost.sock"
    variables = {"SCRIPT_NAME": "/ext/hello.py", "SCRIPT_FILENAME": "/ext/hello.py",
                 "PATH_INFO": "",
                 "DOCUMENT_ROOT": "/ext", "REQUEST_URI": "/ext/hello.py"}
    try:
        host = site.start_host()

        def answered():
            try:
                return request(socket, "GET", "/ext/hello.py", (), b"", 5,
                               **variables).reply().status == 200
            except OSError:
                assert host.running(), host.log()
                return False
        wait_for(answered, "an answer", 60)
        seconds = time.monotonic() - host.since
        print(f"from the command that starts it to the first answer: {seconds:.3f} s")
        begun = image.begun(host)
        if begun:
            seconds = time.time() - begun - (time.monotonic() - host.since - seconds)
            print(f"of that, from the start of the container's first process: {seconds:.3f} s")
        return seconds
    finally:
        site.stop()


def test_the_first_request_is_answered_half_a_second_after_the_start():
    # A machine that is busy with something else makes it later, and nothing makes it earlier.
    assert any(first_answer() <= 0.5 for _ in range(6))


def test_what_is_tested_of_exthost_under_fossil_holds_inside():
    """
    That suite again, without what it shows of plain CGI programs, and of what a script starts: that
    needs programs that are not in the image.
    """
    shelter = image.Shelter()
    suite = HERE.parent / "integration" / "fossil" / "test_under_fossil.py"
    try:
        done = subprocess.run(
            ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite),
             "-k", "not plain and not names_an_interpreter and not or_what_it_starts"],
            env=dict(os.environ, EXTHOST_INSIDE=str(shelter.pid), EXTHOST_BUILD="/usr"),
            check=False,
            capture_output=True, text=True, timeout=300)
    finally:
        shelter.stop()
    print("in the root file system, in a namespace of its own:", done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout[-6000:]
