"""
Flask: a login that sets a cookie on a redirect, sessions and flashes, files that are uploaded.
"""

import hashlib
import json
import random
import re

import pytest

pytest.importorskip("flask", reason="python3-flask is not installed")

APP = r'''
import hashlib
import time
from flask import (Flask, Response, abort, flash, get_flashed_messages, jsonify, redirect,
                   render_template_string, request, send_file, session, stream_with_context,
                   url_for)

application = Flask(__name__)
application.secret_key = b"of a test"
PAGE = """<!doctype html><title>{{ title }}</title>
{% for message in get_flashed_messages() %}<p class="flash">{{ message }}</p>{% endfor %}
<p id="user">{{ session.get("user", "nobody") }}</p><a href="{{ url_for('log_in') }}">log in</a>"""


@application.route("/")
def index():
    return render_template_string(PAGE, title="<Index>")


@application.route("/login", methods=["GET", "POST"])
def log_in():
    if request.method == "POST":
        if request.form["password"] != "sesame \u2713":
            abort(403)
        session["user"] = request.form["user"]
        flash(f"Welcome, {session['user']}")
        reply = redirect(url_for("index"))
        reply.set_cookie("seen", "yes", max_age=60, httponly=True, path="/")
        return reply
    return render_template_string(PAGE, title="Log in")


@application.route("/logout", methods=["POST"])
def log_out():
    session.clear()
    return redirect(url_for("index"))


@application.route("/upload", methods=["POST"])
def upload():
    file = request.files["file"]
    data = file.read()
    return jsonify(name=file.filename, size=len(data), sum=hashlib.sha256(data).hexdigest(),
                   note=request.form["note"])


@application.route("/stream")
def stream():
    rows = stream_with_context(f"{i} {request.path}\n" for i in range(1000))
    return Response(rows, mimetype="text/csv")


@application.route("/source")
def source():
    return send_file(__file__, mimetype="application/octet-stream", conditional=True)


@application.route("/fail")
def fail():
    raise KeyError("in a view")


@application.route("/user/<path:who>", methods=["GET", "PUT", "DELETE"])
def user(who):
    return jsonify(who=who, query=request.args.to_dict(flat=False), method=request.method,
                   url=request.url, root=request.url_root, script=request.script_root)
'''


def test_a_login_sets_its_cookies_on_a_redirect_and_flashes_once(browser):
    assert '<p id="user">nobody</p>' in browser.ask("/").text
    form = {"user": "Ada \u2713", "password": "sesame \u2713"}
    reply = browser.ask("/login", form, follow=False)
    assert reply.status == 302 and len(reply.all("Set-Cookie")) == 2
    assert {cookie.name for cookie in browser.cookies} == {"seen", "session"}
    page = browser.ask("/").text
    assert '<p class="flash">Welcome, Ada \u2713</p>' in page
    assert '<p id="user">Ada \u2713</p>' in page
    page = browser.ask("/").text
    assert "flash" not in page and '<p id="user">Ada \u2713</p>' in page
    assert '<p id="user">nobody</p>' in browser.ask("/logout", {}).text


def test_a_redirect_can_be_followed(browser):
    page = browser.ask("/login", {"user": "Ada", "password": "sesame \u2713"})
    assert page.status == 200 and "Welcome, Ada" in page.text
    assert page.url == browser.base + "/"


def test_a_refusal_and_a_page_that_is_not_there_are_flasks_own(browser):
    reply = browser.ask("/login", {"user": "Ada", "password": "x"})
    assert reply.status == 403 and "Forbidden" in reply.text
    reply = browser.ask("/no/such/page")
    assert reply.status == 404 and "URL was not found" in reply.text


def test_a_file_is_uploaded_whole(browser):
    data = random.Random(1).randbytes(700_000)
    reply = browser.upload("/upload", "file", "caf\u00e9.bin", data, note="with a file")
    assert reply.status == 200, reply
    assert json.loads(reply.body) == {"name": "caf\u00e9.bin", "size": len(data),
                                      "note": "with a file",
                                      "sum": hashlib.sha256(data).hexdigest()}


def test_a_generator_is_a_body(browser):
    reply = browser.ask("/stream")
    assert reply.text == "".join(f"{i} /stream\n" for i in range(1000))


def test_a_file_is_sent_and_is_not_when_it_has_not_changed(browser, site, way):
    reply = browser.ask("/source")
    assert reply.body == (site.root / "thing.py").read_bytes()
    if not way.startswith("fossil"):  # which passes no conditions on
        again = browser.ask("/source", headers={"If-None-Match": reply.header("ETag")})
        assert (again.status, again.body) == (304, b"")
        part = browser.ask("/source", headers={"Range": "bytes=5-9"})
        assert (part.status, part.body) == (206, reply.body[5:10])


def test_an_exception_in_a_view_is_flasks_error_page_and_its_traceback_is_in_the_log(browser, site):
    since = site.host.log_position()
    reply = browser.ask("/fail")
    assert reply.status == 500 and "Internal Server Error" in reply.text
    site.host.wait_line("KeyError: 'in a view'", since=since)


def test_urls_are_built_from_where_the_app_is(browser, way):
    # Debian's nginx tells the name of the host without its port.
    bases = browser.base, re.sub(r":\d+/", "/", browser.base)
    reply = json.loads(browser.ask("/user/a/b?x=1&y=%20&x=2").body)
    assert reply["who"] == "a/b" and reply["query"] == {"x": ["1", "2"], "y": [" "]}
    assert reply["url"] in (base + "/user/a/b?x=1&y=%20&x=2" for base in bases)
    assert reply["root"] in (base + "/" for base in bases)
    assert browser.base.endswith(reply["script"])
    if not way.startswith("fossil"):  # which knows no other methods
        for method in ("PUT", "DELETE"):
            assert json.loads(browser.ask("/user/a", method=method).body)["method"] == method
