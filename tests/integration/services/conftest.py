import pytest

from service_host import Services


@pytest.fixture
def services(tmp_path, start_host):
    return Services(tmp_path, start_host)
