import pytest

from support.frameworks import WAYS, Browser, Site


@pytest.fixture(scope="module")
def site(request):
    """The module's APP, served in all ways; see frameworks.Site."""
    made = Site(request.module.APP)
    yield made
    made.stop()


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture
def browser(site, way):
    return Browser(site.base(way))
