"""Clients that misbehave: a proper error or a closed connection, never a hang, a crash or a leak."""

import random
import socket
import struct
import time

import pytest

from harness import proc, wire
from harness.measure import assert_below
from harness.sessions import Session, eventually


@pytest.fixture(scope="module")
def target():
    """A server for abuse only; after each test it must still answer."""
    from harness.server import Options, Server

    with Server.start(Options(settings={"authentication_timeout": "2s", "max_connections": "40"})) as server:
        yield server


@pytest.fixture(autouse=True)
def still_answers(target):
    before = target.pid
    yield
    assert target.alive() and target.pid == before
    one = Session(target.connect())
    assert one.value("select 40 + 2") == 42
    one.close()


def told_and_closed(target, data: bytes, login=False, timeout_s=8) -> list[dict]:
    """Sends the bytes; the errors until the server closes. Fails if it neither answers nor closes in time."""
    connected = wire.Wire(target.raw(timeout_s))
    try:
        if login:
            connected.login()
        try:
            connected.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return connected.ending()
    finally:
        connected.close()


# --- before login -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 10001, 2**31 - 1, -1, -(2**31)])
def test_startup_lengths_that_lie(target, length):
    told_and_closed(target, struct.pack("!i", length) + b"\0\3\0\0" + b"x" * 64)


def test_startup_bodies_that_are_malformed(target):
    bodies = {
        "no user": b"\0\3\0\0" + b"database\0postgres\0\0",
        "no terminator": b"\0\3\0\0" + b"user\0postgres\0",
        "unterminated value": b"\0\3\0\0" + b"user\0postgres",
        "empty": b"\0\3\0\0",
        "old protocol": b"\0\2\0\0" + b"user\0postgres\0\0",
        "future protocol": b"\0\x09\0\0" + b"user\0postgres\0\0",
        "garbage version": b"abcd" + b"user\0postgres\0\0",
    }
    for name, body in bodies.items():
        with target.raw() as raw:
            raw.sendall(wire.packet(body))
            answer = b""
            try:
                while chunk := raw.recv(65536):
                    answer += chunk
            except ConnectionResetError:
                pass
        # To a client of protocol 2 PostgreSQL answers in its format: E, the text, a zero byte.
        if answer and not answer.startswith(b"EFATAL:"):
            assert answer[:1] == b"E", (name, answer)
            error = wire.fields(answer[5:])
            assert error["S"] == "FATAL" and error["C"] in ("08P01", "28000", "0A000"), (name, error)


def test_a_newer_minor_version_is_negotiated(target):
    connected = wire.Wire(target.raw())
    connected.send(wire.startup(version=(3 << 16) | 9999, **{"_pq_.unknown": "1"}))
    messages = dict(connected.until(b"Z"))
    newest, count = struct.unpack("!ii", messages[b"v"][:8])
    assert newest >> 16 in (0, 3) and count == 1 and b"_pq_.unknown" in messages[b"v"]
    connected.close()


def test_garbage_instead_of_a_startup(target):
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, b"\0" * 1000):
        told_and_closed(target, data)


def test_random_bytes(target):
    dice = random.Random(4711)
    for _ in range(60):
        connected = target.raw()
        try:
            connected.sendall(dice.randbytes(dice.choice([1, 3, 4, 8, 64, 5000])))
            connected.shutdown(socket.SHUT_WR)
            while connected.recv(65536):
                pass
        except ConnectionError:
            pass
        finally:
            connected.close()


def test_random_bytes_after_login(target):
    dice = random.Random(815)
    for _ in range(60):
        connected = wire.Wire(target.raw()).login()
        kind = bytes([dice.choice(b"QPBEDCSHFXdcfp\0z~")])
        size = dice.choice([0, 1, 4, 5, 100, 3000])
        body = dice.randbytes(size)
        # A true length or one that is a little off, then the end of the stream.
        data = kind + struct.pack("!i", max(0, size + 4 + dice.choice([0, 0, 0, 1, -1, 1000]))) + body
        try:
            connected.send(data)
            connected.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        connected.ending()
        connected.close()


def test_ssl_and_gss_requests_are_answered(target):
    with target.raw() as raw:
        raw.sendall(struct.pack("!ii", 8, wire.GSS_ENC_REQUEST))
        assert raw.recv(1) == b"N"
        raw.sendall(struct.pack("!ii", 8, wire.SSL_REQUEST))
        assert raw.recv(1) == b"N"
        wire.Wire(raw).login()


