"""Locks: they wait, go on when the other side is done, deadlocks are found, and pg_locks tells the truth."""

import pytest

from harness.sessions import eventually

WAITING = "select count(*) from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"


@pytest.fixture
def items(session):
    setup = session()
    setup.run("create table item (id int primary key, n int)", "insert into item select i, 0 from generate_series(1, 20) i")
    return setup


def wait_for_lock(observer, waiting_session):
    eventually(lambda: observer.value(WAITING, (waiting_session.pid,)), what="the session waits for a lock")


def test_row_lock_waits_and_goes_on_at_commit(session, items):
    first, second = session(), session()
    first.run("begin", "update item set n = 1 where id = 1")
    waiting = second.start("update item set n = n + 1 where id = 1 returning n")
    wait_for_lock(items, second)
    assert not waiting.done()
    first.run("commit")
    assert waiting.result() == [(2,)]


def test_row_lock_goes_on_at_rollback(session, items):
    first, second = session(), session()
    first.run("begin", "delete from item where id = 1")
    waiting = second.start("update item set n = n + 1 where id = 1 returning n")
    wait_for_lock(items, second)
    first.run("rollback")
    assert waiting.result() == [(1,)]


def test_eight_waiters_are_served_one_after_the_other(session, items):
    holder = session()
    holder.run("begin", "update item set n = 1 where id = 1")
    waiters = [session() for _ in range(8)]
    pending = [each.start("update item set n = n + 1 where id = 1 returning n") for each in waiters]
    for each in waiters:
        wait_for_lock(items, each)
    holder.run("commit")
    assert sorted(each.result()[0][0] for each in pending) == list(range(2, 10))


def test_nowait_and_skip_locked(session, items):
    first, second = session(), session()
    first.run("begin")
    first.rows("select * from item where id = 1 for update")
    assert second.error("select * from item where id = 1 for update nowait").sqlstate == "55P03"
    assert second.value("select id from item order by id limit 1 for update skip locked") == 2


def test_queue_with_skip_locked_gives_each_job_once(session, items):
    from harness.sessions import Pending

    def worker(mine):
        got = []
        while True:
            row = mine.value(
                "delete from item where id = (select id from item order by id for update skip locked limit 1) returning id"
            )
            if row is None:
                return got
            got.append(row)

    pending = [Pending(lambda s=session(): worker(s)) for _ in range(8)]
    taken = [job for each in pending for job in each.result()]
    assert sorted(taken) == list(range(1, 21))


def test_shared_row_locks_do_not_block_each_other(session, items):
    first, second = session(), session()
    for each in (first, second):
        each.run("begin")
        assert each.rows("select id from item where id = 3 for share") == [(3,)]
    third = session()
    third.run("set lock_timeout = '100ms'")
    assert third.error("update item set n = 1 where id = 3").sqlstate == "55P03"


def test_foreign_key_check_waits_for_the_parent(session, items):
    items.run("create table child (item_id int references item)")
    first, second = session(), session()
    first.run("begin", "delete from item where id = 5")
    waiting = second.start("insert into child values (5)")
    wait_for_lock(items, second)
    first.run("commit")
    assert waiting.error().sqlstate == "23503"


def test_unique_insert_waits_for_the_other_transaction(session, items):
    first, second, third = session(), session(), session()
    first.run("begin", "insert into item values (100, 0)")
    failing = second.start("insert into item values (100, 1)")
    wait_for_lock(items, second)
    first.run("commit")
    assert failing.error().sqlstate == "23505"
    first.run("begin", "insert into item values (101, 0)")
    passing = third.start("insert into item values (101, 1) returning n")
    wait_for_lock(items, third)
    first.run("rollback")
    assert passing.result() == [(1,)]


def test_deadlock_is_found_and_one_goes_on(session, items):
    first, second = session(), session()
    first.run("begin", "update item set n = 1 where id = 1")
    second.run("begin", "update item set n = 1 where id = 2")
    a = first.start("update item set n = 2 where id = 2")
    b = second.start("update item set n = 2 where id = 1")
    failures = []
    for mine, pending in ((first, a), (second, b)):
        try:
            pending.result()
        except Exception as error:
            failures.append(error)
            mine.run("rollback")
    assert [error.sqlstate for error in failures] == ["40P01"]
    assert "waits for" in failures[0].diag.message_detail


