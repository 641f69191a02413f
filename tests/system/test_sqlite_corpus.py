"""The sqlite engine against the postgres engine: each statement of the corpus on both, rows, types and SQLSTATEs
compared. What the sqlite engine cannot do must say so (0A000); everything else must be the same."""

import json
from pathlib import Path

import psycopg
import pytest

from harness.sqlite import SqliteServer

CORPUS = Path(__file__).parent / "sqlite_corpus"
# The share of statements that must be supported; it may only rise. "advanced" is what SQLite has nothing for.
FLOOR = 0.98
FLOORS = {"advanced": 0.7}


def statements(path):
    """Statements end at a semicolon at the end of a line."""
    return [s.strip() for s in path.read_text().split(";\n") if s.strip()]


FIRST_OWN_OID = 16384


def type_name(connection, oid):
    """The oid of a type that is built in; the name of another one, whose oid differs from server to server."""
    if oid < FIRST_OWN_OID:
        return oid
    return connection.pgconn.exec_(f"select format_type({oid}, null)".encode()).get_value(0, 0).decode()


def outcome(connection, sql):
    """What a client sees: the SQLSTATE, or the columns' names and types and the rows as text."""
    cursor = psycopg.ClientCursor(connection)
    try:
        result = connection.pgconn.exec_(sql.encode())
    finally:
        cursor.close()
    status = result.status
    if status == psycopg.pq.ExecStatus.FATAL_ERROR:
        return {"error": result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode()}
    columns = [(result.fname(i).decode(), type_name(connection, result.ftype(i))) for i in range(result.nfields)]
    rows = [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]
    rows = [[None if v is None else v.decode() for v in row] for row in rows]
    if "order by" not in sql.lower():
        rows.sort(key=lambda row: json.dumps(row))
    tag = result.command_status.decode() if result.command_status else ""
    return {"columns": columns, "rows": rows, "tag": tag}


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.sql")), ids=lambda p: p.stem)
def test_corpus(path, database, server, record_property):
    different, unsupported = [], []
    sqls = statements(path)
    with SqliteServer() as other, server.connect(dbname=database) as postgres, other.connect() as sqlite:
        for sql in sqls:
            expected, got = outcome(postgres, sql), outcome(sqlite, sql)
            if got.get("error") == "0A000" and expected.get("error") != "0A000":
                unsupported.append(sql)
            elif expected != got:
                different.append(f"{sql}\n  postgres: {expected}\n  sqlite:   {got}")
    share = 1 - len(unsupported) / len(sqls)
    record_property("supported", f"{share:.3f}")
    print(f"{path.stem}: {len(sqls)} statements, {share:.1%} supported")
    print("\n".join(f"  unsupported: {sql}" for sql in unsupported))
    assert not different, f"{len(different)} differ:\n" + "\n".join(different)
    assert share >= FLOORS.get(path.stem, FLOOR)
