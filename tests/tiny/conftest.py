"""Fixtures of the tests with the tiny language; each module has a `root` of its own."""

import functools

import pytest

from support.stopping import factory
from tiny_host import Host


@pytest.fixture
def start(root):
    """Starts hosts, and stops them whatever happens."""
    yield from factory(functools.partial(Host, root))


@pytest.fixture
def host(start):
    return start()
