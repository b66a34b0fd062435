"""exthost and those that it is measured beside: each with two processes, and its log in a file.

Each is configured as its manual tells and as Debian's package has it, but for what all have in
common: where it listens, how many processes it has, where its log is.
"""

import os
import pathlib
import shutil
import socket
import subprocess

from nginx import Contestant
from support.demo import Trouble
from support.waiting import free_port, listens

WORKERS = 2
APPS = pathlib.Path(__file__).resolve().parent / "apps"
PACKAGES = ("nginx-light", "wrk", "uwsgi-core", "uwsgi-plugin-python3", "gunicorn", "python3-flask",
            "php-fpm", "libapache2-mod-rivet", "apache2-bin", "fcgiwrap", "libfcgi0ldbl",
            "python3", "tcl8.6")

FPM = """
[global]
daemonize = no
error_log = {folder}/{name}-error.log
[bench]
listen = {at}
pm = static
pm.max_children = {workers}
access.log = {folder}/{name}-access.log
"""
APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/{name}.pid
ErrorLog {folder}/{name}-error.log
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule rivet_module {modules}/mod_rivet.so
{user}
StartServers {workers}
MinSpareServers 1
MaxSpareServers {workers}
ServerLimit {workers}
MaxRequestWorkers {workers}
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
CustomLog {folder}/{name}-access.log common
TypesConfig /etc/mime.types
AddType application/x-httpd-rivet .rvt
Alias /{name}/ {apps}/
LoadModule alias_module {modules}/mod_alias.so
<Directory {apps}>
    Require all granted
</Directory>
"""


def copy(demo, name):
    """Copy an application's file to the directory from which all contestants serve; its path."""
    target = demo.folder / "apps" / name
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        shutil.copy(APPS / name, target)
        target.chmod(0o755)
    return target


def is_served(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


def start(demo, name, *command, at):
    """A program whose standard error is its log, ready when it listens at a unix socket."""
    log = f"{name}.log"
    if not pathlib.Path(command[0]).exists():
        raise Trouble(f"no {command[0]}: .ci/deps bench installs it")
    program = demo.start(*command, log=log)
    demo.wait_ready(program, name, log, lambda: is_served(at))
    return program


def exthost(demo, name, file, *options, kept=False):
    """An app with a socket of its own."""
    at = demo.folder / f"{name}.sock"
    program = demo.start(demo.bin / "exthost", "serve", "--app", copy(demo, file), "--listen",
                         f"unix:{at}", "--workers", WORKERS, *options, log=f"{name}.log")
    demo.wait_ready(program, "exthost", f"{name}.log", lambda: " ready" in demo.log(f"{name}.log"))
    return Contestant(name, program, f"unix:{at}", kept=kept)


def exthost_root(demo, name, file):
    """The host with that directory as extension root: the file is one of several."""
    at = demo.folder / f"{name}.sock"
    page = copy(demo, file)
    program = demo.start(demo.bin / "exthost", "serve", "--root", page.parent, "--listen",
                         f"unix:{at}", "--prefix", f"/{name}", "--workers", WORKERS,
                         "--min-workers", WORKERS, log=f"{name}.log")
    demo.wait_ready(program, "exthost", f"{name}.log", lambda: " ready" in demo.log(f"{name}.log"))
    return Contestant(name, program, f"unix:{at}", page=file)


def uwsgi(demo, name, file, kept=False):
    at = demo.folder / f"{name}.sock"
    program = start(demo, name, "/usr/bin/uwsgi", "--plugin", "python3", "--fastcgi-socket", at,
                    "--wsgi-file", copy(demo, file), "--processes", WORKERS, "--master",
                    "--die-on-term", at=at)
    return Contestant(name, program, f"unix:{at}", kept=kept)


def gunicorn(demo, name, file):
    at = demo.folder / f"{name}.sock"
    source = copy(demo, file)
    module = source.with_suffix(".py")
    if not module.is_symlink():
        module.symlink_to(source.name)
    program = start(demo, name, "/usr/bin/gunicorn", "--workers", WORKERS, "--bind", f"unix:{at}",
                    "--access-logfile", demo.folder / f"{name}-access.log", "--chdir",
                    source.parent, f"{module.stem}:application", at=at)
    return Contestant(name, program, f"http://unix:{at}", http=True)


def php(demo, name, file, kept=False):
    programs = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))
    at = demo.folder / f"{name}.sock"
    configuration = demo.folder / f"{name}.conf"
    configuration.write_text(FPM.format(folder=demo.folder, name=name, at=at, workers=WORKERS))
    program = start(demo, name, programs[-1] if programs else "/usr/sbin/php-fpm",
                    "--nodaemonize", *(["--allow-to-run-as-root"] * (os.geteuid() == 0)),
                    "--fpm-config", configuration, at=at)
    return Contestant(name, program, f"unix:{at}", script=copy(demo, file), kept=kept)


def rivet(demo, name, file):
    """Apache with Rivet. It speaks HTTP at a port only: nginx is a proxy for it."""
    port = free_port()
    configuration = demo.folder / f"{name}.conf"
    page = copy(demo, file)
    configuration.write_text(APACHE.format(
        folder=demo.folder, name=name, port=port, apps=page.parent, workers=WORKERS,
        modules="/usr/lib/apache2/modules",
        user="User www-data\nGroup www-data" if os.geteuid() == 0 else ""))
    program = demo.start("/usr/sbin/apache2", "-D", "FOREGROUND", "-f", configuration,
                         log=f"{name}.log")
    demo.wait_ready(program, name, f"{name}.log", lambda: listens(port))
    return Contestant(name, program, f"http://127.0.0.1:{port}", page=file, http=True)


def fcgiwrap(demo, name, file):
    """
    It has no log of requests, and it never waits for the programs that it runs, so that nobody
    knows what they have used.
    """
    at = demo.folder / f"{name}.sock"
    program = start(demo, name, "/usr/sbin/fcgiwrap", "-c", WORKERS, "-s", f"unix:{at}", at=at)
    return Contestant(name, program, f"unix:{at}", script=copy(demo, file), counts=False)


def libfcgi(demo, name, source):
    """A program in C, whose processes share a socket that a small parent has opened for them."""
    at = demo.folder / f"{name}.sock"
    binary = demo.folder / name
    subprocess.run(["gcc", "-O2", "-o", binary, APPS / source, "-lfcgi"], check=True)
    program = start(demo, name, "/usr/bin/python3", APPS / "share_socket.py", at, WORKERS, binary,
                    at=at)
    return Contestant(name, program, f"unix:{at}")


def versions(demo):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES],
                           capture_output=True, text=True, check=False).stdout
    own = subprocess.run([demo.bin / "exthost", "version"], capture_output=True, text=True,
                         check=False).stdout
    return [own.split("\n", 1)[0]] + found.split("\n")[:-1]
