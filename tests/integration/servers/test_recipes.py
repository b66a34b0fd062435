"""
What README.md tells a reader to write into a web server's configuration does what README.md says.
"""

import base64
import json

import pytest

import recipes
from support import web
from support.host import SUFFIX, Host, copy_scripts, environment_of
from support.marks import LANGUAGES
from support.own_socket import Serving
from support.readme import SOCKET, block_with, host_options, put_in
from support.servers import WWW_DATA


def host_of(root, title):
    given = host_options(title)
    listen = given.pop("--listen")
    assert listen.startswith(f"unix:{SOCKET}")
    return Host(root, *[word for option in given.items() for word in option],
                listen=[listen.replace(SOCKET, "{folder}/s")])


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = host_of(copy_scripts(tmp_path_factory.mktemp("root")), "Behind nginx")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def nginx(host):
    made = recipes.Nginx(block_with("Behind nginx", "server {"), host.socket)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def apache(host):
    made = recipes.Apache(block_with("Behind Apache", "ProxyPass"), host.socket)
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
def test_the_extension_is_there_as_the_readme_says(server, language):
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
    block = block_with("Behind nginx", "server {")
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
    block = block_with("Behind nginx", "server {")
    checked = block_with("Behind nginx", "auth_basic ")
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
    server = recipes.Apache(block_with("Behind Apache", "ProxyPass"), host.socket, """
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
    text = block_with("A socket of its own", "location /wiki/")
    app = Serving(tmp_path / "root", "--prefix", "/wiki", "--allow-uid", str(WWW_DATA),
                  language=language,
                  listen=["unix:{folder}/s,mode=0666"])
    try:
        location = put_in(text[text.index("location"):], ("/run/exthost/wiki.sock", app.socket))
        server = recipes.Nginx(put_in(
            block_with("Behind nginx", "server {"),
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
