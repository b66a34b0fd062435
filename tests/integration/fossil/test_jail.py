"""
Fossil started by root without --nojail, which locks itself into the repository's directory. In that
jail are the relay, alone, and the extension root with the host's socket, by a bind mount.
"""

import shutil
from pathlib import Path

import pytest

from support.host import RELAY, put_script, sanitized
from support.marks import LANGUAGES
from support.own_namespace import may_unshare
from support.servers import Fossil
from support.users import root_only

# The mount is seen by Fossil alone, and is gone when Fossil ends.
MOUNT = ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
         'mount --bind "$0" "$1" && shift && exec "$@"']
TELLS = {"python": """
import os
print("Content-Type: text/plain\\n")
print(os.environ["FOSSIL_REPOSITORY"], os.getcwd(), input())
""", "tcl": """
puts "Content-Type: text/plain\\n"
puts "$env(FOSSIL_REPOSITORY) [pwd] [gets stdin]"
"""}

pytestmark = [
    root_only,
    pytest.mark.skipif(may_unshare() != "", reason="no mount namespace can be made here"),
    pytest.mark.skipif(sanitized(), reason="with a sanitizer the relay needs libraries")]


class Jailed(Fossil):
    """A Fossil that root has started, in a jail with the extension root at its own path."""

    def start(self, argv, **more):
        jail, root = Path(self.folder), argv[argv.index("--extroot") + 1]
        inside = jail / RELAY[1:]
        inside.parent.mkdir(parents=True)
        shutil.copy(RELAY, inside)
        (jail / root[1:]).mkdir(parents=True)
        super().start([*MOUNT, root, f"{jail}{root}",
                       *(word for word in argv if word != "--nojail")], **more)


@LANGUAGES
def test_the_relay_alone_in_fossils_jail_reaches_the_host(start_host, tmp_path, language):
    root = tmp_path / "root"
    put_script(root, "tells", language, TELLS[language])
    host = start_host(root)
    fossil = Jailed(root, relative=True)
    try:
        reply = fossil.request("POST", "/tells", body=b"body\n",
                               headers=[("Content-Type", "text/plain")])
        # The repository is in the directory that is Fossil's root now.
        assert f"/project.fossil {root} body" in reply.text, reply
        host.wait_line("POST", "/ext/tells", "status=200")
    finally:
        fossil.stop()
