"""environ, as PEP 3333 has it."""

import json

import pytest

from support import fastcgi

DUMP = """
import json
def dump(environ):
    plain = (str, bool, tuple)
    return json.dumps({name: value if isinstance(value, plain) else type(value).__name__
                       for name, value in environ.items()}).encode()
"""
REPLY = """
start_response("200 OK", TEXT)
return [dump(environ)]
"""


@pytest.fixture(scope="module")
def url(apps):
    return apps.put(REPLY, DUMP)


def environ_of(apps, target, **more):
    reply = apps.get(target, **more)
    assert reply.status == 200, reply
    return json.loads(reply.body)


def test_environ_is_a_dict_with_all_that_pep_3333_asks_for(apps):
    url = apps.put(REPLY.replace("environ)", "environ | {'type': str(type(environ))})"), DUMP)
    found = environ_of(apps, url + "/more?a=b")
    wanted = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": url, "PATH_INFO": "/more",
              "QUERY_STRING": "a=b", "CONTENT_TYPE": "", "CONTENT_LENGTH": "",
              "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
              "HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1",
              "wsgi.version": [1, 0], "wsgi.url_scheme": "http", "wsgi.multithread": False,
              "wsgi.multiprocess": True, "wsgi.run_once": False, "type": "<class 'dict'>"}
    assert {name: found.get(name) for name in wanted} == wanted
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} <= set(found)


def test_what_the_server_does_not_send_is_there_nevertheless(apps, url):
    with fastcgi.Connection(apps.host.socket) as connection:
        reply = connection.run({"REQUEST_METHOD": "GET", "SCRIPT_NAME": url}).reply()
    found = json.loads(reply.body)
    assert {"PATH_INFO": "", "QUERY_STRING": ""}.items() <= found.items()
    assert found["SERVER_NAME"] and found["SERVER_PORT"].isdigit()
    assert found["SERVER_PROTOCOL"].startswith("HTTP/")


def test_a_string_is_bytes_decoded_as_latin_1(apps, url):
    found = environ_of(apps, url, headers=[("X-Name", "J\u00f8rn \u2713".encode()),
                                           ("X-Byte", b"\xff\x80")])
    assert found["HTTP_X_NAME"].encode("latin-1").decode() == "J\u00f8rn \u2713"
    assert found["HTTP_X_BYTE"] == "\xff\x80"


@pytest.mark.parametrize("given, scheme", [
    ({"HTTPS": "on"}, "https"), ({"HTTPS": "1"}, "https"), ({"HTTPS": "off"}, "http"),
    ({"HTTPS": ""}, "http"), ({"REQUEST_SCHEME": "https"}, "https"),
    ({"REQUEST_SCHEME": "http"}, "http"), ({"HTTPS": "on", "REQUEST_SCHEME": "http"}, "https")])
def test_the_scheme_is_the_servers_word(apps, url, given, scheme):
    for _ in range(2):
        assert environ_of(apps, url, **given)["wsgi.url_scheme"] == scheme
        assert environ_of(apps, url)["wsgi.url_scheme"] == "http"


def test_an_app_may_change_its_environ_and_the_next_request_has_its_own(apps):
    url = apps.put("""
        found = dict(environ)
        environ.clear()
        environ["REQUEST_METHOD"] = environ["mine"] = "left over"
        start_response("200 OK", TEXT)
        return [dump(found)]
        """, DUMP)
    first = environ_of(apps, url)
    assert environ_of(apps, url) == first and "mine" not in first


def test_headers_of_one_request_are_not_in_the_next(apps, url):
    alone = environ_of(apps, url)
    for headers in ([("X-One", "1")], [("X-Two", "2"), ("X-One", "3")], [],
                    [("X-One", "4"), ("X-Two", "5")], [("X-One", ""), ("X-Two", "5")],
                    [(f"X-Many-{i}", str(i)) for i in range(300)], []):
        found = environ_of(apps, url, headers=headers)
        extra = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
        assert found == alone | extra


def test_a_variable_behind_all_that_the_last_request_had_is_in_the_environ(apps, url):
    """Also where a web server sends all that the host would add behind it."""
    given = fastcgi.variables("GET", url, SCRIPT_FILENAME=f"/somewhere{url}", PATH_INFO="",
                              PATH="/bin", HOME="/", LANG="C.UTF-8")
    for more in {}, {"HTTP_COOKIE": "user=first"}, {"HTTP_COOKIE": "user=first",
                                                    "HTTP_X_ONE": "1"}, {}:
        with fastcgi.Connection(apps.host.socket) as connection:
            found = json.loads(connection.run(given | more).reply().body)
        assert {name: found[name] for name in ("HTTP_COOKIE", "HTTP_X_ONE")
                if name in found} == more


def test_the_same_variables_in_another_order_are_the_same_environ(apps, url):
    given = fastcgi.variables("GET", url, headers=[("X-One", "1"), ("X-Two", "2")])
    alone = None
    for variables in (given, dict(reversed(given.items())), given):
        with fastcgi.Connection(apps.host.socket) as connection:
            found = json.loads(connection.run(variables).reply().body)
        alone = alone or found
        assert found == alone


def test_content_headers_have_no_second_name(apps, url):
    found = environ_of(apps, url, method="POST", body=b"abc",
                       headers=[("Content-Length", "3"), ("Content-Type", "text/x-test")])
    assert (found["CONTENT_LENGTH"], found["CONTENT_TYPE"]) == ("3", "text/x-test")
    assert not {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"} & set(found)


def test_the_environment_of_the_process_is_another_thing(apps):
    url = apps.put("""
        start_response("200 OK", TEXT)
        return [dump(dict(os.environ)), b"\\n", dump(environ)]
        """, DUMP)
    process, request = map(json.loads, apps.get(url, headers=[("Proxy", "x")]).text.splitlines())
    assert process == {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
    assert not {"HTTP_PROXY", "HOST_SECRET"} & set(request)


def test_what_is_written_to_wsgi_errors_is_in_the_log_of_the_request(apps):
    url = apps.put("""
        errors = environ["wsgi.errors"]
        errors.write("written\\n")
        errors.writelines(["in ", "pieces"])
        errors.flush()
        print("printed")
        start_response("200 OK", TEXT)
        return [b"ok"]
        """)
    since = apps.host.log_position()
    assert apps.get(url).body == b"ok"
    line = apps.host.wait_line(f"GET {url}", "status=200", since=since)
    request = line.split("[")[1].split("]")[0]
    for text in ("written", "in pieces", "printed"):
        apps.host.wait_line(text, f"[{request}]", since=since)
