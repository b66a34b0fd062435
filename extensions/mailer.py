"""Send the mail that Fossil stores in a database: by SMTP, or into a maildir.

    exthost python mailer.py --queue FILE --smtp HOST:PORT [OPTION]...
    exthost python mailer.py --queue FILE --maildir DIR [OPTION]...

This is a program that runs beside Fossil, not a page. Fossil's settings email-send-method=db and
email-send-db=FILE make Fossil put each message into the table "email" of FILE; the mailer takes it
from there, and starts no other program. mailer.tcl is the same in Tcl: same options, same tables,
same log; either goes on where the other was stopped.

How nothing is lost, and what may come twice. A message is moved from Fossil's table into the table
"mailer" of the same database, and marked as in hand before the first byte of it is sent; its end
(sent, to be tried again, failed) is recorded, a line written to the table "mailer_log" and the next
message marked, all in one transaction. So after a kill, at any moment, exactly one message may have
been sent without a record: the one in hand. It is sent again, with the same Message-ID, by which a
receiver can recognize it; into a maildir under the same file name, so that it is there once. The
same holds if the connection breaks before the server has answered to the whole message.

Fossil waits one second at most for a lock on the database, and not at all while it opens it, and
then drops the message. Hence no transaction here is open while something is sent, and the database
is set to WAL mode, where a reader never waits (--journal keep leaves the mode as it is).
"""

import argparse
import email.header
import email.utils
import os
import quopri
import random
import re
import select
import signal
import smtplib
import socket
import sqlite3
import ssl
import sys
import time

SCHEMA = """
    CREATE TABLE IF NOT EXISTS email(emailid INTEGER PRIMARY KEY, msg TEXT);
    CREATE TABLE IF NOT EXISTS mailer(
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      key TEXT NOT NULL,      -- for the Message-ID and the file name: the same at every try
      emailid INTEGER,        -- what Fossil called it; Fossil uses a number again
      queued REAL NOT NULL,   -- when it was moved here: seconds since 1970
      msg,
      rcpt TEXT,              -- whom it must still go to, one a line; NULL: all in its header
      state TEXT NOT NULL,    -- waiting, sending (in hand), failed
      tries INTEGER NOT NULL, -- begun
      due REAL NOT NULL,      -- when to try next
      reason TEXT);           -- why the last try failed
    CREATE INDEX IF NOT EXISTS mailer_due ON mailer(due, id) WHERE state = 'waiting';
    CREATE TABLE IF NOT EXISTS mailer_log(
      time TEXT, id INTEGER, emailid INTEGER, status TEXT, rcpt TEXT, tries INTEGER, reason TEXT);
"""
TAKE = """
    INSERT INTO mailer(key, emailid, queued, msg, state, tries, due)
      SELECT lower(hex(randomblob(12))), emailid, :now, msg, 'waiting', 0, :now
        FROM email ORDER BY emailid LIMIT 200
"""
# Exactly those that TAKE has copied, in the same transaction.
DELETE_TAKEN = """
    DELETE FROM email WHERE emailid IN (SELECT emailid FROM email ORDER BY emailid LIMIT 200)
"""

LONGEST_WAIT = 4 * 3600       # between two tries of a message, in seconds
LONGEST_SERVER_WAIT = 300     # between two tries to reach a server
LONGEST_LINE = 998            # RFC 5322, 2.1.1; without the line's end
ADDRESS = re.compile(r"[^\s<>@\x00-\x20\x7f]+@[^\s<>@\x00-\x20\x7f]+")
ADDRESS_FIELDS = {"from", "sender", "to", "cc", "reply-to"}


def main():
    if "GATEWAY_INTERFACE" in os.environ:
        print("Status: 404 Not Found\nContent-Type: text/plain; charset=utf-8\n\n"
              "This is a program for the command line, not a page.")
        return 0
    options = read_options()
    stop = Stop()
    log = Log(options.verbose)
    try:
        queue = Queue(options, log)
        delivery = Maildir(options.maildir) if options.maildir else Smtp(options, log)
    except Mistake as mistake:
        return complain(mistake, 2)
    except (Busy, sqlite3.Error) as error:
        return complain(f"{options.queue}: {error}", 1)
    log.line("info", "mailer started", queue=queue.path, journal=queue.journal, to=delivery.name)
    try:
        return drain(queue, delivery, options, stop, log)
    except sqlite3.Error as error:
        return complain(f"{options.queue}: {error}", 1)
    finally:
        delivery.close()


