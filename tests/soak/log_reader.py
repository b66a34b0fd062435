"""
The host's log in a file, which is rotated: what it has of each request that was not answered as
asked, by the request's token.
"""

import re
import threading
import time

KEPT = 10     # seconds for which a file that was rotated away is still read
POLL = 0.05   # seconds
LINES = 40    # the last ones, for a report
_TOKEN = re.compile(r"\bt\d+x\d+x\b")
_PID = re.compile(r" pid=(\d+) ")


class LogReader:
    def __init__(self, path):
        self.path = path
        self.last, self.lines = [], 0
        self._entries = {}  # token: [(process id or None, line)]
        self._files = []    # [inode, file, beginning of an unfinished line, monotonic end or None]
        self._ending = threading.Event()
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def stop(self):
        self._ending.set()
        self.thread.join()

    def entries(self, token, seconds):
        """What the log has of this request; waits so long for a line."""
        deadline = time.monotonic() + seconds
        while token not in self._entries and time.monotonic() < deadline:
            time.sleep(POLL)
        return list(self._entries.get(token, []))

    def _main(self):
        while True:
            ending = self._ending.is_set()
            self._open()
            for file in self._files:
                self._read(file)
            self._files = [file for file in self._files
                           if file[3] is None or time.monotonic() < file[3]]
            if ending:
                return
            self._ending.wait(POLL)

    def _open(self):
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            return
        if self._files and self._files[-1][0] == inode:
            return
        for file in self._files:
            file[3] = file[3] or time.monotonic() + KEPT
        self._files.append([inode, open(self.path, "rb"), b"", None])

    def _read(self, file):
        while data := file[1].read(1 << 20):
            *lines, file[2] = (file[2] + data).split(b"\n")
            for line in lines:
                self._take(line.decode("utf-8", "replace"))

    def _take(self, line):
        self.lines += 1
        self.last = [*self.last[-LINES:], line]
        token = _TOKEN.search(line)
        if token is None or " status=" not in line or " status=200 " in line and \
                " reason=" not in line:
            return
        pid = _PID.search(line)
        self._entries.setdefault(token[0], []).append((int(pid[1]) if pid else None, line))