def test_ssl_requests_again_and_again_end(target):
    connected = target.raw()
    try:
        for _ in range(50):
            connected.sendall(struct.pack("!ii", 8, wire.SSL_REQUEST))
            answer = connected.recv(1)
            if answer != b"N":
                break
    except ConnectionError:
        pass
    finally:
        connected.close()


def test_cancel_requests_that_are_malformed(target):
    for body in (b"", b"\0\0\0\x01", b"\0" * 8, b"\xff" * 8, b"\0" * 300):
        assert told_and_closed(target, wire.packet(struct.pack("!i", wire.CANCEL_REQUEST) + body)) == []


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\x30\0\3\0\0user\0post"], ids=["nothing", "half-length", "half-startup"])
def test_a_client_that_stops_in_the_handshake_is_closed_in_time(target, sent):
    """authentication_timeout is 2 s here."""
    connected = target.raw(10)
    connected.sendall(sent)
    started = time.monotonic()
    try:
        while connected.recv(1000):
            pass
    except ConnectionResetError:
        pass
    assert 1 < time.monotonic() - started < 8
    connected.close()


def test_half_open_clients_do_not_use_up_the_connections(target):
    silent = [target.raw() for _ in range(30)]
    one = Session(target.connect())
    assert one.value("select 1") == 1
    one.close()
    for each in silent:
        each.close()


def test_startup_in_single_bytes(target):
    connected = wire.Wire(target.raw())
    for byte in wire.startup() + wire.query("select 7"):
        connected.send(bytes([byte]))
    connected.until(b"Z")
    assert b"7" in dict(connected.until(b"Z"))[b"D"]
    connected.close()


def test_everything_in_one_packet(target):
    connected = wire.Wire(target.raw())
    connected.send(wire.startup() + wire.query("select 1") + wire.query("select 2") + wire.TERMINATE)
    values = []
    with pytest.raises(wire.Closed):
        while True:
            kind, body = connected.receive()
            if kind == b"D":
                values.append(body[-1:])
    assert values == [b"1", b"2"]
    connected.close()


# --- after login ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"\0", b"z", b"R", b"~", b"\xff", b"\x16"])
def test_unknown_message_types_are_08P01(target, kind):
    errors = told_and_closed(target, wire.message(kind, b"body"), login=True)
    assert [e["C"] for e in errors] == ["08P01"] and errors[0]["S"] == "FATAL"


@pytest.mark.parametrize("length", [0, 3, -1, -(2**31), 2**31 - 1], ids=str)
@pytest.mark.parametrize("kind", [b"Q", b"P", b"S"])
def test_message_lengths_that_lie(target, kind, length):
    connected = wire.Wire(target.raw()).login()
    connected.send(kind + struct.pack("!i", length) + b"select 1\0")
    connected.socket.shutdown(socket.SHUT_WR)
    for error in connected.ending():
        assert error["C"] == "08P01", error
    connected.close()


def test_a_huge_announced_message_takes_no_memory_in_advance(target):
    before = proc.private_kb(target.pid)
    held = []
    for _ in range(5):
        connected = wire.Wire(target.raw()).login()
        connected.send(b"Q" + struct.pack("!i", 1 << 30) + b"select 1")
        held.append(connected)
    time.sleep(0.3)
    grown = proc.private_kb(target.pid) - before
    for each in held:
        each.close()
    assert_below(grown, 60_000, "kB for five announced gigabytes")


def test_malformed_bodies_are_errors_and_the_session_goes_on(target):
    cases = [
        wire.message(b"B", b"\0\0" + struct.pack("!hh", 0, -1)),
        wire.message(b"B", b"\0nosuch\0" + struct.pack("!hhh", 0, 0, 0)),
        wire.message(b"B", b"\0\0\x7f\xff"),
        wire.message(b"P", b"\0select 1\0\x7f\xff"),
        wire.message(b"P", b"no terminator"),
        wire.message(b"E", b"nosuch\0\0\0\0\0"),
        wire.message(b"D", b"Xwhat\0"),
        wire.message(b"D", b""),
        wire.message(b"C", b"X\0"),
        wire.message(b"E", b"\0"),
        wire.message(b"F", b"\0\0\0\0\0\0"),
        wire.message(b"F", struct.pack("!IhhIh", 999999, 0, 0, 0, 0)),
    ]
    connected = wire.Wire(target.raw()).login()
    for case in cases:
        connected.send(case + wire.SYNC)
        kinds = [k for k, _ in connected.until(b"Z")]
        while b"E" not in kinds:  # a fast-path call answers with a ReadyForQuery of its own
            kinds += [k for k, _ in connected.until(b"Z")]
        if case[:1] == b"F":
            connected.until(b"Z")
        connected.send(wire.query("select 5"))
        assert b"5" in dict(connected.until(b"Z"))[b"D"], case
    connected.close()


