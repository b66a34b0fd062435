import pytest

import containers
from support.own_namespace import enter_namespace, enter_network


@pytest.fixture(scope="session", autouse=True)
def _containers():
    if not (containers.BUILD / "store").exists():
        pytest.exit("there are no images yet: make check-docker", 2)
    enter_namespace()
    enter_network()
    name, why = containers.kind()
    print(f"the images are run by: {name}" + (f", not by podman: {why}" if why else ""))
    yield
    containers.remove_containers()
