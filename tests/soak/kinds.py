"""
What the clients ask, and what each kind of request may be answered when nothing is done to the
host.

An outcome is a status ("200" only if the body was right, else "wrong"), "cut" (the reply broke off
and this could be seen), "gone" (the client left, on purpose) or "no answer" (nothing came in time).
"""

import hashlib
import shutil

from support import fastcgi
from support.host import REPOSITORY, SUFFIX, put, put_script

TITLES = {"hello": "Hello", "env": "Environment", "form": "Form", "report": "Check-ins"}
HELD = 262144  # bytes of a reply that are held back: --reply-buffer

LOOPS = {"python": "while True:\n    pass\n", "tcl": "while 1 {}\n"}
HANGS = {"python": "import time\ntime.sleep(60)\n", "tcl": "after 60000\n"}
NAPS = {"python": 'import time\ntime.sleep(0.2)\nprint("Content-Type: text/plain\\n\\nslept")\n',
        "tcl": 'after 200\nputs "Content-Type: text/plain\\n\\nslept"\n'}
APPS = {"python": """# exthost: app
import time

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["QUERY_STRING"].endswith("nap"):
        time.sleep(0.1)
    if environ["QUERY_STRING"] == "fail":
        raise ValueError("asked for")
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["QUERY_STRING"].encode(), body]
""", "tcl": """# exthost: app
proc application {} {
    fconfigure stdin -translation binary
    fconfigure stdout -translation binary
    if {$::env(QUERY_STRING) eq "fail"} {error "asked for"}
    if {[string match *nap $::env(QUERY_STRING)]} {after 100}
    puts "Content-Type: application/octet-stream\n"
    puts -nonewline $::env(QUERY_STRING)[read stdin]
}
"""}
RERUNS = {"python": """# exthost: rerun
import os
print("Content-Type: text/plain\\n\\n" + os.environ["QUERY_STRING"])
""", "tcl": """# exthost: rerun
puts "Content-Type: text/plain\n\n$::env(QUERY_STRING)"
"""}
# The part of an app's text without which it does not load.
HALF = {"python": "def application", "tcl": "proc application"}
CONFIG = """\
timeout = {timeout}
allow-uid = 0
[extension loop.*]
timeout = 1
lane = 1
[extension hang.*]
timeout = 1
lane = 1
[extension form.*]
timeout = 30
[app python]
script = own.py
listen = unix:{folder}/python
workers = 2
[app tcl]
script = own.tcl
listen = unix:{folder}/tcl
workers = 2
"""
TIMEOUT = 3  # seconds: what is stopped is found after that
# The kinds that an app with its own socket answers.
OF_APPS = ("app", "app failure")
# What a Fossil may be asked: it wraps no reply of these that is_right() compares.
OF_FOSSIL = ("hello", "env", "form", "report", "form POST", "form file", "echo", "app", "rerun",
             "nap", "exit 3", "exception", "crash")


def make_root(root, folder):
    """
    The samples, and what else is asked for; sockets in that directory. Returns the apps: {name:
    (language, text, beginning of its second half)}.
    """
    apps = {}
    for language, suffix in SUFFIX.items():
        for name in TITLES:
            text = (REPOSITORY / "extensions" / f"{name}{suffix}").read_text()
            put_script(root, f"{name}{suffix}", language, text.split("\n", 1)[1])
        for name in ("echo", "large", "crash", "exit_3", "exception"):
            text = (REPOSITORY / "tests/scripts" / language / f"{name}{suffix}").read_text()
            put_script(root, f"{name}{suffix}", language, text.split("\n", 1)[1])
        for name, bodies in (("loop", LOOPS), ("hang", HANGS), ("nap", NAPS),
                             ("app", APPS), ("own", APPS), ("rerun", RERUNS)):
            put_script(root, f"{name}{suffix}", language, bodies[language])
            if bodies is APPS:
                apps[f"{name}{suffix}"] = language, APPS[language], HALF[language]
    for name in ("style.css", "index.html"):
        shutil.copy(REPOSITORY / "extensions" / name, root)
    put(root, ".conf", CONFIG.format(folder=folder, timeout=TIMEOUT))
    return apps


class Request:
    """
    kind: its name in the table. token: a word in its path that is in no other request's. answers:
    the outcomes that need no explanation. is_right(body) judges a 200. leaves: the client goes
    away, "before" the end of its request, "waiting" or "reading".
    """

    def __init__(self, kind, language, script, token, answers, is_right=lambda body: True, **more):
        self.kind, self.language, self.token = kind, language, token
        self.script, self.query = script, more.get("query", "")
        # Static content has no path behind its name.
        self.path_info = "" if language == "none" else f"/{token}"
        self.answers, self.is_right = answers, is_right
        self.method = "POST" if "body" in more else "GET"
        self.body = more.get("body", b"")
        self.headers = more.get("headers", [])
        self.leaves = more.get("leaves")
        self.own = False  # at the app's own socket
        self.as_fossil = {}

    @property
    def target(self):
        """The URL path, and the query."""
        name = "" if self.own else f"/ext/{self.script}"
        return f"{name}{self.path_info}?{self.query}"

    @property
    def file(self):
        """The script's name below the root."""
        return f"own{SUFFIX[self.language]}" if self.own else self.script

    def at_own_socket(self):
        """Ask the app's workers themselves: they serve all paths."""
        self.own = True

    def from_fossil(self):
        """By a real Fossil, with the repository."""
        self._held()

    def at_fossils_socket(self, root, repository):
        """Ask as the relay does for Fossil."""
        self.as_fossil = {
            "SCRIPT_NAME": f"/ext/{self.script}",
            "SCRIPT_FILENAME": f"{root}/{self.script}", "DOCUMENT_ROOT": str(root),
            "PATH_INFO": self.path_info,
            "FOSSIL_CAPABILITIES": "hjorz", "FOSSIL_NONCE": "0123456789abcdef",
            "FOSSIL_USER": "ada", "FOSSIL_REPOSITORY": repository, "FOSSIL_URI": ""}
        self._held()

    def _held(self):
        if self.kind == "report":
            self.answers = {"200", "503"}  # 503: another process has the repository locked
        if self.kind == "crash late":
            self.answers = {"500"}  # for Fossil every reply is held to its end

    def variables(self):
        return fastcgi.variables(self.method, self.target, self.body, self.headers,
                                 **self.as_fossil)


