"""Much data through the wire, both ways, in bounded memory."""

import hashlib

import pytest

from harness import proc, wire
from harness.measure import assert_below
from harness.sessions import Session

MB = 1 << 20


@pytest.fixture
def roomy(own_server):
    return own_server(settings={"max_wal_size": "256MB"})


class Memory:
    """The server's private memory beyond what it had at first, its peak as of the calls to `look`."""

    def __init__(self, server):
        self.server = server
        self.first = proc.private_kb(server.pid)
        self.peak_kb = 0

    def look(self):
        self.peak_kb = max(self.peak_kb, proc.private_kb(self.server.pid) - self.first)


LINES = b"".join(b"%d\t%s\n" % (n, b"abcdefghij" * 10) for n in range(8000))  # about 900 kB


def copy_in(server, megabytes: int, sink: str) -> tuple[int, Memory]:
    """Streams lines into a table; how many, and the memory it took."""
    one = Session(server.connect())
    one.run("drop table if exists target", "create unlogged table target (n int, words text)")
    if sink == "trigger":
        # The rows go no further than a trigger: what grows is then not the table.
        one.run(
            "create or replace function drop_it() returns trigger language plpgsql as $$ begin return null; end $$",
            "create trigger t before insert on target for each row execute function drop_it()",
        )
    memory = Memory(server)
    rounds = megabytes * MB // len(LINES)
    with one.connection.cursor().copy("copy target from stdin") as copy:
        for n in range(rounds):
            copy.write(LINES)
            if n % 16 == 0:
                memory.look()
    memory.look()
    one.close()
    return rounds * 8000, memory


@pytest.mark.parametrize(
    "megabytes", [64, pytest.param(1024, marks=[pytest.mark.slow, pytest.mark.timeout(600)])], ids=["64MB", "1GB"]
)
def test_copy_in_streams(roomy, megabytes):
    _, memory = copy_in(roomy, megabytes, "trigger")
    assert_below(memory.peak_kb, 48_000, f"kB to take {megabytes} MB")


