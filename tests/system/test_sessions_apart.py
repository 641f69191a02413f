"""What belongs to one session stays in it, and what is shared changes for all: temp tables, plans, settings, DDL."""

import psycopg
import pytest

from harness.sessions import Pending, eventually


def test_temp_tables_are_private_and_go_with_their_session(session):
    first, second = session(), session()
    for n, each in enumerate((first, second)):
        each.run("create temp table scratch (n int)", f"insert into scratch values ({n})")
    assert first.rows("select n from scratch") == [(0,)]
    assert second.rows("select n from scratch") == [(1,)]
    first.close()
    eventually(lambda: second.value("select count(*) from pg_class where relname = 'scratch'") == 1)


def test_temp_tables_are_emptied_or_dropped_at_commit(session):
    one = session()
    one.run("create temp table e (n int) on commit delete rows", "begin", "insert into e values (1)", "commit")
    assert one.value("select count(*) from e") == 0
    one.run("begin", "create temp table d (n int) on commit drop", "commit")
    assert one.value("select to_regclass('d')") is None


def test_prepared_statements_with_one_name_are_apart(session):
    first, second = session(), session()
    first.run("prepare p (int) as select $1 + 1")
    second.run("prepare p (int) as select $1 * 100")
    assert first.value("execute p (5)") == 6
    assert second.value("execute p (5)") == 500
    first.run("deallocate p")
    assert first.error("execute p (5)").sqlstate == "26000"
    assert second.value("execute p (5)") == 500


def test_settings_are_apart(session):
    first, second = session(), session()
    first.run("set work_mem = '7MB'", "set timezone = 'Asia/Tokyo'", "set my.own = 'first'")
    assert (first.value("show work_mem"), first.value("show timezone")) == ("7MB", "Asia/Tokyo")
    assert second.value("show work_mem") != "7MB"
    assert second.value("select current_setting('my.own', true)") in (None, "")
    first.run("begin", "set local work_mem = '8MB'", "rollback")
    assert first.value("show work_mem") == "7MB"
    first.run("discard all")
    assert first.value("show work_mem") == second.value("show work_mem")


def test_cursors_are_apart_and_move_both_ways(session):
    first, second = session(), session()
    for each, sign in ((first, 1), (second, -1)):
        each.run("begin", f"declare c scroll cursor for select i * {sign} from generate_series(1, 10) i")
    assert first.rows("fetch 2 c") == [(1,), (2,)]
    assert second.rows("fetch 3 c") == [(-1,), (-2,), (-3,)]
    assert first.rows("fetch prior c") == [(1,)]
    second.run("commit")
    assert second.error("fetch c").sqlstate == "34000"
    assert first.rows("fetch last c") == [(10,)]


def test_a_held_cursor_outlives_its_transaction(session):
    one = session()
    one.run("begin", "declare h cursor with hold for select generate_series(1, 5)", "commit")
    assert one.rows("fetch 3 h") == [(1,), (2,), (3,)]


def test_sequences_are_shared_but_currval_is_not(session):
    first, second = session(), session()
    first.run("create sequence s")
    assert [first.value("select nextval('s')"), second.value("select nextval('s')")] == [1, 2]
    assert first.value("select currval('s')") == 1
    assert session().error("select currval('s')").sqlstate == "55000"


def test_pids_and_random_numbers_differ(session):
    sessions = [session() for _ in range(8)]
    pids = [each.value("select pg_backend_pid()") for each in sessions]
    assert pids == [each.pid for each in sessions]
    assert len(set(pids)) == 8
    assert len({each.value("select random()") for each in sessions}) == 8
    assert len({each.value("select gen_random_uuid()") for each in sessions}) == 8