def test_deadlock_of_three_is_found(session, items):
    sessions = [session() for _ in range(3)]
    for n, each in enumerate(sessions):
        each.run("begin", f"update item set n = 1 where id = {n + 1}")
    pending = [each.start(f"update item set n = 2 where id = {(n + 1) % 3 + 1}") for n, each in enumerate(sessions)]
    states, waiting = [], set(range(3))
    while waiting:
        # Each one lets the next one go on.
        n = eventually(lambda: [n for n in waiting if pending[n].done()])[0]
        waiting.remove(n)
        try:
            pending[n].result()
            sessions[n].run("commit")
            states.append("ok")
        except Exception as error:
            sessions[n].run("rollback")
            states.append(error.sqlstate)
    assert sorted(states) == ["40P01", "ok", "ok"]


def test_lock_timeout(session, items):
    first, second = session(), session()
    first.run("begin", "lock table item in access exclusive mode")
    second.run("set lock_timeout = '150ms'")
    pending = second.start("select * from item")
    assert pending.error().sqlstate == "55P03"
    assert 0.1 < pending.seconds


def test_advisory_locks_wait_and_are_seen(session):
    first, second, observer = session(), session(), session()
    first.rows("select pg_advisory_lock(42)")
    assert second.value("select pg_try_advisory_lock(42)") is False
    waiting = second.start("select pg_advisory_lock(42)")
    wait_for_lock(observer, second)
    rows = observer.rows(
        "select pid, granted from pg_locks where locktype = 'advisory' and objid = 42"
        " and database = (select oid from pg_database where datname = current_database()) order by granted desc"
    )
    assert rows == [(first.pid, True), (second.pid, False)]
    assert first.value("select pg_advisory_unlock(42)") is True
    waiting.result()
    assert first.value("select pg_try_advisory_lock(42)") is False


def test_advisory_transaction_lock_ends_with_the_transaction(session):
    first, second = session(), session()
    first.run("begin")
    first.rows("select pg_advisory_xact_lock(1, 2)")
    waiting = second.start("select pg_advisory_xact_lock(1, 2)")
    with pytest.raises(AssertionError):
        waiting.result(0.2)
    first.run("commit")
    waiting.result()


def test_blocking_pids_and_pg_locks_tell_who_waits_for_whom(session, items):
    holder, waiter = session(), session()
    holder.run("begin", "lock table item in share row exclusive mode")
    pending = waiter.start("insert into item values (50, 0)")
    wait_for_lock(items, waiter)
    assert items.value("select pg_blocking_pids(%s)", (waiter.pid,)) == [holder.pid]
    modes = items.rows(
        "select pid, mode, granted from pg_locks where relation = 'item'::regclass and pid in (%s, %s) order by granted desc",
        (holder.pid, waiter.pid),
    )
    assert modes == [(holder.pid, "ShareRowExclusiveLock", True), (waiter.pid, "RowExclusiveLock", False)]
    holder.run("rollback")
    pending.result()


def test_ddl_waits_for_readers_and_readers_for_ddl(session, items):
    reader, ddl, late = session(), session(), session()
    reader.run("begin")
    reader.rows("select count(*) from item")
    altering = ddl.start("alter table item add column extra int default 7")
    wait_for_lock(items, ddl)
    behind = late.start("select extra from item limit 1")
    wait_for_lock(items, late)
    reader.run("commit")
    altering.result()
    assert behind.result() == [(7,)]


def test_locks_are_released_when_the_client_vanishes_in_a_transaction(session, items):
    import os
    import socket

    gone, waiter = session(), session()
    gone.run("begin", "update item set n = 99 where id = 1")
    gone.rows("select pg_advisory_lock(7)")
    waiting = waiter.start("update item set n = n + 1 where id = 1 returning n")
    wait_for_lock(items, waiter)
    # No Terminate message: the socket just ends.
    with socket.socket(fileno=os.dup(gone.connection.pgconn.socket)) as raw:
        raw.shutdown(socket.SHUT_RDWR)
    assert waiting.result() == [(1,)]
    eventually(lambda: items.value("select pg_try_advisory_lock(7)"), what="the advisory lock is free")
    eventually(
        lambda: items.value("select count(*) = 0 from pg_stat_activity where pid = %s", (gone.pid,)), what="the backend is gone"
    )
