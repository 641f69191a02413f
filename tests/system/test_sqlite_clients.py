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


def run(program: str, *arguments: str, engine: str = "sqlite", **variables: str) -> str:
    with SqliteServer(None, *arguments, engine=engine) as server:
        environment = os.environ | {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "NODE_MODULES_AT": node_modules()} | variables
        done = subprocess.run(command_of(program), env=environment, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("program", ["django_app.py", "alembic_app.py", "knex_app.mjs", "drizzle_app.mjs", "active_record.rb", "Metadata.java"])
def test_program(program, engine):
    run(program, engine=engine)


@pytest.mark.parametrize("program, printed", [("seed.py", "(1, 'Alice', 'alice@example.com')\n"),
                                              ("seed.mjs", "[ { id: 1, name: 'Widget', price: 9.99 } ]\n"), ("Seed.java", "")])
def test_the_first_programs_that_were_written_for_it(program, printed):
    assert run(program, "-d", "myapp", "--password", "mysecretpassword", PGPASSWORD="mysecretpassword") == printed
