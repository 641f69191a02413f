"""Whole programs of other people's libraries on the sqlite engine: migrations forth and back, CRUD, reflection. They are in
sqlite_clients/, know nothing of Calf, and run on PostgreSQL just the same."""

import hashlib
import os
import subprocess
import sys

import pytest

from harness import places
from harness.sqlite import SqliteServer
from test_clients import where

PROGRAMS = places.SYSTEM / "sqlite_clients"
# On the postgres engine too, where they must end the same way: are the programs right?
ENGINES = ("sqlite", "postgres") if os.environ.get("CALF_TEST_REFERENCE") else ("sqlite",)


def node_modules() -> str:
    lock = hashlib.sha256((places.SYSTEM / "clients" / "node" / "package-lock.json").read_bytes()).hexdigest()[:12]
    return str(places.DEPS / f"node-{lock}")


def command_of(program: str) -> list[str]:
    if program.endswith(".java"):
        built = where("java")
        return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{built}/classes:{built}/lib/*", program.removesuffix(".java")]
    return [{".py": sys.executable, ".mjs": "node", ".rb": "ruby"}[os.path.splitext(program)[1]], str(PROGRAMS / program)]


def run_on(server: SqliteServer, program: str, **variables: str) -> str:
    environment = os.environ | {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "NODE_MODULES_AT": node_modules()} | variables
    done = subprocess.run(command_of(program), env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def run(program: str, *arguments: str, engine: str = "sqlite", **variables: str) -> str:
    with SqliteServer(None, *arguments, engine=engine) as server:
        return run_on(server, program, **variables)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("program", ["django_app.py", "alembic_app.py", "knex_app.mjs", "drizzle_app.mjs", "active_record.rb", "Metadata.java"])
def test_program(program, engine):
    run(program, engine=engine)


@pytest.mark.parametrize("program, printed", [("seed.py", "(1, 'Alice', 'alice@example.com')\n"),
                                              ("seed.mjs", "[ { id: 1, name: 'Widget', price: 9.99 } ]\n"), ("Seed.java", "")])
def test_the_first_programs_that_were_written_for_it(program, printed):
    assert run(program, "-d", "myapp", "--password", "mysecretpassword", PGPASSWORD="mysecretpassword") == printed


def everything(server: SqliteServer) -> dict:
    """All tables with their columns, constraints, indexes and rows. Not how far the sequences are: what a transaction took that was
    rolled back may be given out again after a crash, in PostgreSQL too."""
    with server.connect() as connection:
        ask = lambda sql: connection.execute(sql).fetchall()  # noqa: E731
        names = [f'"{schema}"."{name}"' for schema, name in ask("select schemaname, tablename from pg_tables where schemaname <> all(array['pg_catalog', 'information_schema']) order by 1, 2")]
        return {
            "columns": ask("select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute where attrelid >= 16384 and attnum > 0 order by 1, attnum"),
            "constraints": ask("select conname, contype::text, pg_get_constraintdef(oid) from pg_constraint order by 1, 3"),
            "indexes": ask("select indexname, indexdef from pg_indexes where schemaname <> 'pg_catalog' order by 1, 2"),
            "sequences": ask("select sequencename from pg_sequences order by 1"),
            "rows": {name: sorted(map(repr, ask(f"select * from {name}"))) for name in names},
        }


@pytest.mark.calf_only
@pytest.mark.xdist_group("emulators")
@pytest.mark.parametrize("program, place", [("django_app.py", "moto"), ("alembic_app.py", "moto"), ("knex_app.mjs", "moto"),
                                            ("drizzle_app.mjs", "moto"), ("knex_app.mjs", "folder")])
def test_all_of_it_is_there_again_on_an_empty_machine(emulators, directory, program, place, monkeypatch):
    """The first machine is gone without a word: what it had acknowledged is in the store."""
    url = str(directory / "store")
    if place == "moto":
        emulator = emulators[place]
        base, _, query = emulator.url.partition("?")
        url = f"{base.rstrip('/')}/{program}-{os.getpid()}?{query}"
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
    storage = ("--storage", url, "--durability", "commit", "--set", "storage.lease_ttl=1s")
    with SqliteServer(directory / "first.db", *storage) as server:
        run_on(server, program)
        before = everything(server)
        server.kill()
    with SqliteServer(directory / "second.db", *storage) as server:
        assert everything(server) == before
    assert any(before["rows"].values())
