"""exthost: what a Fossil extension wants to know, and a page in Fossil's skin.

    import exthost

    if not exthost.has("o"):
        exthost.page("Not for you", "<p>You may not read this.</p>", status="403 Forbidden")
    else:
        exthost.page("Hello", f"<p>Hello, {exthost.escape(exthost.user())}.</p>")

Fossil passes five environment variables to an extension (www/serverext.wiki in Fossil's own
documentation): FOSSIL_USER, FOSSIL_CAPABILITIES, FOSSIL_NONCE, FOSSIL_REPOSITORY and FOSSIL_URI.
This module has a function for each, which also has a value where Fossil does not set the variable.
It needs nothing of the host, and works in any CGI script beside which it lies.

Every function reads the environment when it is called, and the default is os.environ. A WSGI
application stays loaded over many requests, so it passes the environ of its request:
exthost.user(environ).

Outside Fossil (behind nginx, say) all five are missing: no user is logged in, the user may do
nothing, and pages are whole HTML documents.
"""

import os
import sys

__all__ = ["user", "capabilities", "has", "nonce", "repository", "base_uri", "escape",
           "document", "page"]
__version__ = "0.1"

# For pages outside Fossil; inside, the skin has the style.
_STYLE = """\
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { line-height: 1.2 }
table { border-collapse: collapse }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #8885 }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
img, svg { max-width: 100% }
"""


def _get(name, environ):
    if environ is None:
        return os.environ.get(name, "")
    value = environ.get(name, "")
    if "wsgi.version" in environ:
        # PEP 3333: these strings are bytes that were decoded as Latin-1. Fossil's text is UTF-8.
        value = value.encode("latin-1").decode("utf-8", "replace")
    return value


def user(environ=None):
    """The name of the Fossil user, or "" if no user is logged in.

    A visitor who used Fossil's captcha login is the user "anonymous".
    """
    return _get("FOSSIL_USER", environ)


def capabilities(environ=None):
    """The capabilities of the user, one letter each, or "".

    Fossil has expanded them already: they include those of the users nobody and anonymous, and
    those that another capability implies (a user with "s", setup, also has "i", "o" and so on).
    Fossil 2.21 leaves out "a", so to recognize an administrator ask for "s" and for "a".
    """
    return _get("FOSSIL_CAPABILITIES", environ)


def has(capability, environ=None):
    """True if the user has this capability; of several letters, all of them.

    Only the letters themselves count, see capabilities(). "o" allows to read check-ins, "i" to
    check in, "s" is setup; Fossil lists all of them at /setup_ucap_list. Raises ValueError for
    anything but letters and digits: has("") would otherwise be true for everybody.
    """
    if not (capability.isascii() and capability.isalnum()):
        raise ValueError(f"not a capability of Fossil: {capability!r}")
    return set(capability) <= set(capabilities(environ))


def nonce(environ=None):
    """The nonce that a <script nonce="..."> needs to run in Fossil's skin; outside Fossil ""."""
    return _get("FOSSIL_NONCE", environ)


def repository(environ=None):
    """The path of the repository file, or None. Open it read-only: Fossil writes to it."""
    return _get("FOSSIL_REPOSITORY", environ) or None


def base_uri(environ=None):
    """The beginning of a link to a page of Fossil, before "/timeline": "/cgi-bin/project", say.

    It is "" if Fossil itself is the web server, and outside Fossil.
    """
    return _get("FOSSIL_URI", environ)


def escape(text):
    """The text, or str() of it, escaped for HTML and for quoted attributes."""
    return (str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            .replace('"', "&quot;").replace("'", "&#39;"))


def document(title, *body, environ=None):
    """A page as a string, for a WSGI application; page() prints it.

    The title is plain text. The body is HTML, in any number of pieces, without a title. In Fossil
    the page is a <div class='fossil-doc' data-title='...'>, which Fossil puts into its skin if the
    response's type is text/html; outside Fossil it is a whole HTML document.
    """
    html = "\n".join(body)
    if nonce(environ):
        return f"<div class='fossil-doc' data-title={_data_title(title)}>\n{html}\n</div>\n"
    title = escape(title)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
            f"<body>\n<h1>{title}</h1>\n{html}\n</body>\n</html>\n")


def _data_title(title):
    # Fossil 2.21 decodes &amp; &lt; &gt; and turns every other entity into "?", so a quote is kept
    # only inside the other kind of quotes.
    text = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if "'" in text and '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


def page(title, *body, status="200 OK", environ=None):
    """Print a whole CGI reply (RFC 3875) to sys.stdout: Status, Content-Type and document().

    Call it once in a request, before anything else is printed. Raises ValueError if the status
    could not stand in a header line.
    """
    if not status.isprintable():
        raise ValueError(f"not a status: {status!r}")
    reply = (f"Status: {status}\nContent-Type: text/html; charset=utf-8\n\n"
             + document(title, *body, environ=environ))
    if not hasattr(sys.stdout, "buffer"):  # a replacement by a test or an app
        sys.stdout.write(reply)
        return
    # As bytes, since the page is UTF-8 whatever the encoding of sys.stdout is. "replace", so that a
    # stray byte in a variable does not prevent the page.
    sys.stdout.flush()
    sys.stdout.buffer.write(reply.encode("utf-8", "replace"))
