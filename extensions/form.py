#!/usr/bin/exthost-cgi python
"""Forms: fields from the URL, fields from a POST, and a file, with its size and SHA-256.

The cgi module left Python with 3.13. What a browser sends is simple enough to read without it, and
this file works with every Python from 3.11 on. Nothing is changed by these forms. A form that
changes something must also make sure that it was sent from its own page (a secret in a hidden
field).

No field may be called "name": Fossil answers 404 to an extension's URL with name= in it.
"""

import hashlib
import html
import os
import re
import sys
import urllib.parse

MAX_BODY = 8 * 1024 * 1024
PARAMETER = re.compile(r';\s*([\w*-]+)=(?:"((?:\\"|[^"])*)"|([^;"\s]+))')


class Refused(Exception):
    """The request cannot be answered: a status line, and a sentence that says why."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def main():
    try:
        fields, files = read_form()
    except Refused as refused:
        reply("Form (Python)", f"<p>{html.escape(str(refused))}</p>\n", refused.status)
    else:
        reply("Form (Python)", arrived(fields, files) + forms())


def read_form():
    """The fields as (name, text) pairs, the files as (file name, type, bytes) triples."""
    method = os.environ.get("REQUEST_METHOD", "GET")
    fields = urlencoded(os.fsencode(os.environ.get("QUERY_STRING", "")))
    if method in ("GET", "HEAD"):
        return fields, []
    if method != "POST":
        raise Refused("405 Method Not Allowed", f"This page answers GET and POST, not {method}.")
    body = read_body()
    content_type = os.environ.get("CONTENT_TYPE", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return fields + urlencoded(body), []
    if kind == "multipart/form-data":
        more, files = multipart(body, parameters(content_type).get("boundary", ""))
        return fields + more, files
    raise Refused("415 Unsupported Media Type", f"This page cannot read a body of type “{kind}”.")


def read_body():
    """Exactly CONTENT_LENGTH bytes: Fossil does not end the body of a plain CGI script, so a read
    of more bytes waits for ever."""
    text = os.environ.get("CONTENT_LENGTH", "") or "0"
    if not re.fullmatch("[0-9]{1,18}", text):
        raise Refused("400 Bad Request", "CONTENT_LENGTH is not a number.")
    length = int(text)
    if length > MAX_BODY:
        raise Refused("413 Content Too Large", f"{length} bytes are more than {MAX_BODY}.")
    body = sys.stdin.buffer.read(length)
    if len(body) < length:
        raise Refused("400 Bad Request", f"The body ends after {len(body)} of {length} bytes.")
    return body


def urlencoded(data):
    """Fields of a query or of an application/x-www-form-urlencoded body."""
    try:
        return urllib.parse.parse_qsl(data.decode(), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise Refused("400 Bad Request", "A field is not UTF-8 text.") from None


def multipart(body, boundary):
    """Fields and files of a multipart/form-data body (RFC 7578)."""
    if not boundary:
        raise Refused("400 Bad Request", "The multipart body has no boundary.")
    fields, files = [], []
    parts = (b"\r\n" + body).split(b"\r\n--" + os.fsencode(boundary))
    for part in parts[1:]:
        if part.startswith(b"--"):
            return fields, files
        head, blank, content = part.partition(b"\r\n\r\n")
        name, filename, kind = part_header(head)
        if not blank or name is None:
            raise Refused("400 Bad Request", "A part of the multipart body has no name.")
        if filename is None:
            fields.append((name, text_of(content)))
        elif filename or content:  # a browser sends an empty part when no file was chosen
            files.append((filename, kind, content))
    raise Refused("400 Bad Request", "The multipart body is cut short.")


def part_header(head):
    name = filename = None
    kind = "application/octet-stream"
    for line in text_of(head).split("\r\n"):
        key, _, value = line.partition(":")
        if key.lower() == "content-disposition":
            found = parameters(value)
            name, filename = found.get("name"), found.get("filename")
        elif key.lower() == "content-type":
            kind = value.strip()
    return name, filename, kind


def parameters(header):
    """What follows the value in a header line: ; key="value"; key=value."""
    return {key.lower(): (quoted or plain).replace('\\"', '"').replace("%22", '"')
            for key, quoted, plain in PARAMETER.findall(header)}


def text_of(data):
    try:
        return data.decode()
    except UnicodeError:
        raise Refused("400 Bad Request", "A field is not UTF-8 text.") from None


def arrived(fields, files):
    parts = []
    if fields:
        parts += ["<h2>Fields</h2>\n<table>\n<thead><tr><th>Field</th><th>Text</th></tr></thead>",
                  "<tbody>"]
        parts += [f'<tr><th scope="row">{html.escape(name)}</th>'
                  f'<td class="text">{html.escape(text)}</td></tr>' for name, text in fields]
        parts += ["</tbody>\n</table>\n"]
    for name, kind, content in files:
        parts += ["<h2>File</h2>\n<table>\n<tbody>",
                  f'<tr><th scope="row">Name</th><td>{html.escape(name)}</td></tr>',
                  f'<tr><th scope="row">Type</th><td>{html.escape(kind)}</td></tr>',
                  f'<tr><th scope="row">Size</th><td>{len(content)} bytes</td></tr>',
                  '<tr><th scope="row">SHA-256</th>'
                  f"<td><code>{hashlib.sha256(content).hexdigest()}</code></td></tr>",
                  "</tbody>\n</table>\n"]
    return "\n".join(parts)


def forms():
    action = html.escape(os.environ.get("SCRIPT_NAME", ""))
    return f"""\
<h2>Send something</h2>
<form method="get" action="{action}">
<fieldset><legend>In the URL</legend>
<label>Who are you? <input name="who" autocomplete="off"></label>
<button>Send by GET</button>
</fieldset>
</form>
<form method="post" action="{action}">
<fieldset><legend>In the body</legend>
<label>Some text <textarea name="text" rows="3"></textarea></label>
<button>Send by POST</button>
</fieldset>
</form>
<form method="post" enctype="multipart/form-data" action="{action}">
<fieldset><legend>A file</legend>
<label>Up to {MAX_BODY // 1024 // 1024} MiB <input type="file" name="file"></label>
<label>A note to it <input name="note" autocomplete="off"></label>
<button>Send the file</button>
</fieldset>
</form>
"""


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
