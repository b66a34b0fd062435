"""
Clients that ask beside a test: one request under way, and many that are repeated until told to end.
"""

import contextlib
import threading

from support import fastcgi
from support.waiting import wait_for


class Asked:
    """
    One FastCGI request under way, in a thread of its own; .outcome is its fastcgi.Outcome once it
    has ended, and .since the place in the host's log where it began.

    address: another socket than host.socket. more: as for fastcgi.request.
    """

    def __init__(self, host, target, address=None, method="GET", **more):
        self.since = host.log_position()
        self.outcome = None
        self.error = None
        self.host = host
        self._request = (address or host.socket, method, target)
        self._more = {"timeout": 40.0, **more}
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self):
        try:
            self.outcome = fastcgi.request(*self._request, **self._more)
        except OSError as e:
            self.error = e

    def end(self):
        """Wait for its end; the Outcome. Raises the OSError with which the connection failed."""
        self._thread.join()
        if self.error:
            raise self.error
        return self.outcome


class Clients:
    """
    Threads that ask, each one request after another. They start with start() or with the block of a
    `with`, which then ends them, and fails if an answer was wrong.

    ask(client, number) makes one request and raises an exception when its answer is wrong; client
    counts the threads from 0, number all requests from 0. each: so many requests of each client,
    after which it ends by itself; else they go on until end(). least: so many requests of all
    together before they end. pause: seconds between two requests of a client. around: so many
    answers are waited for at the beginning and at the end of the block.

    .answered counts the requests that have ended, .mistakes tells what was wrong, a text each.
    """

    def __init__(self, ask, count, *, each=None, least=0, pause=0.0, around=0):
        self.asked = self.answered = 0
        self.mistakes = []
        self._ask, self._each, self._pause, self._around = ask, each, pause, around
        self._least = least if each is None else each * count
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._main, args=(client,), daemon=True)
                         for client in range(count)]

    def start(self):
        """Begin to ask; the clients themselves."""
        for thread in self._threads:
            thread.start()
        return self

    def _next(self, done):
        """The number of the next request of a client that has made so many; None: no more."""
        with self._lock:
            if self._stop.is_set() and self.asked >= self._least or done == self._each:
                return None
            self.asked += 1
            return self.asked - 1

    def _main(self, client):
        done = 0
        while (number := self._next(done)) is not None:
            mistake = None
            try:
                self._ask(client, number)
            except Exception as e:  # whatever it is, this request was not answered as it should be
                mistake = f"client {client}, request {number}: {e!r}"
            done += 1
            with self._lock:
                self.answered += 1
                if mistake:
                    self.mistakes.append(mistake)
            if self._pause:
                self._stop.wait(self._pause)

    def wait_more(self, count, seconds=60.0):
        """Until so many more requests have been answered. AssertionError after so many seconds."""
        self.wait_answered(self.answered + count, seconds)

    def wait_answered(self, total, seconds=60.0):
        """
        Until so many requests have been answered in all. AssertionError after so many seconds.
        """
        wait_for(lambda: self.answered >= total, f"{total} answers", seconds)

    def end(self):
        """Let the clients end and wait for that; what was wrong, a list of texts."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.answered == self.asked
        return self.mistakes

    def __enter__(self):
        self.start()
        self.wait_more(self._around)
        return self

    def __exit__(self, kind, *_):
        with contextlib.ExitStack() as stack:
            stack.callback(self.end)
            if kind is None:
                self.wait_more(self._around)
        assert self.mistakes == [], f"{len(self.mistakes)} of {self.asked}: {self.mistakes[:5]}"


class Versions(Clients):
    """
    Four clients that ask 500 times each, while the test changes what they ask for. ask() returns
    the version (a number) that answered. It may never be lower than the client's last version, nor
    lower than .written, which the test sets after each change.
    """

    def __init__(self, ask):
        self.written = 1
        self._version, self._seen = ask, [0] * 4
        super().__init__(self._ask_version, 4, each=500)

    def _ask_version(self, client, number):
        del number
        least = max(self._seen[client], self.written)
        self._seen[client] = self._version()
        assert self._seen[client] >= least, f"{self._seen[client]} after {least}"
