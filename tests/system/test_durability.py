"""Data directories: what was committed survives SIGKILL, shutdown is fast and clean, and a directory has one owner."""

import json
import os
import random
import re
import signal
import subprocess
import time

import psycopg
import pytest

from harness import places, proc
from harness.ledger import survive
from harness.measure import assert_below
from harness.server import Options, Server, StartFailed
from harness.sessions import Pending, Session, eventually


def test_data_survives_a_clean_restart(own_server, directory):
    data = directory / "data"
    server = own_server(data=data)
    one = Session(server.connect())
    one.run("create table t (n int)", "insert into t select generate_series(1, 1000)", "create database other")
    one.run("alter system set work_mem = '12MB'")
    elsewhere = Session(server.connect("other"))
    elsewhere.run("create table u (x text)", "insert into u values ('there')")
    assert server.stop() == 0
    server = own_server(data=data)
    one = Session(server.connect())
    assert one.value("select sum(n) from t") == 500500
    assert one.value("show work_mem") == "12MB"
    assert Session(server.connect("other")).rows("select * from u") == [("there",)]
    assert "not properly shut down" not in server.output()


def system_identifier(server) -> int:
    return Session(server.connect()).value("select system_identifier from pg_control_system()")


@pytest.mark.calf_only  # the native ones here are copies of one cluster
def test_every_cluster_has_a_system_identifier_of_its_own(own_server, directory):
    servers = [own_server(data=directory / name) for name in ("a", "b")] + [own_server(), own_server()]
    identifiers = [system_identifier(server) for server in servers]
    assert len(set(identifiers)) == len(servers)
    assert all(abs((each >> 32) - time.time()) < 600 for each in identifiers), "it says when the cluster was made"
    servers[0].kill()  # recovery compares the WAL's with pg_control's
    assert system_identifier(own_server(data=directory / "a")) == identifiers[0]
    assert servers[1].stop() == 0
    assert system_identifier(own_server(data=directory / "b")) == identifiers[1]


# Much WAL is written in little time and checkpoints come often.
BUSY = {"max_wal_size": "32MB", "min_wal_size": "32MB", "checkpoint_timeout": "30s"}


@pytest.mark.timeout(180)  # real fsyncs: as slow as the disk and what else uses it
def test_ten_kills_under_load_lose_nothing_that_was_acknowledged(own_server, directory):
    server = own_server(data=directory / "data", settings=BUSY)
    ledger = survive(server, rounds=10, seed=random.randrange(2**32))
    assert ledger.acknowledged > 100


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_under_load_lose_nothing(own_server, directory):
    server = own_server(data=directory / "data", settings=BUSY)
    ledger = survive(server, rounds=200, seed=random.randrange(2**32), sessions=8, longest_s=1.0)
    assert ledger.acknowledged > 10_000


@pytest.mark.slow
@pytest.mark.calf_only
@pytest.mark.timeout(1800)
def test_hundreds_of_power_cuts_lose_nothing():
    """The simulation of src/node/power_cut_test.cc, for longer than `make unit` runs it."""
    program = places.CALF.parent / "durability_test"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    environment = dict(os.environ) | {"CALF_ROUNDS": "300"}
    done = subprocess.run(
        [str(program), "--gtest_filter=*PowerCut*"], env=environment, capture_output=True, text=True, timeout=1700
    )
    assert done.returncode == 0, done.stdout[-5000:]


def _wal_bytes(data) -> int:
    return sum(file.stat().st_size for file in (data / "pg_wal").iterdir() if file.is_file())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_gigabyte_of_wal_is_recovered_within_five_seconds(own_server, directory):
    data = directory / "data"
    server = own_server(data=data, settings={"max_wal_size": "8GB", "checkpoint_timeout": "1h", "log_startup_progress_interval": "500ms"})
    one = Session(server.connect())
    one.run("create table t (id int primary key, filler text)", "checkpoint")
    began = one.value("select pg_current_wal_lsn()")
    rows = 0
    while one.value("select pg_current_wal_lsn() - %s", (began,)) < 2**30:
        one.run(f"insert into t select i, repeat('x', 100) from generate_series({rows}, {rows + 199_999}) i")
        one.run("update t set filler = repeat('y', 90) where id %% 10 = 0 and id >= %d" % rows)
        rows += 200_000
    server.kill()
    server.launch()
    log = server.output()
    redo_s = float(re.search(r"redo done at .* elapsed: ([0-9.]+) s", log)[1])
    # What it takes when nobody else wants the processors: the start as a whole, checkpoint included.
    processor_s = proc.processor_seconds(server.pid)
    assert "redo in progress, elapsed time" in log, "no progress in the log"
    one = Session(server.connect())
    assert one.value("select count(*) from t") == rows
    assert min(redo_s, processor_s) <= 5, f"redo took {redo_s} s, the start {processor_s} s of processor time"


