"""PostgreSQL's protocol 3.0 by hand, for tests that must send what no driver would send.

`Wire` speaks over a socket that the caller made. Messages are (type byte, body)."""

import socket
import struct

PROTOCOL_3 = 196608
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSS_ENC_REQUEST = 80877104
MAX_BODY = 1 << 30


class Closed(Exception):
    """The server closed the connection."""


class Refused(Exception):
    """A login that the server answered with an error."""

    def __init__(self, sqlstate: str, text: str):
        super().__init__(f"{sqlstate}: {text}")
        self.sqlstate = sqlstate


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def packet(body: bytes) -> bytes:
    """A message without a type: startup, cancel, SSL request."""
    return struct.pack("!i", len(body) + 4) + body


def startup(user="postgres", database="postgres", version=PROTOCOL_3, **parameters) -> bytes:
    pairs = {"user": user, "database": database} | parameters
    body = struct.pack("!i", version)
    for name, value in pairs.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    return packet(body + b"\0")


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def parse(sql: str, name: str = "", types=()) -> bytes:
    body = name.encode() + b"\0" + sql.encode() + b"\0" + struct.pack("!h", len(types))
    return message(b"P", body + b"".join(struct.pack("!I", t) for t in types))


def bind(values=(), portal: str = "", statement: str = "") -> bytes:
    body = portal.encode() + b"\0" + statement.encode() + b"\0" + struct.pack("!hh", 0, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack("!h", 0))


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message(b"E", portal.encode() + b"\0" + struct.pack("!i", limit))


def describe_portal(portal: str = "") -> bytes:
    return message(b"D", b"P" + portal.encode() + b"\0")


SYNC = message(b"S")
FLUSH = message(b"H")
TERMINATE = message(b"X")


def fields(body: bytes) -> dict:
    """The fields of an ErrorResponse or NoticeResponse by letter: C is the SQLSTATE, M the message."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


class Wire:
    def __init__(self, connected: socket.socket):
        self.socket = connected
        self.buffer = bytearray()
        self.key = None

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            try:
                chunk = self.socket.recv(1 << 16)
            except ConnectionResetError:
                raise Closed from None
            if not chunk:
                raise Closed
            self.buffer += chunk
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def receive(self) -> tuple[bytes, bytes]:
        head = self.read_exactly(5)
        size = struct.unpack("!i", head[1:])[0]
        assert 4 <= size <= MAX_BODY, f"the server sent a message of length {size}"
        return head[:1], self.read_exactly(size - 4)

    def until(self, kind: bytes, limit: int = 100000) -> list[tuple[bytes, bytes]]:
        """Messages up to and including the first of `kind`."""
        got = []
        for _ in range(limit):
            got.append(self.receive())
            if got[-1][0] == kind:
                return got
        raise AssertionError(f"no {kind!r} in {limit} messages")

    def login(self, **kw) -> "Wire":
        """Logs in without a password. Raises Refused."""
        self.send(startup(**kw))
        while True:
            kind, body = self.receive()
            if kind == b"E":
                raise Refused(fields(body)["C"], fields(body)["M"])
            if kind == b"K":
                self.key = body
            if kind == b"Z":
                return self

    def ending(self, limit: int = 100000) -> list[dict]:
        """Reads until the server closes; the errors and warnings it sent before. A reset counts as closing."""
        errors = []
        try:
            for _ in range(limit):
                kind, body = self.receive()
                if kind in (b"E", b"N"):
                    errors.append(fields(body))
        except Closed:
            return errors
        raise AssertionError("the server goes on sending")

    def close(self) -> None:
        self.socket.close()
