"""nginx and Apache, set up with the recipes of the documents as a reader would."""

import re
import shlex
import shutil

from support.documents import PORT, SOCKET, blocks, put_in
from support.servers import WWW_DATA, Server, apache_command, apache_text, nginx_command, nginx_text

ADA = "ada:{PLAIN}secret\n"  # for nginx


def host_options(document, socket):
    """
    What the `exthost serve` that listens at this socket is given there, as [(option, value)], less
    --root or --app.
    """
    commands = [block.text for block in blocks(document)
                if block.language == "sh" and socket in block.text]
    assert len(commands) == 1, f"{document}: {len(commands)} blocks with {socket}"
    command = re.search(r"exthost serve .*?[^\\](?=\n|$)", commands[0], re.S)[0].rstrip("& \n")
    words = shlex.split(command.replace("\\\n", " ").replace("$(id -u www-data)", str(WWW_DATA)))
    given = list(zip(words[2::2], words[3::2]))
    assert given[0][0] in ("--root", "--app")
    return given[1:]


class Nginx(Server):
    """nginx as Debian sets it up, with this block as a file of conf.d."""

    def __init__(self, block, socket):
        super().__init__("xr-", 0o755)
        shutil.copy("/etc/nginx/fastcgi_params", self.folder)
        self.put("htpasswd", ADA)
        block = block.replace("/etc/nginx/ext.htpasswd", f"{self.folder}/htpasswd")
        block = put_in(block, (f"127.0.0.1:{PORT}", f"127.0.0.1:{self.port}"), (SOCKET, socket))
        self.put("nginx.conf", nginx_text(self.folder, block, "www-data"))
        self.start(nginx_command(self.folder), env={"PATH": "/usr/bin:/bin"})


class Apache(Server):
    """Apache with this line in its configuration, and more behind it."""

    MODULES = ("authz_user", "authn_core", "authn_file", "auth_basic", "proxy", "proxy_fcgi")

    def __init__(self, line, socket, more=""):
        super().__init__("xr-", 0o755)
        # {SHA} of "secret"
        self.put("htpasswd", "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
        self.put("apache.conf", apache_text(
            self.folder, self.port, self.MODULES,
            put_in(line, (SOCKET, socket)) + more.format(folder=self.folder)))
        self.start(apache_command(self.folder), env={"PATH": "/usr/bin:/bin"})
