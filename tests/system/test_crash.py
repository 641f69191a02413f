"""When a backend crashes: its cluster's sessions get 57P02, recovery runs, what was committed is there, life goes on."""

import os
import signal

import psycopg
import pytest

from harness import places, wire
from harness.sessions import Session, eventually

# `textout` takes a pointer. Called with an integer as if it were one, it reads from an address that nothing is mapped
# at, in a native server (a segmentation fault) as in Calf (a trap).
CRASHING_FUNCTION = "create function crash(int) returns cstring strict language internal as 'textout'"


def crash(server) -> None:
    """Ends one backend the hard way; returns when the server has noticed: the sessions that were open are gone."""
    victim, witness = Session(server.connect()), wire.Wire(server.raw()).login()
    victim.run("set client_min_messages = error", "drop function if exists crash(int)", CRASHING_FUNCTION)
    with pytest.raises(psycopg.Error):
        victim.rows("select crash(-65536)")
    assert victim.connection.closed
    witness.ending()
    witness.close()


def reconnect(server) -> Session:
    def attempt():
        try:
            return Session(server.connect())
        except psycopg.OperationalError:
            return None

    return eventually(attempt, 15, 0.05, "the server accepts connections again")


@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_a_crash_ends_the_sessions_and_recovers(own_server, directory, kind):
    server = own_server(data=directory / "data" if kind == "directory" else None)
    others = [Session(server.connect()) for _ in range(8)]
    others[0].run("create table kept (n int)", "insert into kept select generate_series(1, 1000)")
    others[1].run("begin", "insert into kept values (-1)")
    idle = [wire.Wire(server.raw()).login() for _ in range(3)]
    sleeping = wire.Wire(server.raw()).login()
    sleeping.send(wire.query("select pg_sleep(60)"))
    before = server.pid

    crash(server)

    # PostgreSQL says it as a warning, not as an error, and closes.
    for each in (*idle, sleeping):
        assert [last["C"] for last in each.ending()][-1:] == ["57P02"]
        each.close()
    for each in others:
        with pytest.raises(psycopg.Error):
            each.rows("select 1")
        assert each.connection.closed
    after = reconnect(server)
    assert server.alive() and server.pid == before, "the server itself went on"
    assert after.value("select count(*) from kept") == 1000
    assert after.value("select count(*) from kept where n = -1") == 0
    after.run("insert into kept values (1001)", "checkpoint")
    assert Session(server.connect()).value("select max(n) from kept") == 1001


def test_crash_after_crash(own_server):
    server = own_server()
    Session(server.connect()).run("create table t (n int)")
    for n in range(4):
        reconnect(server).run(f"insert into t values ({n})")
        crash(server)
    assert reconnect(server).value("select count(*) from t") == 4


def test_postgresql_s_own_processes_are_back_after_a_crash(own_server):
    server = own_server()
    crash(server)
    one = reconnect(server)
    wanted = {"checkpointer", "background writer", "walwriter", "autovacuum launcher"}
    eventually(lambda: wanted <= {k for (k,) in one.rows("select backend_type from pg_stat_activity")}, 10)
    listener = reconnect(server)
    listener.run("listen c")
    one.run("notify c, 'alive'")
    assert [n.payload for n in listener.connection.notifies(timeout=5, stop_after=1)] == ["alive"]


def test_a_deep_native_stack_is_not_a_crash(own_server):
    """What could overflow the stack is stopped by PostgreSQL itself (54001); the others notice nothing."""
    server = own_server()
    one, other = Session(server.connect()), Session(server.connect())
    other.run("create temp table here (n int)")
    for sql in (
        "select '" + "[" * 500000 + "'::json",
        "select repeat('(', 300000)::tsquery",
        "select '" + "{" * 300000 + "'::jsonb",
        "select 'a' ~ repeat('(', 100000)",
    ):
        error = one.error(sql)
        assert error.sqlstate in ("54001", "22P02", "42601", "2201B", "54000"), (sql[:20], error)
    assert other.value("select count(*) from here") == 0


@pytest.mark.skipif(places.is_calf(), reason="Calf's backends are not processes of their own")
def test_a_killed_backend_process_is_a_crash(own_server):
    server = own_server()
    other, victim = Session(server.connect()), Session(server.connect())
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(psycopg.Error):
        eventually(lambda: other.rows("select 1") and False, 10)
    assert reconnect(server).value("select 1") == 1
