"""
The mailers: from the queue that a real Fossil fills to a real SMTP server or a maildir, in both
languages; and what is left of a message when they are killed.
"""

import os
import random
import re
import signal
import sqlite3
import ssl
import threading
import time
from collections import Counter

import pytest

from mail import (Gate, MailServer, Queue, maildir_files, mailer_script, make_certificate,
                  message_id, run_mailer)
from support.host import SUFFIX, put, run_exthost
from support.waiting import free_port, wait_for

PLAIN = "From: fossil@example.org\nTo: a@example.org\nSubject: x\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(context for the server, file for the client)"""
    return context(tmp_path_factory.mktemp("tls"), "DNS:localhost,IP:127.0.0.1")


def context(folder, names):
    key, file = make_certificate(folder, names)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file, key)
    return made, file


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(MailServer.PASSWORD + "\n")
    return path


# From Fossil to the server.

def test_a_message_of_fossils_arrives_whole(queue, server, once):
    queue.test_message("a@example.org", "b@example.org", subject="Grüße", body="Größe\n.\n..x\n")
    output = once()
    received, = server.received
    assert received.sender == "fossil@example.org"
    assert received.recipients == ["a@example.org", "b@example.org"]
    assert received.message["Subject"] == "Grüße"
    assert received.text == "Größe\n.\n..x\n"
    assert received.data.split(b"\r\n\r\n")[0].isascii()
    assert re.search(r'Z info sent id=1 email=1 to=a@example.org,b@example.org tries=1 '
                     r'reason="250', output)
    assert [row[:2] for row in queue.log()] == [("sent", "a@example.org,b@example.org")]
    assert queue.states() == []


def test_a_message_that_fossil_stores_later_is_noticed(queue, server, start):
    mailer = start("--queue", queue.path, "--smtp", server.address)
    mailer.wait_line("mailer started")
    for number in range(1, 4):
        queue.test_message("a@example.org")
        server.wait_received(number)
    assert mailer.stop() == (0, [])
    assert len(server.received) == 3


@pytest.mark.parametrize("journal", ["wal", "keep"])
def test_the_database_is_set_to_wal_mode_unless_it_shall_be_kept(queue, once, journal):
    queue.test_message("a@example.org")
    output = once("--journal", journal)
    mode = {"wal": "wal", "keep": "delete"}[journal]
    assert f"journal={mode}" in output
    assert queue.sql("PRAGMA journal_mode") == [(mode,)]


def test_fossil_is_not_kept_waiting_while_a_message_is_sent(queue, server, start):
    server.to_data = gate = Gate()
    mailer = start("--queue", queue.path, "--smtp", server.address)
    mailer.wait_line("mailer started")
    queue.test_message("a@example.org")
    assert gate.reached.wait(15)
    for _ in range(5):
        queue.test_message("b@example.org")  # fails when the queue is locked
    gate.open()
    server.wait_received(6)


def test_the_envelope_names_the_sender_and_everyone_once_and_bcc_is_not_shown(queue, server, once):
    queue.put("From: Ann Bee <made-up@example.org>\nSender: <fossil@example.org>\n"
              "To: a@example.org, \"B, C\" <b@example.org>\nCc: (c) c@example.org,\n"
              "\t<a@example.org>\nBcc: hidden@example.org\nSubject: x\n\nbody")
    once()
    received, = server.received
    assert received.sender == "fossil@example.org"
    assert received.recipients == [f"{c}@example.org" for c in ("a", "b", "c", "hidden")]
    assert b"hidden" not in received.data and "Bcc" not in received.message
    assert b"<made-up@example.org>" in received.data


def test_line_ends_dots_and_long_lines_are_put_right(queue, server, once):
    body = ".one\n..two\rthree\r\n" + "x" * 2500 + "\n.\nend"
    queue.put(PLAIN + "\n" + body)
    queue.put(PLAIN + "\n" + ".\n" * 3)
    once()
    long, dots = server.received
    assert b"\r\n\r\n.\r\n.\r\n.\r\n" in dots.data
    assert max(map(len, long.data.split(b"\r\n"))) <= 998
    rest = long.data.replace(b"\r\n", b"")
    assert b"\r" not in rest and b"\n" not in rest
    assert long.text.rstrip("\n") == re.sub("\r\n|\r", "\n", body)


