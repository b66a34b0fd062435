"""What the documents say of a web server's configuration is so, behind real servers."""

import base64
import json

import pytest

import recipes
from support import web
from support.documents import SOCKET, put_in, recipe
from support.host import REPOSITORY, SUFFIX, Host, copy_scripts, environment_of
from support.marks import LANGUAGES
from support.own_socket import Serving

GUIDE = REPOSITORY / "host" / "man" / "README.md"
WIKI = "/run/exthost/wiki.sock"


def started_as(document, socket):
    """(options, listen) of the host there, with sockets of the test's own host."""
    given = recipes.host_options(document, socket)
    listen = [value.replace(socket, "{folder}/s")
              for option, value in given if option == "--listen"]
    return [word for pair in given if pair[0] != "--listen" for word in pair], listen


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """As the guide starts it, which serves Fossil too."""
    options, listen = started_as(GUIDE, SOCKET)
    assert listen == ["relay", "unix:{folder}/s,mode=0666"]
    made = Host(copy_scripts(tmp_path_factory.mktemp("root")), *options, listen=listen)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def nginx(host):
    made = recipes.Nginx(recipe("nginx"), host.socket)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def apache(host):
    made = recipes.Apache(recipe("apache"), host.socket)
    yield made
    made.stop()


@pytest.fixture(params=["nginx", "apache"])
def server(request):
    return request.getfixturevalue(request.param)


def authorization(password):
    return [("Authorization", "Basic " + base64.b64encode(b"ada:" + password.encode()).decode())]


def env_of(language):
    return f"/ext/{language}/env{SUFFIX[language]}"


@LANGUAGES
def test_the_extension_is_there_as_the_guide_says(server, language):
    assert server.get(f"/ext/{language}/hello{SUFFIX[language]}").status == 200


@LANGUAGES
def test_a_name_that_nobody_has_checked_is_no_remote_user(server, language):
    for headers in [], authorization("guessed"):
        assert environment_of(server.get(env_of(language), headers)).get("REMOTE_USER", "") == ""


@LANGUAGES
@pytest.mark.parametrize("given", ["example.org", "example.org:8081", "[::1]:99", "127.0.0.1"])
def test_the_host_keeps_its_port(server, language, given):
    raw = web.exchange(server.port, f"GET {env_of(language)} HTTP/1.1\r\nHost: {given}\r\n"
                                    "Connection: close\r\n\r\n".encode())
    assert f"HTTP_HOST {given.encode().hex()}\n".encode() in raw


def test_the_host_of_the_request_line_counts(nginx):
    raw = web.exchange(
        nginx.port, f"GET http://good.example{env_of('python')} HTTP/1.1\r\nHost: evil.example\r\n"
                    "Connection: close\r\n\r\n".encode())
    assert f"HTTP_HOST {b'good.example'.hex()}\n".encode() in raw


def test_without_the_recipes_lines_both_would_be_wrong(host):
    """So that the recipe is not kept when nothing needs it any more: what Debian's file sends."""
    block = recipe("nginx")
    stock = "\n".join(line for line in block.split("\n") if "fastcgi_param " not in line)
    server = recipes.Nginx(stock, host.socket)
    try:
        found = environment_of(server.get(env_of("python"), authorization("guessed")))
    finally:
        server.stop()
    assert found["REMOTE_USER"] == "ada"
    # Before Debian's security update the header was sent as it came.
    assert found["HTTP_HOST"] in ("127.0.0.1", "localhost", f"127.0.0.1:{server.port}")


@LANGUAGES
def test_a_name_that_nginx_has_checked_is_the_remote_user(host, language):
    block = recipe("nginx")
    checked = recipe("nginx-password")
    server = recipes.Nginx(put_in(block, ('fastcgi_param REMOTE_USER "";\n', checked)), host.socket)
    try:
        assert server.get(env_of(language)).status == 401
        assert server.get(env_of(language), authorization("guessed")).status == 401
        assert environment_of(
            server.get(env_of(language), authorization("secret")))["REMOTE_USER"] == "ada"
    finally:
        server.stop()


@LANGUAGES
def test_a_name_that_apache_has_checked_is_the_remote_user_and_the_password_stays_there(
        host, language):
    server = recipes.Apache(recipe("apache"), host.socket, """
<Location /ext/>
AuthType Basic
AuthName extensions
AuthUserFile {folder}/htpasswd
Require valid-user
</Location>
""")
    try:
        assert server.get(env_of(language), authorization("guessed")).status == 401
        found = environment_of(server.get(env_of(language), authorization("secret")))
    finally:
        server.stop()
    assert found["REMOTE_USER"] == "ada" and "HTTP_AUTHORIZATION" not in found


@LANGUAGES
def test_an_app_with_a_socket_of_its_own_has_a_right_recipe_too(host, tmp_path, language):
    options, listen = started_as(REPOSITORY / "extensions" / "README.md", WIKI)
    app = Serving(tmp_path / "root", *options, language=language, listen=listen)
    try:
        location = put_in(recipe("nginx-app"), (WIKI, app.socket))
        server = recipes.Nginx(put_in(
            recipe("nginx"),
            ("location /ext/", location + "location /ext/")),
            host.socket)
        try:
            headers = [("Host", "example.org:8081"), *authorization("guessed")]
            found = json.loads(server.get("/wiki/a%20b/variables", headers).text)
        finally:
            server.stop()
    finally:
        app.stop()
    assert (found.get("REMOTE_USER", ""), found["HTTP_HOST"]) == ("", "example.org:8081")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/wiki", "/a b/variables")


@LANGUAGES
def test_a_proxy_header_reaches_nobody(server, language):
    found = environment_of(
        server.get(env_of(language), [("Proxy", "http://evil/"), ("proxy", "http://evil/2")]))
    assert [name for name,
            value in found.items() if "proxy" in name.lower() or "evil" in value] == []
