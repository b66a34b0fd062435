"""Mail: a Fossil that stores it in a queue, the mailers, and a server that takes what they send."""

import asyncio
import email
import email.policy
import os
import sqlite3
import subprocess
import threading
from dataclasses import dataclass

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from support.host import EXTHOST, REPOSITORY, SUFFIX, environment, run_exthost
from support.processes import Program
from support.waiting import free_port, wait_for

FOSSIL = "/usr/bin/fossil"
COMMAND = {"python": "python", "tcl": "tclsh"}


def mailer_script(language):
    return str(REPOSITORY / "extensions" / f"mailer{SUFFIX[language]}")


def run_mailer(language, *arguments, **more):
    return run_exthost(COMMAND[language], mailer_script(language), *map(str, arguments), **more)


def start_mailer(language, *arguments):
    return Program([EXTHOST, COMMAND[language], mailer_script(language), *map(str, arguments)],
                   env=environment(), name="mailer")


class Queue:
    """The database that Fossil fills, and the repository of that Fossil."""

    def __init__(self, folder, subscribers=0):
        self.folder = str(folder)
        self.path = f"{folder}/queue.db"
        self.repository = f"{folder}/project.fossil"
        self.subscribers = subscribers
        self.rounds = 0

    def _make_repository(self):
        """When it is needed first: a test with messages of its own needs none."""
        self.fossil("init", "-A", "admin", self.repository)
        settings = {"email-send-method": "db", "email-send-db": self.path,
                    "email-self": "fossil@example.org", "email-subname": "[project]",
                    "email-url": "http://localhost/", "backoffice-disable": "1"}
        pairs = ", ".join(f"('{name}', '{value}', 0)" for name, value in settings.items())
        self.fossil("sql", "-R", self.repository,
                    f"REPLACE INTO config(name, value, mtime) VALUES {pairs}")
        if self.subscribers:
            self.fossil("user", "capabilities", "nobody", "jorz2", "-R", self.repository)
            self.fossil("alerts", "status", "-R", self.repository)  # makes the tables
            self.fossil("sql", "-R", self.repository, f"""
                WITH RECURSIVE n(i) AS (
                  SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < {self.subscribers})
                INSERT INTO subscriber(semail, sverified, sdonotcall, sdigest, ssub, sctime, mtime,
                                       smip, lastContact)
                SELECT 's' || i || '@example.org', 1, 0, 0, 'w', 0, 0, '', strftime('%s')/86400
                  FROM n""")

    def fossil(self, *arguments, stdin=b""):
        if arguments[0] != "init" and not os.path.exists(self.repository):
            self._make_repository()
        environment = {"HOME": self.folder, "USER": "admin", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([FOSSIL, *arguments], input=stdin, capture_output=True, timeout=60,
                              cwd=self.folder, env=environment, check=False)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)

    def test_message(self, *to, subject="Hello", body="A body.\n"):
        """One message, written by Fossil."""
        with open(f"{self.folder}/body", "w", encoding="utf-8") as f:
            f.write(body)
        self.fossil("alerts", "test-message", *to, "--subject", subject, "--body",
                    f"{self.folder}/body", "-R", self.repository)

    def tell_subscribers(self):
        """A new wiki page, and one message about it to each subscriber."""
        self.rounds += 1
        self.fossil("wiki", "create", f"Page {self.rounds}", "-R", self.repository, stdin=b"text\n")
        self.fossil("alerts", "send", "-R", self.repository)

    def put(self, message):
        """A message that is not Fossil's, as bytes or text."""
        self.sql("CREATE TABLE IF NOT EXISTS email(emailid INTEGER PRIMARY KEY, msg TEXT)")
        self.sql("INSERT INTO email(msg) VALUES(?)", message)

    def sql(self, statement, *values):
        database = sqlite3.connect(self.path, timeout=20)
        try:
            with database:
                return database.execute(statement, values).fetchall()
        finally:
            database.close()

    def log(self):
        """[(status, recipients, reason)], in order."""
        return self.sql("SELECT status, rcpt, reason FROM mailer_log ORDER BY rowid")

    def states(self):
        return [state for (state,) in self.sql("SELECT state FROM mailer ORDER BY id")]

    def watch(self):
        """Keep a copy of everything that Fossil stores from now on; see stored()."""
        self.sql("CREATE TABLE IF NOT EXISTS email(emailid INTEGER PRIMARY KEY, msg TEXT)")
        self.sql("CREATE TABLE stored(msg TEXT)")
        self.sql("CREATE TRIGGER watch AFTER INSERT ON email"
                 " BEGIN INSERT INTO stored VALUES(new.msg); END")

    def stored(self):
        """The Message-IDs."""
        return [message_id(msg) for (msg,) in self.sql("SELECT msg FROM stored")]

    def in_hand(self):
        return [message_id(msg)
                for (msg,) in self.sql("SELECT msg FROM mailer WHERE state = 'sending'")]

    def exists(self):
        return bool(self.sql("SELECT 1 FROM sqlite_master WHERE name = 'mailer'"))

    def drained(self):
        return not self.sql("SELECT 1 FROM email UNION ALL"
                            " SELECT 1 FROM mailer WHERE state <> 'failed'")