def drain(queue, delivery, options, stop, log):
    """Send what is there, and, without --once, what comes. The exit status."""
    queue.recover()
    outcome = None
    troubles = 0
    while True:
        message = queue.step(outcome, claim=not stop.wanted)
        outcome = None
        if message is None:
            delivery.close()
            if stop.wanted or options.once:
                break
            queue.wait_for_more(stop)
            continue
        try:
            outcome = deliver(message, delivery)
            troubles = 0
        except ServerTrouble as trouble:
            troubles += 1
            pause = min(options.backoff * 2 ** min(troubles - 1, 20), LONGEST_SERVER_WAIT)
            pause *= random.uniform(0.5, 1)
            queue.release(message)
            delivery.close()
            log.line("warning", "nothing can be sent", to=delivery.name, reason=str(trouble),
                     **({} if options.once else {"again_in": f"{pause:.1f}"}))
            if options.once:
                break
            stop.wait(pause)
    left, failed = queue.count("waiting"), queue.count("failed")
    log.line("info", "mailer ended", waiting=left, failed=failed)
    queue.close()
    return 1 if options.once and (left or failed) else 0


def deliver(message, delivery):
    """What became of it: [(recipient, code, text)] with SMTP's codes. May raise ServerTrouble."""
    delivery.make_ready()
    try:
        letter = Letter(message)
        wrong = [(r, 501, "not an address") for r in letter.recipients if not ADDRESS.fullmatch(r)]
        letter.recipients = [r for r in letter.recipients if ADDRESS.fullmatch(r)]
        if not letter.recipients:
            return wrong
        return wrong + delivery.send(letter, again=message["tries"] > 1)
    except Unsendable as reason:
        return [("", 500, str(reason))]


class Mistake(Exception):
    """In the options: exit status 2."""


class Busy(Exception):
    """Another mailer has the queue."""


class ServerTrouble(Exception):
    """No message can be sent now, this one or another: no message is blamed for it."""


class Unsendable(Exception):
    """The message can never be sent, and why."""


# The queue.