@pytest.mark.parametrize("eight_bit", [True, False], ids=["8BITMIME", "7 bits"])
def test_bytes_above_127_are_sent_as_the_server_takes_them(queue, start_server, language,
                                                           eight_bit):
    server = start_server(eight_bit=eight_bit)
    queue.put("From: Jörg Ü <fossil@example.org>\nTo: \"Ä, Ö\" <a@example.org>\n"
              f"Subject: {'Größe ' * 40}\nMIME-Version: 1.0\n"
              "Content-Type: text/plain; charset=UTF-8\n\nGröße = 1 \n")
    done = run_mailer(language, "--queue", queue.path, "--smtp", server.address, "--once")
    assert done.returncode == 0, done
    received, = server.received
    head, _, body = received.data.partition(b"\r\n\r\n")
    assert head.isascii() and body.isascii() != eight_bit
    assert ("BODY=8BITMIME" in received.options) == eight_bit
    assert received.text == "Größe = 1 \n"
    assert " ".join(received.message["Subject"].split()) == ("Größe " * 40).strip()
    assert received.message["From"].addresses[0].display_name == "Jörg Ü"
    assert received.message["To"].addresses[0].display_name == "Ä, Ö"


def test_an_address_that_is_not_ascii_needs_a_server_that_takes_it(queue, start_server, language):
    for eight_bit, status in ((False, 1), (True, 0)):
        server = start_server(eight_bit=eight_bit)
        queue.put("From: fossil@example.org\nTo: jörg@example.org\nSubject: x\n\nbody\n")
        done = run_mailer(language, "--queue", queue.path, "--smtp", server.address, "--once")
        assert done.returncode == status, done
        assert [r.recipients for r in server.received] == [["jörg@example.org"]] * eight_bit
        queue.sql("DELETE FROM mailer")


# What the server may do.

def test_a_message_put_off_is_tried_again_and_the_others_do_not_wait(queue, server, start):
    refusals = Counter()

    def later(address):
        refusals[address] += 1
        return "451 come again" if address.startswith("late") and refusals[address] <= 3 else None
    server.to_recipient = later
    queue.test_message("late@example.org")
    queue.test_message("a@example.org")
    start("--queue", queue.path, "--smtp", server.address)
    server.wait_received(2)
    assert [r.recipients for r in server.received] == [["a@example.org"], ["late@example.org"]]
    wait_for(lambda: not queue.states(), "all is recorded")
    assert [row for row in queue.log() if "late" in row[1]][:3] == [
        ("retry", "late@example.org", "451 come again")] * 3


def test_a_message_refused_for_good_is_kept_and_can_be_put_back(queue, server, once):
    server.to_recipient = lambda address: "550 nobody here" if address[0] == "n" else None
    queue.test_message("n@example.org")
    queue.test_message("a@example.org")
    output = once(status=1)
    assert 'error failed id=1 email=1 to=n@example.org tries=1 reason="550 nobody here"' in output
    assert [r.recipients for r in server.received] == [["a@example.org"]]
    server.to_recipient = lambda address: None
    queue.sql("UPDATE mailer SET state = 'waiting', tries = 0, due = 0 WHERE state = 'failed'")
    once()
    assert [r.recipients for r in server.received] == [["a@example.org"], ["n@example.org"]]


def test_each_recipient_has_a_fate_of_its_own(queue, server, start):
    refused = ["450 greylisted"]

    def answer(address):
        if address[0] == "g" and refused:
            return refused.pop()
        return "550 nobody here" if address[0] == "n" else None
    server.to_recipient = answer
    queue.test_message("a@example.org", "g@example.org", "n@example.org")
    start("--queue", queue.path, "--smtp", server.address)
    server.wait_received(2)
    assert [r.recipients for r in server.received] == [["a@example.org"], ["g@example.org"]]
    assert server.received[0].message["Message-Id"] == server.received[1].message["Message-Id"]
    wait_for(lambda: queue.states() == ["failed"], "all is recorded")
    assert sorted(row[:2] for row in queue.log()) == [
        ("failed", "n@example.org"), ("retry", "g@example.org"), ("sent", "a@example.org"),
        ("sent", "g@example.org")]