def _write_wal(server, table, stop) -> None:
    with server.connect() as one:
        while not stop:
            one.execute(f"update {table} set n = n + 1, filler = repeat(n::text, 50)")


@pytest.mark.timeout(120)
def test_wal_stays_within_its_limit_and_checkpoints_are_spread(own_server, directory):
    data = directory / "data"
    settings = {"max_wal_size": "64MB", "min_wal_size": "32MB", "checkpoint_timeout": "30s", "log_checkpoints": "on"}
    server = own_server(data=data, settings=settings)
    one = Session(server.connect())
    for table in ("a", "b"):
        one.run(f"create table {table} as select i as n, '' as filler from generate_series(1, 3000) i")
    began = one.value("select pg_current_wal_lsn()")
    stop = []
    writers = [Pending(lambda table=table: _write_wal(server, table, stop)) for table in ("a", "b")]
    most = 0
    while one.value("select pg_current_wal_lsn() - %s", (began,)) < 200 * 2**20:
        most = max(most, _wal_bytes(data))
        time.sleep(0.05)
    stop.append(True)
    for each in writers:
        each.result()
    # max_wal_size is a soft limit: what is written while a checkpoint is under way comes on top.
    assert most <= 1.5 * 64 * 2**20, f"pg_wal had {most / 2**20:.0f} MB"
    ends = re.findall(r"checkpoint complete: .* write=([0-9.]+) s, sync=[0-9.]+ s, total", server.output())
    assert len(ends) >= 4 and "checkpoint starting: wal" in server.output()
    # Spread: they sleep between writes rather than write everything at once.
    assert max(map(float, ends)) > 0.1, ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_fast_shutdown_with_open_sessions(own_server, directory, number):
    if not places.is_calf():
        number = signal.SIGINT  # SIGTERM is the slow, "smart" shutdown there
    server = own_server(data=directory / "data")
    idle = [Session(server.connect()) for _ in range(5)]
    writer = Session(server.connect())
    writer.run("create table t (n int)", "insert into t values (1)", "begin", "insert into t values (2)")
    busy = Session(server.connect())
    running = busy.start("select count(*) from generate_series(1, 2000000000)")
    sleeping = Session(server.connect()).start("select pg_sleep(100)")
    eventually(lambda: idle[0].value("select count(*) from pg_stat_activity where state = 'active'") >= 3)
    started = time.monotonic()
    server.signal(number)
    assert server.wait() == 0
    assert_below(time.monotonic() - started, 5, "seconds of a fast shutdown")
    assert running.error().sqlstate == "57P01"
    assert sleeping.error().sqlstate == "57P01"
    for each in idle:
        with pytest.raises(psycopg.Error) as caught:
            each.rows("select 1")
        assert caught.value.sqlstate in ("57P01", None)
    server.launch()
    assert "not properly shut down" not in server.output()
    assert Session(server.connect()).rows("select n from t") == [(1,)]


def test_shutdown_in_memory_with_open_sessions(own_server):
    server = own_server()
    one = Session(server.connect())
    one.run("create table t (n int)", "begin", "insert into t values (1)")
    started = time.monotonic()
    assert server.stop() == 0
    assert_below(time.monotonic() - started, 5, "seconds of a fast shutdown")


def test_shutdown_is_not_held_up_by_a_client_that_does_not_read(own_server):
    server = own_server()
    raw = server.raw()
    from harness import wire

    stuck = wire.Wire(raw)
    stuck.login()
    stuck.send(wire.query("select repeat('x', 1000) from generate_series(1, 1000000)"))
    time.sleep(0.5)
    started = time.monotonic()
    server.signal(server.fast_shutdown_signal)
    if places.is_calf():
        assert server.wait() == 0
        assert_below(time.monotonic() - started, 5, "seconds of a fast shutdown")
    else:
        time.sleep(0.2)  # a native server waits for that client
    raw.close()
    assert server.wait() == 0


