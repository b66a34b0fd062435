"""
What an app does wrong: which exception it gets, what the client gets, and that the next is well.
"""

import pytest

from support.apps import Apps
from support.web import BrokenTransfer

START = "start_response('200 OK', TEXT)\n"


@pytest.mark.parametrize("arguments, error", [
    ("b'200 OK', TEXT", "TypeError"), ("200, TEXT", "TypeError"),
    ("'200 OK', tuple(TEXT)", "TypeError"), ("'200 OK', {'A': 'b'}", "TypeError"),
    ("'200 OK', None", "TypeError"), ("'200 OK', [['A', 'b']]", "TypeError"),
    ("'200 OK', [('A', 'b', 'c')]", "TypeError"), ("'200 OK', [('A', 1)]", "TypeError"),
    ("'200 OK', [('A', b'b')]", "TypeError"), ("'200 OK', [(b'A', 'b')]", "TypeError"),
    ("'200 OK', [('A', None)]", "TypeError"), ("'200 OK'", "TypeError"),
    ("'200 OK', TEXT, None, 1", "TypeError"), ("'200 OK', TEXT, info=1", "TypeError"),
    ("'200 OK', TEXT, 1", "TypeError"), ("'200 OK', TEXT, (1, 2)", "TypeError"),
    ("'20', TEXT", "ValueError"), ("'200OK', TEXT", "ValueError"), ("'OK', TEXT", "ValueError"),
    ("'600 OK', TEXT", "ValueError"), ("'103 Early Hints', TEXT", "ValueError"),
    ("'101', TEXT", "ValueError"),
    ("'', TEXT", "ValueError"), ("'20 OK', TEXT", "ValueError"), ("'2000 OK', TEXT", "ValueError"),
    ("'099 OK', TEXT", "ValueError"), ("'200 OK\\n', TEXT", "ValueError"),
    ("'200 O\\r\\nX: y', TEXT", "ValueError"), ("'200 \\u20ac', TEXT", "ValueError"),
    ("'200 OK', [('A', 'b\\nC: d')]", "ValueError"), ("'200 OK', [('A', 'b\\r')]", "ValueError"),
    ("'200 OK', [('A', 'b\\0')]", "ValueError"), ("'200 OK', [('A', '\\x7f')]", "ValueError"),
    ("'200 OK', [('A', '\\u20ac')]", "ValueError"), ("'200 OK', [('A:', 'b')]", "ValueError"),
    ("'200 OK', [('A B', 'b')]", "ValueError"), ("'200 OK', [('', 'b')]", "ValueError"),
    ("'200 OK', [('A\\n', 'b')]", "ValueError"), ("'200 OK', [('\\xe9', 'b')]", "ValueError"),
    ("'200 OK', [('Connection', 'close')]", "ValueError"),
    ("'200 OK', [('transfer-encoding', 'chunked')]", "ValueError"),
    ("'200 OK', [('Keep-Alive', '1')]", "ValueError"), ("'200 OK', [('TE', 'x')]", "ValueError"),
    ("'200 OK', [('Upgrade', 'x')]", "ValueError"), ("'200 OK', [('Status', '404')]", "ValueError"),
    ("'200 OK', [('Content-Length', 'x')]", "ValueError"),
    ("'200 OK', [('Content-Length', '-1')]", "ValueError"),
    ("'200 OK', [('Content-Length', '1'), ('content-length', '2')]", "ValueError")])
def test_start_response_refuses_what_cannot_be_sent(plain_apps, arguments, error):
    plain_apps.fails(f"start_response({arguments})\nreturn [b'never']", f"{error}: start_response")


def test_an_app_can_go_on_after_a_refusal(plain_apps):
    reply = plain_apps.answer("""
        try:
            start_response("200 OK", TEXT + [("A", "b\\n")])
        except ValueError:
            start_response("500 Refused", TEXT)
        return [b"refused"]
        """)
    assert (reply.status, reply.body) == (500, b"refused")


@pytest.mark.parametrize("result, line", [
    ("['text']", "a piece of the body must be bytes, not str"),
    ("[b'a', 'b']", "a piece of the body must be bytes, not str"),
    ("iter([None])", "a piece of the body must be bytes, not NoneType"),
    ("[bytearray(b'a')]", "a piece of the body must be bytes, not bytearray"),
    ("b'body'", "must return an iterable of bytes: [body]"),
    ("None", "the application returned NoneType"), ("5", "the application returned int")])
def test_a_body_that_is_none_is_an_error_page(plain_apps, result, line):
    plain_apps.fails(START + f"return {result}", "TypeError: ", line)


@pytest.mark.parametrize("body", [
    "raise KeyError('lost')", START + "raise KeyError('lost')",
    START + "yield b''\nraise KeyError('lost')", "return Broken()", START + "return Broken()"])
def test_an_exception_before_any_output_is_a_500_with_its_traceback(apps, body):
    apps.fails(body, "Traceback", "KeyError: 'lost'", before="""
        class Broken:
            def __iter__(self):
                raise KeyError('lost')
        """)


def test_an_exception_after_output_cuts_the_reply(apps, start_nginx):
    url = apps.put(START + "yield b'some'\nraise KeyError('lost')")
    since = apps.host.log_position()
    with pytest.raises(BrokenTransfer):
        start_nginx(apps.host.socket).get(url)
    apps.host.wait_line("KeyError: 'lost'", since=since)


@pytest.mark.parametrize(
    "body", ["return [b'x']", "return iter([b'x'])", "return []", "return iter([])"])