def test_after_the_last_try_a_message_has_failed(queue, server, once, start):
    server.to_data = lambda received: "451 never"
    queue.test_message("a@example.org")
    start("--queue", queue.path, "--smtp", server.address, "--max-tries", "3", "--backoff", "0.01")
    wait_for(lambda: queue.exists() and queue.states() == ["failed"], "it has failed")
    assert [row[0] for row in queue.log()] == ["retry", "retry", "failed"]


def test_a_connection_broken_in_the_middle_of_a_message_costs_nothing(queue, server, start):
    server.hang_up_in_data = 2
    for number in range(3):
        queue.test_message(f"a{number}@example.org")
    start("--queue", queue.path, "--smtp", server.address)
    server.wait_received(3)
    wait_for(queue.drained, "all is recorded")
    assert sorted(r.recipients for r in server.received) == [
        [f"a{number}@example.org"] for number in range(3)]


def test_a_message_whose_answer_is_lost_comes_again_with_the_same_message_id(queue, server, start):
    answers = [MailServer.HANG_UP]
    server.to_data = lambda received: answers.pop() if answers else None
    queue.put(PLAIN + "\nno Message-ID")
    start("--queue", queue.path, "--smtp", server.address)
    first, second = server.wait_received(2)
    assert first.message["Message-Id"] and first.data == second.data
    wait_for(queue.drained, "all is recorded")


def test_a_server_that_says_nothing_is_left(queue, server, start):
    server.to_data = gate = Gate()
    queue.test_message("a@example.org")
    start("--queue", queue.path, "--smtp", server.address, "--timeout", "0.2", "--max-tries", "1")
    wait_for(lambda: queue.exists() and queue.states() == ["failed"], "it has failed")
    gate.open()
    assert "timed out" in queue.log()[0][2]


def test_while_no_server_is_there_messages_wait_and_no_try_is_counted(queue, start_server, start):
    port = free_port()
    mailer = start("--queue", queue.path, "--smtp", f"127.0.0.1:{port}", "--max-tries", "1")
    mailer.wait_line("mailer started")
    queue.test_message("a@example.org")
    mailer.wait_line("nothing can be sent")
    mailer.wait_line("nothing can be sent", since=mailer.log_position())
    server = start_server(port)
    server.wait_received(1)
    wait_for(queue.drained, "all is recorded")
    assert [row[0] for row in queue.log()] == ["sent"]


def test_once_with_no_server_leaves_the_messages_and_says_so(queue, language):
    queue.test_message("a@example.org")
    nobody = f"127.0.0.1:{free_port()}"
    done = run_mailer(language, "--queue", queue.path, "--smtp", nobody, "--once")
    assert done.returncode == 1
    assert b"nothing can be sent" in done.stdout and b"waiting=1" in done.stdout
    assert queue.states() == ["waiting"]


POISON = [
    ("", "it has no header"), (None, "it has no header"), ("\n\nbody", "it has no header"),
    ("no header at all", "line 1 is no header field"),
    (b"\xff\xfe\x00", "line 1 is no header field"),
    ("Subject: x\nTo: a@example.org\n\nbody", "no sender"),
    ("From: f@example.org\nSubject: x\n\nTo: a@example.org", "no recipient"),
    ("From: f@example.org\nTo: undisclosed:;\n\nx", "no recipient"),
    ("From: f@example.org\nTo: <a@b c>\n\nx", "501 not an address"),
    ("From: f@example.org\nTo: \"open <a@b>\n\nx", "501 not an address"),
    ("From: f@example.org\nTo: <a@b\x00c>\n\nx", "501 not an address"),
    ("From: f@example.org\nTo: <a@b>\rRCPT TO:<c@d>\n\nx", "line 3 is no header field"),
]


def test_what_is_no_message_is_put_aside_and_the_others_pass(queue, server, once):
    for message, _ in POISON:
        queue.put(message)
    queue.put(PLAIN + "\nbody")
    output = once(status=1).splitlines()
    assert len(server.received) == 1
    for number, (message, reason) in enumerate(POISON, 1):
        line, = [line for line in output if f"error failed id={number} " in line]
        assert reason in line, message
    assert queue.states() == ["failed"] * len(POISON)


def test_a_bad_address_does_not_hold_up_the_good_ones(queue, server, once):
    queue.put("From: f@example.org\nTo: nobody, a@example.org\n\nx")
    assert "to=nobody " in once(status=1)
    assert [r.recipients for r in server.received] == [["a@example.org"]]


# TLS and login.

