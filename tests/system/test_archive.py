"""The sqlite engine with its database in object storage: killed servers, two writers, a lost network, replicas, moments of
the past. Unit tests and the random model of it are src/archive's."""

import os
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import threading
import time
from datetime import UTC, datetime

import psycopg
import pytest

from harness import places
from harness.cut import Cut
from harness.emulators import Emulator
from harness.server import Options, Server, StartFailed
from harness.sessions import eventually

pytestmark = [pytest.mark.calf_only, pytest.mark.xdist_group("emulators")]

LEASE_TTL_MS = 500
SESSIONS = 2


def place_in(emulator: Emulator, name: str) -> str:
    """A place of its own in the emulator's bucket or container."""
    base, _, query = emulator.url.partition("?")
    return f"{base.rstrip('/')}/{name}-{os.getpid()}?{query}"


def start(file, url: str, emulator: Emulator | None, *arguments: str, durability: str = "commit") -> Server:
    return Server.start(
        Options(
            data=file,
            environment=emulator.environment if emulator else {},
            arguments=("--storage", url, "--durability", durability, "--set", f"storage.lease_ttl={LEASE_TTL_MS}ms", *arguments),
        )
    )


def restored(url: str, file, emulator: Emulator | None, *arguments: str) -> sqlite3.Connection:
    environment = os.environ | (emulator.environment if emulator else {})
    done = subprocess.run([places.CALF, "restore", url, file, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return sqlite3.connect(file)


class Writing:
    """A session that inserts its next number again and again, and remembers which ones were acknowledged."""

    def __init__(self, server: Server, who: str, first: int):
        self.acknowledged = []
        self.tried = first - 1
        self.error: psycopg.Error | None = None
        self._who = who
        self._thread = threading.Thread(target=self._run, args=(server,), daemon=True)
        self._thread.start()

    def _run(self, server: Server):
        try:
            with server.connect() as connection:
                while True:
                    self.tried += 1
                    connection.execute("insert into log values (%s, %s, %s)", (self._who, self.tried, random.randbytes(1500)))
                    self.acknowledged.append(self.tried)
        except psycopg.Error as error:
            self.error = error

    def wait_for(self, count: int, timeout_s: float = 20):
        deadline = time.monotonic() + timeout_s
        while len(self.acknowledged) < count and self.error is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.acknowledged) >= count, f"{len(self.acknowledged)} of {count} commits; {self.error}"

    def end(self, timeout_s: float = 20) -> psycopg.Error:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "a session goes on"
        return self.error


def numbers(rows) -> dict:
    found = {}
    for who, n in rows:
        found.setdefault(who, set()).add(n)
    return found


def kill_rounds(url: str, emulator: Emulator | None, directory, rounds: int):
    dice = random.Random(rounds)
    acknowledged = {f"s{i}": set() for i in range(SESSIONS)}
    tried = dict.fromkeys(acknowledged, 0)
    for number in range(rounds):
        # Sometimes the same machine again, mostly an empty one.
        machine = number if dice.random() < 0.7 else max(0, number - 1)
        with start(directory / f"machine{machine}.db", url, emulator) as server:
            with server.connect() as connection:
                connection.execute("create table if not exists log (who text, n int, filler bytea, primary key (who, n))")
                there = numbers(connection.execute("select who, n from log").fetchall())
            for who, known in acknowledged.items():
                missing = known - there.get(who, set())
                assert not missing, f"round {number}: {who} was told that {sorted(missing)[:5]} are there"
            sessions = {who: Writing(server, who, tried[who] + 1) for who in acknowledged}
            time.sleep(dice.uniform(0, 0.6))
            server.kill()
            for who, session in sessions.items():
                session.end()
                acknowledged[who] |= set(session.acknowledged)
                tried[who] = session.tried
    copy = restored(url, directory / "copy.db", emulator)
    assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    there = numbers(copy.execute("select who, n from log"))
    for who, known in acknowledged.items():
        assert known <= there.get(who, set()), f"{who}: {sorted(known - there.get(who, set()))[:5]} are lost"
    assert sum(map(len, acknowledged.values())) > rounds, "hardly anything was written between the kills"


STORES = ["moto", "azurite", "folder"]


def place_of(emulators, directory, store: str, name: str) -> tuple[str, Emulator | None]:
    if store == "folder":
        return str(directory / name), None
    return place_in(emulators[store], name), emulators[store]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("store", STORES)
def test_a_killed_server_loses_nothing_that_it_acknowledged(emulators, directory, store):
    kill_rounds(*place_of(emulators, directory, store, "kill"), directory, 5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", STORES)
def test_nor_in_a_hundred_rounds(emulators, directory, store):
    kill_rounds(*place_of(emulators, directory, store, "hundred"), directory, 100)


def two_writers(url: str, emulator: Emulator | None, directory):
    """The first one is stopped in the middle of its work, for longer than its lease; then both want to write."""
    with start(directory / "a.db", url, emulator) as first:
        with first.connect() as connection:
            connection.execute("create table log (who text, n int primary key, filler bytea)")
        one = Writing(first, "first", 1)
        one.wait_for(3)
        first.signal(signal.SIGSTOP)
        with start(directory / "b.db", url, emulator) as second:
            two = Writing(second, "second", max(one.tried + 1, 1000))
            two.wait_for(3)
            before = len(two.acknowledged)
            first.signal(signal.SIGCONT)
            error = one.end()
            assert "no longer the writer" in str(error), error
            with first.connect() as connection:
                assert connection.execute("select count(*) from log").fetchone()[0] >= 3  # reading goes on
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="no longer the writer"):
                    connection.execute("insert into log values ('late', -1, '')")
            two.wait_for(before + 2)
            second.kill()
            two.end()
    copy = restored(url, directory / "copy.db", emulator)
    there = numbers(copy.execute("select who, n from log"))
    assert set(one.acknowledged) <= there["first"] and set(two.acknowledged) <= there["second"]
    assert "late" not in there


@pytest.mark.timeout(60)
def test_of_two_writers_only_one_goes_on(emulators, directory):
    two_writers(*place_of(emulators, directory, "moto", "two"), directory)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("store", ["azurite", "folder"])
def test_of_two_writers_only_one_goes_on_whatever_the_store(emulators, directory, store):
    two_writers(*place_of(emulators, directory, store, "two"), directory)


@pytest.mark.timeout(60)
def test_a_second_server_waits_for_the_lease_and_says_so(directory):
    url = str(directory / "store")
    with start(directory / "a.db", url, None), pytest.raises(StartFailed) as failed:
        start(directory / "b.db", url, None, "--set", "storage.lease_wait=500ms")
    assert "has another writer" in str(failed.value)


@pytest.mark.timeout(60)
def test_a_lost_network_is_bridged_up_to_a_bound(emulators, directory):
    emulator = emulators["moto"]
    port = int(re.search(r"127.0.0.1:(\d+)", emulator.url)[1])
    with Cut(port) as network:
        url = place_in(emulator, "cut").replace(f":{port}", f":{network.port}")
        arguments = ("--set", "storage.interval=50ms", "--set", "storage.max_unshipped_mb=1")
        with start(directory / "a.db", url, emulator, *arguments, durability="interval") as server, server.connect() as connection:
            connection.execute("create table log (n int primary key, filler bytea)")
            network.cut()
            written = 0
            with pytest.raises(psycopg.errors.InsufficientResources, match="wait for s3"):
                while written < 2000:
                    connection.execute("insert into log values (%s, %s)", (written, random.randbytes(20_000)))
                    written += 1
            assert written >= 20, "writing goes on without the network"
            assert connection.execute("select count(*) from log").fetchone() == (written,)
            network.mend()
            deadline = time.monotonic() + 20
            while True:
                try:
                    connection.execute("insert into log values (%s, '')", (written,))
                    break
                except psycopg.errors.InsufficientResources:
                    assert time.monotonic() < deadline, "the network is back, but writing is not"
                    time.sleep(0.1)
            assert server.stop() == 0
        copy = restored(place_in(emulator, "cut"), directory / "copy.db", emulator)
        assert copy.execute("select count(*) from log").fetchone() == (written + 1,)


@pytest.mark.timeout(60)
def test_a_commit_that_the_store_does_not_take_is_not_acknowledged(emulators, directory):
    emulator = emulators["moto"]
    port = int(re.search(r"127.0.0.1:(\d+)", emulator.url)[1])
    with Cut(port) as network:
        url = place_in(emulator, "refused").replace(f":{port}", f":{network.port}")
        with start(directory / "a.db", url, emulator, "--set", "storage.commit_timeout=300ms") as server:
            with server.connect() as connection:
                connection.execute("create table t (n int)")
            network.cut()
            with server.connect() as connection, pytest.raises(psycopg.OperationalError, match="but not confirmed"):
                connection.execute("insert into t values (1)")


@pytest.mark.timeout(60)
def test_a_server_without_its_store_ends_when_it_is_told_twice(emulators, directory):
    emulator = emulators["moto"]
    port = int(re.search(r"127.0.0.1:(\d+)", emulator.url)[1])
    with Cut(port) as network:
        url = place_in(emulator, "end").replace(f":{port}", f":{network.port}")
        with start(directory / "a.db", url, emulator) as server:
            with server.connect() as connection:
                connection.execute("create table log (who text, n int, filler bytea)")
            network.cut()
            waiting = Writing(server, "w", 1)
            with server.connect() as connection:
                eventually(lambda: connection.execute("select count(*) from log").fetchone() == (1,))
            server.signal(signal.SIGTERM)
            assert "not confirmed" in str(waiting.end())
            server.signal(signal.SIGTERM)
            assert server.wait() == 1
            assert "not everything is in storage" in server.output()
        network.mend()
        with start(directory / "a.db", url, emulator) as server, server.connect() as connection:
            assert connection.execute("select n from log").fetchall() == [(1,)]  # it was here all the time
            assert server.stop() == 0
    copy = restored(place_in(emulator, "end"), directory / "copy.db", emulator)
    assert copy.execute("select n from log").fetchall() == [(1,)]


def rows_unless_stale(reader, sql: str):
    """What a replica answers; None when it says that it is too far behind, as on a slow machine it may be now and then."""
    try:
        return reader.execute(sql).fetchall()
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        assert "has not reached" in str(error)
        return None


@pytest.mark.timeout(60)
def test_a_replica_follows_and_only_reads(directory):
    url = str(directory / "store")
    with start(directory / "a.db", url, None) as writer, writer.connect() as connection:
        connection.execute("create table t (n int)")
        connection.execute("insert into t values (1)")
        with start(directory / "r.db", url, None, "--replica", "--set", "storage.cache_ttl_minutes=0.01") as replica, replica.connect() as reader:
            eventually(lambda: rows_unless_stale(reader, "select n from t") == [(1,)])
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute("insert into t values (2)")
            connection.execute("alter table t add column word text")
            connection.execute("insert into t values (2, 'two')")
            eventually(lambda: rows_unless_stale(reader, "select * from t order by n") == [(1, None), (2, "two")])
            # A store that is gone makes it stale, which is said.
            (directory / "store").rename(directory / "elsewhere")
            eventually(lambda: rows_unless_stale(reader, "select 1") is None)
            (directory / "elsewhere").rename(directory / "store")


@pytest.mark.timeout(60)
def test_any_moment_comes_back(directory):
    url = str(directory / "store")
    moments = []
    with start(directory / "a.db", url, None) as server, server.connect() as connection:
        connection.execute("create table t (n int)")
        for n in range(1, 4):
            connection.execute("insert into t values (%s)", (n,))
            time.sleep(0.01)
            moments.append(datetime.now(UTC).isoformat())
            time.sleep(0.01)
    for n, moment in enumerate(moments, 1):
        copy = restored(url, directory / f"at{n}.db", None, "--at", moment)
        assert copy.execute("select max(n) from t").fetchone() == (n,)


@pytest.mark.timeout(60)
def test_an_end_in_good_order_ships_all_and_lets_the_next_one_in_at_once(directory):
    url = str(directory / "store")
    with start(directory / "a.db", url, None, "--set", "storage.lease_ttl=60s", durability="shutdown") as server:
        with server.connect() as connection:
            connection.execute("create table t (n serial primary key, word text)")
            connection.execute("insert into t (word) values ('kept')")
        assert server.stop() == 0
    began = time.monotonic()
    with start(directory / "b.db", url, None) as server, server.connect() as connection:
        assert connection.execute("insert into t (word) values ('more') returning n").fetchone() == (2,)
        assert connection.execute("select word from t order by n").fetchall() == [("kept",), ("more",)]
    assert time.monotonic() - began < 20


@pytest.mark.timeout(60)
def test_a_signal_ends_the_wait_for_another_writer(directory):
    url = str(directory / "store")
    with start(directory / "a.db", url, None, "--set", "storage.lease_ttl=60s"):
        command = [places.CALF, "serve", directory / "b.db", "--storage", url, "-p", "0", "--set", "storage.lease_ttl=60s"]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert any("waiting for folder" in line for line in waiting.stdout)
        waiting.terminate()
        waiting.communicate(timeout=20)
        assert waiting.returncode == 1


def answer_of_probe(*command) -> int:
    return subprocess.run([str(part) for part in command], capture_output=True, timeout=20).returncode


@pytest.mark.timeout(60)
def test_a_server_that_still_restores_sends_clients_away_and_says_so_to_probes(emulators, directory):
    emulator = emulators["moto"]
    url = place_in(emulator, "slow")
    with start(directory / "a.db", url, emulator) as server, server.connect() as connection:
        connection.execute("create table t (n int)")
        connection.execute("insert into t values (7)")
        assert server.stop() == 0
    target = int(url.rsplit(":", 1)[1])
    with Cut(target) as far:
        far.hold()
        slow_url = url.replace(f":{target}", f":{far.port}")
        sockets = directory / "sockets"
        command = [places.CALF, "serve", directory / "b.db", "--storage", slow_url, "-p", "0", "-k", sockets, "--json"]
        starting = subprocess.Popen(command, env=os.environ | emulator.environment, stdout=subprocess.PIPE, text=True)
        try:
            found = eventually(lambda: list(sockets.glob(".s.PGSQL.*[0-9]")))
            port = found[0].suffix.removeprefix(".")
            probes = [[places.CALF, "ready", "-p", port], [places.CALF, "ready", "-h", sockets, "-p", port, "-q"]]
            probes.append([places.tool("pg_isready"), "-h", "127.0.0.1", "-p", port])
            assert [answer_of_probe(*probe) for probe in probes] == [1, 1, 1]
            with pytest.raises(psycopg.OperationalError, match="the database system is starting up"):
                psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
            far.let_go()
            assert '"success":true' in starting.stdout.readline()
            assert [answer_of_probe(*probe) for probe in probes] == [0, 0, 0]
            with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres") as connection:
                assert connection.execute("select n from t").fetchone() == (7,)
        finally:
            starting.terminate()
            starting.wait(20)
    assert answer_of_probe(*probes[0]) == 2


def inserts_per_second(server: Server, table: str, seconds: float) -> float:
    with server.connect(autocommit=False) as connection:
        connection.execute(f"create table if not exists {table} (n serial primary key, word text)")
        connection.commit()
        count, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            with connection.cursor() as cursor:
                cursor.execute(f"insert into {table} (word) select 'word ' || i from generate_series(1, 100) i")
            connection.commit()
            count += 100
        return count / (time.monotonic() - began)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_shipping_in_intervals_costs_a_tenth_at_most(directory):
    """Short rounds, by turns; their median is compared. The store is a folder on the same disk."""
    plain = Server.start(Options(data=directory / "plain.db", arguments=("--engine", "sqlite")))
    with plain, start(directory / "a.db", str(directory / "store"), None, durability="interval") as shipped:
        rates = {"plain": [], "shipped": []}
        for _ in range(9):
            rates["plain"].append(inserts_per_second(plain, "t", 2))
            rates["shipped"].append(inserts_per_second(shipped, "t", 2))
        without, within = (statistics.median(rates[name]) for name in ("plain", "shipped"))
        print(f"rows per second: {without:.0f} without storage, {within:.0f} with interval shipping ({100 * (within / without - 1):+.1f} %)")
        assert within >= 0.9 * without