def test_an_error_skips_to_sync(target):
    connected = wire.Wire(target.raw()).login()
    connected.send(wire.parse("selec") + wire.bind() + wire.execute() + wire.parse("select 1") + wire.bind() + wire.execute())
    connected.send(wire.SYNC + wire.parse("select 2") + wire.bind() + wire.execute() + wire.SYNC)
    first = connected.until(b"Z")
    assert [k for k, _ in first] == [b"E", b"Z"] and wire.fields(first[0][1])["C"] == "42601"
    assert [k for k, _ in connected.until(b"Z")] == [b"1", b"2", b"D", b"C", b"Z"]
    connected.close()


def test_portals_are_suspended_and_continued(target):
    connected = wire.Wire(target.raw()).login()
    connected.send(wire.parse("select generate_series(1, 5)") + wire.bind() + wire.execute(limit=2) + wire.execute(limit=2))
    connected.send(wire.execute() + wire.SYNC)
    assert [k for k, _ in connected.until(b"Z")] == [b"1", b"2", b"D", b"D", b"s", b"D", b"D", b"s", b"D", b"C", b"Z"]
    connected.close()


def test_flush_sends_what_is_ready(target):
    connected = wire.Wire(target.raw()).login()
    connected.send(wire.parse("select 1") + wire.FLUSH)
    assert connected.receive()[0] == b"1"
    connected.send(wire.bind() + wire.describe_portal() + wire.execute() + wire.FLUSH)
    assert [connected.receive()[0] for _ in range(4)] == [b"2", b"T", b"D", b"C"]
    connected.send(wire.SYNC)
    connected.until(b"Z")
    connected.close()


def test_empty_and_multiple_statements(target):
    connected = wire.Wire(target.raw()).login()
    connected.send(wire.query(""))
    assert [k for k, _ in connected.until(b"Z")] == [b"I", b"Z"]
    connected.send(wire.query("select 1; select 1/0; select 3"))
    assert [k for k, _ in connected.until(b"Z")] == [b"T", b"D", b"C", b"E", b"Z"]
    connected.close()


def test_bytes_after_terminate_are_ignored(target):
    errors = told_and_closed(target, wire.TERMINATE + wire.query("create table never (x int)") + b"junk" * 100, login=True)
    assert errors == []
    one = Session(target.connect())
    assert one.value("select to_regclass('never')") is None
    one.close()


def test_terminate_in_a_copy_and_a_vanished_copy(target):
    admin = Session(target.connect())
    admin.run("drop table if exists c", "create table c (x int)")
    for ending in (wire.TERMINATE, None):
        connected = wire.Wire(target.raw()).login()
        connected.send(wire.query("copy c from stdin"))
        connected.until(b"G")
        connected.send(wire.message(b"d", b"1\n2\n"))
        if ending:
            connected.send(ending)
        connected.close()
    eventually(lambda: admin.value("select count(*) = 1 from pg_stat_activity where backend_type = 'client backend'"), 10)
    assert admin.value("select count(*) from c") == 0
    admin.run("drop table c")
    admin.close()


def test_copy_fail_and_wrong_messages_in_a_copy(target):
    connected = wire.Wire(target.raw()).login()
    connected.send(wire.query("create temp table c (x int)"))
    connected.until(b"Z")
    connected.send(wire.query("copy c from stdin"))
    connected.until(b"G")
    connected.send(wire.message(b"d", b"1\n") + wire.message(b"f", b"I changed my mind\0"))
    assert wire.fields(dict(connected.until(b"Z"))[b"E"])["C"] == "57014"
    connected.send(wire.query("copy c from stdin"))
    connected.until(b"G")
    connected.send(wire.message(b"d", b"1\nx\n") + wire.message(b"d", b"3\n") * 1000 + wire.message(b"c"))
    assert wire.fields(dict(connected.until(b"Z"))[b"E"])["C"] == "22P02"
    # Copy messages outside a copy are thrown away.
    connected.send(wire.message(b"d", b"late") + wire.message(b"c") + wire.query("select 9"))
    assert b"9" in dict(connected.until(b"Z"))[b"D"]
    # A query in the middle of a copy: the server can no longer tell where messages begin.
    connected.send(wire.query("copy c from stdin"))
    connected.until(b"G")
    connected.send(wire.query("select 1"))
    assert connected.ending()[0]["C"] == "08P01"
    connected.close()


