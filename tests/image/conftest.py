import pytest

import image
from one import One
from support.own_namespace import enter_namespace
from support.stopping import factory


@pytest.fixture(scope="session", autouse=True)
def _containers():
    if not image.ARCHIVE.exists():
        pytest.exit("there is no image yet: make image", 2)
    enter_namespace()
    name, why = image.kind()
    print(f"the image is run by: {name}" + (f", not by podman: {why}" if why else ""))
    yield
    image.remove_store()


@pytest.fixture(name="make")
def _make():
    """Make containers, one.One each; all of them end with the test."""
    yield from factory(One)
