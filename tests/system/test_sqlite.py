"""The sqlite engine from outside: real clients, concurrency, limits, kills."""

import decimal
import signal
import sqlite3
import threading
import time

import psycopg
import pytest

from harness.measure import assert_below, assert_soon_below
from harness.sessions import Pending, eventually
from harness.sqlite import SqliteServer


@pytest.fixture
def sqlite_server():
    with SqliteServer() as server:
        yield server


def test_values_survive_in_both_formats(sqlite_server):
    with sqlite_server.connect() as c:
        c.execute("create table t (i int, n numeric, j jsonb, a int[], b bytea, f float8, o bool)")
        row = (1, decimal.Decimal("1.50"), psycopg.types.json.Jsonb({"a": 1}), [1, None], b"\x00\xff", 1.5, True)
        for binary in (False, True):
            cursor = c.cursor(binary=binary)
            got = cursor.execute("insert into t values (%s, %s, %s, %s, %s, %s, %s) returning *", row).fetchone()
            assert got == (1, decimal.Decimal("1.50"), {"a": 1}, [1, None], b"\x00\xff", 1.5, True)


def test_sqlalchemy_creates_writes_and_reflects(sqlite_server):
    sa = pytest.importorskip("sqlalchemy")
    engine = sa.create_engine(sqlite_server.dsn().replace("postgresql", "postgresql+psycopg"))
    meta = sa.MetaData()
    parent = sa.Table("parent", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(30), nullable=False, index=True))
    sa.Table("child", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("pid", sa.ForeignKey("parent.id")), sa.UniqueConstraint("pid", name="one"))
    meta.create_all(engine)
    with engine.begin() as c:
        assert c.execute(parent.insert().returning(parent.c.id), [{"name": "a"}, {"name": "b"}]).fetchall() == [(1,), (2,)]
    inspector = sa.inspect(engine)
    assert inspector.get_pk_constraint("parent")["constrained_columns"] == ["id"]
    assert inspector.get_foreign_keys("child")[0]["referred_table"] == "parent"
    assert inspector.get_indexes("parent")[0]["column_names"] == ["name"]
    assert [c["name"] for c in inspector.get_columns("child")] == ["id", "pid"]
    engine.dispose()


def test_a_reader_does_not_wait_for_the_writer(sqlite_server):
    with sqlite_server.connect() as writer, sqlite_server.connect() as reader:
        writer.execute("create table t (x int)")
        writer.execute("begin")
        writer.execute("insert into t values (1)")
        assert reader.execute("select count(*) from t").fetchone() == (0,)
        writer.execute("commit")
        assert reader.execute("select count(*) from t").fetchone() == (1,)


def test_a_second_writer_waits_and_a_stale_one_fails(sqlite_server):
    with sqlite_server.connect() as a, sqlite_server.connect() as b:
        a.execute("create table t (x int)")
        a.execute("begin immediate")
        b.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            b.execute("insert into t values (1)")
        a.execute("commit")
        b.execute("begin")
        b.execute("select * from t")
        a.execute("insert into t values (2)")
        with pytest.raises(psycopg.errors.SerializationFailure):
            b.execute("insert into t values (3)")
        b.execute("rollback")


def test_cancel_and_statement_timeout(sqlite_server):
    endless = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r"
    with sqlite_server.connect() as c:
        c.execute("begin")
        c.execute("set local statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            c.execute(endless)
        c.execute("rollback")
        pending = Pending(lambda: c.execute(endless))
        while not pending.done():  # the first request may come before the statement
            c.cancel()
            time.sleep(0.05)
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            pending.result()
        assert c.execute("select 1").fetchone() == (1,)


def test_sequence_values_are_not_used_again_after_a_rollback(sqlite_server):
    with sqlite_server.connect() as c:
        c.execute("create table t (id serial primary key)")
        c.execute("begin")
        c.execute("insert into t default values")
        c.execute("rollback")
        assert c.execute("insert into t default values returning id").fetchone() == (2,)


def test_an_ordinary_sqlite_file_is_served_as_it_is(tmp_path):
    file = tmp_path / "plain.sqlite"
    with sqlite3.connect(file) as db:
        db.executescript("create table Artist (ArtistId integer primary key, Name nvarchar(120), Rate numeric(10,2));"
                         "insert into Artist (Name, Rate) values ('AC/DC', 1.5), ('X', 2)")
    db.close()
    with SqliteServer(file) as server, server.connect() as c:
        assert c.execute("select * from artist order by rate desc").fetchall() == [(2, "X", decimal.Decimal("2")), (1, "AC/DC", decimal.Decimal("1.5"))]
        assert c.execute("insert into artist (name, rate) values ('N', 3.25) returning artistid").fetchone() == (3,)


def test_what_was_committed_survives_a_kill(tmp_path):
    file = tmp_path / "a.db"
    with SqliteServer(file) as server:
        with server.connect() as c:
            c.execute("create table t (id serial primary key, v text)")
            c.execute("insert into t (v) values ('kept')")
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
    with SqliteServer(file) as server, server.connect() as c:
        assert c.execute("select v from t").fetchall() == [("kept",)]
        assert c.execute("insert into t (v) values ('next') returning id").fetchone() == (2,)


def test_a_place_in_the_pool_is_waited_for_and_then_refused(tmp_path):
    with SqliteServer(None, "-c", "max_connections=2") as server:
        with server.connect() as a, server.connect():
            started = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="too many clients"):
                server.connect()
            assert time.monotonic() - started > 3
            a.close()
            server.connect().close()


