"""From a URL to a file: Fossil's own rules, at a FastCGI listener and from the relay."""

import pytest

from support.host import SUFFIX, put, put_script, run_exthost

TELL = {
    "python": 'import os\nprint("Content-Type: text/plain\\n")\n'
              'print(*(os.environ.get(n, "-") for n in ("SCRIPT_NAME", "PATH_INFO", '
              '"SCRIPT_FILENAME", "DOCUMENT_ROOT")))\n',
    "tcl": 'puts "Content-Type: text/plain\\n"\n'
           'puts "$env(SCRIPT_NAME) $env(PATH_INFO) $env(SCRIPT_FILENAME) $env(DOCUMENT_ROOT)"\n',
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = tmp_path_factory.mktemp("routing")
    root = made / "root"
    for language, suffix in SUFFIX.items():
        put_script(root, f"tell{suffix}", language, TELL[language])
        put_script(root, f"sub/deep/tell{suffix}", language, TELL[language])
    put_script(root, "bytes.py", "python",
               'import os, sys\nprint("Content-Type: text/plain\\n", flush=True)\n'
               'sys.stdout.buffer.write(os.environb[b"PATH_INFO"])\n')
    put_script(root, ".hidden.py", "python", TELL["python"])
    put_script(root, "-dash.py", "python", TELL["python"])
    put_script(root, "a b.py", "python", TELL["python"])
    put_script(made, "outside.py", "python", TELL["python"])
    put(root, "style.css", "body {}\n")
    put(root, "notes.txt", "plain\n")
    put(root, "data.bin", bytes(range(256)))
    put(root, "unknown", b"x")
    put(root, "docs/index.html", "<p>html</p>\n")
    put(root, "docs/index.wiki", "wiki\n")
    put(root, "wiki/index.wiki", "wiki\n")
    put(root, "md/index.md", "md\n")
    put(root, "empty/other.txt", "x\n")
    put(root, "perl.pl", "#!/usr/bin/perl\nprint 1;\n")
    put(root, "program", b"\x7fELF\x02\x01\x01", executable=True)
    (root / "inside.py").symlink_to("tell.py")
    (root / "relative.py").symlink_to("../outside.py")
    (root / "absolute.py").symlink_to(made / "outside.py")
    (root / "absolute_inside.py").symlink_to(root / "tell.py")
    (root / "out").symlink_to("..")
    return made


@pytest.fixture(scope="module")
def served(place):
    from support.host import Host
    made = Host(place / "root")
    yield made
    made.stop()


@pytest.mark.parametrize("language", SUFFIX)
def test_the_longest_leading_part_that_names_a_file_is_the_script(served, place, language):
    root, name = place / "root", f"/sub/deep/tell{SUFFIX[language]}"
    for rest in ("", "/", "/more/of.it-_9"):
        told = served.get(name + rest).text.rstrip("\n").split(" ")
        assert told == [name, rest, f"{root}{name}", str(root)]


# What stands behind the name of a script, as it is decoded: names of files in a program's own
# pages.
INFOS = ["/file/tip/.hgignore", "/rev/-1", "/name/a b", "/\u6e2c/\xe9", "/~ada+b@c:d,e;f=g&h'\"",
         "//", "//x//y/",
         "/...", "/a\\b", "/%41", "/" + "x" * 6000, "/x" * 3000]


@pytest.mark.parametrize("language", SUFFIX)
@pytest.mark.parametrize("info", INFOS, ids=range(len(INFOS)))
def test_path_info_may_hold_what_no_file_name_may(served, language, info):
    name = f"/sub/deep/tell{SUFFIX[language]}"
    for sent in {"SCRIPT_NAME": name + info}, {"SCRIPT_NAME": name, "PATH_INFO": info}:
        told = served.run("GET", "/x", **sent).reply().text
        assert told.startswith(f"{name} {info} /"), told


@pytest.mark.parametrize("info", [b"/\xff\xfe", b"/\x01\t\x7f"])
def test_path_info_need_not_be_text(served, place, info):
    told = served.run("GET", "/x", SCRIPT_NAME=b"/bytes.py" + info).reply()
    assert told.body == info


@pytest.mark.parametrize("target, info", [
    ("/tell.py/a%20b/%E6%B8%AC", "/a b/\u6e2c"), ("/tell.py/a+b%2Bc", "/a+b+c"),
    ("/t%65ll.py/.x/-y", "/.x/-y"),
    ("/tell.py/%252e", "/%2e"), ("/tell.py/a%2Fb?q=%20", "/a/b")])
def test_a_request_at_the_command_line_is_decoded_as_a_web_server_does(place, target, info):
    done = run_exthost("request", target, "--root", str(place / "root"))
    assert done.returncode == 0, done
    assert done.stdout.decode().partition("\r\n\r\n")[2].startswith(f"/tell.py {info} /"), done


@pytest.mark.parametrize("target, status, reason", [
    ("/tell.py/%00", 404, "NUL"), ("/tell.py%00.txt", 404, "NUL"),
    ("/tell.py/%2e%2e/x", 404, "is . or .."),
    ("/%2e%2e/outside.py", 404, "is . or .."), ("/tell.py/%", 400, "hexadecimal"),
    ("/tell.py/%4", 400, "hexadecimal"),
    ("/tell.py/%zz", 400, "hexadecimal"), ("/a%20b.py", 404, "A-Z")])
def test_what_no_web_server_hands_on_is_refused_at_the_command_line_too(
        place, target, status, reason):
    done = run_exthost("request", target, "--root", str(place / "root"))
    assert done.stdout.startswith(b"Status: %d " % status), done
    assert (done.returncode, reason in done.stderr.decode()) == (1, True), done


@pytest.mark.parametrize("path", [
    "/.hidden.py", "/-dash.py", "/a b.py", "/a%20b.py", "/sub/../tell.py", "/./tell.py",
    "//tell.py",
    "/tell.py/../x", "/tell.py/x/..", "/tell.py/./x", "/tell.py/.", "/sub/deep/../tell.py",
    "/docs/../x",
    "/t\xe9ll.py", "/tell.py;x", "/docs//", "/sub//deep/tell.py", "/sub/.x", "/style.css/a b",
    "/nothing.py", "/sub/nothing/tell.py", "/sub", "/sub/deep", "/empty/", "/relative.py",
    "/absolute.py", "/absolute_inside.py", "/out/outside.py", "/style.css/more", "/style.css/",
    "/tell", "/.exthost.sock", ""])
def test_what_is_not_to_be_found_is_404_with_the_reason_in_the_log(served, path):
    since = served.log_position()
    given = path.encode("latin-1").decode("latin-1")
    reply = served.run("GET", "/x", SCRIPT_NAME=given, REQUEST_URI="/asked").reply()
    assert reply.status == 404
    line = served.wait_line("status=404", since=since)
    assert "reason=" in line
    assert "Traceback" not in reply.text


def test_a_path_of_more_bytes_than_any_file_has_is_404_and_not_cut(served):
    since = served.log_position()
    assert served.run("GET", "/x", SCRIPT_NAME="/tell.py/" + "x" * 9000).reply().status == 404
    served.wait_line("status=404", "longer than", since=since)


def test_a_link_that_stays_beneath_the_root_is_followed(served):
    assert served.get("/inside.py").status == 200


def test_the_whole_path_may_come_in_script_name_or_in_two_parts(served):
    whole = served.run("GET", "/x", SCRIPT_NAME="/tell.py/more", PATH_INFO="").reply()
    parts = served.run("GET", "/x", SCRIPT_NAME="/tell.py", PATH_INFO="/more").reply()
    assert whole.text == parts.text and whole.text.startswith("/tell.py /more ")


def test_a_script_filename_that_a_web_server_sends_is_not_believed(served, place):
    reply = served.run("GET", "/tell.py", SCRIPT_FILENAME="/etc/passwd", DOCUMENT_ROOT="/").reply()
    assert reply.text.split()[-2:] == [f"{place}/root/tell.py", f"{place}/root"]


@pytest.mark.parametrize("path, kind, body", [
    ("/style.css", "text/css; charset=utf-8", b"body {}\n"),
    ("/notes.txt", "text/plain; charset=utf-8", b"plain\n"),
    ("/data.bin", "application/octet-stream", bytes(range(256))),
    ("/unknown", "application/octet-stream", b"x"),
    ("/docs/", "text/html; charset=utf-8", b"<p>html</p>\n"),
    ("/wiki/", "text/x-fossil-wiki; charset=utf-8", b"wiki\n"),
    ("/md/", "text/x-markdown; charset=utf-8", b"md\n"),
])
def test_a_file_that_is_not_executable_is_static_content(served, path, kind, body):
    reply = served.get(path)
    assert (reply.status, reply.header("Content-Type"), reply.body) == (200, kind, body)
    assert reply.header("Content-Length") == str(len(body))


def test_static_content_that_has_not_changed_is_304(served):
    first = served.get("/style.css")
    again = served.run("GET", "/style.css", [("If-Modified-Since", first.header("Last-Modified"))])
    assert (again.reply().status, again.reply().body) == (304, b"")


def test_head_of_static_content_has_the_length_and_no_body(served):
    reply = served.run("HEAD", "/style.css").reply()
    assert (reply.status, reply.header("Content-Length"), reply.body) == (200, "8", b"")


@pytest.mark.parametrize("path, first", [
    ("/perl.pl", "'perl' as its program"), ("/program", "ELF")])
def test_an_executable_in_no_language_of_ours_is_500_and_the_log_says_why(
        served, path, first):
    since = served.log_position()
    assert served.get(path).status == 500
    assert path[1:] in served.wait_line(first, since=since)


@pytest.mark.parametrize("line, language", [
    ("#!/usr/bin/python3", "python"), ("#!/usr/bin/env python3", "python"),
    ("#!/usr/local/bin/python3.11", "python"), ("#!/usr/bin/env -S python3 -u", "python"),
    ("#!/usr/bin/tclsh", "tcl"), ("#!/usr/bin/tclsh8.6", "tcl"), ("#!/usr/bin/env tclsh", "tcl"),
    ("#!/usr/bin/wapptclsh", "tcl"), ("#!/usr/bin/exthost-cgi tcl", "tcl"),
    ("#!/usr/bin/exthost-cgi --socket /run/x.sock python", "python"), ("#! /usr/bin/tclsh", "tcl"),
    ("#!/usr/bin/tclsh\r", "tcl")])
def test_the_first_line_tells_the_language_whatever_the_suffix(tmp_path, line, language):
    put(tmp_path, "script.x", line + "\n" + TELL[language])
    done = run_exthost("request", "/script.x", "--root", str(tmp_path))
    assert done.returncode == 0, done


@pytest.mark.parametrize("suffix, language", [(".py", "python"), (".tcl", "tcl")])
@pytest.mark.parametrize("first", ["", "#!/usr/bin/exthost-cgi\n", "# a comment\n"])
def test_else_the_suffix_tells_it(tmp_path, suffix, language, first):
    put(tmp_path, f"script{suffix}", first + TELL[language], executable=True)
    (tmp_path / f"script{suffix}").chmod(0o755)
    done = run_exthost("request", f"/script{suffix}", "--root", str(tmp_path))
    assert done.returncode == 0, done


@pytest.mark.parametrize("language", SUFFIX)
def test_a_changed_file_is_used_from_the_next_request_on(start_host, tmp_path, language):
    say = {"python": 'print("Content-Type: text/plain\\n\\n{}")\n',
           "tcl": 'puts "Content-Type: text/plain\\n\\n{}"\n'}[language]
    name = f"said{SUFFIX[language]}"
    put_script(tmp_path, name, language, say.format("v0"))
    host = start_host(tmp_path)
    for version in range(1, 40):
        # The same size each time, within the same moment: nothing but the content differs.
        put_script(tmp_path, name, language, say.format(f"v{version % 10}"))
        assert host.get(f"/{name}").text.strip() == f"v{version % 10}"
    for _ in range(3):
        assert host.get(f"/{name}").text.strip() == "v9"


def test_a_file_rewritten_in_place_is_used_from_the_next_request_on(start_host, tmp_path):
    path = put_script(tmp_path, "said.py", "python", 'print("Content-Type: text/plain\\n\\nold")\n')
    host = start_host(tmp_path)
    for _ in range(5):
        assert host.get("/said.py").text.strip() == "old"
    path.write_text(path.read_text().replace("old", "new"))
    assert host.get("/said.py").text.strip() == "new"


def test_the_prefix_is_taken_off(start_host, place):
    host = start_host(place / "root", "--prefix", "/ext", listen=["unix:{folder}/s"])
    assert host.get("/ext/tell.py/x").text.startswith("/ext/tell.py /x ")
    assert host.get("/tell.py").status == 404
    assert host.get("/extra/tell.py").status == 404


def test_a_listener_may_have_a_prefix_of_its_own(start_host, place):
    host = start_host(place / "root", listen=["unix:{folder}/s,prefix=/own"])
    assert host.get("/own/tell.py").status == 200


def test_from_the_relay_the_script_must_lie_beneath_the_root(served, place):
    assert served.as_fossil("GET", "tell.py", "/x").reply().text.startswith("/ext/tell.py /x ")
    for outside in (f"{place}/outside.py", "/etc/passwd", f"{place}/root/../outside.py",
                    f"{place}/root/relative.py", f"{place}/rootless/tell.py"):
        reply = served.as_fossil("GET", "tell.py", SCRIPT_FILENAME=outside).reply()
        assert reply.status == 404
