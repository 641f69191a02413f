"""What becomes of prepared statements when tables change: the sqlite engine does as the postgres engine does."""

import psycopg
import pytest

from harness.sqlite import SqliteServer

# Statements, or what is done with the prepared statement p.
CASES = {
    "a column more for a star": [
        "create table t (a int, b text)", "insert into t values (1, 'x')", ("prepare", "select * from t"), ("execute",),
        "alter table t add c int", ("execute",), ("describe",), "alter table t drop c", ("execute",), ("describe",)],
    "a column more that nobody names": [
        "create table t (a int, b text)", "insert into t values (1, 'x')", ("prepare", "select a, b from t"), ("execute",),
        "alter table t add c int", ("execute",), ("describe",)],
    "another type": [
        "create table t (a int)", "insert into t values (1)", ("prepare", "select a from t"), ("execute",),
        "alter table t alter a type bigint", ("execute",)],
    "another type modifier": [
        "create table t (a varchar(5))", "insert into t values ('x')", ("prepare", "select a from t"), ("execute",),
        "alter table t alter a type varchar(9)", ("execute",), ("describe",)],
    "another name": [
        "create table t (a int, b text)", ("prepare", "select * from t"), ("execute",), "alter table t rename b to c", ("execute",)],
    "a name that is gone and comes back": [
        "create table t (a int, b text)", ("prepare", "select b from t"), ("execute",), "alter table t rename b to c", ("execute",),
        "alter table t rename c to b", ("execute",)],
    "a table that is gone and comes back": [
        "create table t (b text)", ("prepare", "select b from t"), ("execute",), "drop table t", ("execute",), "create table t (b text)", ("execute",)],
    "parameters keep their types": [
        "create table t (a int, b text)", "insert into t values (1, 'x')", ("prepare", "select b from t where a = $1"), ("execute", "1"),
        "alter table t alter a type bigint", ("execute", "1"), ("describe",), "alter table t alter a type text", ("execute", "1")],
    "no result to change": [
        "create table t (a int, b text)", ("prepare", "insert into t values ($1, $2)"), ("execute", "1", "x"),
        "alter table t add c int default 7", ("execute", "2", "y"), "alter table t alter a type text", ("execute", "3", "z"), "select * from t order by b"],
    "RETURNING": [
        "create table t (a int, b text)", ("prepare", "insert into t values ($1, $2) returning *"), ("execute", "1", "x"),
        "alter table t add c int default 7", ("execute", "2", "y"), "select * from t order by b"],
    "an index": ["create table t (a int)", ("prepare", "select * from t"), ("execute",), "create index on t (a)", ("execute",)],
    "PREPARE and EXECUTE": [
        "create table t (a int, b text)", "prepare q as select * from t", "execute q", "alter table t add c int", "execute q",
        "alter table t drop c", "execute q"],
    "a view": [
        "create table t (a int, b text)", "create view v as select a from t", ("prepare", "select * from v"), ("execute",),
        "create or replace view v as select a, b from t", ("execute",)],
    "another table on the search path": [
        "create schema one", "create schema two", "create table one.t (a int)", "create table two.t (a text)", "set search_path = one",
        ("prepare", "select * from t"), ("execute",), "set search_path = two", ("execute",), "set search_path = one", ("execute",)],
    "inside of a transaction": [
        "create table t (a int)", ("prepare", "select * from t"), "begin", "alter table t add b int", ("execute",), "rollback", ("execute",)],
    "statements of several steps": [
        "create table t (a int primary key, b text)",
        ("prepare", "with i as (insert into t values ($1, $2) returning a, b) select * from i"), ("describe",), ("execute", "1", "x"),
        "alter table t add c int default 7", ("execute", "2", "y"), "alter table t rename b to bb", ("execute", "3", "z"), "select * from t order by a"],
    "MERGE": [
        "create table t (a int primary key, b text)",
        ("prepare", "merge into t using (values ($1::int, $2)) v (x, y) on a = x when matched then update set b = y "
                    "when not matched then insert values (x, y) returning merge_action(), a, b"),
        ("describe",), ("execute", "1", "x"), ("execute", "1", "y"), "select * from t"],
}


def seen(connection, step):
    protocol = connection.pgconn
    kind, *values = step if isinstance(step, tuple) else ("query", step)
    if kind == "prepare":
        result = protocol.prepare(b"p", values[0].encode())
    elif kind == "execute":
        result = protocol.exec_prepared(b"p", [v.encode() for v in values] or None)
    elif kind == "describe":
        result = protocol.describe_prepared(b"p")
    else:
        result = protocol.exec_(values[0].encode())
    state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    if state:
        return state, result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY)
    return ([(result.fname(i), result.ftype(i), result.fmod(i)) for i in range(result.nfields)],
            [[result.get_value(row, i) for i in range(result.nfields)] for row in range(result.ntuples)],
            [result.param_type(i) for i in range(result.nparams)])


@pytest.mark.parametrize("name", CASES)
def test_as_on_postgres(name, database, server):
    with SqliteServer() as other, server.connect(dbname=database) as postgres, other.connect() as sqlite:
        for step in CASES[name]:
            assert seen(sqlite, step) == seen(postgres, step), step


def test_rows_of_several_steps_come_in_portions():
    with SqliteServer() as server, server.connect() as c:
        c.execute("create table t (a int)")
        with c.transaction():
            c.execute("insert into t select generate_series(1, 1000)")
            rows = list(c.cursor().stream("with d as (delete from t returning a) select a from d order by a"))
        assert rows == [(i,) for i in range(1, 1001)]
        assert c.execute("select count(*) from t").fetchone() == (0,)
