"""What stands behind the fronts: a host with all extensions, and two with an app's own socket."""

from fronts import Front
from scripts import KINDS, put_scripts
from support.host import Host
from support.servers import WWW_DATA, Fossil
from support.stopping import stop_all
from support.waiting import wait_for

MOUNT = "/ext"
OPTIONS = ("--allow-uid", str(WWW_DATA), "--timeout", "60", "--queue-timeout", "60")
LISTEN = "unix:{folder}/s,mode=0666"


def url(kind):
    return f"{MOUNT}/{KINDS[kind]}"


def _own_socket(root, kind):
    host = Host(root, "--app", f"{root}/{KINDS[kind]}", "--prefix", url(kind), "--workers",
                "2", *OPTIONS,
                listen=[LISTEN])
    wait_for(lambda: any("loaded in process" in line for line in host.program.log()),
             f"{kind} has loaded", 60)
    return host


class Hosts:
    """The hosts by the kind of extension that each of them answers for."""

    def __init__(self, root, replies):
        root.chmod(0o755)
        put_scripts(root, replies)
        self.root = root
        self.made = []
        try:
            shared = self._made(Host(root, "--prefix", MOUNT, *OPTIONS, listen=[LISTEN, "relay"]))
            self.by_kind = {kind: self._made(_own_socket(root, kind))
                            if kind.endswith("direct") else shared
                            for kind in KINDS}
        except BaseException:
            self.stop()
            raise

    def _made(self, host):
        self.made.append(host)
        return host

    def stop(self):
        stop_all(self.made)


class Row:
    """One column's servers: a front for each host, or one Fossil."""

    def __init__(self, column, hosts):
        self.column, self.hosts = column, hosts
        self._fronts = {}
        try:
            for host in hosts.made:
                self._fronts[host.socket] = Front(column, host.socket)
        except BaseException:
            self.stop()
            raise

    def kinds(self):
        return list(KINDS)

    def port(self, kind):
        return self._fronts[self.hosts.by_kind[kind].socket].port

    def programs(self):
        return [front.program for front in self._fronts.values()]

    def stop(self):
        for front in self._fronts.values():
            front.stop()


class UnderFossil(Row):
    """Fossil, whose relay speaks to the shared host."""

    def __init__(self, column, hosts):  # pylint: disable=super-init-not-called
        self.column, self.hosts = column, hosts
        self._fronts = {}
        self._fossil = Fossil(hosts.root)

    def kinds(self):
        return [kind for kind in KINDS if not kind.endswith("direct")]

    def port(self, kind):
        return self._fossil.port

    def programs(self):
        return [self._fossil.program]

    def stop(self):
        self._fossil.stop()