def test_an_immediate_second_signal_ends_at_once(own_server, directory):
    server = own_server(data=directory / "data")
    one = Session(server.connect())
    one.run("create table t (n int)", "insert into t values (1)")
    server.signal(server.fast_shutdown_signal)
    try:
        server.signal(signal.SIGQUIT if not places.is_calf() else signal.SIGTERM)
    except ProcessLookupError:
        pass
    server.wait()
    server.launch()
    assert Session(server.connect()).rows("select n from t") == [(1,)]


def test_a_directory_in_use_is_refused(own_server, directory):
    data = directory / "data"
    server = own_server(data=data)
    one = Session(server.connect())
    one.run("create table t (n int)")
    with pytest.raises(StartFailed):
        Server.start(Options(data=data)).close()
    one.run("insert into t values (1)")
    assert server.alive()
    server.kill()
    # A lock left behind by a process that was killed is not in the way.
    server.launch()
    assert Session(server.connect()).rows("select n from t") == [(1,)]


@pytest.mark.calf_only
@pytest.mark.parametrize("text", ["", "1\n", "42\n/pglite/data\n"])
def test_what_a_killed_postmaster_left_is_no_obstacle(own_server, directory, text):
    data = directory / "data"
    server = own_server(data=data)
    Session(server.connect()).run("create table t (n int)")
    server.kill()
    (data / "postmaster.pid").write_text(text)
    server.launch()
    assert Session(server.connect()).value("select count(*) from t") == 0


@pytest.mark.calf_only
def test_a_refused_start_says_so_in_json_and_exits_1(own_server, directory):
    data = directory / "data"
    own_server(data=data)
    done = subprocess.run(
        [str(places.CALF), "serve", str(data), "--json", "-p", "0"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["success"] is False and answer["error"]


@pytest.mark.calf_only
@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "memory://", "-p", "0", "--no-such-flag"],
        ["serve", "memory://", "-p", "99999"],
        ["serve", "memory://", "-p", "0", "-c", "work_mem=nonsense"],
        ["serve", "/proc/nothing/here", "-p", "0"],
        ["serve", "memory://", "-p", "0", "-h", "0.0.0.0"],
    ],
    ids=["unknown-flag", "bad-port", "bad-setting", "bad-directory", "open-to-all-without-password"],
)
def test_a_bad_start_fails_with_a_message(arguments):
    done = subprocess.run([str(places.CALF), *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert done.stderr.strip() or done.stdout.strip()


@pytest.mark.calf_only
def test_a_foreign_directory_is_left_alone(directory):
    data = directory / "data"
    data.mkdir()
    (data / "precious.txt").write_text("do not touch")
    done = subprocess.run([str(places.CALF), "serve", str(data), "-p", "0"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert sorted(p.name for p in data.iterdir()) == ["precious.txt"]


@pytest.mark.calf_only
def test_calf_sql_in_memory_and_in_a_directory(directory):
    def calf_sql(*arguments, stdin=None):
        return subprocess.run(
            [str(places.CALF), "sql", *arguments], input=stdin, capture_output=True, text=True, timeout=30
        )

    done = calf_sql("memory://", "-c", "select 1 as one, 'two' as two")
    assert done.returncode == 0 and "one" in done.stdout and "two" in done.stdout
    data = str(directory / "data")
    assert calf_sql(data, "-c", "create table t (n int); insert into t values (41)").returncode == 0
    done = calf_sql(data, stdin="update t set n = n + 1;\nselect n from t;\n")
    assert done.returncode == 0 and "42" in done.stdout
    script = directory / "script.sql"
    script.write_text("select 'from a file';")
    done = calf_sql(data, "-f", str(script))
    assert done.returncode == 0 and "from a file" in done.stdout
    failed = calf_sql("memory://", "-c", "select nonsense")
    assert failed.returncode != 0 and "nonsense" in failed.stderr


def test_the_disk_s_files_are_private(own_server, directory):
    data = directory / "data"
    own_server(data=data)
    assert data.stat().st_mode & 0o077 == 0
