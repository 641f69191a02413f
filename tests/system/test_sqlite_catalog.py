"""The sqlite engine: what sessions know of the tables while others declare them."""

import threading

import psycopg
import pytest

from harness.sqlite import SqliteServer

UndefinedTable = psycopg.errors.UndefinedTable


@pytest.fixture(scope="module")
def server():
    with SqliteServer() as running:
        yield running


@pytest.fixture
def sessions(server):
    a, b = server.connect(), server.connect()
    yield a, b
    for session in (a, b):
        session.close()
    with server.connect() as last:
        for (name,) in last.execute("select tablename from pg_tables where schemaname = 'public'").fetchall():
            last.execute(f'drop table "{name}"')


def test_a_new_table_is_there_after_a_transaction_that_began_before_it(sessions):
    reader, other = sessions
    other.execute("create table old (x int)")
    reader.execute("begin")
    reader.execute("select * from old")
    other.execute("create table new (x int)")
    other.execute("insert into new values (1)")
    with pytest.raises(UndefinedTable):  # its snapshot is older
        reader.execute("select * from new")
    reader.execute("rollback")
    assert reader.execute("select * from new").fetchall() == [(1,)]


def test_a_snapshot_keeps_its_tables_while_others_change_them(sessions):
    reader, other = sessions
    other.execute("create table t (id int, day date)")
    other.execute("insert into t values (1, '2020-02-29')")
    query = "select * from t"
    reader.execute("begin")
    before = reader.execute(query, prepare=True).fetchall()
    other.execute("alter table t alter column day type text using day::text")
    other.execute("alter table t rename column id to number")
    other.execute("create table u (x int)")
    for prepare in (True, False):
        assert reader.execute(query, prepare=prepare).fetchall() == before
    assert reader.execute("select id from t").fetchall() == [(1,)]
    names = reader.execute("select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0 order by attnum")
    assert names.fetchall() == [("id",), ("day",)]
    reader.execute("set search_path to public, pg_catalog")  # reads the tables anew
    assert reader.execute("select id from t").fetchall() == [(1,)]
    reader.execute("commit")
    assert reader.execute("select number, day from t").fetchall() == [(1, "2020-02-29")]
    assert reader.execute("select * from u").fetchall() == []


def test_a_dropped_table_is_there_for_its_readers_only(sessions):
    reader, other = sessions
    other.execute("create table t (x int)")
    other.execute("insert into t values (7)")
    reader.execute("begin")
    reader.execute("select 1 from t")
    other.execute("drop table t")
    assert reader.execute("select x from t").fetchall() == [(7,)]
    with pytest.raises(UndefinedTable):
        other.execute("select x from t")
    reader.execute("commit")
    with pytest.raises(UndefinedTable):
        reader.execute("select x from t")


def test_a_rolled_back_declaration_leaves_nothing_behind(sessions):
    a, b = sessions
    a.execute("create table t (x int)")
    a.execute("begin")
    a.execute("create table u (x int)")
    a.execute("alter table t add column y int")
    assert a.execute("select * from t, u").description[1].name == "y"
    with pytest.raises(UndefinedTable):
        b.execute("select * from u")
    a.execute("rollback")
    for session in (a, b):
        with pytest.raises(UndefinedTable):
            session.execute("select * from u")
        assert len(session.execute("select * from t").description) == 1


def test_a_simple_query_again_gives_the_new_columns(sessions):
    a, b = sessions
    b.execute("create table t (x int)")
    cursor = psycopg.ClientCursor(a)
    assert len(cursor.execute("select * from t").description) == 1
    b.execute("alter table t add column y text default 'new'")
    b.execute("insert into t values (1)")
    assert cursor.execute("select * from t").fetchall() == [(1, "new")]


def test_a_prepared_statement_sees_a_temporary_table_that_came_before_its_own(sessions):
    a, _ = sessions
    a.execute("create table t (x int)")
    a.execute("insert into t values (1)")
    query = "select x from t"
    assert a.execute(query, prepare=True).fetchall() == [(1,)]
    a.execute("create temp table t (x int)")
    assert a.execute(query, prepare=True).fetchall() == []
    a.execute("drop table t")
    assert a.execute(query, prepare=True).fetchall() == [(1,)]


def test_who_waits_for_a_declaration_obeys_it(sessions):
    """A write that was written for the old table would store what the new one does not say."""
    a, b = sessions
    a.execute("create table t (n numeric(10, 2))")
    b.execute("insert into t values (1.25)")
    a.execute("begin")
    a.execute("alter table t alter column n type numeric(10, 0)")
    waiting = threading.Thread(target=b.execute, args=("insert into t values (7.77)",))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    a.execute("commit")
    waiting.join(10)
    assert [int(row[0]) for row in a.execute("select n from t order by n")] == [1, 8]
    assert {str(row[0]) for row in a.execute("select n from t")} == {"1", "8"}


def test_declarations_at_the_same_time_lose_nothing(server, sessions):
    sessions[0].execute("create table t (x int)")
    rounds = 12

    def add(who):
        with server.connect() as session:
            for i in range(rounds):
                session.execute(f"alter table t add column c_{who}_{i} int")

    adding = [threading.Thread(target=add, args=(who,)) for who in range(3)]
    for thread in adding:
        thread.start()
    reading = sessions[1]
    while any(thread.is_alive() for thread in adding):
        reading.execute("select x from t")
    for thread in adding:
        thread.join()
    assert len(reading.execute("select * from t").description) == 1 + 3 * rounds
