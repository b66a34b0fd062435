"""The host's processes by their roles, as /proc has them at one moment."""

from support.processes import descendants, name_of, parent_of
from support.waiting import wait_for

KINDS = ("spare or run", "plain worker", "direct worker", "guardian", "template", "front")


class Tree:
    """
    .front and .master (a process id), and lists of them: .templates, .runs (request processes, at
    work or spare), .plain (app workers without a socket of their own, rerun workers too),
    .guardians, .direct (their workers).
    """

    def __init__(self, master):
        below = descendants(master)
        parent = {pid: parent_of(pid) for pid in below}
        name = {pid: name_of(pid) for pid in below}
        self.master, self._parent = master, parent
        children = [pid for pid in below if parent[pid] == master]
        self.front = next((pid for pid in children if name[pid] == "exthost-front"), None)
        self.templates = [pid for pid in children if name[pid] == "exthost-templ"]
        forked = [pid for pid in below if parent[pid] in self.templates]
        self.runs = [pid for pid in forked if name[pid] == "exthost-templ"]
        self.plain = [pid for pid in forked if name[pid] == "exthost-app"]
        self.guardians = [pid for pid in forked if name[pid] == "exthost-guard"]
        self.direct = [pid for pid in below if parent[pid] in self.guardians]

    def of(self, kind):
        """The process ids of one of KINDS."""
        return {"spare or run": self.runs, "plain worker": self.plain,
                "direct worker": self.direct, "guardian": self.guardians,
                "template": self.templates,
                "front": [self.front] if self.front else []}[kind]

    def template_of(self, pid):
        """The template that this process descends from, or the template itself."""
        while pid not in self.templates and pid in self._parent:
            pid = self._parent[pid]
        return pid

    def below(self, pid):
        """The process and its descendants."""
        found = {pid}
        for other in self._parent:
            at = other
            while at in self._parent and at not in found:
                at = self._parent[at]
            if at in found:
                found.add(other)
        return found


def wait_until_settled(master, spares):
    """Wait until only the newest templates, their spares and app workers live. For an idle host."""
    def settled():
        found = Tree(master)
        return len(found.templates) == 2 and len(found.runs) <= 2 * spares
    wait_for(settled, "all runs, and the templates that were replaced, have ended", 30)
