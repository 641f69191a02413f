"""Fixtures: a server per worker that most tests share, a fresh database per test, sessions in it."""

import itertools
import os
import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import places  # noqa: E402
from harness.emulators import Emulators  # noqa: E402
from harness.server import Options, Server  # noqa: E402
from harness.sessions import Session  # noqa: E402

# What the shared server differs in from PostgreSQL's defaults: deadlocks are looked for sooner, so that tests are quick.
SHARED_SETTINGS = {"deadlock_timeout": "250ms", "max_connections": "60", "max_prepared_transactions": "5"}

_numbers = itertools.count()


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long or moves gigabytes; run with --slow")
    config.addinivalue_line("markers", "calf_only: about something that a native server does otherwise")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: --slow runs it"))
        if "calf_only" in item.keywords and not places.is_calf():
            item.add_marker(pytest.mark.skip(reason="about Calf only"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure comes with the last lines of the servers' logs."""
    report = yield
    if report.failed:
        for server in Server.running:
            state = "running" if server.alive() else f"ended with {server.process.returncode if server.process else None}"
            report.sections.append((f"server on port {server.port}, {state}", "\n".join(server.output().splitlines()[-30:])))
    return report


@pytest.fixture(scope="session")
def shared():
    """The worker's own server. Tests may not stop it or change settings that others see."""
    with Server.start(Options(settings=SHARED_SETTINGS)) as server:
        yield server


@pytest.fixture
def server(shared):
    """The shared server; started again if an earlier test brought it down or left it deaf, so that one failure stays
    one."""
    try:
        shared.connect(connect_timeout=5).close()
    except psycopg.Error:
        shared.kill()
        shared.port = 0
        shared.launch()
    return shared


@pytest.fixture
def database(server):
    """The name of a fresh database on the shared server."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    with server.connect() as admin:
        admin.execute(f"create database {name}")
    yield name
    if server.alive():
        with server.connect() as admin:
            admin.execute(f"drop database if exists {name} with (force)")


@pytest.fixture
def session(server, database):
    """Makes sessions in the test's database: `a, b = session(), session()`."""
    made = []

    def make(**kw) -> Session:
        kw.setdefault("dbname", database)
        made.append(Session(server.connect(**kw)))
        return made[-1]

    yield make
    for each in made:
        try:
            each.close()
        except Exception:
            pass


@pytest.fixture
def own_server():
    """Starts servers with options of one's own; ends them after the test."""
    started = []

    def start(**kw) -> Server:
        started.append(Server.start(Options(**kw)))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="session")
def emulators():
    """Object stores by name, each started when it is first asked for. Tests that use them are of the group "emulators"."""
    made = Emulators()
    yield made
    made.close()


@pytest.fixture
def directory():
    """A place for data directories."""
    import shutil

    from harness.server import scratch

    path = scratch("calf-data-")
    yield path
    shutil.rmtree(path, ignore_errors=True)
