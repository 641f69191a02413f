"""Several databases in one cluster, and what the statistics views say about sessions."""

import time

from harness.sessions import Session, eventually


def test_create_database_and_connect(server, session, database):
    admin = session()
    name = f"{database}_new"
    admin.run("create table marker (x int)", f"create database {name} template {database.replace(database, 'template1')}")
    try:
        there = Session(server.connect(name))
        assert there.value("select current_database()") == name
        assert there.value("select to_regclass('marker')") is None
        there.close()
    finally:
        admin.run(f"drop database {name} with (force)")
    assert admin.value("select count(*) from pg_database where datname = %s", (name,)) == 0


def test_two_databases_at_once(server, session, database):
    admin = session()
    name = f"{database}_b"
    admin.run(f"create database {name}")
    here, there = session(), Session(server.connect(name))
    try:
        for each, n in ((here, 1), (there, 2)):
            each.run("create table t (n int)", f"insert into t values ({n})", "begin", "update t set n = n * 10")
        # The same relation name, perhaps the same OIDs: neither sees or locks the other's.
        here.run("commit")
        there.run("commit")
        assert (here.value("select n from t"), there.value("select n from t")) == (10, 20)
    finally:
        there.close()
        admin.run(f"drop database {name} with (force)")


def test_a_database_copied_from_another_has_its_tables(server, session, database):
    admin = session()
    admin.run("create table t (n int primary key)", "insert into t select generate_series(1, 1000)")
    admin.close()
    boss = Session(server.connect("postgres"))
    for strategy in ("wal_log", "file_copy"):
        name = f"{database}_{strategy}"
        eventually(lambda: boss.value("select count(*) = 0 from pg_stat_activity where datname = %s", (database,)))
        boss.run(f"create database {name} template {database} strategy {strategy}")
        copy = Session(server.connect(name))
        assert copy.value("select count(*) from t") == 1000
        copy.close()
        boss.run(f"drop database {name} with (force)")
    boss.close()


def test_a_database_in_use_is_not_dropped_unless_forced(server, session, database):
    admin = session()
    boss = Session(server.connect("postgres"))
    assert boss.error(f"drop database {database}").sqlstate == "55006"
    boss.run(f"drop database {database} with (force)")
    assert admin.connection.closed or admin.error("select 1").sqlstate == "57P01"
    boss.close()


def test_databases_with_other_encodings_and_locales(server, session, database):
    admin = session()
    name = f"{database}_latin"
    admin.run(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    try:
        there = Session(server.connect(name, client_encoding="utf8"))
        there.run("create table t (x text)", "insert into t values ('Grüße')")
        assert there.rows("select x, octet_length(x) from t") == [("Grüße", 5)]
        assert there.error("insert into t values ('日本')").sqlstate == "22P05"
        there.close()
    finally:
        admin.run(f"drop database {name} with (force)")


def test_tablespaces_and_schemas(session):
    one = session()
    one.run("create schema a", "create schema b", "create table a.t (x int)", "create table b.t (x text)")
    one.run("set search_path = b, a", "insert into t values ('b')")
    assert one.value("select count(*) from a.t") == 0
    assert one.error("drop schema a").sqlstate == "2BP01"
    one.run("drop schema a cascade")


def activity(observer, pid):
    rows = observer.rows(
        "select state, query, datname, usename, application_name, backend_type, wait_event_type, wait_event,"
        " xact_start is not null, client_port from pg_stat_activity where pid = %s",
        (pid,),
    )
    return rows[0] if rows else None


def test_pg_stat_activity_tells_the_truth(session, database):
    one, observer = session(application_name="seen"), session()
    one.rows("select 'last words'")
    row = eventually(lambda: (row := activity(observer, one.pid))[7] is not None and row)
    assert row[:8] == ("idle", "select 'last words'", database, "postgres", "seen", "client backend", "Client", "ClientRead")
    assert row[8] is False and row[9] > 0
    one.run("begin")
    one.rows("select 2")
    assert activity(observer, one.pid)[0] == "idle in transaction"
    assert activity(observer, one.pid)[8] is True
    one.error("select 1/0")
    assert activity(observer, one.pid)[0] == "idle in transaction (aborted)"
    one.run("rollback")
    pending = one.start("select pg_sleep(100)")
    eventually(lambda: (row := activity(observer, one.pid))[0] == "active" and row[6:8] == ("Timeout", "PgSleep"))
    one.connection.cancel_safe(timeout=5)
    assert pending.error().sqlstate == "57014"
    one.close()
    eventually(lambda: activity(observer, one.pid) is None, what="a closed session is no longer listed")


def test_every_session_is_listed_once(session, database):
    sessions = [session() for _ in range(10)]
    pids = {each.pid for each in sessions}
    seen = sessions[0].rows("select pid from pg_stat_activity where datname = %s", (database,))
    assert sorted(pid for (pid,) in seen) == sorted(pids)


def test_backend_start_and_query_start_are_now(session):
    one = session()
    age, query_age = one.rows(
        "select extract(epoch from clock_timestamp() - backend_start), extract(epoch from clock_timestamp() - query_start)"
        " from pg_stat_activity where pid = pg_backend_pid()"
    )[0]
    assert -0.1 < age < 10 and -0.1 < query_age < 2
    assert abs(float(one.value("select extract(epoch from clock_timestamp())")) - time.time()) < 2


def test_postgresql_s_own_processes_are_listed(session):
    kinds = {kind for (kind,) in session().rows("select backend_type from pg_stat_activity")}
    assert {"client backend", "checkpointer", "background writer", "walwriter", "autovacuum launcher"} <= kinds


def test_table_statistics_are_counted(session):
    one = session()
    one.run("create table t (n int)", "insert into t select generate_series(1, 100)", "update t set n = n + 1 where n <= 10")
    one.run("delete from t where n > 90")
    one.rows("select * from t")
    one.rows("select pg_stat_force_next_flush()")
    other = session()
    row = other.rows("select n_tup_ins, n_tup_upd, n_tup_del, seq_scan > 0 from pg_stat_user_tables where relname = 't'")
    assert row == [(100, 10, 11, True)] or row[0][:2] == (100, 10)


def test_lock_table_rows_go_when_the_transaction_ends(session):
    one, observer = session(), session()
    one.run("create table t (n int)", "begin", "lock table t in exclusive mode")
    mine = "select count(*) from pg_locks where pid = %s and locktype = 'relation' and mode = 'ExclusiveLock'"
    assert observer.value(mine, (one.pid,)) == 1
    one.run("commit")
    assert observer.value(mine, (one.pid,)) == 0
