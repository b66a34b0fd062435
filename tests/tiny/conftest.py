"""Fixtures of the tests with the tiny language; each module has a `root` of its own."""

import pytest

from tiny_host import Host


@pytest.fixture
def start(root):
    """Starts hosts, and stops them whatever happens."""
    hosts = []

    def make(*options, **more):
        hosts.append(Host(root, *options, **more))
        return hosts[-1]
    yield make
    errors = []
    for host in hosts:
        try:
            host.stop()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def host(start):
    return start()
