"""What is measured: the rows, who takes part in each, and what is to be reached.

The first contestant of a row is the one whose goals these are.
"""

import pathlib
import sqlite3
import subprocess
from dataclasses import dataclass

import peers

UP = 1 << 20
DOWN = 10 << 20


@dataclass
class Row:
    title: str
    contestants: tuple  # functions: of a demo, a contestant
    goals: tuple        # (figure, name of the other, least or most of its figure)
    clients: int = 8
    body: int = 0       # bytes; GET without
    text: str = "hello"
    size: int = 0       # of the reply, where it is no text
    longer: int = 1  # so many times the seconds of other rows
    straight: bool = False  # no nginx: kept-alive FastCGI connections
    prepare: object = None  # what is to be there beside the application: a function of a demo
    settles: tuple = ()     # contestants that load modules ahead once they see which


def make_page(demo):
    """The template and the database beside the page."""
    peers.copy(demo, "page.html")
    with sqlite3.connect(demo.folder / "apps" / "page.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, title, author)")
        database.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?)",
                             [(n, f"Entry <{n}> & more", f"author {n % 7}") for n in range(200)])


def make_large(demo):
    target = demo.folder / "apps" / "large"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(bytes(range(256)) * (DOWN // 256))


def make_client(demo):
    source = pathlib.Path(__file__).resolve().parent / "kept.c"
    subprocess.run(["gcc", "-O2", "-o", demo.folder / "kept", source], check=True)


def own(file, *options, name="own", kept=False):
    return lambda demo: peers.exthost(demo, name, file, *options, kept=kept)


def root(file, name="shared"):
    return lambda demo: peers.exthost_root(demo, name, file)


def uwsgi(file, kept=False):
    return lambda demo: peers.uwsgi(demo, "uwsgi", file, kept)


ROWS = {
    "hello": Row(
        "WSGI hello, a new connection for each request",
        (own("hello.wsgi"), root("hello.wsgi"), uwsgi("hello.wsgi"),
         lambda demo: peers.libfcgi(demo, "libfcgi", "hello_fcgi.c")),
        (("rate", "own", "uwsgi", 1.10), ("cpu", "own", "uwsgi", 0.7),
         ("rate", "own", "libfcgi", 1.0), ("rate", "shared", "libfcgi", 1.0))),
    "rerun": Row(
        "The same CGI script by rerun on its own socket, and as a CGI run through the front",
        (own("hello.py", "--mode", "rerun", name="rerun"), root("hello.py", "cgi"),
         uwsgi("hello.wsgi")),
        (("rate", "rerun", "cgi", 10), ("rate", "rerun", "uwsgi", 0.6)), settles=("cgi",)),
    "kept": Row(
        "WSGI hello, kept-alive connections",
        (own("hello.wsgi", kept=True), uwsgi("hello.wsgi", kept=True),
         lambda demo: peers.php(demo, "php", "hello.php", kept=True)),
        (("rate", "own", "uwsgi", 1.10), ("rate", "own", "php", 1.10))),
    "starvation": Row(
        "WSGI hello, kept-alive connections straight to the servers, two processes",
        (own("hello.wsgi"), lambda demo: peers.php(demo, "php", "hello.php")),
        (("unanswered", "own", None, 0), ("max", "own", None, 500)), clients=64, straight=True,
        prepare=make_client),
    "fairness": Row(
        "WSGI that sleeps 5 ms, kept-alive connections straight: in turn, each waits 160 ms",
        (own("slow.wsgi"), lambda demo: peers.php(demo, "php", "slow.php")),
        (("unanswered", "own", None, 0), ("max", "own", None, 500)), clients=64, straight=True,
        prepare=make_client),
    "balance": Row(
        "WSGI that sleeps 5 ms, kept-alive connections: 400 a second if both processes have work",
        (own("slow.wsgi", kept=True), uwsgi("slow.wsgi", kept=True)),
        (("rate", "own", "uwsgi", 0.95),)),
    "flask": Row(
        "A Flask page with a template and an SQLite query",
        (own("page.wsgi"), uwsgi("page.wsgi"),
         lambda demo: peers.gunicorn(demo, "gunicorn", "page.wsgi")),
        (("rate", "own", "uwsgi", 1.0), ("rate", "own", "gunicorn", 1.2)), prepare=make_page),
    "up": Row(
        "1 MiB up", (own("bodies.wsgi"), uwsgi("bodies.wsgi")),
        (("rate", "own", "uwsgi", 1.0),), body=UP, text=f"{UP}\n", clients=4),
    "down": Row(
        "10 MiB down, by wsgi.file_wrapper", (own("bodies.wsgi"), uwsgi("bodies.wsgi")),
        (("rate", "own", "uwsgi", 1.0),), size=DOWN, clients=4, prepare=make_large),
    "tcl": Row(
        "Tcl hello, a new connection for each request",
        (own("hello.tcl"), lambda demo: peers.rivet(demo, "rivet", "hello.rvt")),
        (("rate", "own", "rivet", 1.3),)),
    "imports": Row(
        "A CGI script with json, html, sqlite3, urllib.parse, datetime",
        (root("imports.py", "cgi"), lambda demo: peers.fcgiwrap(demo, "fcgiwrap", "imports.py")),
        (("rate", "cgi", "fcgiwrap", 10),), settles=("cgi",), clients=4,
        longer=3),
}