def test_prepared_plans_follow_ddl_of_another_session(session):
    planned, ddl = session(), session()
    ddl.run("create table t (a int, b int)", "insert into t select i, i * 2 from generate_series(1, 1000) i")
    planned.run("prepare one (int) as select b from t where a = $1", "prepare everything as select * from t limit 1")
    for _ in range(7):
        assert planned.value("execute one (10)") == 20
    ddl.run("create index on t (a)", "alter table t alter b type text using 'b' || b")
    assert planned.error("execute everything").sqlstate == "0A000"  # its result type would change
    planned.run("deallocate one", "prepare one (int) as select b from t where a = $1")
    assert planned.value("execute one (10)") == "b20"
    ddl.run("drop table t")
    assert planned.error("execute one (10)").sqlstate == "42P01"


def test_prepared_plans_use_a_new_index_of_another_session(session):
    planned, ddl = session(), session()
    ddl.run("create table t (a int)", "insert into t select generate_series(1, 20000)", "analyze t")
    planned.run("prepare p as select count(*) from t where a = 77")
    assert "Seq Scan" in str(planned.rows("explain execute p"))
    ddl.run("create index on t (a)", "analyze t")
    assert "Index" in str(planned.rows("explain execute p"))


def test_functions_replaced_elsewhere_are_seen(session):
    caller, author = session(), session()
    author.run("create function f() returns int language plpgsql as $$ begin return 1; end $$")
    assert caller.value("select f()") == 1
    author.run("create or replace function f() returns int language plpgsql as $$ begin return 2; end $$")
    assert caller.value("select f()") == 2


def test_views_and_types_made_elsewhere_are_seen(session):
    first, second = session(), session()
    first.run("create type mood as enum ('sad', 'ok')", "create table t (m mood)", "create view v as select * from t")
    second.run("insert into t values ('ok')")
    assert first.rows("select * from v") == [("ok",)]
    first.run("alter type mood add value 'great'")
    second.run("insert into t values ('great')")
    assert first.value("select count(*) from v") == 2


def test_create_index_concurrently_beside_writers(session):
    builder = session()
    builder.run("create table t (id int primary key, n int)", "insert into t select i, i from generate_series(1, 20000) i")
    stop = []

    def write(mine, number):
        count = 0
        while not stop:
            mine.rows("update t set n = n + 1 where id = %s", (number * 1000 + count % 1000 + 1,))
            mine.rows("insert into t values (%s, -1) on conflict do nothing", (100000 + number * 100000 + count,))
            count += 1
        return count

    writers = [Pending(lambda s=session(), n=n: write(s, n)) for n in range(4)]
    try:
        eventually(lambda: builder.value("select count(*) > 20000 from t"))
        for n in range(3):
            builder.run(f"create index concurrently i{n} on t (n)")
    finally:
        stop.append(True)
        counts = [each.result() for each in writers]
    assert min(counts) > 0
    assert builder.value("select bool_and(indisvalid) from pg_index where indrelid = 't'::regclass") is True
    builder.run("set enable_seqscan = off")
    by_index = builder.value("select count(*) from t where n = -1")
    builder.run("set enable_indexscan = off", "set enable_bitmapscan = off", "set enable_indexonlyscan = off", "set enable_seqscan = on")
    assert builder.value("select count(*) from t where n = -1") == by_index


def test_reindex_and_vacuum_full_beside_readers(session):
    one, reader = session(), session()
    one.run("create table t (id int primary key)", "insert into t select generate_series(1, 5000)")
    reader.run("begin")
    reader.rows("select 1")
    one.run("reindex table concurrently t", "vacuum t", "vacuum full t", "cluster t using t_pkey")
    assert reader.value("select count(*) from t") == 5000


def test_transaction_blocks_refuse_what_cannot_be_undone(session):
    one = session()
    for statement in ("vacuum", "create database x", "create index concurrently i on pg_class (oid)"):
        one.run("begin")
        assert one.error(statement).sqlstate in ("25001", "42501")
        one.run("rollback")


