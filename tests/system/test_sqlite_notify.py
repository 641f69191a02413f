"""LISTEN and NOTIFY among sessions of the sqlite engine."""

import time

import psycopg
import pytest

from harness.measure import assert_below
from harness.sessions import Pending
from harness.sqlite import SqliteServer


@pytest.fixture(scope="module")
def server():
    with SqliteServer() as running:
        yield running


@pytest.fixture
def sessions(server):
    opened = [server.connect() for _ in range(3)]
    yield opened
    for session in opened:
        session.close()


def heard(session, timeout_s=20, count=1) -> list:
    return [(n.channel, n.payload, n.pid) for n in session.notifies(timeout=timeout_s, stop_after=count)]


def test_idle_sessions_are_told_at_once_and_in_order(sessions):
    *listeners, sender = sessions
    for each in listeners:
        each.execute("listen news")
    waiting = [Pending(lambda s=s: (heard(s, count=3), time.monotonic())) for s in listeners]
    time.sleep(0.2)
    sent = time.monotonic()
    sender.execute("notify news")
    sender.execute("select pg_notify('news', 'second'), pg_notify('news', 'third'), pg_notify('news', 'third')")
    pid = sender.info.backend_pid
    for each in waiting:
        notifications, when = each.result()
        assert notifications == [("news", "", pid), ("news", "second", pid), ("news", "third", pid)]
        assert_below(when - sent, 1, "seconds until idle sessions are told")


def test_only_what_is_committed_is_told(sessions):
    listener, sender, _ = sessions
    listener.execute("listen c")
    sender.execute("begin")
    sender.execute("notify c, 'rolled back'")
    sender.execute("rollback")
    sender.execute("begin")
    sender.execute("notify c, 'kept'")
    sender.execute("savepoint s")
    sender.execute("notify c, 'undone'")
    sender.execute("rollback to s")
    sender.execute("notify c, 'also kept'")
    assert heard(listener, 0.3) == []
    sender.execute("commit")
    assert [n[1] for n in heard(listener, count=2)] == ["kept", "also kept"]
    with pytest.raises(psycopg.errors.DivisionByZero):
        sender.execute("select pg_notify('c', 'no'), 1 / (select 0)")
    assert heard(listener, 0.3) == []


def test_a_listener_in_a_transaction_is_told_after_it(sessions):
    listener, sender, _ = sessions
    listener.execute("listen c")
    listener.execute("begin")
    sender.execute("notify c, 'later'")
    assert listener.execute("select 1").fetchone() == (1,)
    assert heard(listener, 0.3) == []
    listener.execute("commit")
    assert heard(listener)[0][1] == "later"


def test_listening_begins_and_ends_with_commits(sessions):
    listener, sender, _ = sessions
    listener.execute("begin")
    listener.execute("listen c")
    sender.execute("notify c, 'too early'")
    listener.execute("notify c, 'my own'")
    listener.execute("commit")
    assert heard(listener) == [("c", "my own", listener.info.backend_pid)]
    listener.execute("begin")
    listener.execute("unlisten c")
    listener.execute("rollback")
    sender.execute("notify c, 'still there'")
    assert heard(listener)[0][1] == "still there"
    listener.execute("unlisten *")
    sender.execute("notify c, 'unheard'")
    assert heard(listener, 0.3) == []


def test_notifications_of_writers_come_in_the_order_of_their_commits(server, sessions):
    listener = sessions[0]
    listener.execute("create table t (n serial primary key)")
    listener.execute("listen t")

    def write(count):
        with server.connect(autocommit=False) as session:
            for _ in range(count):
                (n,) = session.execute("insert into t default values returning n").fetchone()
                session.execute("select pg_notify('t', %s)", (str(n),))
                session.commit()

    writers = [Pending(lambda: write(20)) for _ in range(4)]
    for each in writers:
        each.result(30)
    assert [int(n[1]) for n in heard(listener, count=80)] == list(range(1, 81))