def test_messages_go_by_starttls_after_a_login(queue, start_server, certificate, language,
                                               password_file):
    server = start_server(certificate=certificate[0], login=True)
    queue.test_message("a@example.org")
    for host in ("127.0.0.1", "localhost"):
        queue.test_message(f"{host}@example.org")
        done = run_mailer(language, "--queue", queue.path, "--smtp", f"{host}:{server.port}",
                          "--starttls", "--ca-file", certificate[1], "--user", server.USER,
                          "--password-file", password_file, "--once", "--verbose")
        assert done.returncode == 0, done
        assert b"connected" in done.stdout and b"tls=yes login=yes" in done.stdout
        assert server.PASSWORD.encode() not in done.stdout + done.stderr
    assert len(server.received) == 3


def nothing_goes(queue, language, reason, *arguments):
    """With these arguments, and the message waits."""
    queue.test_message("a@example.org")
    done = run_mailer(language, "--queue", queue.path, "--once", *arguments)
    assert done.returncode == 1, done
    assert re.search(rb"nothing can be sent.*" + reason, done.stdout), done.stdout
    assert queue.states() == ["waiting"] and queue.log() == []


def test_with_a_wrong_password_the_messages_wait(queue, start_server, certificate, language,
                                                 password_file):
    server = start_server(certificate=certificate[0], login=True)
    password_file.write_text("wrong\n")
    nothing_goes(queue, language, b"535", "--smtp", server.address, "--starttls", "--ca-file",
                 certificate[1], "--user", server.USER, "--password-file", password_file)


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # without TLS, says aiosmtpd
def test_a_server_that_wants_a_login_keeps_the_messages_waiting(queue, start_server, language):
    server = start_server(login=True)
    nothing_goes(queue, language, b"530", "--smtp", server.address)


def test_with_starttls_nothing_is_sent_in_the_clear(queue, server, language):
    nothing_goes(queue, language, b"no STARTTLS", "--smtp", server.address, "--starttls")
    assert server.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(queue, start_server, certificate,
                                                          language):
    server = start_server(certificate=certificate[0])
    nothing_goes(queue, language, b"certificate", "--smtp", server.address, "--starttls")


def test_a_certificate_for_another_host_is_refused(queue, start_server, language, tmp_path):
    made, file = context(tmp_path, "DNS:elsewhere.example.org,IP:127.0.0.9")
    server = start_server(certificate=made)
    nothing_goes(queue, language, b"certificate", "--smtp", server.address, "--starttls",
                 "--ca-file", file)


# Stopping, killing, going on.

def test_sigterm_lets_the_message_in_hand_be_finished(queue, server, start):
    server.to_data = gate = Gate()
    for _ in range(2):
        queue.test_message("a@example.org")
    mailer = start("--queue", queue.path, "--smtp", server.address)
    assert gate.reached.wait(15)
    mailer.send(signal.SIGTERM)
    gate.open()
    assert mailer.wait_exit() == 0
    assert len(server.received) == 1
    assert [row[0] for row in queue.log()] == ["sent"] and queue.states() == ["waiting"]


def test_sigterm_ends_a_mailer_that_waits(queue, server, start):
    mailer = start("--queue", queue.path, "--smtp", server.address, "--interval", "1000")
    mailer.wait_line("mailer started")
    mailer.send(signal.SIGTERM)
    assert mailer.wait_exit() == 0


def test_the_message_in_hand_at_a_kill_is_sent_again_by_either_language(queue, server, start,
                                                                        language):
    server.to_data = gate = Gate()
    queue.put(PLAIN + "\nno Message-ID")
    mailer = start("--queue", queue.path, "--smtp", server.address)
    assert gate.reached.wait(15)
    mailer.send(signal.SIGKILL)
    mailer.wait_exit()
    gate.open()
    server.wait_received(1)
    other = {"python": "tcl", "tcl": "python"}[language]
    done = run_mailer(other, "--queue", queue.path, "--smtp", server.address, "--once")
    assert done.returncode == 0 and b"warning again id=1" in done.stdout
    first, second = server.received
    assert first.message["Message-Id"] == second.message["Message-Id"]
    assert [row[0] for row in queue.log()] == ["again", "sent"]


