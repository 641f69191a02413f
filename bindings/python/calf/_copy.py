"""COPY in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._errors import InterfaceError, ProgrammingError
from ._state import NOT_A_COPY
from ._types import as_text

if TYPE_CHECKING:
    from ._connection import Cursor

_ESCAPES = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_TO_ESCAPE = re.compile("[\b\f\n\r\t\v\\\\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def format_row(row: Sequence[Any]) -> bytes:
    """A row in COPY's text format."""
    fields = []
    for value in row:
        text = as_text(value)[1]
        fields.append("\\N" if text is None else _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], text))
    return ("\t".join(fields) + "\n").encode()


def parse_row(line: bytes) -> tuple[str | None, ...]:
    """A row of COPY's text format. All values are str or None."""
    fields = line.decode().removesuffix("\n").split("\t")
    return tuple(
        None if field == "\\N" else _ESCAPED.sub(lambda found: _LETTERS.get(found[1], found[1]), field)
        for field in fields
    )


class Copy:
    """A COPY under way: write(), write_row() for FROM STDIN; read(), rows() and iteration for TO STDOUT. Its end is the
    end of its `with` block; an exception in it makes COPY FROM STDIN fail, so that nothing is stored."""

    def __init__(self, cursor: Cursor, query: str):
        self._cursor, self._query = cursor, query
        self._connection, self._session = cursor.connection, cursor.connection._session
        self._pieces: list[bytes] = []
        self._next = 0

    def __enter__(self) -> Self:
        connection, session = self._connection, self._session
        begin = connection._begin()
        with connection._lock:
            session.start_copy(self._query, begin)
            session.wait(connection.timeout)
            if session.idle:
                self._cursor._take(session.finish() or [])
                raise ProgrammingError(NOT_A_COPY)
        self._out = session.copy_state != "in"
        return self

    def write(self, data: bytes | bytearray | memoryview | str) -> None:
        """Sends data in the format that the statement names; cut anywhere. Waits while PostgreSQL is behind."""
        with self._connection._lock:
            self._session.copy_write(data, True)

    def write_row(self, row: Sequence[Any]) -> None:
        """Sends a row in the text format (COPY's default)."""
        self.write(format_row(row))

    def read(self) -> bytes:
        """The next piece, a row in text format; b"" at the end."""
        while self._next >= len(self._pieces):
            if not self._out or self._session.idle:
                return b""
            with self._connection._lock:
                self._session.wait(self._connection.timeout)
                self._pieces, self._next = self._session.take_copied(), 0
        self._next += 1
        return self._pieces[self._next - 1]

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def rows(self) -> Iterator[tuple[str | None, ...]]:
        """The rows of a COPY TO STDOUT in the text format; their values are str or None."""
        return map(parse_row, self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, session = self._connection, self._session
        if session.ended:
            if kind is None:
                session.finish()  # raises what ended it
                raise InterfaceError("the connection was closed during the COPY")
            return
        with connection._lock:
            try:
                reason = None if kind is None else f"error from Python: {kind.__name__}: {error}"
                if not self._out:
                    session.start_copy_end(reason)
                elif not session.idle:
                    session.cancel()
                self._drain()
                self._cursor._take(session.finish() or [])
            except Exception as failure:
                # What was stopped on purpose fails on purpose.
                if kind is None and not (self._out and getattr(failure, "sqlstate", None) == "57014"):
                    raise
            finally:
                connection._after()

    def _drain(self) -> None:
        while not self._session.idle:
            self._session.wait(self._connection.timeout)
            self._session.take_copied()