def test_copy_in_arrives_completely(roomy):
    count, _ = copy_in(roomy, 32, "table")
    one = Session(roomy.connect())
    assert one.rows("select count(*), sum(n), min(length(words)) from target") == [(count, count // 8000 * 31996000, 100)]
    one.close()


@pytest.mark.parametrize(
    "megabytes", [64, pytest.param(1024, marks=[pytest.mark.slow, pytest.mark.timeout(600)])], ids=["64MB", "1GB"]
)
def test_copy_out_streams(roomy, megabytes):
    one = Session(roomy.connect())
    memory = Memory(roomy)
    size = 0
    rows = megabytes * 1024
    with one.connection.cursor().copy(f"copy (select n, repeat('x', 1015) from generate_series(1, {rows}) n) to stdout") as copy:
        for n, chunk in enumerate(copy):
            size += len(chunk)
            if n % 20000 == 0:
                memory.look()
    assert size > megabytes * MB * 0.99
    # generate_series in FROM is kept in a tuple store of work_mem (4 MB), then on disk.
    assert_below(memory.peak_kb, 48_000 + megabytes * 20, f"kB to send {megabytes} MB")
    one.close()


def test_copy_binary_round_trip(session):
    one = session()
    one.run(
        "create table a (i int, n numeric, t timestamptz, j jsonb, b bytea, f float8, x text[])",
        """insert into a select i, i / 7.0, now() + i * interval '1 hour', jsonb_build_object('k', i), decode(md5(i::text), 'hex'),
           sqrt(i), array[i::text, null] from generate_series(1, 5000) i""",
        "create table b (like a)",
    )
    with one.connection.cursor().copy("copy a to stdout (format binary)") as copy:
        data = b"".join(copy)
    with one.connection.cursor().copy("copy b from stdin (format binary)") as copy:
        copy.write(data)
    assert one.value("select count(*) from (table a except table b) d") == 0
    assert one.value("select count(*) from b") == 5000


def test_a_result_larger_than_memory_s_bound(roomy):
    """Five million rows through the simple protocol, read as they come."""
    connected = wire.Wire(roomy.raw(30)).login()
    memory = Memory(roomy)
    # In the target list a series is made row by row, with nothing kept.
    connected.send(wire.query("select generate_series(1, 5000000)"))
    size, rows = 0, 0
    tail = b""
    while True:
        chunk = connected.socket.recv(1 << 20)
        assert chunk
        size += len(chunk)
        rows += 1
        if rows % 50 == 0:
            memory.look()
        tail = (tail + chunk)[-64:]
        if tail.endswith(b"Z\0\0\0\x05I"):
            break
    assert b"SELECT 5000000\0" in tail
    assert size > 80_000_000
    assert_below(memory.peak_kb, 32_000, "kB for the server")
    connected.close()


def test_a_parameter_of_120_megabytes(roomy):
    one = Session(roomy.connect())
    text = "0123456789" * (12 * MB)
    length, digest = one.rows("select length(p), md5(p) from (select %b::text as p) q", (text,))[0]
    assert (length, digest) == (len(text), hashlib.md5(text.encode()).hexdigest())
    one.close()


def test_a_value_of_100_megabytes_comes_back(roomy):
    one = Session(roomy.connect())
    value = one.value("select repeat('abcdefghij', 10000000)")
    assert len(value) == 100_000_000 and hashlib.md5(value.encode()).hexdigest() == one.value("select md5(repeat('abcdefghij', 10000000))")
    one.close()


def test_memory_of_a_large_message_is_given_back(roomy):
    one = Session(roomy.connect())
    one.value("select 1")
    memory = Memory(roomy)
    for _ in range(4):
        assert one.value("select length(%s::text)", ("x" * 30_000_000,)) == 30_000_000
    other = Session(roomy.connect())
    assert other.value("select 1") == 1
    one.close()
    other.close()
    from harness.sessions import eventually

    def given_back():
        memory.peak_kb = 0
        memory.look()
        return memory.peak_kb < 80_000

    eventually(given_back, 10, 0.2, "memory after the session has ended")


def test_a_statement_of_20_megabytes(roomy):
    one = Session(roomy.connect())
    one.run("create temp table t (n int)")
    one.run("insert into t values " + ",".join(f"({n})" for n in range(200000)))
    assert one.value("select count(*) from t") == 200000
    assert one.value("select length('" + "x" * 20_000_000 + "')") == 20_000_000
    one.close()


def test_a_value_over_a_gigabyte_is_an_error(roomy):
    one = Session(roomy.connect())
    assert one.error("select repeat('x', 1100000000)").sqlstate == "54000"
    assert one.value("select 1") == 1
    one.close()


def test_large_objects_of_32_megabytes(roomy):
    one = Session(roomy.connect())
    content = bytes(range(256)) * (32 * MB // 256)
    one.run("begin")
    number = one.value("select lo_create(0)")
    handle = one.value("select lo_open(%s, 131072)", (number,))
    for offset in range(0, len(content), MB):
        one.rows("select lowrite(%s, %b)", (handle, content[offset : offset + MB]))
    one.run("commit")
    assert one.value("select count(*) from pg_largeobject where loid = %s", (number,)) == len(content) // 2048
    digest = one.value("select md5(lo_get(%s))", (number,))
    assert digest == hashlib.md5(content).hexdigest()
    one.close()


def test_sorts_and_hashes_spill_to_files(session):
    one = session()
    one.run("set work_mem = '256kB'")
    rows = one.rows("select i from (select i, md5(i::text) m from generate_series(1, 100000) i) q order by m limit 1")
    assert rows == [(72376,)] or len(rows) == 1
    plan = str(one.rows("explain (analyze, costs off) select i, md5(i::text) m from generate_series(1, 100000) i order by m"))
    assert "external" in plan
    assert one.value("select count(*) from (select i % 50000 k, count(*) from generate_series(1, 200000) i group by 1) q") == 50000


def test_eight_sessions_copy_at_once(roomy):
    from harness.sessions import Pending

    def load(number):
        one = Session(roomy.connect())
        one.run(f"create table load{number} (n int, words text)")
        with one.connection.cursor().copy(f"copy load{number} from stdin") as copy:
            for _ in range(3):
                copy.write(LINES)
        count = one.value(f"select count(*) from load{number}")
        one.close()
        return count

    assert [each.result(40) for each in [Pending(lambda n=n: load(n)) for n in range(8)]] == [24000] * 8