def test_a_queue_has_one_mailer_at_a_time(queue, server, start, tmp_path):
    start("--queue", queue.path, "--smtp", server.address).wait_line("mailer started")
    (tmp_path / "link.db").symlink_to(queue.path)
    for language in ("python", "tcl"):
        for path in (queue.path, tmp_path / "link.db"):
            done = run_mailer(language, "--queue", path, "--maildir", tmp_path / "no", "--once")
            assert (done.returncode, done.stdout) == (1, b"")
            assert done.stderr == f"mailer: {path}: another mailer has this queue\n".encode()


def kill_until_drained(start, queue, arguments, seed, kills, longest):
    """
    Start the mailer again and again and kill it, at most so many times, at random moments. Returns
    (kills, the Message-IDs that were in hand then).
    """
    randomness = random.Random(seed)
    in_hand = []
    done = 0
    while done < kills and not (queue.finished and queue.drained()):
        mailer = start(*arguments)
        if randomness.random() < 0.9:
            mailer.wait_line("mailer started")
        time.sleep(randomness.uniform(0, longest))  # the random moment: nothing is waited for here
        mailer.send(signal.SIGKILL)
        mailer.wait_exit()
        done += 1
        left = queue.in_hand()
        assert len(left) <= 1
        in_hand += left
    mailer = start(*arguments)
    mailer.wait_line("mailer started")
    wait_for(lambda: queue.finished and queue.drained(), "everything is sent", 60)
    assert mailer.stop() == (0, [])
    return done, in_hand


def write_in_background(queue, messages):
    """Fossil tells its subscribers until so many messages are stored, while the mailers run."""
    def write():
        try:
            while len(queue.stored()) < messages and queue.rounds < messages:
                queue.tell_subscribers()
        finally:
            queue.finished = True
    queue.finished = False
    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.fixture
def prepare_for_kills(tmp_path, language):
    """
    A queue with 100 subscribers. While it is used a connection to it stays open: the first to open
    a database in WAL mode after a kill reads its log again, and a Fossil that comes at that very
    moment waits for nobody and drops its message, which is not the subject here.
    """
    opened = []

    def prepare(journal):
        queue = Queue(tmp_path, subscribers=100)
        run_mailer(language, "--queue", queue.path, "--maildir", tmp_path / "unused", "--once",
                   "--journal", journal)
        opened.append(sqlite3.connect(queue.path))
        opened[-1].execute("SELECT count(*) FROM sqlite_master").fetchall()
        queue.watch()
        return queue
    yield prepare
    for database in opened:
        database.close()


def test_of_a_thousand_messages_none_is_lost_and_only_one_in_hand_at_a_kill_comes_twice(
        prepare_for_kills, server, start, language):
    queue = prepare_for_kills("wal")
    writer = write_in_background(queue, 1000)
    kills, in_hand = kill_until_drained(
        start, queue, ["--queue", queue.path, "--smtp", server.address], 4, 40, 0.15)
    writer.join()
    stored = queue.stored()
    arrived = Counter(received.message["Message-Id"] for received in server.received)
    doubles = arrived - Counter(stored)
    print(f"{language}: {len(stored)} stored, {kills} kills, {len(in_hand)} in hand, "
          f"{len(set(stored) - set(arrived))} lost, {sum(doubles.values())} doubled")
    assert queue.rounds == 10, "Fossil could not store all"
    assert len(stored) == len(set(stored)) == 1000
    assert kills >= 10
    assert set(arrived) == set(stored)
    assert doubles <= Counter(in_hand)
    recorded = queue.sql("SELECT id FROM mailer_log WHERE status = 'sent'")
    assert len(recorded) == len(set(recorded)) == 1000


@pytest.mark.parametrize("journal", ["wal", "keep"])
def test_in_a_maildir_no_message_is_lost_or_doubled_by_kills(
        prepare_for_kills, tmp_path, start, language, journal):
    queue = prepare_for_kills(journal)
    maildir = tmp_path / "maildir"
    writer = write_in_background(queue, 200)
    kills, in_hand = kill_until_drained(
        start, queue, ["--queue", queue.path, "--maildir", maildir, "--journal", journal],
        7, 10, 0.08)
    writer.join()
    stored = queue.stored()
    arrived = Counter(message_id(open(path, "rb").read()) for path in maildir_files(maildir))
    print(f"{language}, {journal}: {len(stored)} stored, {kills} kills, {len(in_hand)} in hand")
    # In rollback mode Fossil drops messages now and then by itself, since it opens the database and
    # waits for nobody. What it has stored counts.
    assert len(stored) >= 200 and (queue.rounds == 2 or journal == "keep")
    assert kills >= 3
    assert arrived == Counter(stored)