def _sample(name):
    def make(random, language, token):
        def is_right(body):
            text = body.decode()
            return TITLES[name] in text and (name != "env" or token in text)
        # Without a repository the report says that there is none.
        return Request(name, language, f"{name}{SUFFIX[language]}", token,
                       {"404", "503"} if name == "report" else {"200"}, is_right)
    return make


def _post(random, language, token):
    body = f"text={token}".encode() + b"+x" * random.randrange(5000)
    return Request("form POST", language, f"form{SUFFIX[language]}", token, {"200"},
                   lambda answer: token in answer.decode(), body=body,
                   headers=[("Content-Type", "application/x-www-form-urlencoded")])


def _file(random, language, token):
    content = random.randbytes(random.randrange(1, 400_000))
    body = (f'--{token}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n").encode() \
        + content + f"\r\n--{token}--\r\n".encode()
    digest = hashlib.sha256(
        content).hexdigest() if language == "python" else f"{len(content)} bytes"
    return Request("form file", language, f"form{SUFFIX[language]}", token, {"200"},
                   lambda answer: digest in answer.decode(), body=body,
                   headers=[("Content-Type", f"multipart/form-data; boundary={token}")])


def _echo(random, language, token):
    body = token.encode() + random.randbytes(random.choice([0, 1000, 100_000, 2_000_000]))
    return Request("echo", language, f"echo{SUFFIX[language]}", token, {"200"},
                   lambda answer: answer == body, body=body,
                   headers=[("Content-Type", "application/octet-stream")])


def _app(random, language, token):
    body = random.randbytes(random.choice([0, 0, 1000, 300_000]))
    query = token + random.choice(["", "", "nap"])
    return Request("app", language, f"app{SUFFIX[language]}", token, {"200"},
                   lambda answer: answer == query.encode() + body, body=body, query=query,
                   headers=[("Content-Type", "application/octet-stream")])


def _rerun(random, language, token):
    return Request("rerun", language, f"rerun{SUFFIX[language]}", token, {"200"},
                   lambda answer: token in answer.decode(), query=token)


def _app_failure(random, language, token):
    return Request("app failure", language, f"app{SUFFIX[language]}", token, {"500"}, query="fail")


def _large(random, language, token):
    size = random.randrange(100_000, 3_000_000)
    return Request("large", language, f"large{SUFFIX[language]}", token, {"200"},
                   lambda answer: len(answer) == size, query=size)


def _plain(kind, name, answers):
    def make(random, language, token):
        return Request(kind, language, f"{name}{SUFFIX[language]}", token, answers)
    return make


def _late_crash(random, language, token):
    # Part of it has left by then, and the transfer is broken off.
    return Request("crash late", language, f"crash{SUFFIX[language]}", token, {"cut"},
                   query=HELD * 4)


def _static(random, language, token):
    content = (REPOSITORY / "extensions/style.css").read_bytes()
    return Request("static", "none", "style.css", token, {"200"},
                   lambda answer: answer == content, query=token)


def _missing(random, language, token):
    return Request("missing", "none", f"{token}.py", token, {"404"})


def _leaving(random, language, token):
    leaves = random.choice(["before", "waiting", "reading"])
    name, more = {"before": ("echo", {"body": b"x" * 100_000}), "waiting": ("nap", {}),
                  "reading": ("large", {"query": 3000000})}[leaves]
    return Request("leaves", language, f"{name}{SUFFIX[language]}", token, {"gone"}, leaves=leaves,
                   **more)


# How often, what.
_MIX = [(16, _sample("hello")), (8, _sample("env")), (8, _sample("form")), (8, _sample("report")),
        (8, _post), (4, _file), (6, _echo), (4, _large), (6, _static), (3, _missing),
        (40, _app), (8, _rerun), (2, _app_failure),
        (4, _plain("nap", "nap", {"200"})), (6, _leaving),
        (3, _plain("exit 3", "exit_3", {"500"})), (3, _plain("exception", "exception", {"500"})),
        (2, _plain("crash", "crash", {"500"})), (2, _late_crash),
        (0.2, _plain("loop", "loop", {"504"})), (0.2, _plain("hang", "hang", {"504"}))]


def make(random, token):
    """One request of any kind. token: a word that is in no other request."""
    weights, makers = zip(*_MIX)
    maker = random.choices(makers, weights)[0]
    return maker(random, random.choice(list(SUFFIX)), token)
