"""The programs under clients/: every scenario of every driver is a test."""

import functools
import json
import os
import subprocess
import sys

import pytest

from harness import places
from harness.server import Options, Server

SCENARIOS = (
    "typed_round_trip prepared_statements transaction_rollback unique_violation copy_in_out listen_notify cancel"
    " concurrent_sessions pipeline_batch"
).split()

PROGRAMS = {
    "libpq": "libpq",
    "libpqxx": "libpqxx",
    "psycopg": "python psycopg",
    "psycopg2": "python psycopg2",
    "asyncpg": "python asyncpg",
    "sqlalchemy": "python sqlalchemy",
    "node-postgres": "node pg",
    "postgres.js": "node postgres",
    "pgx": "go pgx",
    "lib-pq": "go pq",
    "tokio-postgres": "rust tokio-postgres",
    "sqlx": "rust sqlx",
    "pgjdbc": "java",
}
# What a driver has no interface for.
WITHOUT = {("sqlalchemy", "copy_in_out"), ("sqlalchemy", "listen_notify"), ("sqlalchemy", "cancel"), ("lib-pq", "pipeline_batch"), ("sqlx", "cancel"), ("sqlx", "pipeline_batch")}

# CALF_TEST_CLIENTS=pgx,pgjdbc leaves the others out.
CHOSEN = os.environ.get("CALF_TEST_CLIENTS", "").split(",") if os.environ.get("CALF_TEST_CLIENTS") else list(PROGRAMS)

CASES = [
    pytest.param(client, scenario, id=f"{client}-{scenario}", marks=pytest.mark.xdist_group(f"client-{client}"))
    for client in CHOSEN
    for scenario in SCENARIOS
    if (client, scenario) not in WITHOUT
]


def where(name: str) -> str:
    command = [str(places.SYSTEM / "clients" / "build.sh"), "--where", name]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def command_of(client: str) -> tuple[list[str], dict]:
    """How the program is started, and variables that it needs."""
    language, *arguments = PROGRAMS[client].split()
    folder = places.SYSTEM / "clients" / language
    if language == "python":
        return [sys.executable, str(folder / "client.py"), *arguments], {}
    if language == "node":
        import hashlib

        lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:12]
        return ["node", str(folder / "client.mjs"), *arguments], {"NODE_MODULES_AT": str(places.DEPS / f"node-{lock}")}
    built = where(language)
    if language == "java":
        return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{built}/classes:{built}/lib/*", "Client"], {}
    return [f"{built}/client", *arguments], {}


@pytest.fixture(scope="session")
def client_server():
    with Server.start(Options(settings={"max_connections": "60"})) as server:
        yield server


@functools.cache
def outcomes(server: Server, client: str) -> dict:
    """Runs the program once, in a database of its own; its lines by scenario."""
    name = "client_" + client.replace("-", "_").replace(".", "_")
    with server.connect() as admin:
        admin.execute(f"create database {name}")
    command, variables = command_of(client)
    try:
        done = subprocess.run(
            command, env=server.environment(name) | variables, capture_output=True, text=True, timeout=100, cwd=server.scratch
        )
        output, trouble = done.stdout, f"exit code {done.returncode}: {done.stderr[-2000:]}"
    except subprocess.TimeoutExpired as late:
        output, trouble = (late.stdout or b"").decode(), "the program did not end in time"
    lines = {}
    for line in output.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            lines[entry["test"]] = entry
    return {s: lines.get(s, {"ok": False, "detail": f"no such line; {trouble}"}) for s in SCENARIOS}


@pytest.mark.timeout(150)
@pytest.mark.parametrize(("client", "scenario"), CASES)
def test_client(client_server, client, scenario):
    outcome = outcomes(client_server, client)[scenario]
    assert outcome["ok"], outcome["detail"]