class Queue:
    def __init__(self, options, log):
        self.options, self.log = options, log
        self.path = os.path.realpath(options.queue)
        if not os.path.isdir(os.path.dirname(self.path)):
            raise Mistake(f"--queue {options.queue}: there is no such folder")
        if os.path.isdir(self.path):
            raise Mistake(f"--queue {options.queue}: this is a folder")
        self._lock = self._take_lock()
        # Only now: a second mailer must not touch it.
        self.database = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        self.database.row_factory = sqlite3.Row
        if options.journal == "wal":
            self.database.execute("PRAGMA journal_mode = WAL")
        self.journal = self.database.execute("PRAGMA journal_mode").fetchone()[0]
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.executescript("BEGIN IMMEDIATE;" + SCHEMA + "COMMIT;")
        self._version = self._message = None

    def _take_lock(self):
        """A transaction that never ends, on an empty database: the system drops it when we end."""
        lock = sqlite3.connect(self.path + ".mailer-lock", timeout=0, isolation_level=None)
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Busy("another mailer has this queue") from None
            raise
        return lock

    def close(self):
        self.database.close()
        self._lock.close()

    def recover(self):
        """What was in hand when the last mailer was killed may have been sent: nobody knows."""
        for row in self.database.execute("SELECT * FROM mailer WHERE state = 'sending'").fetchall():
            with Transaction(self):
                gone = row["tries"] >= self.options.max_tries
                reason = f"the mailer was ended while it was in hand, at try {row['tries']}"
                self.database.execute("UPDATE mailer SET state = ?, reason = ? WHERE id = ?",
                                      ("failed" if gone else "waiting", reason, row["id"]))
                self._note(row, "failed" if gone else "again", row["rcpt"] or "", reason)

    def step(self, outcome, claim=True):
        """One transaction: record what became of the message in hand, take what Fossil has stored,
        and mark the next message that is due. That message, or None."""
        version = self._data_version()
        with Transaction(self):
            if outcome is not None:
                self._record(outcome)
            now = time.time()
            if claim and self.database.execute("SELECT 1 FROM email LIMIT 1").fetchone():
                self.database.execute(TAKE, {"now": now})
                self.database.execute(DELETE_TAKEN)
            message = self._claim(now) if claim else None
        self._version = version
        self._message = message
        return message

    def _claim(self, now):
        row = self.database.execute(
            "SELECT id, key, emailid, queued, CAST(msg AS BLOB) AS msg, rcpt, tries + 1 AS tries"
            "  FROM mailer WHERE state = 'waiting' AND due <= ? ORDER BY due, id LIMIT 1",
            (now,)).fetchone()
        if row:
            self.database.execute("UPDATE mailer SET state = 'sending', tries = tries + 1"
                                  " WHERE id = ?", (row["id"],))
        return row

    def _record(self, outcome):
        """Each recipient is done, waits for the next try or has failed."""
        row = self._message
        last = row["tries"] >= self.options.max_tries
        sent = [(r, c, t) for r, c, t in outcome if 200 <= c < 300]
        again = [(r, c, t) for r, c, t in outcome if not 200 <= c < 300 and c < 500 and not last]
        failed = [(r, c, t) for r, c, t in outcome if c >= 500 or last and not 200 <= c < 300]
        for part, status in ((sent, "sent"), (again, "retry"), (failed, "failed")):
            if part:
                self._note(row, status, ",".join(r for r, _, _ in part), reason_of(part[-1]))
        if again:
            wait = min(self.options.backoff * 2 ** min(row["tries"] - 1, 30), LONGEST_WAIT)
            self.database.execute(
                "UPDATE mailer SET state = 'waiting', rcpt = ?, due = ?, reason = ? WHERE id = ?",
                ("\n".join(r for r, _, _ in again), time.time() + wait * random.uniform(0.5, 1),
                 reason_of(again[-1]), row["id"]))
        if failed:
            self.database.execute(
                "INSERT INTO mailer(key, emailid, queued, msg, rcpt, state, tries, due, reason)"
                " SELECT key, emailid, queued, msg, ?, 'failed', tries, due, ? FROM mailer"
                "  WHERE id = ?",
                ("\n".join(r for r, _, _ in failed) or None, reason_of(failed[-1]), row["id"]))
        if not again:
            self.database.execute("DELETE FROM mailer WHERE id = ?", (row["id"],))

    def release(self, message):
        """It was not tried after all."""
        with Transaction(self):
            self.database.execute("UPDATE mailer SET state = 'waiting', tries = tries - 1"
                                  " WHERE id = ?", (message["id"],))

    def count(self, state):
        return self.database.execute("SELECT count(*) FROM mailer WHERE state = ?",
                                     (state,)).fetchone()[0]

    def wait_for_more(self, stop):
        """Until somebody else has written to the database, or a message is due, or the end."""
        while not stop.wanted:
            due = self.database.execute(
                "SELECT min(due) FROM mailer WHERE state = 'waiting'").fetchone()[0]
            if self._data_version() != self._version or due is not None and due <= time.time():
                return
            pause = self.options.interval
            stop.wait(pause if due is None else min(pause, max(due - time.time(), 0.001)))

    def _data_version(self):
        """It changes when another connection has written; asking costs next to nothing."""
        return self.database.execute("PRAGMA data_version").fetchone()[0]

    def _note(self, row, status, recipients, reason):
        now = timestamp()
        recipients = recipients.replace("\n", ",")
        self.database.execute("INSERT INTO mailer_log VALUES(?, ?, ?, ?, ?, ?, ?)",
                              (now, row["id"], row["emailid"], status, recipients, row["tries"],
                               reason))
        level = {"sent": "info", "failed": "error"}.get(status, "warning")
        self.log.later(now, level, status, id=row["id"], email=row["emailid"], to=recipients,
                       tries=row["tries"], reason=reason)


