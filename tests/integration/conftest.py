import shutil
import subprocess
import tempfile

import pytest

from support.apps import Apps, OwnSockets
from support.host import EXTHOST, Host, environment, sanitized
from support.servers import Apache, Fossil, Nginx
from support.stopping import factory
from support.ways import Site

# Of CPython's own tests: these run long and mostly wait, so they run beside everything else.
PYTHON_TESTS = ("test_json", "test_io", "test_atexit", "test_csv")
if sanitized():
    # CPython's code is not ours to watch, and ten times slower so.
    PYTHON_TESTS = PYTHON_TESTS[:1]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """
    Make a temporary directory for this run alone. pytest's default is shared by all runs, and each
    new run closes it to other users again (see open_to_all).
    """
    if not config.option.basetemp:
        config.option.basetemp = tempfile.mkdtemp(prefix="xp-", dir="/tmp")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


@pytest.fixture(scope="session")
def python_own_tests(tmp_path_factory):
    """CPython's own tests under `exthost python`, begun with the session; the running process."""
    folder = tmp_path_factory.mktemp("regrtest")
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            [EXTHOST, "python", "-m", "test", "--tempdir", str(folder), *PYTHON_TESTS],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
            env=environment(HOME=str(folder)))
    yield process, folder / "output"
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.fixture(scope="session", autouse=True)
def _begin_what_takes_long(request):
    if any("python_own_tests" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("python_own_tests")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All test scripts, served in all ways; see ways.Site."""
    made = Site(tmp_path_factory.mktemp("root"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def host(site):
    return site.host


@pytest.fixture(params=["python", "tcl"])
def language(request):
    return request.param


def _make_apps(kind, folder):
    if kind == "own sockets":
        return OwnSockets(folder)
    return Apps(folder, validate=kind == "validated")


@pytest.fixture(scope="module", params=["plain", "validated", "own sockets"])
def apps(request, tmp_path_factory):
    """
    A host for WSGI apps: as it is; with a validator around each app; and hosts for one app each, at
    a socket of its own; see apps.Apps.
    """
    made = _make_apps(request.param, tmp_path_factory.mktemp("apps"))
    yield made
    made.stop()


@pytest.fixture(scope="module", params=["plain", "validated"])
def shared_apps(request, tmp_path_factory):
    """The same, without the last: for what has nothing to do with sockets."""
    made = _make_apps(request.param, tmp_path_factory.mktemp("apps"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def plain_apps(tmp_path_factory):
    """The same, for what the validator itself does not let pass."""
    made = Apps(tmp_path_factory.mktemp("apps"))
    yield made
    made.stop()


@pytest.fixture
def start_host():
    yield from factory(Host)


@pytest.fixture
def start_fossil():
    yield from factory(Fossil)


@pytest.fixture
def start_nginx():
    yield from factory(Nginx)


@pytest.fixture
def start_apache():
    yield from factory(Apache)
