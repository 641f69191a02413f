"""What PostgreSQL does without being asked: autovacuum, analyze, checkpoints; and that one busy session does not
stop the others."""

import time

import pytest

from harness.sessions import Pending, Session, eventually, until_active


@pytest.fixture(scope="module")
def eager():
    """A server whose autovacuum looks every second and whose WAL is small."""
    from harness.server import Options, Server

    settings = {
        "autovacuum_naptime": "1s",
        "autovacuum_vacuum_cost_delay": "0",
        "autovacuum_vacuum_threshold": "50",
        "autovacuum_analyze_threshold": "50",
        "max_wal_size": "32MB",
        "min_wal_size": "32MB",
        "track_activities": "on",
    }
    with Server.start(Options(settings=settings)) as server:
        yield server


def test_autovacuum_and_analyze_happen_by_themselves(eager):
    one = Session(eager.connect())
    one.run("create table dead (n int)", "insert into dead select generate_series(1, 5000)", "delete from dead where n > 100")
    stats = "select last_autovacuum is not null, last_autoanalyze is not null, n_dead_tup from pg_stat_user_tables where relname = 'dead'"
    eventually(lambda: one.rows(stats) == [(True, True, 0)], 30, 0.2, "autovacuum has been at the table")
    assert 50 <= one.value("select reltuples from pg_class where relname = 'dead'") <= 200
    one.close()


def test_autovacuum_works_in_another_database_too(eager):
    admin = Session(eager.connect())
    admin.run("create database second")
    there = Session(eager.connect("second"))
    there.run("create table t (n int)", "insert into t select generate_series(1, 5000)")
    stats = "select last_autoanalyze is not null from pg_stat_user_tables where relname = 't'"
    eventually(lambda: there.value(stats), 40, 0.2, "autoanalyze in the second database")
    there.close()
    admin.run("drop database second with (force)")
    admin.close()


def test_checkpoints_happen_when_wal_grows(eager):
    one = Session(eager.connect())
    count = "select num_timed + num_requested from pg_stat_checkpointer"
    before = one.value(count)
    one.run("create table big (n int, filler text)")
    for _ in range(4):
        one.run("insert into big select i, repeat('x', 400) from generate_series(1, 40000) i")
    eventually(lambda: one.value(count) > before, 20, 0.1, "a checkpoint without being asked")
    one.run("drop table big")
    one.close()


@pytest.mark.slow
def test_checkpoint_by_time(own_server):
    server = own_server(settings={"checkpoint_timeout": "30s", "checkpoint_completion_target": "0"})
    one = Session(server.connect())
    one.run("create table t (n int)", "insert into t values (1)")
    before = one.value("select checkpoint_lsn from pg_control_checkpoint()")
    eventually(lambda: one.value("select checkpoint_lsn from pg_control_checkpoint()") != before, 45, 0.5, "a timed checkpoint")
    one.close()


def test_checkpoint_on_demand_and_its_lsn_moves(session):
    one = session()
    one.run("create table t (n int)", "insert into t values (1)")
    before = one.value("select checkpoint_lsn from pg_control_checkpoint()")
    one.run("checkpoint")
    assert one.value("select checkpoint_lsn from pg_control_checkpoint()") != before


def test_a_changed_setting_reaches_all_after_reload(own_server):
    server = own_server()
    admin, other = Session(server.connect()), Session(server.connect())
    admin.run("alter system set work_mem = '11MB'")
    assert other.value("show work_mem") != "11MB"
    assert admin.value("select pg_reload_conf()") is True
    eventually(lambda: other.value("show work_mem") == "11MB", 5)
    assert Session(server.connect()).value("show work_mem") == "11MB"


def latencies_ms(session, sql: str, until) -> list[float]:
    """Runs the statement again and again until `until()`; the time of each."""
    taken = []
    while not until():
        started = time.perf_counter()
        session.rows(sql)
        taken.append((time.perf_counter() - started) * 1000)
        time.sleep(0.001)
    return taken


def percentile(values, share) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@pytest.mark.parametrize(
    "busy",
    [
        "insert into bulk select i, md5(i::text) from generate_series(1, 400000) i",
        "select count(*) from generate_series(1, 6000000) i where i % 7 = 3",
        "do $$ declare n int := 0; begin for i in 1..6000000 loop n := n + i % 3; end loop; end $$",
    ],
    ids=["bulk-insert", "aggregate", "plpgsql-loop"],
)
def test_a_busy_session_does_not_block_others(session, record_property, busy):
    writer, reader = session(), session()
    writer.run("create table bulk (n int, words text)", "create table small (id int primary key)")
    writer.run("insert into small select generate_series(1, 100)")
    pending = writer.start(busy)
    taken = latencies_ms(reader, "select * from small where id = 42", pending.done)
    pending.result(1)
    assert len(taken) >= 10, "the reader got hardly a turn"
    p95, worst = percentile(taken, 0.95), max(taken)
    record_property("p95_ms", round(p95, 2))
    record_property("worst_ms", round(worst, 2))
    # The goal is 5 ms (bench/ measures it). This holds on a machine that is slow or busy with other tests, too: who is
    # blocked waits for as long as the other one is busy.
    bound = max(50, pending.seconds * 1000 / 20)
    assert p95 < bound, f"p95 {p95:.1f} ms, worst {worst:.1f} ms of {len(taken)}, beside {pending.seconds:.1f} s of work"


def test_six_busy_sessions_share_the_time(session):
    sessions = [session() for _ in range(6)]
    pending = [each.start("select count(*) from generate_series(1, 1500000) i where i % 7 = 3") for each in sessions]
    newcomer = session()
    started = time.monotonic()
    assert newcomer.value("select 1") == 1
    waited = time.monotonic() - started
    ends = []
    for each in pending:
        each.result(30)
        ends.append(each.seconds)
    assert waited < max(1, max(ends) / 2), f"{waited} s of {ends}"
    assert min(ends) > max(ends) * 0.2, f"they ran one after the other: {ends}"


def test_a_busy_session_does_not_delay_notifications(session):
    busy, listener, sender = session(), session(), session()
    listener.run("listen c")
    pending = busy.start("select count(*) from generate_series(1, 2000000000) i where i % 7 = 3")
    waiting = Pending(lambda: next(iter(listener.connection.notifies(timeout=20, stop_after=1))).channel)
    until_active(sender, busy.pid)
    sender.run("notify c")
    assert waiting.result() == "c"
    busy.connection.cancel_safe(timeout=5)
    assert pending.error().sqlstate == "57014"


def test_vacuum_beside_writers(session):
    one = session()
    one.run("create table t (id int primary key, n int)", "insert into t select i, 0 from generate_series(1, 3000) i")
    stop = []

    def write(mine):
        while not stop:
            mine.rows("update t set n = n + 1 where id = 1 + (random() * 2999)::int")

    writers = [Pending(lambda s=session(): write(s)) for _ in range(3)]
    for _ in range(5):
        one.run("vacuum (analyze) t")
    stop.append(True)
    for each in writers:
        each.result()
    assert one.value("select count(*) from t") == 3000
