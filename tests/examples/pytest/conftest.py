import itertools
import os

import psycopg
import pytest

SCHEMA = "create table users (id serial primary key, name text unique not null)"

# Of this process: pytest-xdist has several.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def template():
    """A branch with the schema in it, and a session there."""
    with psycopg.connect(autocommit=True) as server:  # PGHOST, PGPORT, …: from calf serve --run
        name = server.execute("select calf.branch(%s)", [f"template-{_worker}"]).fetchone()[0]
    with psycopg.connect(dbname=name, autocommit=True) as session:
        session.execute(SCHEMA)
        yield session


@pytest.fixture
def db(template):
    """A session in a database of this test's own."""
    branch = f"test-{_worker}-{next(_numbers)}"
    name = template.execute("select calf.branch(%s)", [branch]).fetchone()[0]
    with psycopg.connect(dbname=name) as session:
        yield session
    template.execute("select calf.drop_branch(%s)", [branch])