class Transaction:
    """Begins at once as a writer, and is tried until it holds: what was sent must be recorded."""

    def __init__(self, queue):
        self.queue = queue

    def __enter__(self):
        self._until_done("BEGIN IMMEDIATE")

    def __exit__(self, kind, error, trace):
        if kind:
            if self.queue.database.in_transaction:
                self.queue.database.execute("ROLLBACK")
            self.queue.log.forget()
            return
        self._until_done("COMMIT")
        self.queue.log.flush()

    def _until_done(self, statement):
        while True:
            try:
                self.queue.database.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                self.queue.log.line("warning", "the queue is locked by somebody else",
                                    queue=self.queue.path)


# The message.

class Letter:
    """A message ready to be sent: sender, recipients, and data() with everything RFC 5322 asks."""

    def __init__(self, message):
        raw = re.sub(rb"\r\n|\r|\n", b"\r\n", message["msg"] or b"")
        head, _, self.body = raw.partition(b"\r\n\r\n")
        if head.endswith(b"\r\n") and not self.body:
            head = head[:-2]
        if not head:
            raise Unsendable("it has no header")
        fields = read_fields(head)
        addresses = {name: [] for name in ("sender", "from", "to", "cc", "bcc")}
        for name, value in fields:
            if name.lower() in addresses:
                addresses[name.lower()] += [address for _, address in read_addresses(value)]
        # Fossil's From may be made up for a person who has no address here; its Sender never is.
        senders = addresses["sender"] or addresses["from"]
        if not senders or not ADDRESS.fullmatch(senders[0]):
            raise Unsendable("no sender: neither Sender nor From holds an address")
        self.sender = senders[0]
        self.recipients = list(dict.fromkeys(
            message["rcpt"].split("\n") if message["rcpt"]
            else addresses["to"] + addresses["cc"] + addresses["bcc"]))
        if not self.recipients:
            raise Unsendable("no recipient: To, Cc and Bcc hold no address")
        self.fields = [(n, v) for n, v in fields if n.lower() not in ("bcc", "return-path")]
        names = {name.lower() for name, _ in self.fields}
        if "date" not in names:
            self.fields.append(("Date", " " + email.utils.formatdate(message["queued"])))
        if "message-id" not in names:
            domain = self.sender.rpartition("@")[2]
            self.fields.append(("Message-ID", f" <{message['key']}@{domain}>"))
        self.name = f"{int(message['queued'])}.{message['key']}.mailer"

    def data(self, eight_bit):
        """Its bytes. eight_bit: whether the receiver takes bytes above 127 in the body."""
        try:
            return self._data(eight_bit)
        except (ValueError, LookupError, TypeError) as error:
            # However odd a message is, the others must not wait for it.
            raise Unsendable(f"{type(error).__name__}: {error}") from None

    def _data(self, eight_bit):
        fields, body = self.fields, self.body
        if not body.isascii() and not eight_bit or longest_line(body) > LONGEST_LINE:
            fields, body = quoted_printable(fields, body)
        head = "".join(encode_field(name, value) + "\r\n" for name, value in fields)
        if body and not body.endswith(b"\r\n"):
            body += b"\r\n"
        return head.encode("utf-8", "surrogateescape") + b"\r\n" + body


