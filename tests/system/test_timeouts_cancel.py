"""Timeouts, cancellation and termination: the SQLSTATEs that tools look for, in time."""

import socket
import struct
import time

import psycopg
import pytest

from harness import wire
from harness.sessions import Pending, eventually, until_active

# Busy in the executor without a lock, a sleep or the network.
CPU_BOUND = "select count(*) from generate_series(1, 2000000000) i where i % 7 = 3 or i % 11 = 5"


def until_gone(observer, pid: int) -> None:
    eventually(lambda: observer.value("select count(*) = 0 from pg_stat_activity where pid = %s", (pid,)))


def with_timeout(session, statement: str) -> Pending:
    """Runs it with a statement_timeout of 200 ms, which is not that of the statements behind it."""
    session.run("begin; set local statement_timeout = '200ms'")
    return session.start(statement)


def test_statement_timeout_interrupts_a_sleep(session):
    one = session()
    pending = with_timeout(one, "select pg_sleep(100)")
    assert pending.error().sqlstate == "57014"
    assert 0.1 < pending.seconds
    one.run("rollback")
    assert one.value("select 1") == 1


def test_statement_timeout_interrupts_the_cpu(session):
    one = session()
    assert with_timeout(one, CPU_BOUND).error().sqlstate == "57014"
    one.run("rollback")
    assert one.value("select 1") == 1


def test_statement_timeout_interrupts_plpgsql(session):
    assert with_timeout(session(), "do $$ begin loop end loop; end $$").error().sqlstate == "57014"


def test_transaction_timeout(session):
    one, other = session(), session()
    one.run("set transaction_timeout = '200ms'; begin")
    until_gone(other, one.pid)
    with pytest.raises(psycopg.Error) as caught:
        one.rows("select 1")
    assert caught.value.sqlstate in ("25P04", None)  # None: the driver saw the closed socket first
    assert one.connection.closed


def test_idle_in_transaction_session_timeout(session):
    one, other = session(), session()
    other.run("create table t (x int)", "insert into t values (1)")
    one.run("set idle_in_transaction_session_timeout = '150ms'; begin; update t set x = 2")
    assert other.rows("update t set x = x + 10 returning x") == [(11,)]  # waits at most until the timeout
    with pytest.raises(psycopg.Error) as caught:
        one.rows("select 1")
    assert caught.value.sqlstate == "25P03"


def test_idle_session_timeout(session):
    one, other = session(), session()
    one.run("set idle_session_timeout = '150ms'")
    until_gone(other, one.pid)
    with pytest.raises(psycopg.Error) as caught:
        one.rows("select 1")
    assert caught.value.sqlstate == "57P05"


@pytest.mark.parametrize("sql", ["select pg_sleep(100)", CPU_BOUND], ids=["sleeping", "busy"])
def test_pg_cancel_backend(session, sql):
    victim, other = session(), session()
    pending = victim.start(sql)
    until_active(other, victim.pid)
    assert other.value("select pg_cancel_backend(%s)", (victim.pid,)) is True
    assert pending.error().sqlstate == "57014"
    assert victim.value("select 1") == 1


@pytest.mark.parametrize("sql", ["select pg_sleep(100)", CPU_BOUND], ids=["sleeping", "busy"])
def test_cancel_request(session, sql):
    victim, other = session(), session()
    pending = victim.start(sql)
    until_active(other, victim.pid)
    victim.connection.cancel_safe(timeout=5)
    assert pending.error().sqlstate == "57014"
    assert victim.value("select 1") == 1


def test_cancel_of_a_lock_wait(session):
    holder, waiter = session(), session()
    holder.run("create table t (x int)", "begin", "lock table t")
    pending = waiter.start("select * from t")
    eventually(lambda: holder.value("select count(*) from pg_locks where pid = %s and not granted", (waiter.pid,)))
    waiter.connection.cancel_safe(timeout=5)
    assert pending.error().sqlstate == "57014"


def test_cancel_request_with_a_wrong_key_does_nothing(server, session):
    victim = wire.Wire(server.raw()).login()
    pid = struct.unpack("!i", victim.key[:4])[0]
    victim.send(wire.query("select pg_sleep(0.7)"))
    time.sleep(0.2)
    wrong = bytes(255 - b for b in victim.key[4:])
    with server.raw() as canceller:
        canceller.sendall(wire.packet(struct.pack("!ii", wire.CANCEL_REQUEST, pid) + wrong))
        assert canceller.recv(1) == b""  # closed without a word
    with server.raw() as canceller:
        canceller.sendall(wire.packet(struct.pack("!ii", wire.CANCEL_REQUEST, pid + 100000) + victim.key[4:]))
        assert canceller.recv(1) == b""
    kinds = [kind for kind, _ in victim.until(b"Z")]
    assert b"E" not in kinds and b"D" in kinds
    victim.close()


def test_cancel_request_for_an_idle_session_does_nothing(session):
    one = session()
    one.connection.cancel_safe(timeout=5)
    time.sleep(0.1)
    assert one.value("select 1") == 1


def test_pg_terminate_backend_of_an_idle_session(session):
    victim, other = session(), session()
    assert other.value("select pg_terminate_backend(%s, 5000)", (victim.pid,)) is True
    with pytest.raises(psycopg.Error) as caught:
        victim.rows("select 1")
    assert caught.value.sqlstate == "57P01"
    assert other.value("select count(*) from pg_stat_activity where pid = %s", (victim.pid,)) == 0


@pytest.mark.parametrize("sql", ["select pg_sleep(100)", CPU_BOUND], ids=["sleeping", "busy"])
def test_pg_terminate_backend_of_an_active_session(session, sql):
    victim, other = session(), session()
    pending = victim.start(sql)
    until_active(other, victim.pid)
    other.rows("select pg_terminate_backend(%s)", (victim.pid,))
    assert pending.error().sqlstate == "57P01"


def test_a_terminated_transaction_is_rolled_back(session):
    victim, other = session(), session()
    victim.run("create table t (x int)", "begin", "insert into t values (1)", "lock table t")
    other.rows("select pg_terminate_backend(%s, 5000)", (victim.pid,))
    assert other.value("select count(*) from t") == 0


def test_a_vanished_client_ends_a_running_query_if_asked_to(server, session):
    """client_connection_check_interval notices a closed socket in the middle of a query."""
    other = session()
    gone = wire.Wire(server.raw()).login(options="-c client_connection_check_interval=100")
    pid = struct.unpack("!i", gone.key[:4])[0]
    gone.send(wire.query("select pg_sleep(100)"))
    until_active(other, pid)
    gone.socket.shutdown(socket.SHUT_RDWR)
    gone.close()
    until_gone(other, pid)


def test_sleeping_sessions_wake_on_time(session):
    sessions = [session() for _ in range(8)]
    started = time.monotonic()
    pending = [each.start("select pg_sleep(1)") for each in sessions]
    for each in pending:
        each.result()
    assert 0.99 < time.monotonic() - started < 6, "sleeps of different sessions overlap"


def test_many_cancels_leave_the_session_usable(session):
    victim = session()
    for _ in range(20):
        pending = Pending(lambda: victim.rows("select pg_sleep(100)"))
        deadline = time.monotonic() + 20
        while not pending.done() and time.monotonic() < deadline:
            victim.connection.cancel_safe(timeout=5)
            time.sleep(0.01)
        assert pending.error().sqlstate == "57014"
    for _ in range(50):
        try:
            assert victim.value("select 1") == 1
        except psycopg.errors.QueryCanceled:
            pass  # a cancel request that came late may hit the next statement, as in any PostgreSQL
