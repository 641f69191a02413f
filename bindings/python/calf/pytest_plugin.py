"""Fixtures for pytest: a database of one's own for each test, in milliseconds.

    # conftest.py
    @pytest.fixture(scope="session")
    def calf_template(calf_server):              # once: tables, migrations, what every test starts with
        with calf_server.connect() as connection:
            connection.execute("create table users (id serial primary key, name text)")

    # test_users.py
    def test_insert(calf_db):                    # a branch of it, dropped after the test
        with calf_db.connect() as connection:
            connection.execute("insert into users (name) values (%s)", ("ada",))

    def test_with_an_orm(calf_url):              # the same, for drivers that want a URL
        engine = sqlalchemy.create_engine(calf_url.replace("postgresql://", "postgresql+psycopg://"))

With pytest-xdist each worker has a database of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import Branch, Connection, Database
from ._database import open as open_database


@pytest.fixture(scope="session")
def calf_options() -> dict[str, Any]:
    """To be overridden: options of calf.open() for calf_server."""
    return {}


@pytest.fixture(scope="session")
def calf_server(calf_options: dict[str, Any]) -> Iterator[Database]:
    """The database of the test run, or of an xdist worker; in memory unless calf_options say otherwise."""
    with open_database(**calf_options) as server:
        yield server


@pytest.fixture(scope="session")
def calf_template(calf_server: Database) -> None:
    """To be overridden: runs once before the first calf_db, and makes in `calf_server` what every test shall find."""


@pytest.fixture
def calf_db(calf_server: Database, calf_template: object) -> Iterator[Branch]:
    """A copy of what calf_template has made, for one test. What the test does to it, no other one sees."""
    with calf_server.branch() as branch:
        yield branch


@pytest.fixture
def calf_connection(calf_db: Branch) -> Iterator[Connection]:
    """A connection to calf_db. What the test did not commit is rolled back."""
    connection = calf_db.connect()
    yield connection
    connection.close()


@pytest.fixture
def calf_url(calf_db: Branch) -> str:
    """The URL of calf_db, for drivers and ORMs."""
    return calf_db.connection_url()