def test_a_file_that_a_mail_reader_has_moved_is_not_delivered_again(queue, language, tmp_path):
    maildir = tmp_path / "maildir"
    arguments = ["--queue", queue.path, "--maildir", maildir, "--once"]
    queue.test_message("a@example.org")
    assert run_mailer(language, *arguments).returncode == 0
    name, = os.listdir(maildir / "new")
    os.rename(maildir / "new" / name, maildir / "cur" / f"{name}:2,S")
    # As if the mailer had been killed just before it could record the end.
    text = (maildir / "cur" / f"{name}:2,S").read_text()
    queued, key, _ = name.split(".")
    queue.sql("INSERT INTO mailer(key, queued, msg, state, tries, due)"
              " VALUES(?, ?, ?, 'sending', 1, 0)", key, float(queued), text)
    assert run_mailer(language, *arguments).returncode == 0
    assert maildir_files(maildir) == [f"{maildir}/cur/{name}:2,S"]
    assert queue.log()[-1] == ("sent", "a@example.org", "250 it was there already")
    assert os.listdir(maildir / "tmp") == []


# The command line.

@pytest.mark.parametrize("arguments, complaint", [
    ([], "--queue"),
    (["--queue", "{folder}/q"], "--smtp"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--maildir", "{folder}/m"], "--smtp"),
    (["--queue", "{folder}/none/q", "--smtp", "h:25"], "no such folder"),
    (["--queue", "{folder}", "--smtp", "h:25"], "this is a folder"),
    (["--queue", "{folder}/q", "--smtp", "host"], "HOST:PORT"),
    (["--queue", "{folder}/q", "--smtp", "h:99999"], "HOST:PORT"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--bogus"], "--bogus"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--interval", "soon"], "--interval"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--max-tries", "0"], "--max-tries"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--journal", "x"], "--journal"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--user", "u"], "--password-file"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--user", "u", "--password-file", "/etc/hostname"],
     "without --starttls"),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--starttls", "--user", "u", "--password-file",
      "{folder}/none"], "{folder}/none: "),
    (["--queue", "{folder}/q", "--smtp", "h:25", "--starttls", "--ca-file", "{folder}/none"],
     "{folder}/none: "),
    (["--queue", "{folder}/q", "--maildir", "/proc/none"], "/proc/none: "),
    (["--queue", "{folder}/q", "--maildir", "{folder}/m", "--starttls"], "--starttls"),
    (["--queue"], "--queue"),
])
def test_a_mistake_is_one_line_and_status_2(language, tmp_path, arguments, complaint):
    done = run_mailer(language, *[a.format(folder=tmp_path) for a in arguments])
    assert (done.returncode, done.stdout) == (2, b""), done
    text = done.stderr.decode()
    assert text.startswith("mailer: ") and text.count("\n") == 1
    assert complaint.format(folder=tmp_path) in text


def test_a_file_that_is_no_database_is_one_line_and_status_1(language, tmp_path):
    (tmp_path / "q").write_text("this is no database, and long enough to be seen as none\n" * 20)
    done = run_mailer(language, "--queue", tmp_path / "q", "--maildir", tmp_path / "m", "--once")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"mailer: {tmp_path}/q: file is not a database\n"


def test_help_names_the_same_options_in_both_languages():
    told = [set(re.findall(r"^  (--[a-z-]+)", run_mailer(language, "--help").stdout.decode(), re.M))
            for language in ("python", "tcl")]
    assert told[0] - {"--help"} == told[1] and "--queue" in told[1]


def test_it_is_no_page(language, tmp_path):
    with open(mailer_script(language), encoding="utf-8") as f:
        text = f.read()
    assert not os.access(mailer_script(language), os.X_OK)
    word = {"python": "python", "tcl": "tcl"}[language]
    put(tmp_path, f"mailer{SUFFIX[language]}", f"#!/usr/bin/exthost-cgi {word}\n{text}")
    done = run_exthost("request", f"/mailer{SUFFIX[language]}", "--root", str(tmp_path))
    assert b"404" in done.stdout.split(b"\n")[0]
    assert b"This is a program for the command line, not a page." in done.stdout
