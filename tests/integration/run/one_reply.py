"""
Two users of one extension. What the first one's request does is chosen by `case`; the second one's
pages are known byte for byte, and nothing of the first one's may be in them.

Requests and the test wait for one another by files in a directory; see one_reply_scripts.py.
"""

import concurrent.futures
import contextlib
import itertools

import pytest

from one_reply_scripts import KEPT, PYTHON, SECRET, text_of
from support import fastcgi
from support.host import SUFFIX, Host, put
from support.processes import lives
from support.waiting import wait_for

MODES = ("cgi", "rerun", "app")
# CGI has a process for each request, and no socket of its own.
SETTINGS = [(mode, language, socket) for mode in MODES for language in SUFFIX
            for socket in ("shared", "own") if mode != "cgi" or socket == "shared"]


# What the second user asks for.
SECOND = ("plain", "hold", "after_timer")


def has(mode, language, case):
    """Whether such an extension has this case."""
    text = text_of(mode, language)
    return f"def {case}(" in text or f"proc {case} " in text


def each(*cases):
    """pytest's parameters: all cases in all of SETTINGS that have them."""
    found = [(setting, case) for setting in SETTINGS for case in cases if has(*setting[:2], case)]
    return pytest.mark.parametrize("setting, case", found,
                                   ids=["-".join((*s, c)) for s, c in found])


class Users:
    """
    A host with one extension for each mode and language, at the shared socket and each at a socket
    of its own, with one worker each.
    """

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.sockets = {}
        self._counts = itertools.count(1)
        self.known = {}
        put(self.root, "page.py", PYTHON)
        put(self.root, "kept.py", KEPT)
        conf = ""
        for mode, language, socket in SETTINGS:
            name = f"{mode}{socket}{SUFFIX[language]}"
            put(self.root, name, text_of(mode, language), executable=True)
            if socket == "own":
                self.sockets[mode, language] = f"{folder}/{mode}.{language}"
                conf += (
                    f"[app {mode}-{language}]\nscript = {name}\nworkers = 1\nprefix = /{name}\n"
                    f"listen = unix:{folder}/{mode}.{language}\n")
        path = put(folder, "conf", conf)
        self.host = Host(self.root, "--workers", "1", "--config", str(path))
        wait_for(lambda: len([x for x in self.host.program.log() if "loaded in process" in x])
                 >= len(self.sockets), "the apps with a socket of their own", 60)
        self.open_gate = self.new_folder()
        (self.open_gate / "go").touch()
        for setting in SETTINGS:
            self.at(setting).learn()

    def at(self, setting):
        """A new case of one of SETTINGS."""
        return Site(self, *setting)

    def new_folder(self):
        folder = self.folder / f"at{next(self._counts)}"
        folder.mkdir()
        return folder

    def stop(self):
        self.host.stop()


class Site:
    """One of the extensions, in one of the ways."""

    def __init__(self, users, mode, language, socket):
        self.users, self.mode, self.language, self.socket = users, mode, language, socket
        self.url = f"/{mode}{socket}{SUFFIX[language]}"
        self.address = users.sockets[mode, language] if socket == "own" else users.host.socket
        self.folder = users.new_folder()

    def variables(self, case, folder=None):
        return fastcgi.variables("GET", f"{self.url}?case={case}&at={folder or self.folder}")

    def begin(self, case, flags=0):
        """A request that has begun; its connection."""
        connection = fastcgi.Connection(self.address, 60)
        connection.send(fastcgi.begin(flags=flags)
                        + fastcgi.stream(fastcgi.PARAMS, 1, fastcgi.pairs(self.variables(case)))
                        + fastcgi.stream(fastcgi.STDIN, 1, b""))
        return connection

    def first(self, case):
        """The first user's request to its end; its Outcome."""
        with fastcgi.Connection(self.address, 60) as connection:
            return connection.run(self.variables(case))

    def pid(self, name):
        """The number of the process that has said this; waits for it."""
        wait_for((self.folder / name).exists, f"{name} of {self.url}", 60)
        return int((self.folder / name).read_text())

    def say(self, name):
        (self.folder / name).touch()

    def _second(self, case, folder, kept=None):
        variables = self.variables(case, folder)
        with contextlib.ExitStack() as stack:
            outcome = kept and kept.run(variables, flags=fastcgi.KEEP_CONN)
            # A connection that was closed tells that nothing was done.
            if outcome is None or outcome.closed and outcome.stdout == b"":
                outcome = stack.enter_context(fastcgi.Connection(self.address, 60)).run(variables)
        assert outcome.ended and outcome.stderr == b"", outcome
        return outcome.stdout

    def learn(self):
        """What the second user's pages are, to the last byte, while there is no other user."""
        for case in SECOND:
            if has(self.mode, self.language, case):
                page = self._second(case, self.users.open_gate)
                assert b"the second user's page\n" in page and SECRET.encode() not in page
                self.users.known[self.url, case] = page

    def second(self, case="plain", connection=None):
        """The second user's request, which must get that user's page and nothing else."""
        page = self._second(case, self.users.open_gate, connection)
        assert page == self.users.known[self.url, case]

    @contextlib.contextmanager
    def holding(self):
        """The second user's request while it is being answered; call what this yields to end it."""
        folder = self.users.new_folder()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            page = pool.submit(self._second, "hold", folder)

            def end():
                (folder / "go").touch()
                assert page.result(60) == self.users.known[self.url, "hold"]
            try:
                wait_for(lambda: (folder / "begun").exists() or page.done(),
                         "the second user's request", 60)
                yield end
            finally:
                (folder / "go").touch()

    def wait_late(self, pid):
        """Until what the first request left behind has written, or is no more."""
        wait_for(lambda: (self.folder / "wrote").exists() or not lives(pid), "the late writer", 60)
