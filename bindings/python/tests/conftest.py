"""One database in memory for the tests that do not need one of their own, and connections to it."""

import itertools

import calf
import pytest

_numbers = itertools.count()


@pytest.fixture(scope="session")
def database():
    with calf.open() as database:
        yield database


@pytest.fixture
def connection(database):
    """In a schema of its own; nothing is committed unless the test does so."""
    schema = f"t{next(_numbers)}"
    with database.connect(autocommit=True) as admin:
        admin.execute(f"create schema {schema}")
    connection = database.connect(settings={"search_path": schema})
    yield connection
    connection.close()
    with database.connect(autocommit=True) as admin:
        admin.execute("set client_min_messages = warning")
        admin.execute(f"drop schema {schema} cascade")


@pytest.fixture
def auto(connection):
    """The same with autocommit."""
    connection.autocommit = True
    return connection