def message_id(text):
    data = text if isinstance(text, bytes) else text.encode()
    return email.message_from_bytes(data)["Message-Id"]


@dataclass
class Received:
    sender: str
    recipients: list
    options: list
    data: bytes

    @property
    def message(self):
        return email.message_from_bytes(self.data, policy=email.policy.default)

    @property
    def text(self):
        return self.message.get_content().replace("\r\n", "\n")


class MailServer:
    """
    A real SMTP server. What it answers can be changed: to_sender(address), to_recipient(address)
    and to_data(received) return a reply such as "451 later", or None for yes; the last is called
    in a thread and may wait, or return HANG_UP: then the message was taken, and no reply is sent.
    hang_up_in_data: how often the connection shall be broken in the middle of a message.
    """

    HANG_UP = "hang up"
    USER, PASSWORD = "fossil", "correct horse"

    def __init__(self, port=None, certificate=None, login=False, eight_bit=True):
        self.port = port or free_port()
        self.received = []
        self.attempts = 0
        self.clear_text_logins = 0
        self.hang_up_in_data = 0
        self.to_sender = self.to_recipient = lambda address: None
        self.to_data = None
        more = {}
        if login:
            more.update(authenticator=self._log_in, auth_required=True,
                        auth_require_tls=certificate is not None)
        if certificate:
            more.update(tls_context=certificate, require_starttls=True)
        outer = self

        class Server(SMTP):
            async def smtp_DATA(self, argument):
                outer.attempts += 1
                if outer.hang_up_in_data:
                    outer.hang_up_in_data -= 1
                    await self.push("354 go on")
                    await self._reader.read(20)
                    self.transport.abort()
                    return
                await super().smtp_DATA(argument)

        class Control(Controller):
            def factory(self):
                return Server(self.handler, hostname="mail.test", decode_data=not eight_bit,
                              enable_SMTPUTF8=eight_bit, **more)
        self._controller = Control(self, hostname="127.0.0.1", port=self.port, ready_timeout=20)
        self._controller.start()

    def _log_in(self, server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (
            data.login.decode(), data.password.decode()) == (self.USER, self.PASSWORD)
        return AuthResult(success=right, handled=False)

    # aiosmtpd's hooks.

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = self.to_sender(address)
        if answer:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.to_recipient(address)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        data = envelope.content
        got = Received(envelope.mail_from, list(envelope.rcpt_tos), list(envelope.mail_options),
                       data.encode() if isinstance(data, str) else data)
        self.received.append(got)
        if not self.to_data:
            return "250 OK taken"
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(None, self.to_data, got)
        if answer == self.HANG_UP:
            server.transport.abort()
        elif answer:
            self.received.remove(got)
        return answer or "250 OK taken"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def wait_received(self, number, seconds=15):
        wait_for(lambda: len(self.received) >= number, f"{number} messages at the server", seconds)
        return self.received

    def stop(self):
        self._controller.stop()


class Gate:
    """For MailServer.to_data: holds each message until opened."""

    def __init__(self):
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self, received):
        self.reached.set()
        assert self._open.wait(20), "the gate was never opened"

    def open(self):
        self._open.set()


def make_certificate(folder, names):
    """(key, certificate) for these names, signed by itself."""
    key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", certificate, "-days", "2", "-subj", "/CN=mail.test", "-addext",
                    f"subjectAltName={names}"], check=True, capture_output=True)
    return key, certificate


def maildir_files(folder):
    return sorted(f"{folder}/{part}/{name}" for part in ("new", "cur")
                  for name in os.listdir(f"{folder}/{part}"))
