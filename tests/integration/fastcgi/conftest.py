import pytest

from support.fastcgi import Connection

pytest.register_assert_rewrite("record_cases")


@pytest.fixture
def connection(host):
    """A connection to the socket of the module's fixture `host`."""
    with Connection(host.socket) as made:
        yield made
