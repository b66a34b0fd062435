"""A FastCGI parameter that comes twice: the last one counts, and nothing is left of the others."""

import struct

import pytest

from support.fastcgi import (BEGIN_REQUEST, PARAMS, STDIN, Connection, pairs, record, stream,
                             variables)
from support.host import SUFFIX, Host, put_script
from support.own_socket import Serving

# The environment as a program gets it that the script starts: what stands there twice is seen.
ENVIRONMENT = {
    "python": 'import subprocess\nprint("Content-Type: text/plain\\n", flush=True)\n'
              'subprocess.run(["/usr/bin/env", "-0"], check=True)\n',
    "tcl": 'puts "Content-Type: text/plain\\n"\nflush stdout\nexec /usr/bin/env -0 >@stdout\n',
}
APP = {"python": '# exthost: app\n\n\ndef application(environ, start_response):\n'
                 '    start_response("200 OK", [("Content-Type", "text/plain")])\n'
                 '    return ["".join(f"{k}={v}\\0" for k, v in environ.items()).encode()]\n',
       "tcl": '# exthost: app\nproc application {} {\n    puts "Content-Type: text/plain\\n"\n'
              '    foreach {name value} [array get ::env] { puts -nonewline "$name=$value\\0" }\n'
              '}\n'}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("root")
    for language, suffix in SUFFIX.items():
        put_script(made, f"cgi{suffix}", language, ENVIRONMENT[language])
        put_script(made, f"rerun{suffix}", language, "# exthost: rerun\n" + ENVIRONMENT[language])
        put_script(made, f"app{suffix}", language, APP[language])
        put_script(made, f"other{suffix}", language,
                   ENVIRONMENT[language].replace("-0", "-0 WHICH=other")
                   if language == "tcl"
                   else ENVIRONMENT[language].replace('"-0"', '"-0", "WHICH=other"'))
    return made


@pytest.fixture(scope="module")
def host(root):
    made = Host(root)
    yield made
    made.stop()


# Decoded by libfcgi; and, as padding behind BEGIN_REQUEST is nothing for libfcgi, by the host
# itself.
DECODERS = {"libfcgi": 0, "wire": 8}


def send(address, target, added, decoder="libfcgi", **more):
    """The reply to a request that has these (name, value) behind a web server's usual ones."""
    given = [*variables("GET", target, **more).items(), *added]
    with Connection(address) as c:
        c.send(record(BEGIN_REQUEST, 1, struct.pack(">HB5x", 1, 0), padding=DECODERS[decoder])
               + stream(PARAMS, 1, pairs(given)) + record(STDIN, 1))
        return c.read_outcome().reply()


def environment_of(reply):
    """The variables, after making sure that each is there once."""
    assert reply.status == 200, reply
    items = [line.partition("=")[::2] for line in reply.text.strip("\0\n").split("\0")]
    names = [name for name, _ in items]
    assert sorted(names) == sorted(set(names))
    return dict(items)


WAYS = [(way, language) for way in ("cgi", "rerun", "app", "own socket") for language in SUFFIX]


@pytest.fixture(params=WAYS, ids=" ".join)
def place(request, host, tmp_path):
    """(address, target) of a script or an app that tells its environment."""
    way, language = request.param
    if way != "own socket":
        yield host.socket, f"/{way}{SUFFIX[language]}"
        return
    made = Serving(tmp_path / "root", language=language, workers=1, text=APP[language])
    yield made.socket, "/x"
    made.stop()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("more", [0, 200])
def test_the_last_one_counts_as_the_admins_own_line_behind_an_include(place, decoder, more):
    address, target = place
    many = [(f"HTTP_X_{n}", str(n)) for n in range(more)]
    found = environment_of(send(address, target, [
        ("REMOTE_USER", "nobody checked me"), *many, ("HTTP_HOST", "example.org:8081"),
        ("REMOTE_USER", ""),
        ("HTTP_X_LATE", "1"), ("HTTP_X_LATE", "2"), ("HTTP_X_LATE", "3"), *many[50:60],
        ("SERVER_NAME", "own")],
        decoder))
    assert (found["REMOTE_USER"], found["HTTP_HOST"], found["HTTP_X_LATE"],
            found["SERVER_NAME"]) == (
        "", "example.org:8081", "3", "own")
    assert {name: found[name] for name, _ in many} == dict(many)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("more", [0, 200])
def test_a_proxy_header_sent_twice_or_in_other_letters_never_arrives(place, decoder, more):
    address, target = place
    found = environment_of(send(address, target, [
        ("HTTP_PROXY", "http://evil/1"), *[(f"HTTP_X_{n}", "x") for n in range(more)],
        ("HTTP_PROXY", "http://evil/2"),
        ("http_proxy", "http://evil/3"), ("Http_Proxy", "http://evil/4"),
        ("http_proxy", "http://evil/5")], decoder))
    assert [name for name,
            value in found.items() if name.lower() == "http_proxy" or "evil" in value] == []


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("more", [0, 200])
def test_fossil_variables_sent_twice_never_arrive_from_a_web_server(place, decoder, more):
    address, target = place
    found = environment_of(send(address, target, [
        ("FOSSIL_USER", "ada"), *[(f"HTTP_X_{n}", "x") for n in range(more)],
        ("FOSSIL_USER", "eve"),
        ("FOSSIL_CAPABILITIES", "s"), ("FOSSIL_CAPABILITIES", "a")], decoder))
    assert [name for name in found if name.startswith("FOSSIL")] == []


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("language", SUFFIX)
def test_the_last_script_name_is_the_one_that_is_run(host, root, language, decoder):
    name = f"/other{SUFFIX[language]}"
    found = environment_of(send(host.socket, "/cgi.py",
                                [("SCRIPT_NAME", name), ("PATH_INFO", "/a"), ("PATH_INFO", "/b")],
                                decoder))
    assert (found["WHICH"], found["SCRIPT_NAME"], found["PATH_INFO"], found["SCRIPT_FILENAME"]) == (
        "other", name, "/b", f"{root}{name}")


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_web_server_may_send_script_filename_twice(place, decoder):
    address, target = place
    twice = [("SCRIPT_FILENAME", "/etc/passwd"), ("SCRIPT_FILENAME", "/etc/shadow")]
    found = environment_of(send(address, target, twice, decoder))
    assert found["SCRIPT_FILENAME"].rpartition(".")[2] in ("py", "tcl")


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_relay_may_not_name_its_script_twice(host, root, decoder):
    for first, second in ("cgi.py", "other.py"), ("other.py", "cgi.py"), ("cgi.py", "cgi.py"):
        since = host.log_position()
        twice = [("SCRIPT_FILENAME", f"{root}/{first}"), ("SCRIPT_FILENAME", f"{root}/{second}")]
        assert send(host.trusted, "/ext/cgi.py", twice, decoder).status == 400
        host.wait_line("SCRIPT_FILENAME is there twice", since=since)


@pytest.mark.parametrize("decoder", DECODERS)
def test_of_what_the_relay_sends_twice_the_last_counts_too(host, root, decoder):
    found = environment_of(send(host.trusted, "/ext/cgi.py", [
        ("SCRIPT_FILENAME", f"{root}/cgi.py"), ("FOSSIL_USER", "ada"), ("FOSSIL_USER", "eve")],
                                decoder))
    assert found["FOSSIL_USER"] == "eve"
