import pytest

from cases import CASES, REPLIES
from fronts import COLUMNS, Column
from report import Report
from served import Hosts, Row, UnderFossil

FOSSIL = Column("fossil", None)
REPORT = Report([column.name for column in [*COLUMNS, FOSSIL]], [case.name for case in CASES])


@pytest.fixture(scope="session")
def hosts(tmp_path_factory):
    made = Hosts(tmp_path_factory.mktemp("root"), REPLIES)
    yield made
    made.stop()


@pytest.fixture(scope="module", params=[*COLUMNS, FOSSIL], ids=lambda column: column.name)
def row(request, hosts):
    """One front, in its three places: before the shared host, and before each app's own socket."""
    made = (UnderFossil if request.param is FOSSIL else Row)(request.param, hosts)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def report():
    return REPORT


def pytest_terminal_summary(terminalreporter):
    for line in REPORT.lines():
        terminalreporter.write_line(line)
