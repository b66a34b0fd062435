"""Web servers before the host of a module's fixture `host`."""

import pytest

from support.servers import Fossil, Nginx


@pytest.fixture(scope="module")
def nginx(host):
    made = Nginx(host.socket)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def fossil(host):
    assert host.program.running()  # else the relay runs everything cold
    made = Fossil(host.root)
    yield made
    made.stop()
