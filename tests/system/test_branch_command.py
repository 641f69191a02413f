"""calf branch: the command line against a running server."""

import json
import subprocess

import psycopg
import pytest

from harness import places
from harness.sessions import Session

pytestmark = pytest.mark.calf_only


def branch(*arguments, environment):
    return subprocess.run(
        [places.CALF, "branch", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_branch_from_birth_to_death(own_server):
    server = own_server()
    environment = server.environment()
    boss = Session(server.connect())
    boss.run("create table t (n int)")
    assert branch("create", "b1", environment=environment).stdout == "postgres@b1\n"
    Session(server.connect("postgres@b1")).run("insert into t values (1)")
    made = branch("create", "b2", "--json", "--url", server.url("postgres@b1"), environment=environment)
    assert json.loads(made.stdout) == {"name": "b2", "database": "postgres@b2"}
    assert Session(server.connect("postgres@b2")).rows("table t") == [(1,)]
    listed = json.loads(branch("list", "--json", environment=environment).stdout)
    assert [(b["name"], b["parent"]) for b in listed] == [("b1", None), ("b2", "b1")]
    table = branch("list", environment=environment).stdout
    assert "name" in table and "(2 rows)" in table
    assert branch("drop", "b2", environment=environment).stdout == "b2\n"
    assert branch("reset", "b1", environment=environment).stdout == "b1\n"
    assert Session(server.connect("postgres@b1")).rows("table t") == []
    assert branch("drop", "b1", "--json", environment=environment).returncode == 0
    assert json.loads(branch("list", "--json", environment=environment).stdout) == []


def test_what_the_server_refuses(own_server):
    environment = own_server().environment()
    for arguments in (("drop", "none"), ("reset", "none"), ("create", "a/b"), ("create", "'; select 1; --")):
        refused = branch(*arguments, environment=environment)
        assert refused.returncode == 1 and refused.stderr.startswith("ERROR:") and refused.stdout == ""


def test_no_server(own_server):
    server = own_server()
    environment = server.environment()
    server.stop()
    nobody = branch("list", environment=environment)
    assert nobody.returncode == 2 and "Connection refused" in nobody.stderr
    assert branch("list", "--url", "http://x", environment=environment).returncode == 1
    assert branch("list", "--url", "postgresql://x?sslmode=require", environment=environment).returncode == 1
    assert branch("create", environment=environment).returncode != 0
    assert "reset" in branch("--help", environment=environment).stdout


@pytest.mark.parametrize("auth", ["password", "scram-sha-256"])
def test_passwords(own_server, auth):
    server = own_server(auth=auth, environment={"POSTGRES_PASSWORD": "s e/c@ret"})
    environment = server.environment()
    assert "set PGPASSWORD" in branch("list", environment=environment).stderr
    assert branch("list", environment=environment | {"PGPASSWORD": "wrong"}).returncode == 2
    assert branch("create", "b1", environment=environment | {"PGPASSWORD": "s e/c@ret"}).returncode == 0
    url = f"postgresql://postgres:s%20e%2Fc%40ret@{server.host}:{server.port}/postgres"
    assert branch("drop", "b1", "--url", url, environment=environment).returncode == 0


def test_unix_sockets(own_server):
    server = own_server()
    environment = server.environment() | {"PGHOST": str(server.sockets)}
    assert branch("create", "b1", environment=environment).stdout == "postgres@b1\n"
    url = f"postgresql:///postgres?host={server.sockets}&port={server.port}"
    assert branch("drop", "b1", "--url", url, environment=environment).returncode == 0


def test_a_cluster_in_a_directory_survives_the_question(own_server, tmp_path):
    server = own_server(data=tmp_path / "data")
    boss = Session(server.connect())
    try:
        boss.connection.execute("select calf.branch('b1')")
    except psycopg.Error as refused:
        assert refused.sqlstate == "58000"
    assert boss.value("select 1") == 1
