"""MVCC between concurrent sessions: what each isolation level shows and refuses."""

import pytest
from psycopg import errors


@pytest.fixture
def accounts(session):
    setup = session()
    setup.run("create table account (id int primary key, balance int)", "insert into account values (1, 100), (2, 100)")
    return setup


def test_uncommitted_changes_are_invisible(session, accounts):
    writer, reader = session(), session()
    writer.run("begin", "update account set balance = 1 where id = 1", "insert into account values (3, 3)")
    assert reader.rows("select balance from account order by id") == [(100,), (100,)]
    writer.run("commit")
    assert reader.rows("select balance from account order by id") == [(1,), (100,), (3,)]


def test_rollback_leaves_nothing(session, accounts):
    writer, reader = session(), session()
    writer.run("begin", "delete from account", "create table gone (x int)", "rollback")
    assert reader.value("select count(*) from account") == 2
    assert reader.value("select to_regclass('gone')") is None


def test_read_committed_sees_commits_between_statements(session, accounts):
    writer, reader = session(), session()
    reader.run("begin isolation level read committed")
    assert reader.value("select balance from account where id = 1") == 100
    writer.run("update account set balance = 50 where id = 1")
    assert reader.value("select balance from account where id = 1") == 50
    reader.run("commit")


def test_repeatable_read_keeps_its_snapshot(session, accounts):
    writer, reader = session(), session()
    reader.run("begin isolation level repeatable read")
    assert reader.value("select sum(balance) from account") == 200
    writer.run("update account set balance = 0", "insert into account values (9, 9)")
    assert reader.value("select sum(balance) from account") == 200
    reader.run("commit")
    assert reader.value("select sum(balance) from account") == 9


def test_repeatable_read_refuses_a_lost_update(session, accounts):
    first, second = session(), session()
    second.run("begin isolation level repeatable read")
    second.rows("select * from account")
    first.run("update account set balance = balance - 10 where id = 1")
    error = second.error("update account set balance = balance - 10 where id = 1")
    assert error.sqlstate == "40001"
    second.run("rollback")
    assert second.value("select balance from account where id = 1") == 90


def test_read_committed_rechecks_the_row_after_waiting(session, accounts):
    first, second = session(), session()
    first.run("begin", "update account set balance = balance - 30 where id = 1")
    waiting = second.start("update account set balance = balance - 30 where id = 1 and balance >= 70 returning balance")
    with pytest.raises(AssertionError):
        waiting.result(0.3)
    first.run("commit")
    assert waiting.result() == [(40,)]


def test_write_skew_is_refused_under_serializable(session, accounts):
    first, second = session(), session()
    for each in (first, second):
        each.run("begin isolation level serializable")
        assert each.value("select sum(balance) from account") == 200
    first.run("update account set balance = -50 where id = 1")
    second.run("update account set balance = -50 where id = 2")
    first.run("commit")
    assert second.error("commit").sqlstate == "40001"
    assert first.value("select sum(balance) from account") == 50


def test_write_skew_passes_under_repeatable_read(session, accounts):
    first, second = session(), session()
    for each in (first, second):
        each.run("begin isolation level repeatable read")
        each.rows("select sum(balance) from account")
    first.run("update account set balance = -50 where id = 1", "commit")
    second.run("update account set balance = -50 where id = 2", "commit")
    assert first.value("select sum(balance) from account") == -100


def test_serializable_read_only_deferrable_gets_a_safe_snapshot(session, accounts):
    writer, reader = session(), session()
    writer.run("begin isolation level serializable", "update account set balance = 7 where id = 1")
    reader.run("begin isolation level serializable read only deferrable")
    waiting = reader.start("select sum(balance) from account")
    with pytest.raises(AssertionError):
        waiting.result(0.3)  # it waits for the writer that might spoil the snapshot
    writer.run("commit")
    assert waiting.result() in ([(200,)], [(107,)])
    reader.run("commit")


def test_eight_sessions_move_money_and_none_is_lost(session, accounts):
    from harness.sessions import Pending

    accounts.run("insert into account select n, 100 from generate_series(3, 10) n")
    sessions = [session() for _ in range(8)]

    def transfer(mine, number):
        failures = 0
        for step in range(40):
            source, target = (number + step) % 10 + 1, (number * 3 + step * 7) % 10 + 1
            try:
                mine.run("begin isolation level serializable")
                amount = mine.value("select balance / 10 from account where id = %s", (source,))
                mine.rows("update account set balance = balance - %s where id = %s", (amount, source))
                mine.rows("update account set balance = balance + %s where id = %s", (amount, target))
                mine.run("commit")
            except (errors.SerializationFailure, errors.DeadlockDetected):
                failures += 1
                mine.run("rollback")
        return failures

    for each in [Pending(lambda s=s, n=n: transfer(s, n)) for n, s in enumerate(sessions)]:
        assert each.result(40) < 40, "not one transfer went through"
    assert accounts.value("select sum(balance) from account") == 1000


def test_two_phase_commit_survives_its_session(session, accounts):
    preparing, other = session(), session()
    preparing.run("begin", "update account set balance = 1 where id = 1", "prepare transaction 'two phases'")
    preparing.close()
    assert other.value("select balance from account where id = 1") == 100
    assert other.value("select gid from pg_prepared_xacts where database = current_database()") == "two phases"
    other.run("commit prepared 'two phases'")
    assert other.value("select balance from account where id = 1") == 1


def test_savepoints_undo_a_part(session, accounts):
    one = session()
    one.run("begin", "update account set balance = 1 where id = 1", "savepoint here")
    assert one.error("insert into account values (1, 1)").sqlstate == "23505"
    assert one.error("select 1").sqlstate == "25P02"
    one.run("rollback to here", "update account set balance = 2 where id = 2", "commit")
    assert one.rows("select balance from account order by id") == [(1,), (2,)]