def test_a_client_that_vanishes_in_the_middle_of_a_result(target):
    admin = Session(target.connect())
    for _ in range(5):
        connected = wire.Wire(target.raw()).login()
        connected.send(wire.query("select repeat('x', 1000) from generate_series(1, 200000)"))
        connected.receive()
        connected.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connected.close()
    eventually(lambda: admin.value("select count(*) = 1 from pg_stat_activity where backend_type = 'client backend'"), 10)
    admin.close()


def test_a_thousand_quick_connections_leave_nothing_behind(target):
    def round_of(count):
        for n in range(count):
            if n % 4 == 0:
                target.raw().close()
            elif n % 4 == 1:
                connected = target.raw()
                connected.sendall(wire.startup())
                connected.close()
            else:
                connected = wire.Wire(target.raw()).login()
                if n % 4 == 2:
                    connected.send(wire.TERMINATE)
                connected.close()
        admin = Session(target.connect())
        eventually(lambda: admin.value("select count(*) = 1 from pg_stat_activity where backend_type = 'client backend'"), 15)
        admin.close()
        time.sleep(0.2)

    round_of(200)  # caches fill
    files, memory, threads = proc.open_files(target.pid), proc.private_kb(target.pid), proc.threads(target.pid)
    round_of(1000)
    eventually(lambda: proc.open_files(target.pid) <= files + 12)
    eventually(lambda: proc.threads(target.pid) <= threads + 2)
    assert_below(proc.private_kb(target.pid), memory + 12_000, "private memory in kB after 1000 connections")


def test_a_huge_pipeline_without_reading_does_not_deadlock(target):
    """40 MB of requests and more of answers: the server must stop reading, not die or grow without bound."""
    connected = wire.Wire(target.raw(30))
    connected.login()
    one = wire.parse("select repeat('y', 500)") + wire.bind() + wire.describe_portal() + wire.execute()
    batch = one * 500 + wire.SYNC
    connected.socket.settimeout(0.5)
    sent = 0
    data = memoryview(batch * 20)
    try:
        while sent < len(data) * 50:
            offset = sent % len(data)
            sent += connected.socket.send(data[offset:])
    except TimeoutError:
        pass  # back-pressure: it does not take more
    assert_below(proc.private_kb(target.pid), 400_000, "private memory in kB")
    assert Session(target.connect()).value("select 1") == 1, "others are not affected"
    # Now read: everything that was asked for completely is answered, in order.
    whole, rest = divmod(sent, len(batch))
    connected.socket.settimeout(30)
    # The remainder of the batch that was cut goes out by a thread, as reading is what makes room for it.
    from harness.sessions import Pending

    tail = Pending(lambda: connected.send(batch[rest:]))
    for _ in range(whole + 1):
        assert sum(kind == b"D" for kind, _ in connected.until(b"Z")) == 500
    tail.result(20)
    connected.close()


def test_a_slow_reader_does_not_block_the_others_or_fill_memory(target):
    slow = wire.Wire(target.raw()).login()
    slow.send(wire.query("select repeat('z', 1000) from generate_series(1, 400000)"))
    time.sleep(0.5)
    other = Session(target.connect())
    started = time.monotonic()
    for _ in range(100):
        other.value("select 1")
    assert_below(time.monotonic() - started, 3, "seconds for 100 statements")
    assert_below(proc.private_kb(target.pid), 400_000, "private memory in kB")
    other.close()
    slow.close()


def test_statements_with_the_most_parameters(target):
    connected = wire.Wire(target.raw()).login()
    count = 65535
    body = b"\0\0" + struct.pack("!hH", 0, count) + b"".join(struct.pack("!i", 1) + b"1" for _ in range(count)) + struct.pack("!h", 0)
    text = "select " + "+".join(f"${n}::int" for n in range(1, 1001)) + f" + ${count}::int"
    header = struct.pack("!H", count) + struct.pack("!I", 23) * count
    parse = wire.message(b"P", b"\0" + text.encode() + b"\0" + header)
    connected.send(parse + wire.message(b"B", body) + wire.execute() + wire.SYNC)
    answer = dict(connected.until(b"Z"))
    assert b"1001" in answer.get(b"D", b""), wire.fields(answer.get(b"E", b""))
    connected.close()
