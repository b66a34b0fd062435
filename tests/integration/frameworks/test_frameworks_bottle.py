"""Bottle: signed cookies, redirects that are raised, files in forms, and files that are served."""

import hashlib
import json
import random

import pytest

from support.frameworks import Site

pytest.importorskip("bottle", reason="python3-bottle is not installed")

APP = r'''
import hashlib
from bottle import (Bottle, HTTPResponse, abort, redirect, request, response, static_file, template)

application = Bottle()
SECRET = "of a test"


@application.get("/")
def index():
    return template("<p>{{user}}</p>", user=request.get_cookie("user", secret=SECRET) or "nobody")


@application.post("/login")
def log_in():
    response.set_cookie("user", request.forms.getunicode("user"), secret=SECRET, path="/")
    redirect("done")


@application.get("/done")
def done():
    return "done, " + request.get_cookie("user", secret=SECRET)


@application.post("/upload")
def upload():
    file = request.files.get("file")
    data = file.file.read()
    return {"name": file.raw_filename, "size": len(data), "sum": hashlib.sha256(data).hexdigest(),
            "note": request.forms.get("note")}


@application.post("/json")
def echo_json():
    return {"got": request.json, "type": request.content_type}


@application.get("/file")
def file():
    return static_file("blob", root="@DATA@", mimetype="application/octet-stream")


@application.get("/count/<n:int>")
def count(n):
    response.content_type = "text/csv"
    return (f"{i}\n" for i in range(n))


@application.route("/any", method=["GET", "POST", "PUT", "PATCH", "DELETE"])
def any_method():
    return {"method": request.method, "query": dict(request.query.decode()),
            "path": request.fullpath}


@application.get("/teapot")
def teapot():
    abort(418, "short and stout")


@application.get("/fail")
def fail():
    raise KeyError("in a route")
'''


@pytest.fixture(scope="module")
def site():
    made = Site(APP)
    (made.data / "blob").write_bytes(random.Random(2).randbytes(500_000))
    yield made
    made.stop()


def test_a_signed_cookie_comes_with_a_redirect_and_is_believed_afterwards(browser):
    assert "<p>nobody</p>" in browser.ask("/").text
    reply = browser.ask("/login", {"user": "Ada \u2713"}, follow=False)
    assert reply.status in (302, 303) and reply.header("Set-Cookie").startswith("user=")
    assert "<p>Ada \u2713</p>" in browser.ask("/").text


def test_a_file_in_a_form_arrives_whole(browser):
    data = random.Random(1).randbytes(300_000)
    reply = browser.upload("/upload", "file", "a.bin", data, note="with it")
    assert json.loads(reply.body) == {"name": "a.bin", "size": len(data), "note": "with it",
                                      "sum": hashlib.sha256(data).hexdigest()}


def test_json_goes_both_ways(browser):
    thing = {"text": "caf\u00e9", "list": [1, 2.5, None]}
    reply = browser.ask("/json", json.dumps(thing).encode(), {"Content-Type": "application/json"})
    assert json.loads(reply.body) == {"got": thing, "type": "application/json"}


def test_a_file_is_served_by_the_file_wrapper_whole_and_in_part(browser, site, way):
    whole = (site.data / "blob").read_bytes()
    assert browser.ask("/file").body == whole
    if not way.startswith("fossil"):  # which does not pass Range on
        part = browser.ask("/file", headers={"Range": "bytes=100000-199999"})
        assert (part.status, part.body) == (206, whole[100_000:200_000])


def test_a_generator_is_a_body(browser):
    assert browser.ask("/count/5000").text == "".join(f"{i}\n" for i in range(5000))


def test_a_status_of_its_own_and_an_exception(browser, site):
    reply = browser.ask("/teapot")
    assert reply.status == 418 and "short and stout" in reply.text
    assert browser.ask("/nothing").status == 404
    since = site.host.log_position()
    assert browser.ask("/fail").status == 500
    site.host.wait_line("KeyError: 'in a route'", since=since)


def test_methods_and_the_query(browser, way):
    methods = ("GET", "POST") if way.startswith("fossil") else (
        "GET", "POST", "PUT", "PATCH", "DELETE")
    path = browser.base.partition("/")[2].partition("/")[2].partition("/")[2]
    for method in methods:
        reply = json.loads(browser.ask("/any?a=1&b=%C3%A9", b"" if method == "POST" else None,
                                       method=method).body)
        assert reply == {"method": method, "query": {"a": "1", "b": "\u00e9"},
                         "path": f"/{path}/any"}
