"""exthost: what a Fossil extension wants to know, and a page in Fossil's skin.

    import exthost

    if not exthost.has("o"):
        exthost.page("Not for you", "<p>You may not read this.</p>", status="403 Forbidden")
    else:
        exthost.page("Hello", f"<p>Hello, {exthost.escape(exthost.user())}.</p>")

Fossil tells an extension five things, in environment variables (www/serverext.wiki in Fossil's
own documentation): FOSSIL_USER, FOSSIL_CAPABILITIES, FOSSIL_NONCE, FOSSIL_REPOSITORY and
FOSSIL_URI. This module gives them their names, and their values where Fossil leaves one out. It
needs nothing of the host and works in any CGI script beside which it lies.

Every function reads the environment when it is called. A WSGI application stays loaded over many
requests, so there pass what it was called with: exthost.user(environ). Without it, os.environ is
meant.

Outside Fossil (behind nginx, say) all five are missing: nobody is logged in, may do nothing, and
pages are whole documents of their own.
"""

import os
import sys

__all__ = ["user", "capabilities", "has", "nonce", "repository", "base_uri", "escape",
           "document", "page"]
__version__ = "0.1"

# For pages outside Fossil only; inside, the skin decides.
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
    """The name of the Fossil user, or "" when nobody is logged in.

    A visitor who used Fossil's captcha login is the user "anonymous".
    """
    return _get("FOSSIL_USER", environ)


def capabilities(environ=None):
    """The letters of what the user may do, or "".

    Fossil has completed them already: in it are what everybody and what the user anonymous may
    do, and what a capability includes (a user with "s", setup, has "i", "o" and so on as well;
    but 2.21 leaves out "a", so to find an administrator ask for "s" and for "a").
    """
    return _get("FOSSIL_CAPABILITIES", environ)


def has(capability, environ=None):
    """Whether the user has this capability; of several letters, whether all of them.

    Only the letters themselves count, see capabilities(). "o" is to read the check-ins, "i" to
    check in, "s" setup; Fossil lists them all at /setup_ucap_list. ValueError if it is no letter
    or digit at all: has("") would otherwise be true for everybody.
    """
    if not (capability.isascii() and capability.isalnum()):
        raise ValueError(f"not a capability of Fossil: {capability!r}")
    return set(capability) <= set(capabilities(environ))


def nonce(environ=None):
    """What a <script nonce="..."> in a page in Fossil's skin must carry to be run; else ""."""
    return _get("FOSSIL_NONCE", environ)


def repository(environ=None):
    """The path of the repository file, or None. Open it read-only: Fossil writes to it."""
    return _get("FOSSIL_REPOSITORY", environ) or None


def base_uri(environ=None):
    """What stands before "/timeline" in a link to a page of Fossil: "/cgi-bin/project", say.

    It is "" where Fossil itself is the web server, and outside Fossil.
    """
    return _get("FOSSIL_URI", environ)


def escape(text):
    """The text (or whatever str() makes of it) for HTML, also in attributes with quotes."""
    return (str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            .replace('"', "&quot;").replace("'", "&#39;"))


def document(title, *body, environ=None):
    """A page as a string, for a WSGI application; page() prints it.

    The title is plain text. The body is HTML, in any number of pieces, and shows no title of its
    own. In Fossil this is a <div class='fossil-doc' data-title='...'>, which Fossil puts into its
    skin if the reply's type is text/html; else a whole HTML document.
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
    # Fossil 2.21 turns &amp; &lt; &gt; back and makes "?" of every other entity, so a quote can
    # only be kept inside the other kind of quotes.
    text = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if "'" in text and '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


def page(title, *body, status="200 OK", environ=None):
    """Print a whole CGI reply (RFC 3875) to sys.stdout: Status, Content-Type and document().

    Once in a request, and with no header printed before. ValueError if the status could not
    stand in a header line.
    """
    if not status.isprintable():
        raise ValueError(f"not a status: {status!r}")
    reply = (f"Status: {status}\nContent-Type: text/html; charset=utf-8\n\n"
             + document(title, *body, environ=environ))
    if not hasattr(sys.stdout, "buffer"):  # something that a test or an app put there
        sys.stdout.write(reply)
        return
    # Bytes: the page says utf-8, whatever the locale made of sys.stdout, and a stray byte in a
    # variable is no reason for no page.
    sys.stdout.flush()
    sys.stdout.buffer.write(reply.encode("utf-8", "replace"))
