"""A host with services, and programs for them to run."""

import json
import signal

from support.host import put, run_exthost

LOOP = "import signal\nwhile True: signal.pause()\n"


class Services:
    """A host with services: .put() writes the configuration, .start() starts the host."""

    def __init__(self, folder, start_host):
        self.folder = folder
        self.root = folder / "root"
        self.configuration = folder / "exthost.conf"
        self.root.mkdir()
        self._start_host = start_host
        self.host = None

    def program(self, name, text):
        """A program in Python of this name; its path."""
        return put(self.folder, name, "#!/usr/bin/python3 -IS\n" + text)

    def put(self, *sections, **options):
        """Each section is a name and its keys."""
        lines = [f"{key.replace('_', '-')} = {value}" for key, value in options.items()]
        for name, keys in sections:
            lines.append(f"[service {name}]")
            lines += [f"{key.replace('_', '-')} = {value}" for key, value in keys.items()]
        self.configuration.write_text("\n".join(lines) + "\n")

    def start(self, *sections, env=None, **options):
        self.put(*sections, **options)
        self.host = self._start_host(self.root, "--config", str(self.configuration), env=env)
        return self.host

    def reload(self, *sections, **options):
        self.put(*sections, **options)
        since = self.host.log_position()
        self.host.program.send(signal.SIGHUP)
        self.host.wait_line("reload", since=since)

    def status(self):
        """What `exthost status --json` tells of the services, by their names."""
        done = run_exthost("status", "--root", str(self.root), "--json")
        assert done.returncode == 0, done.stderr
        return {one["name"]: one for one in json.loads(done.stdout)["services"]}

    def started(self, name, since=0):
        """The process id of a service, once it has been started."""
        line = self.host.wait_line(f"service {name}: started as process ", since=since)
        return int(line.rpartition(" ")[2])

    def said(self, name, since=0):
        """The lines that a service has written so far."""
        return [line.split(" info ", 1)[1].rpartition(" service=")[0]
                for line in self.host.program.log(since) if line.endswith(f" service={name}")]

    def ready(self, name, since=0):
        """The process id of a service that has written "here"."""
        self.host.wait_line("here", f"service={name}", since=since)
        return self.started(name, since)


def run(program, *arguments, **keys):
    return {"run": " ".join([str(program), *arguments]), **keys}


def shell(text, **keys):
    assert "'" not in text and " ;" not in text
    return {"run": f"/bin/sh -c '{text}'", **keys}


WAITS = shell("echo here; exec sleep 600")
STUBBORN = ("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print('here', flush=True)\n" + LOOP)
