"""A host with a configuration file, which is changed while it serves."""

import signal

from support.held import status_of
from support.waiting import wait_for


class Configured:
    """
    A started host (.host) with a file (.path) of this text. `options` are of its command line. Each
    text that is applied gets a concurrency of its own, by which `exthost status` tells which one
    the front has.
    """

    def __init__(self, start_host, root, folder, text="", *options, **more):
        self.path = folder / "exthost.conf"
        self._mark = 100
        self._write(text)
        self.host = start_host(root, "--config", str(self.path), *options, **more)

    def _write(self, text):
        self._mark += 1
        self.path.write_text(f"concurrency = {self._mark}\n{text}")

    def is_applied(self):
        """Whether the text that was applied last is what holds."""
        return status_of(self.host)["queue"]["concurrency"] == self._mark

    def apply(self, text):
        """Change the file and reload; it holds for new requests when this returns."""
        self._write(text)
        since = self.hang_up()
        self.host.wait_line(" info reload", since=since)
        wait_for(self.is_applied, "the front has the new configuration")

    def hang_up(self):
        """Send SIGHUP, with the file as it is; the place in the log where it was sent."""
        since = self.host.log_position()
        self.host.program.send(signal.SIGHUP)
        return since

    def refuse(self, text):
        """Change the file (None: remove it) and reload, which must fail; the log's line of that."""
        if text is None:
            self.path.unlink()
        else:
            self.path.write_text(text)
        since = self.hang_up()
        line = self.host.wait_line("reload refused", since=since)
        # Another one behind it: what the first had to say has been said by then.
        self.host.wait_line("reload refused", since=self.hang_up())
        assert self.host.program.log(since)[0] == line
        assert [other for other in self.host.program.log(since)
                if "reload refused" not in other] == []
        return line


def templates_of(host):
    """{language: process id} of the templates that fork now."""
    return {process["language"]: process["pid"] for process in status_of(host)["processes"]
            if process["role"] == "template"}
