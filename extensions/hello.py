#!/usr/bin/exthost-cgi python
"""Greet the Fossil user by name, in Fossil's skin: the exthost module in thirty lines.

exthost carries the module itself. Where a plain python3 runs this file, put exthost.py beside it.
"""

import sys

import exthost
from exthost import escape

CAPABILITIES = {"o": "read the check-ins", "i": "check in", "s": "set Fossil up"}
SAMPLES = {"env": "what an extension sees", "form": "forms and files",
           "report": "check-ins per month"}


def greeting():
    if exthost.user():
        return f"<p>Hello, <strong>{escape(exthost.user())}</strong>.</p>"
    if exthost.nonce():
        login = escape(exthost.base_uri() + "/login")
        return f'<p>Hello, visitor. <a href="{login}">Log in</a> and be greeted by name.</p>'
    return "<p>Hello, visitor. Under Fossil this page would know who you are.</p>"


def may(letter, what):
    answer = "yes" if exthost.has(letter) else "no"
    return f"<li>{what} (<code>{letter}</code>): {answer}</li>"


exthost.page(
    "Hello (Python)",
    greeting(),
    f"<p>This is Python {escape(sys.version.split()[0])}.</p>",
    "<p>You may:</p>\n<ul>",
    *[may(letter, what) for letter, what in CAPABILITIES.items()],
    "</ul>\n<p>More samples:</p>\n<ul>",
    *[f'<li><a href="{name}.py">{name}</a>: {what}</li>' for name, what in SAMPLES.items()],
    '<li><a href="hello.tcl">this one in Tcl</a></li>\n</ul>',
)
