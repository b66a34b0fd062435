"""
One request's bytes are in no other one's reply. For each way to run an extension, in each language,
at the shared socket and at one of its own: a first user's request ends badly, or leaves something
behind; a second user's request follows at once, and gets that user's page, byte for byte.

CGI has no socket of its own. There each request has a process and a pipe of its own, so its rows
say that nothing has changed in that. A Python app has no buffer and no timer that is about a reply.
"""

import pytest

from one_reply import Users, each, has
from support import fastcgi


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    made = Users(tmp_path_factory.mktemp("users"))
    yield made
    made.stop()


@pytest.fixture
def site(users, setting):
    return users.at(setting)


@each("gone_before", "gone_within", "gone_after", "gone_and_raises")
def test_what_a_client_that_left_did_not_get_is_in_no_other_reply(site, case):
    with site.begin(case):
        site.pid("begun")
    site.say("go")
    for _ in range(3):
        site.second()


@each("gone_before", "gone_within", "gone_after", "gone_and_raises")
def test_what_an_aborted_request_still_writes_is_in_no_other_reply(site, case):
    with site.begin(case, fastcgi.KEEP_CONN) as connection:
        site.pid("begun")
        connection.send(fastcgi.record(fastcgi.ABORT_REQUEST, 1))
        site.say("go")
        connection.read_outcome()
        for _ in range(3):
            site.second()


@each("refused", "raises", "writes_a_number")
def test_a_reply_that_fails_is_in_no_other_reply(site, case):
    outcome = site.first(case)
    assert outcome.closed or outcome.reply().status == 500
    for _ in range(3):
        site.second()


@each("buffer", "buffer_of_its_own", "buffer_made_later", "buffer_of_c", "transformed",
      "own_channel",
      "ring_of_objects", "closed", "handler")
def test_what_is_left_in_a_buffer_is_in_no_other_reply(site, case):
    for _ in range(2):
        site.first(case)
        site.second()
    site.second("hold")


@each("child", "forked", "thread", "thread_in_a_write")
def test_what_a_process_or_thread_writes_later_is_in_no_other_reply(site, case):
    site.first(case)
    left = site.pid("left")
    with site.holding() as end:
        site.say("late")
        site.wait_late(left)
        end()
    site.second()


@each("timer", "event", "repeated_timer", "background_error", "coroutine_of_its_own")
def test_what_a_timer_or_an_event_writes_later_is_in_no_other_reply(site, case):
    site.first(case)
    site.second("after_timer" if has(site.mode, site.language, "after_timer") else "plain")
    site.second()


@each("forked")
def test_a_child_writes_into_no_later_reply_on_a_kept_connection(site, case):
    with fastcgi.Connection(site.address, 60) as connection:
        connection.run(site.variables(case), flags=fastcgi.KEEP_CONN)
        left = site.pid("left")
        site.say("late")
        site.wait_late(left)
        site.second(connection=connection)