def read_fields(head):
    """[(name, value)] of a header; a value keeps its folds and its first blank."""
    fields = []
    for number, line in enumerate(head.decode("utf-8", "surrogateescape").split("\r\n"), 1):
        if line[:1] in (" ", "\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + "\r\n" + line)
        elif re.match(r"[!-9;-~]+[ \t]*:", line):
            name, _, value = line.partition(":")
            fields.append((name.strip(), value))
        else:
            raise Unsendable(f"line {number} is no header field")
    return fields


def read_addresses(value):
    """[(name, address)] of an address list (RFC 5322, 3.4). A text that is no address is kept as it
    is, for the error message: email.utils would make another address of it."""
    found = []
    phrase = plain = address = ""
    quoted = angle = False
    comment = 0
    flat = value.replace("\r\n", "")
    characters = iter(flat + ",")
    for c in characters:
        escaped = ""
        if c == "\\" and (quoted or comment):
            escaped, c = c, next(characters, "")
        if comment:
            comment += 0 if escaped else {"(": 1, ")": -1}.get(c, 0)
        elif quoted or c == '"':
            if c == '"' and not escaped:
                quoted = not quoted
            elif not angle:
                phrase += c
            if angle:
                address += escaped + c
            else:
                plain += escaped + c
        elif c == "(":
            comment = 1
        elif c in "<>":
            angle = c == "<"
        elif angle:
            address += c
        elif c == ":":
            phrase = plain = ""  # a group's name
        elif c in ",;":
            if address or plain.strip():
                found.append((phrase.strip(), address.strip()) if address else ("", plain.strip()))
            phrase = plain = address = ""
        else:
            phrase += c
            plain += c
    if quoted or comment or angle:
        found.append(("", flat.strip()))
    return found


def encode_field(name, value):
    """A whole header field in ASCII, but for addresses that are not; no line is too long."""
    if value.isascii():
        if longest_line(f"{name}:{value}".encode()) > LONGEST_LINE:
            value = re.sub(r"([^\r\n]{1,900})[ \t]", "\\1\r\n ", value)
        return f"{name}:{value}"
    flat = value.replace("\r\n", "").strip()
    text = flat.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if name.lower() not in ADDRESS_FIELDS:
        header = email.header.Header(text, "utf-8", header_name=name)
        return f"{name}: {header.encode(linesep=chr(13) + chr(10))}"
    pairs = read_addresses(text)
    if not all(address.isascii() for _, address in pairs):
        return f"{name}: {text}"
    return f"{name}: " + ",\r\n ".join(email.utils.formataddr(pair) for pair in pairs)


def quoted_printable(fields, body):
    """The same, with a body in short lines of ASCII: where the body is one simple part."""
    known = {name.lower(): value.strip().lower() for name, value in fields}
    if (known.get("content-type", "").startswith(("multipart/", "message/"))
            or known.get("content-transfer-encoding", "8bit") not in ("7bit", "8bit", "binary")):
        return fields, body
    fields = [(n, v) for n, v in fields if n.lower() != "content-transfer-encoding"]
    if "mime-version" not in known:
        fields.append(("MIME-Version", " 1.0"))
    if "content-type" not in known:
        fields.append(("Content-Type", ' text/plain; charset="UTF-8"'))
    fields.append(("Content-Transfer-Encoding", " quoted-printable"))
    encoded = quopri.encodestring(body.replace(b"\r\n", b"\n"))
    return fields, encoded.replace(b"\n", b"\r\n")


def longest_line(data):
    return max(map(len, data.split(b"\r\n")))


# Where messages go.

class Smtp:
    """One connection, kept while there is something to send."""

    def __init__(self, options, log):
        self.options, self.log = options, log
        self.host, self.port = options.smtp
        self.name = f"{self.host}:{self.port}"
        self.client = None
        self.context = None
        if options.starttls:
            try:
                self.context = ssl.create_default_context(cafile=options.ca_file)
            except OSError as error:
                raise Mistake(f"--ca-file {options.ca_file}: {error.strerror or error}") from None

    def make_ready(self):
        if self.client:
            try:
                if self.client.rset()[0] == 250:
                    return
            except (OSError, smtplib.SMTPException):
                pass
            self.close()
        try:
            self._connect()
        except ServerTrouble:
            self.close()
            raise
        except smtplib.SMTPResponseException as error:
            self.close()
            raise ServerTrouble(reason_of(("", error.smtp_code, error.smtp_error))) from None
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise ServerTrouble(str(error) or type(error).__name__) from None

    def _connect(self):
        self.client = client = smtplib.SMTP(self.host, self.port, timeout=self.options.timeout,
                                            local_hostname=socket.gethostname() or "localhost")
        client.ehlo_or_helo_if_needed()
        if self.context:
            if not client.has_extn("starttls"):
                raise ServerTrouble("the server offers no STARTTLS")
            client.starttls(context=self.context)
            client.ehlo_or_helo_if_needed()
        if self.options.user:
            client.login(self.options.user, self.options.password)
        self.log.line("debug", "connected", to=self.name, tls="yes" if self.context else "no",
                      login="yes" if self.options.user else "no")

    def send(self, letter, again):
        client = self.client
        wanted = list(letter.recipients)
        results = []
        try:
            data = letter.data(client.has_extn("8bitmime"))
            extras = []
            if client.has_extn("size"):
                extras.append(f"SIZE={len(data)}")
            if client.has_extn("8bitmime") and not data.isascii():
                extras.append("BODY=8BITMIME")
            if not all(address.isascii() for address in [letter.sender, *wanted]):
                if not client.has_extn("smtputf8"):
                    return all_of(wanted, 553, "the server takes no address that is not ASCII")
                extras.append("SMTPUTF8")
            code, text = client.mail(letter.sender, extras)
            if code in (530, 535, 538):
                raise ServerTrouble(reason_of(("", code, text)))
            if code != 250:
                return all_of(wanted, code, text)
            for recipient in list(wanted):
                code, text = client.rcpt(recipient)
                if code not in (250, 251):
                    results.append((recipient, code, text))
                    wanted.remove(recipient)
            if wanted:
                # The server may have to work on the whole message before it answers.
                client.sock.settimeout(10 * self.options.timeout)
                code, text = client.data(data)
                client.sock.settimeout(self.options.timeout)
                results += all_of(wanted, code, text)
            return results
        except smtplib.SMTPResponseException as error:
            return results + all_of(wanted, error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return results + all_of(wanted, 0, str(error) or type(error).__name__)

    def close(self):
        if not self.client:
            return
        client, self.client = self.client, None
        try:
            client.sock.settimeout(2)
            client.quit()
        except (OSError, AttributeError, smtplib.SMTPException):
            client.close()


class Maildir:
    """A directory with tmp, new and cur. The file's name is the same at every try."""

    def __init__(self, folder):
        self.folder = self.name = folder
        try:
            for part in ("", "tmp", "new", "cur"):
                if not os.path.isdir(os.path.join(folder, part)):
                    os.mkdir(os.path.join(folder, part), 0o700)
        except OSError as error:
            raise Mistake(f"--maildir {folder}: {error.strerror}") from None

    def make_ready(self):
        pass

    def send(self, letter, again):
        unfinished = os.path.join(self.folder, "tmp", letter.name)
        finished = os.path.join(self.folder, "new", letter.name)
        try:
            if again and self._has(letter.name):
                return all_of(letter.recipients, 250, "it was there already")
            with open(unfinished, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(letter.data(True).replace(b"\r\n", b"\n"))
                f.flush()
                os.fsync(f.fileno())
            os.rename(unfinished, finished)
            self._sync_folder()
        except OSError as error:
            raise ServerTrouble(f"{error.filename or finished}: {error.strerror}") from None
        return all_of(letter.recipients, 250, "delivered")

    def _has(self, name):
        """A mail reader may have moved it from new to cur, and put its marks behind the name."""
        return any(entry.partition(":")[0] == name for part in ("new", "cur")
                   for entry in os.listdir(os.path.join(self.folder, part)))

    def _sync_folder(self):
        descriptor = os.open(os.path.join(self.folder, "new"), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self):
        pass


def all_of(recipients, code, text):
    return [(recipient, code, text) for recipient in recipients]


def reason_of(result):
    """One line: "550 no such user", or what went wrong where there was no answer."""
    _, code, text = result
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(f"{code or ''} {text}".split())[:500]


# Signals, the log and the options.

class Stop:
    """Set by SIGTERM and SIGINT; wait() ends early then."""

    def __init__(self):
        self.wanted = False
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, number, frame):
        self.wanted = True

    def wait(self, seconds):
        if not self.wanted:
            select.select([self._read], [], [], seconds)


class Log:
    """Lines on standard output. Those of a transaction are printed when it holds."""

    def __init__(self, verbose):
        self.verbose = verbose
        self._lines = []

    def later(self, now, level, message, **pairs):
        quoted = " ".join(f"{name}={quote(value)}" for name, value in pairs.items())
        self._lines.append(f"{now} {level} {message} {quoted}\n")

    def line(self, level, message, **pairs):
        if level == "debug" and not self.verbose:
            return
        quoted = " ".join(f"{name}={quote(value)}" for name, value in pairs.items())
        self._write(f"{timestamp()} {level} {message} {quoted}\n")

    def flush(self):
        text = "".join(self._lines)
        self._lines = []
        if text:
            self._write(text)

    def forget(self):
        self._lines = []

    def _write(self, text):
        # Nobody may listen any more; the table has it all.
        try:
            os.write(1, text.encode("utf-8", "replace"))
        except OSError:
            pass


def quote(value):
    text = "".join(c if c.isprintable() else " " for c in str(value))
    if re.fullmatch(r"[^\s\"=\\]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def timestamp():
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"


def complain(message, status):
    print(f"mailer: {message}", file=sys.stderr)
    return status


class Options(argparse.ArgumentParser):
    def error(self, message):
        sys.exit(complain(message, 2))


def read_options():
    parser = Options(prog="mailer", allow_abbrev=False, usage="%(prog)s --queue FILE "
                     "(--smtp HOST:PORT | --maildir DIR) [OPTION]...",
                     description="Send the mail that Fossil stores in a database.")
    parser.add_argument("--queue", metavar="FILE", help="Fossil's setting email-send-db")
    parser.add_argument("--smtp", metavar="HOST:PORT", help="send by this server")
    parser.add_argument("--starttls", action="store_true",
                        help="never without TLS; the certificate is checked")
    parser.add_argument("--ca-file", metavar="FILE",
                        help="certificates to trust (PEM), instead of the system's")
    parser.add_argument("--user", metavar="NAME", help="log in")
    parser.add_argument("--password-file", metavar="FILE", help="its first line is the password")
    parser.add_argument("--maildir", metavar="DIR", help="deliver into this maildir instead")
    parser.add_argument("--once", action="store_true",
                        help="send what is due, then end; status 1 if something is left")
    parser.add_argument("--interval", type=number, default=1.0, metavar="SECONDS",
                        help="between two looks at the queue (1)")
    parser.add_argument("--backoff", type=number, default=60.0, metavar="SECONDS",
                        help="before the second try, doubled before each further one (60)")
    parser.add_argument("--max-tries", type=count, default=30, metavar="N",
                        help="then a message has failed (30: about four days)")
    parser.add_argument("--timeout", type=number, default=60.0, metavar="SECONDS",
                        help="for an answer of the server; ten times that for its last (60)")
    parser.add_argument("--journal", choices=["wal", "keep"], default="wal",
                        help="set the database to WAL mode (wal), or leave it as it is")
    parser.add_argument("--verbose", action="store_true", help="log connections too")
    options = parser.parse_args()
    try:
        check_options(options)
    except Mistake as mistake:
        parser.error(str(mistake))
    return options


def check_options(options):
    if not options.queue:
        raise Mistake("--queue is missing")
    if bool(options.smtp) == bool(options.maildir):
        raise Mistake("one of --smtp and --maildir is needed")
    if options.smtp:
        found = re.fullmatch(r"\[([^\]]+)\]:(\d{1,5})|([^:\[\]]+):(\d{1,5})", options.smtp)
        if not found or not 0 < int(found[2] or found[4]) < 65536:
            raise Mistake(f"--smtp {options.smtp}: HOST:PORT is wanted")
        options.smtp = found[1] or found[3], int(found[2] or found[4])
    elif options.starttls or options.user:
        raise Mistake("--starttls and --user go with --smtp")
    if options.ca_file and not options.starttls:
        raise Mistake("--ca-file goes with --starttls")
    if bool(options.user) != bool(options.password_file):
        raise Mistake("--user and --password-file go together")
    if options.user:
        if not options.starttls and options.smtp[0] not in ("localhost", "127.0.0.1", "::1"):
            raise Mistake("--user without --starttls would show the password to everybody")
        try:
            with open(options.password_file, encoding="utf-8") as f:
                options.password = f.readline().rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise Mistake(f"--password-file {options.password_file}: {reason}") from None
        if not options.password:
            raise Mistake(f"--password-file {options.password_file}: its first line is empty")


def number(text):
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError
    return value


def count(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


if __name__ == "__main__":
    sys.exit(main())