def test_passwords():
    with SqliteServer(None, "--password", "s3cret") as server:
        assert server.connect(password="s3cret").execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            server.connect(password="wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            server.connect(user="nobody", password="s3cret")


def test_copy_in_and_out(sqlite_server):
    with sqlite_server.connect() as c:
        c.execute("create table t (a int, b text)")
        with c.cursor().copy("copy t from stdin") as copy:
            for i in range(1000):
                copy.write_row((i, None if i % 2 else f"tab\t{i}"))
        assert c.execute("select count(*), count(b) from t").fetchone() == (1000, 500)
        with c.cursor().copy("copy (select * from t where a < 2 order by a) to stdout (format csv, header)") as copy:
            assert b"".join(bytes(d) for d in copy) == b"a,b\n0,tab\t0\n1,\n"


def test_transactions_of_new_sessions_wait_for_each_other(sqlite_server):
    with sqlite_server.connect() as c:
        c.execute("create table counter (n int)")
        c.execute("insert into counter values (0)")

        def work():
            with sqlite_server.connect(autocommit=False) as mine:
                for _ in range(10):
                    mine.execute("update counter set n = n + 1")
                    mine.commit()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert c.execute("select n from counter").fetchone() == (80,)


def test_advisory_locks_keep_sessions_apart(sqlite_server):
    with sqlite_server.connect() as a, sqlite_server.connect() as b:
        a.execute("select pg_advisory_lock(7)")
        assert b.execute("select pg_try_advisory_lock(7)").fetchone() == (False,)
        b.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            b.execute("select pg_advisory_lock(7)")
        b.execute("reset lock_timeout")
        timer = threading.Timer(0.3, lambda: a.execute("select pg_advisory_unlock(7)"))
        timer.start()
        b.execute("select pg_advisory_lock(7)")
        timer.join()
        a.execute("begin")
        assert a.execute("select pg_try_advisory_xact_lock(8), pg_try_advisory_xact_lock(7)").fetchone() == (True, False)
        assert b.execute("select pg_try_advisory_lock(8)").fetchone() == (False,)
        a.execute("rollback")
        assert b.execute("select pg_try_advisory_lock(8)").fetchone() == (True,)
    with sqlite_server.connect() as c:
        eventually(lambda: c.execute("select pg_try_advisory_lock(7)").fetchone() == (True,))


def test_temporary_tables_are_a_sessions_own(sqlite_server):
    with sqlite_server.connect() as a, sqlite_server.connect() as b:
        for session, value in ((a, 1), (b, 2)):
            session.execute("create temp table mine (id serial primary key, v int)")
            assert session.execute("insert into mine (v) values (%s) returning id, v", (value,)).fetchone() == (1, value)
        a.execute("drop table mine")
        assert b.execute("select v from mine").fetchall() == [(2,)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            a.execute("select * from mine")
    with sqlite_server.connect() as c, pytest.raises(psycopg.errors.UndefinedTable):
        c.execute("select * from mine")


def test_an_enum_survives_a_restart_in_both_formats(tmp_path):
    with SqliteServer(tmp_path / "a.db") as server, server.connect() as c:
        c.execute("create type mood as enum ('sad', 'happy')")
        c.execute("create table t (m mood, ms mood[])")
        c.execute("alter type mood add value 'so so' before 'happy'")
        c.execute("insert into t values ('happy', '{sad,so so}')")
        server.stop()
    with SqliteServer(tmp_path / "a.db") as server, server.connect() as c:
        for binary in (False, True):
            happy = b"happy" if binary else "happy"  # the driver knows nothing of the type
            assert c.cursor(binary=binary).execute("select m, m > 'so so', ms::text from t").fetchone() == (happy, True, '{sad,"so so"}')
        assert c.execute("select m from t where m = %s", ("happy",)).fetchone() == ("happy",)
        with pytest.raises(psycopg.errors.InvalidTextRepresentation, match='invalid input value for enum mood: "glad"'):
            c.execute("insert into t values ('glad')")


def test_a_tools_catalog_query_takes_no_time(sqlite_server):
    with sqlite_server.connect() as c:
        for i in range(100):
            c.execute(f"create table t{i} (id serial primary key, parent int references t{max(i - 1, 0)}, name text unique)")
        started = time.monotonic()
        rows = c.execute(
            "select c.relname, a.attname, t.typname, d.adbin, x.conname from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t"
            " on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum left join pg_constraint x on x.conrelid ="
            " c.oid and a.attnum = any(x.conkey) where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0").fetchall()
        assert len(rows) == 300
        assert_below(time.monotonic() - started, 3, "seconds of a tool's catalog query")


def test_memory_of_an_idle_server_is_small(sqlite_server):
    with sqlite_server.connect() as c:
        c.execute("create table t (id serial primary key, v text)")
        c.execute("insert into t (v) select 'x' || g from generate_series(1, 1000) g")
        assert_below(sqlite_server.resident_kb(), 10 * 1024, "kB of an idle server")


def test_a_server_that_waits_for_its_first_client_has_given_back_the_pages_of_its_start(tmp_path):
    with SqliteServer(tmp_path / "a.db") as server:
        assert_soon_below(lambda: server.resident_kb("VmRSS"), 10 * 1024, "kB of a server without clients")
