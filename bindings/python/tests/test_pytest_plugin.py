"""Branches, and the fixtures that are made of them."""

import subprocess
import sys
import textwrap

import calf
import psycopg
import pytest


@pytest.fixture
def own():
    with calf.open() as database:
        with database.connect() as connection:
            connection.execute("create table t (n int)")
            connection.execute("insert into t values (1)")
        yield database


def count(database):
    with database.connect() as connection:
        return connection.execute("select count(*) from t").fetchone()[0]


def test_a_branch_goes_its_own_way(own):
    with own.branch("b1") as branch:
        with branch.connect() as connection:
            connection.execute("insert into t values (2), (3)")
        with own.connect() as connection:
            connection.execute("delete from t")
        assert (count(own), count(branch)) == (0, 3)
        assert [each["name"] for each in own.branches()] == ["b1"]
        with psycopg.connect(branch.connection_url()) as connection:
            assert connection.execute("select count(*) from t").fetchone() == (3,)
        branch.reset()
        assert count(branch) == 0
    assert own.branches() == []
    with pytest.raises(calf.Error):
        branch.connect()


def test_branches_have_names_of_their_own(own):
    names = {own.branch().name for _ in range(5)}
    assert len(names) == 5 == len(own.branches())
    with pytest.raises(calf.Error):
        own.branch(next(iter(names)))
    with pytest.raises(calf.Error):
        own.branch("no name'; drop table t")


def test_dropping_a_branch_ends_its_sessions(own):
    branch = own.branch()
    connection = branch.connect()
    branch.drop()
    with pytest.raises(calf.Error):
        connection.execute("select 1")


CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def calf_options():
    return {"settings": {"work_mem": "5MB"}}

@pytest.fixture(scope="session")
def calf_template(calf_server):
    with calf_server.connect() as connection:
        connection.execute("create table users (id serial primary key, name text unique)")
        connection.execute("insert into users (name) values ('first')")
"""

TESTS = """
import os, pathlib, psycopg, pytest

@pytest.mark.parametrize("n", range(8))
def test_each_test_has_its_own(calf_db, n):
    with calf_db.connect() as connection:
        assert connection.execute("select count(*) from users").fetchone() == (1,)
        connection.execute("insert into users (name) values ('ada')")
        assert connection.execute("show work_mem").fetchone() == ("5MB",)

def test_url(calf_url):
    with psycopg.connect(calf_url) as connection:
        assert connection.execute("select name from users").fetchall() == [("first",)]

def test_connection(calf_connection):
    calf_connection.execute("drop table users")
    calf_connection.commit()

def test_everything_is_dropped(calf_server, calf_db):
    assert [each["name"] for each in calf_server.branches()] == [calf_db.name]

def test_note_the_worker(calf_server):
    pathlib.Path(f"worker-{os.getpid()}").touch()

def test_no_sessions_are_left(calf_server):
    with calf_server.connect(autocommit=True) as connection:
        query = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        assert connection.execute(query).fetchone() == (1,)
"""


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_fixtures(tmp_path, arguments):
    (tmp_path / "conftest.py").write_text(textwrap.dedent(CONFTEST))
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "13 passed" in done.stdout, done.stdout + done.stderr