def test_a_body_without_start_response_is_an_error(apps, body):
    apps.fails(body, "AssertionError")


def test_a_second_start_response_needs_exc_info(apps):
    apps.fails(START + START + "return []", "AssertionError: start_response was called before")


def test_start_response_with_exc_info_replaces_a_header_that_is_not_sent(apps):
    reply = apps.answer("""
        start_response("200 OK", TEXT + [("X-Old", "1")])
        try:
            raise ValueError("replaced")
        except ValueError:
            start_response("503 Replaced", TEXT + [("X-New", "1")], sys.exc_info())
        return [b"instead"]
        """)
    assert (reply.status, reply.body) == (503, b"instead")
    assert reply.header("X-Old") is None and reply.header("X-New") == "1"


def test_start_response_with_exc_info_raises_it_again_when_the_header_is_sent(apps):
    since = apps.host.log_position()
    outcome = apps.run(apps.put("""
        write = start_response("200 OK", TEXT)
        write(b"sent")
        try:
            raise ValueError("too late")
        except ValueError:
            start_response("503 Replaced", TEXT, sys.exc_info())
        return [b"never"]
        """))
    assert outcome.closed and b"never" not in outcome.stdout and b"503" not in outcome.stdout
    apps.host.wait_line("ValueError: too late", since=since)


def test_what_exc_info_held_is_freed_with_the_request(plain_apps):
    url = plain_apps.put("""
        class Held:
            def __del__(self):
                gone.append(1)
        def fail():
            held = Held()
            raise ValueError
        if environ["QUERY_STRING"]:
            start_response("200 OK", TEXT)
            return [b"%d" % len(gone)]
        try:
            fail()
        except ValueError:
            start_response("500 Failed", TEXT, sys.exc_info())
        return [b"failed"]
        """, "import gc\ngc.disable()\ngone = []")
    assert plain_apps.get(url).body == b"failed"
    assert plain_apps.get(url + "?1").body == b"1"


def test_start_response_and_write_are_dead_after_the_request(plain_apps):
    url = plain_apps.put("""
        found = []
        for call in kept:
            try:
                call(*([b"x"] if len(found) else ["200 OK", TEXT]))
            except ValueError as e:
                found.append(str(e))
        write = start_response("200 OK", TEXT)
        kept.extend([start_response, write])
        return ["|".join(found).encode()]
        """, "kept = []")
    assert plain_apps.get(url).body == b""
    assert plain_apps.get(
        url).body == b"start_response: the request is over|write: the request is over"


@pytest.mark.parametrize("body, line", [
    ("sys.exit()", "SystemExit"), ("sys.exit('enough')", "enough"),
    ("raise SystemExit(0)", "SystemExit"), ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    (START + "yield b''\nsys.exit(1)", "SystemExit")])
def test_an_app_that_ends_itself_is_a_500_and_is_loaded_again(apps, body, line):
    guard = "if environ['QUERY_STRING']:\n    " + START + "    return [b'%d' % os.getpid()]\n"
    if "yield" in body:
        guard = guard.replace("return [b'%d' % os.getpid()]",
                              "yield b'%d' % os.getpid()\n    return")
    url = apps.put(guard + body)
    first = apps.get(url + "?1").body
    since = apps.host.log_position()
    assert apps.get(url).status == 500
    apps.host.wait_line(line, since=since)
    apps.host.wait_line("the app ended itself", since=since)
    assert apps.get(url + "?1").body != first


@pytest.mark.parametrize("body, line", [
    ("os._exit(3)", "exit"), ("os.kill(os.getpid(), 11)", "signal"),
    ("import ctypes; ctypes.string_at(0)", "signal"), ("os.abort()", "signal"),
    ("os.kill(os.getpid(), 9)", "signal")])
def test_an_app_that_dies_costs_its_own_request_only(plain_apps, body, line):
    url = plain_apps.put(f"if environ['QUERY_STRING']:\n    {body}\n" + START + "return [b'well']")
    assert plain_apps.get(url).body == b"well"
    since = plain_apps.host.log_position()
    assert plain_apps.get(url + "?1").status >= 500
    plain_apps.host.wait_line(f"GET {url}", line, since=since)
    assert plain_apps.get(url).body == b"well"


def test_an_app_that_takes_too_long_shows_where_it_was(tmp_path):
    apps = Apps(tmp_path, "--timeout", "1")
    try:
        since = apps.host.log_position()
        assert apps.answer("deep()", before="def deep():\n    time.sleep(100)").status == 504
        apps.host.wait_line("in deep", "stream=stack", since=since)
        apps.host.wait_line("in application", "stream=stack", since=since)
    finally:
        apps.stop()


def test_no_memory_is_told(plain_apps):
    url = plain_apps.put("if environ['QUERY_STRING']:\n    raise MemoryError\n" + START
                         + "return [b'well']")
    since = plain_apps.host.log_position()
    assert plain_apps.get(url + "?1").status == 500
    plain_apps.host.wait_line("MemoryError", since=since)
    assert plain_apps.get(url).body == b"well"


def test_a_forked_child_that_comes_back_sends_nothing(apps):
    url = apps.put("""
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        start_response("200 OK", TEXT)
        return [b"parent" if child else b"child"]
        """)
    for _ in range(3):
        assert apps.get(url).body == b"parent"


def test_a_broken_pipe_that_is_not_the_client_s_has_its_traceback(plain_apps):
    plain_apps.fails("raise BrokenPipeError('of a program')", "Traceback",
                     "BrokenPipeError: of a program")
