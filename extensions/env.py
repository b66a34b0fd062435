#!/usr/bin/exthost-cgi python
"""What an extension sees: arguments, working directory, encodings, standard input, environment.

For looking at a new installation. It shows paths of the server to everybody who can reach it, so
take it out of the extension root again. Cookies are left out: Fossil's login is in one.
"""

import html
import os
import stat
import sys

SECRET = {"HTTP_COOKIE", "HTTP_AUTHORIZATION"}
EMPTY = '<span class="none">(empty)</span>'


def main():
    about = {
        "Python": sys.version.split()[0],
        "Arguments": " ".join(sys.argv),
        "Working folder": os.getcwd(),
        "Encoding of text": sys.getfilesystemencoding(),
        "Encoding of output": sys.stdout.encoding,
        "Standard input": kind_of_file(0),
    }
    variables = {name: "(not shown)" if name in SECRET else os.environ[name]
                 for name in sorted(os.environ)}
    reply("Environment (Python)",
          table("About the script", about)
          + table(f"Variables in the environment: {len(variables)}", variables))


def kind_of_file(descriptor):
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return "closed"
    kinds = {stat.S_IFREG: "file", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket",
             stat.S_IFCHR: "device"}
    return kinds.get(stat.S_IFMT(mode), "something else")


def table(heading, rows):
    cells = "\n".join(f"<tr><th scope=\"row\">{html.escape(name)}</th>"
                      f"<td>{html.escape(value) or EMPTY}</td></tr>"
                      for name, value in rows.items())
    return f"<h2>{heading}</h2>\n<table>\n<tbody>\n{cells}\n</tbody>\n</table>\n"


def reply(title, body, status="200 OK"):
    """Print the page: for Fossil's skin, or a whole document where no Fossil is in front."""
    folder = html.escape(os.environ.get("SCRIPT_NAME", "").rpartition("/")[0])
    style = f'<link rel="stylesheet" href="{folder}/style.css">'
    if "FOSSIL_NONCE" in os.environ:
        page = (f"<div class='fossil-doc' data-title='{title}'>\n{style}\n"
                f'<div class="sample">\n{body}</div>\n</div>\n')
    else:
        page = (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
                f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
                f'<title>{title}</title>\n{style}\n</head>\n<body class="plain">\n'
                f'<h1>{title}</h1>\n<div class="sample">\n{body}</div>\n</body>\n</html>\n')
    header = f"Status: {status}\nContent-Type: text/html; charset=utf-8\n\n"
    sys.stdout.buffer.write((header + page).encode("utf-8", "replace"))


main()