def test_reset_on_reuse_with_discard_all(session):
    one = session()
    one.run("create temp table x (n int)", "prepare p as select 1", "listen c")
    one.rows("select pg_advisory_lock(1)")
    one.run("discard all")
    assert one.value("select to_regclass('x')") is None
    assert one.value("select count(*) from pg_prepared_statements") == 0
    assert one.rows("select pg_listening_channels()") == []
    assert session().value("select pg_try_advisory_lock(1)") is True


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_session_facts(session, unix):
    one = session(unix=unix, application_name="my app", options="-c search_path=pg_catalog -c work_mem=5MB")
    assert one.value("show application_name") == "my app"
    assert one.value("show search_path") == "pg_catalog"
    assert one.value("show work_mem") == "5MB"
    assert (one.value("select inet_client_addr()") is None) == unix
    assert one.connection.info.server_version // 10000 == 18
    assert one.connection.info.parameter_status("server_encoding") == "UTF8"
    assert one.connection.info.parameter_status("is_superuser") == "on"


def test_an_error_does_not_end_the_session(session):
    one = session()
    for statement, state in (
        ("select 1/0", "22012"),
        ("select nonsense", "42703"),
        ("selec", "42601"),
        ("select 'x'::int", "22P02"),
        ("do $$ begin raise exception 'mine' using errcode = 'ZZ001'; end $$", "ZZ001"),
        ("with recursive r as (select 1 union all select 1 from r) select count(*) from r, pg_sleep(9)", None),
    ):
        if state is None:
            one.run("begin; set local statement_timeout = '100ms'")
            assert one.error(statement).sqlstate == "57014"
            one.run("rollback")
        else:
            assert one.error(statement).sqlstate == state
        assert one.value("select 1") == 1


def test_endless_recursion_is_an_error(session):
    one = session()
    one.run("create function f(int) returns int language plpgsql as $$ begin return f($1 + 1); end $$")
    assert one.error("select f(1)").sqlstate == "54001"
    deep = "select " + "(" * 200000 + "1" + ")" * 200000
    assert one.error(deep).sqlstate in ("54001", "53200", "42601")
    assert one.value("select 1") == 1


def test_notices_reach_the_client(session):
    one = session()
    seen = []
    one.connection.add_notice_handler(lambda diagnostic: seen.append((diagnostic.severity, diagnostic.message_primary)))
    one.run("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
    assert seen == [("NOTICE", "one"), ("WARNING", "two")]


def test_large_objects(session):
    first, second = session(), session()
    content = bytes(range(256)) * 4000
    number = first.value("select lo_from_bytea(0, %s)", (content,))
    assert second.value("select lo_get(%s)", (number,)) == content
    assert second.value("select lo_get(%s, 256, 4)", (number,)) == b"\0\1\2\3"
    first.run("begin")
    handle = first.value("select lo_open(%s, %s)", (number, 0x20000 | 0x40000))
    first.rows("select lo_lseek64(%s, 10, 0)", (handle,))
    first.rows("select lowrite(%s, %s)", (handle, b"changed"))
    first.run("rollback")
    assert second.value("select lo_get(%s)", (number,)) == content
    assert second.value("select lo_unlink(%s)", (number,)) == 1
    assert second.error("select lo_get(%s)", (number,)).sqlstate == "42704"


def test_psycopg_pipeline_and_server_side_cursor(session):
    one = session()
    one.run("create table t (n int)")
    with one.connection.pipeline():
        for n in range(2000):
            one.connection.execute("insert into t values (%s)", (n,))
        total = one.connection.execute("select sum(n) from t")
    assert total.fetchone()[0] == 1999000
    with one.connection.transaction(), one.connection.cursor("named") as cursor:
        cursor.itersize = 100
        cursor.execute("select n from t order by n")
        assert sum(n for (n,) in cursor) == 1999000
    with pytest.raises(psycopg.errors.DivisionByZero):
        with one.connection.pipeline():
            one.connection.execute("select 1/0")
    assert one.value("select 1") == 1
