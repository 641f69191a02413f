"""`calf port`: the protocol over standard input and output, in packets and bare."""

import os
import re
import signal
import struct
import subprocess
import threading
import time

import pytest

from harness import places, wire
from harness.measure import assert_below, assert_soon_below

pytestmark = pytest.mark.calf_only
READY = wire.message(b"Z", b"I")
DEADLINE = 30


class Port:
    """A running port. Reads in a thread, so that neither side waits for the other one's full pipe."""

    def __init__(self, *arguments, raw=False, **environment):
        self.raw = raw
        self.process = subprocess.Popen(
            [places.CALF, "port", *arguments, *(["--raw"] if raw else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={k: v for k, v in os.environ.items() if not k.startswith("PG")} | environment,
        )
        self.packets = []
        self.received = bytearray()
        self.log = bytearray()
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_log)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        out = self.process.stdout
        while True:
            if self.raw:
                packet = out.read1(1 << 16)
            else:
                head = out.read(4)
                packet = out.read(struct.unpack("!I", head)[0]) if len(head) == 4 else b""
            with self.changed:
                self.packets.append(packet)
                self.received += packet
                self.changed.notify()
            if not packet:
                return

    def _read_log(self):
        for line in self.process.stderr:
            self.log += line

    def send(self, data: bytes, frame=None):
        """In frames of `frame` bytes; in one when not given."""
        if self.raw:
            self.process.stdin.write(data)
        else:
            for at in range(0, len(data), frame or len(data)):
                piece = data[at : at + (frame or len(data))]
                self.process.stdin.write(struct.pack("!I", len(piece)) + piece)
        self.process.stdin.flush()

    def answer(self) -> bytes:
        """Everything up to the next ReadyForQuery."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.received.endswith(READY) or self.packets[-1:] == [b""], DEADLINE)
            data = bytes(self.received)
            self.received.clear()
            return data

    def ask(self, sql: str) -> bytes:
        self.send(wire.query(sql))
        return self.answer()

    def end(self) -> int:
        self.process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        return code

    def resident_kb(self) -> int:
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


@pytest.fixture
def port():
    ports = []

    def make(*arguments, **options):
        ports.append(Port(*arguments, **options))
        return ports[-1]

    yield make
    for each in ports:
        if each.process.poll() is None:
            each.process.kill()
        each.wait()


@pytest.mark.parametrize("raw", [False, True])
def test_speaks_the_protocol_and_ends_with_its_input(port, raw):
    p = port(raw=raw)
    p.send(wire.packet(struct.pack("!i", wire.SSL_REQUEST)))
    p.send(wire.startup())
    assert p.answer().startswith(b"N")
    assert b"forty-two" in p.ask("select 'forty-two'")
    assert p.end() == 0
    assert p.log == b""


@pytest.mark.parametrize("frame", [1, 3, 1000])
def test_packets_may_hold_parts_of_messages_and_several(port, frame):
    p = port()
    p.send(wire.startup(), frame)
    p.answer()
    p.send(wire.query("select 'one'") + wire.query("select 'two'") + wire.query("select repeat('x', 300000)"), frame)
    data = b""
    while data.count(READY) < 3:
        data += p.answer()
    assert b"one" in data and b"two" in data and b"x" * 300000 in data
    assert p.end() == 0


def test_a_session_is_logged_in_when_there_is_no_startup_packet(port):
    p = port(PGLITE_USERNAME="anna", PGLITE_DATABASE="books")
    answer = p.ask("select current_user || '@' || current_database()")
    assert b"anna@books" in answer and answer.startswith(b"T")
    assert p.end() == 0


@pytest.mark.parametrize("round", range(5))
def test_an_answer_that_comes_with_the_login_is_not_lost(port, round):
    p = port()
    time.sleep(0.3)  # the query waits behind the startup packet
    assert b"at once" in p.ask("select 'at once'")


def test_keeps_a_directory(port, tmp_path):
    where = f"file://{tmp_path}/data"
    first = port(PGLITE_DATA_DIR=where)
    first.ask("create table kept as select 'still here' as t")
    assert first.end() == 0
    second = port(PGLITE_DATA_DIR=where, PGLITE_DEBUG="1", PGLITE_WASM_PATH="/x/pglite.wasm")
    assert b"still here" in second.ask("table kept")
    assert second.end() == 0
    assert b"PGLITE_WASM_PATH" in second.log and b"not properly shut down" not in second.log
    third = port(PGLITE_DATA_DIR=where)
    fourth = port(PGLITE_DATA_DIR=where) if third.ask("select 1") else None
    assert fourth.wait() == 1
    assert fourth.packets[0].startswith(b"ERROR: ")


@pytest.mark.parametrize("where", ["http://x", "/proc/nowhere"])
def test_errors_outside_the_protocol_are_packets(port, where):
    p = port(PGLITE_DATA_DIR=where)
    assert p.wait() == 1
    assert p.packets[0].startswith(b"ERROR: ") and p.log


def test_errors_of_sql_are_in_the_protocol(port):
    p = port()
    assert b"22012" in p.ask("select 1/0")
    assert b"SELECT 1" in p.ask("select 1")
    p.send(wire.startup(user="nobody"))  # not a message: the backend says so
    assert p.wait() == 0
    assert b"FATAL" in p.received


def test_a_length_that_lies_ends_it_without_memory(port):
    p = port()
    p.ask("select 1")
    p.process.stdin.write(b"\x7f\xff\xff\xff" + b"x" * 100)
    p.process.stdin.flush()
    assert p.wait() == 1
    assert p.packets[-2].startswith(b"ERROR: a packet claims")
    p = port()
    p.ask("select 1")
    p.process.stdin.write(b"\x3f\xff\xff\xff" + wire.message(b"Q", b"select 1\0")[:5])
    p.process.stdin.flush()
    time.sleep(0.3)
    assert_below(p.resident_kb(), 40_000, "kB for an announced gigabyte")
    assert p.end() == 1


def test_much_goes_both_ways_at_once_in_little_memory(port):
    p = port()
    p.ask("create table t (words text)")
    p.send(wire.query("copy t from stdin"))
    line = b"w" * 999 + b"\n"
    for _ in range(40):
        p.send(wire.message(b"d", line * 1000))
    p.send(wire.message(b"c"))
    assert b"COPY 40000" in p.answer()
    before = p.resident_kb()
    p.send(wire.query("copy t to stdout"))
    data = p.answer()
    assert data.count(line) == 40000
    assert_below(p.resident_kb(), before + 60_000, "kB after 40 MB")
    assert p.end() == 0


def test_a_reader_that_stops_holds_the_session_up():
    process = subprocess.Popen([places.CALF, "port", "--raw"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(wire.query("select generate_series(1, 100000000)"))
    process.stdin.flush()
    time.sleep(1)
    with open(f"/proc/{process.pid}/status") as status:
        assert_below(int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)), 60_000, "kB while nobody reads")
    process.stdin.close()
    assert process.wait(DEADLINE) == 0
    process.stdout.close()


def test_a_session_that_ends_ends_the_port(port):
    p = port()
    p.ask("select 1")
    p.send(wire.TERMINATE)
    assert p.wait() == 0


def test_a_signal_ends_it_in_order(port, tmp_path):
    p = port(str(tmp_path / "data"))
    p.ask("create table kept as select 1")
    p.process.send_signal(signal.SIGTERM)
    assert p.wait() == 0
    again = port(str(tmp_path / "data"), "--debug", "1")
    assert b"SELECT 1" in again.ask("table kept")
    assert again.end() == 0 and b"not properly shut down" not in again.log


def test_an_idle_instance_is_small(port):
    p = port()
    p.ask("select 1")
    assert_soon_below(p.resident_kb, 21 * 1024, "kB of an idle instance")
    assert b"SELECT 1" in p.ask("select 1")
