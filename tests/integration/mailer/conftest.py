import pytest

from mail import MailServer, Queue, run_mailer, start_mailer
from support.stopping import factory


@pytest.fixture
def queue(tmp_path):
    return Queue(tmp_path)


@pytest.fixture
def start_server():
    yield from factory(MailServer)


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture
def start(language):
    """Start a mailer; whatever happens, it ends with the test."""
    def start_one(*arguments, language=language):
        return start_mailer(language, "--interval", "0.05", "--backoff", "0.1", *arguments)
    yield from factory(start_one)


@pytest.fixture
def once(queue, server, language):
    """Run a mailer to its end, by SMTP."""
    def run(*arguments, status=0):
        done = run_mailer(language, "--queue", queue.path, "--smtp", server.address, "--once",
                          "--backoff", "0.05", *arguments)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout.decode()
    return run
