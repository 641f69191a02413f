"""Connections and cursors of PEP 249, which block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self

from . import _engine, _errors
from ._copy import Copy
from ._errors import InterfaceError, ProgrammingError
from ._rows import RowFactory
from ._state import ConnectionState, CursorState, Notification, procedure_call, quoted_identifier, total_rows

Parameters = Sequence[Any] | Mapping[str, Any] | None

#: How many parameter sets of an executemany() are sent at once.
MANY_AT_ONCE = 500


class Connection(ConnectionState):
    """A session with the database. Threads may share it: they take turns, statement by statement."""

    Warning = _errors.Warning
    Error = _errors.Error
    InterfaceError = _errors.InterfaceError
    DatabaseError = _errors.DatabaseError
    DataError = _errors.DataError
    OperationalError = _errors.OperationalError
    IntegrityError = _errors.IntegrityError
    InternalError = _errors.InternalError
    ProgrammingError = _errors.ProgrammingError
    NotSupportedError = _errors.NotSupportedError

    def __init__(self, session: _engine.Session, timeout: float | None):
        super().__init__(session, timeout)
        self._lock = threading.RLock()
        session.wait(timeout)
        session.finish()

    # --- Statements

    def cursor(
        self,
        name: str | None = None,
        *,
        row_factory: RowFactory | None = None,
        scrollable: bool | None = None,
        withhold: bool = False,
    ) -> Cursor:
        """A new cursor. With a name it is one on the server (DECLARE), which fetches its rows as they are wanted; it
        lives in a transaction unless it is `withhold`."""
        self._check_open()
        if name is not None:
            return ServerCursor(self, name, row_factory or self.row_factory, scrollable, withhold)
        return Cursor(self, row_factory or self.row_factory)

    def execute(
        self, query: str, params: Parameters = None, *, prepare: bool | None = None, timeout: float | None = None
    ) -> Cursor:
        """Executes a statement on a new cursor, and returns that."""
        return self.cursor().execute(query, params, prepare=prepare, timeout=timeout)

    # --- Transactions

    def commit(self) -> None:
        """Commits the transaction, if there is one."""
        self._end_transaction("COMMIT")

    def rollback(self) -> None:
        """Rolls the transaction back, if there is one."""
        self._end_transaction("ROLLBACK")

    def _end_transaction(self, statement: str) -> None:
        self._check_open()
        with self._lock:
            if self._nested:
                raise ProgrammingError(f"{statement.lower()}() cannot be used inside of a transaction() block")
            if self._session.status != "I":
                self._run(statement)

    def _run(self, statement: str) -> None:
        """Executes what takes no parameters and is no statement of the user's."""
        with self._lock:
            try:
                self._session.execute(statement, None, False, None, self.timeout)
            finally:
                self._after()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A block that is committed at its end, or rolled back when an exception leaves it; a savepoint inside of
        another transaction. Works with and without autocommit."""
        with self._lock:
            outer = self._session.status != "I"
            savepoint = f"calf_{self._nested}"
            self._run(f"SAVEPOINT {savepoint}" if outer else self._begin_statement())
            self._nested += 1
        try:
            yield self
        except BaseException:
            self._nested -= 1
            if not self.closed:
                self._run(f"ROLLBACK TO {savepoint}" if outer else "ROLLBACK")
                if outer:
                    self._run(f"RELEASE {savepoint}")
            raise
        self._nested -= 1
        self._run(f"RELEASE {savepoint}" if outer else "COMMIT")

    # --- Notifications

    def notifies(self, *, timeout: float | None = None, stop_after: int | None = None) -> Iterator[Notification]:
        """Notifications as they come, for `timeout` seconds (None: for ever, 0: those that are there), or until
        `stop_after` of them came. LISTEN first, and commit."""
        deadline = None if timeout is None else time.monotonic() + timeout
        count = 0
        while stop_after is None or count < stop_after:
            if not self._notifications:
                left = None if deadline is None else max(deadline - time.monotonic(), 0)
                with self._lock:
                    came = self._session.wait_notification(left)
                    self._dispatch()
                if not came:
                    return
            while self._notifications and (stop_after is None or count < stop_after):
                count += 1
                yield self._notifications.popleft()

    # --- The end

    def close(self) -> None:
        """Ends the session; an open transaction is rolled back. Another thread's statement is cut short."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after an exception, and closes."""
        try:
            if not self.closed:
                if kind is None:
                    self.commit()
                else:
                    self.rollback()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<calf.Connection {self.transaction_status}, pid {self.pid}>"

    # --- For cursors

    def _after(self) -> None:
        if self._session.has_news:
            self._dispatch()

    def _operate(self, start: Callable[[], None], timeout: float | None = None) -> list[_engine.Result]:
        """Starts an operation, and waits until it has ended."""
        with self._lock:
            try:
                while True:
                    start()
                    self._session.wait(timeout if timeout is not None else self.timeout)
                    results = self._session.finish()
                    if results is not None:
                        return results
            finally:
                self._after()


class Cursor(CursorState):
    """Executes statements and holds their results."""

    def __init__(self, connection: Connection, row_factory: RowFactory):
        super().__init__(row_factory)
        self.connection = connection

    def execute(
        self, query: str, params: Parameters = None, *, prepare: bool | None = None, timeout: float | None = None
    ) -> Self:
        """Executes `query`. Placeholders are %s with a sequence, %(name)s with a mapping, and %% is a percent sign;
        without params the query is taken as it is, and may be several statements.

        prepare: True and False override Connection.prepare_threshold. timeout: seconds, overrides Connection.timeout.
        """
        connection = self.connection
        if self._closed:
            raise InterfaceError("the cursor is closed")
        session = connection._session
        with connection._lock:
            try:
                results = session.execute(
                    query, params, prepare, connection._begin(), connection.timeout if timeout is None else timeout
                )
            except BaseException:
                self._take([])
                raise
            finally:
                if session.has_news:
                    connection._dispatch()
            self._take(results)
        return self

    def executemany(
        self, query: str, params_seq: Iterable[Sequence[Any] | Mapping[str, Any]], *, returning: bool = False
    ) -> Self:
        """Executes `query` with each of the parameter sets, without waiting for one before the next is sent. If one
        fails, all fail. With `returning` the results are kept, one for each set: see nextset()."""
        self._check()
        self._take([])
        connection, session = self.connection, self.connection._session
        results: list[_engine.Result] = []
        total, sent = 0, False
        rows = iter(params_seq)
        with connection._lock:
            try:
                chunk = list(islice(rows, MANY_AT_ONCE))
                while chunk:
                    following = list(islice(rows, MANY_AT_ONCE))
                    part = (chunk, not sent, not following, returning, None if sent else connection._begin())
                    results += connection._operate(lambda: session.start_many(query, *part))
                    sent = True
                    total += session.discarded
                    chunk = following
            except BaseException:
                # An open batch is made to fail on the server, so that nothing of it stays.
                if not session.idle and not session.ended:
                    _swallow(lambda: connection._operate(session.start_abort))
                raise
        self._take(results)
        self._many_rowcount = total + total_rows(results)
        return self

    def callproc(self, procname: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Calls a function; its result can be fetched. Procedures are called by execute("CALL …")."""
        self.execute(procedure_call(procname, len(parameters)), parameters)
        return parameters

    def stream(self, query: str, params: Parameters = None, *, size: int = 1000) -> Iterator[Any]:
        """Yields the rows of `query`, of which PostgreSQL makes `size` at a time: memory stays small however many
        there are. Nothing else can be executed on the connection until the iterator is at its end or closed."""
        self._check()
        if size < 1:
            raise ValueError("size must be at least 1")
        connection, session = self.connection, self.connection._session
        begin = connection._begin()
        try:
            self._take(connection._operate(lambda: session.start_stream(query, params, begin, size)))
            while True:
                result = self._result
                if result is None or not result.has_rows:
                    raise ProgrammingError("stream() wants a statement that returns rows")
                yield from self._iterate()
                if not result.suspended:
                    break
                self._take(connection._operate(lambda: session.start_fetch(result, size)))
        finally:
            if not session.idle and not session.ended:
                connection._operate(session.start_end_stream)

    def copy(self, query: str) -> Copy:
        """Begins a COPY … FROM STDIN or COPY … TO STDOUT, as a context manager."""
        self._check()
        return Copy(self, query)

    def fetchone(self) -> Any:
        """The next row, or None."""
        return self._fetch_one()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, at most `size` (by default: arraysize)."""
        return self._fetch(self.arraysize if size is None else max(size, 0))

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self._fetch(-1)

    def __iter__(self) -> Iterator[Any]:
        return self._iterate()

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def close(self) -> None:
        """Frees the results."""
        self._take([])
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        self.connection._check_open()


class ServerCursor(Cursor):
    """A cursor that PostgreSQL holds: rows come as they are fetched. Made by Connection.cursor(name)."""

    #: How many rows iteration fetches at once.
    itersize = 1000

    def __init__(
        self, connection: Connection, name: str, row_factory: RowFactory, scrollable: bool | None, withhold: bool
    ):
        super().__init__(connection, row_factory)
        self.name = name
        self._identifier = quoted_identifier(name)
        self._scrollable, self._withhold = scrollable, withhold
        self._declared = False

    def execute(
        self, query: str, params: Parameters = None, *, prepare: bool | None = None, timeout: float | None = None
    ) -> Self:
        """Declares the cursor for `query`; nothing is fetched yet."""
        self._release()
        scroll = {None: "", True: " SCROLL", False: " NO SCROLL"}[self._scrollable]
        hold = " WITH HOLD" if self._withhold else ""
        identifier = self._identifier if params is None else self._identifier.replace("%", "%%")
        super().execute(
            f"DECLARE {identifier}{scroll} CURSOR{hold} FOR {query}", params, prepare=False, timeout=timeout
        )
        self._declared = True
        return self._command("FETCH FORWARD 0 FROM")  # tells the columns

    def executemany(
        self, query: str, params_seq: Iterable[Sequence[Any] | Mapping[str, Any]], *, returning: bool = False
    ) -> Self:
        raise _errors.NotSupportedError("a cursor on the server executes one statement")

    @property
    def rowcount(self) -> int:
        """-1: PostgreSQL does not know before all rows have been made."""
        return -1

    @property
    def rownumber(self) -> int | None:
        return None

    def fetchone(self) -> Any:
        self._command("FETCH FORWARD 1 FROM")
        return self._fetch_one()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        count = self.arraysize if size is None else max(size, 0)
        self._command(f"FETCH FORWARD {int(count)} FROM")
        return self._fetch(-1)

    def fetchall(self) -> list[Any]:
        self._command("FETCH FORWARD ALL FROM")
        return self._fetch(-1)

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Moves the cursor on the server; backwards only if it is scrollable."""
        if mode not in ("relative", "absolute"):
            raise ProgrammingError("mode must be 'relative' or 'absolute'")
        self._command(f"MOVE {mode.upper()} {int(value)} FROM")

    def __iter__(self) -> Iterator[Any]:
        while rows := self.fetchmany(self.itersize):
            yield from rows

    def close(self) -> None:
        """Closes the cursor on the server."""
        if not self._closed:
            self._release()
        super().close()

    def _release(self) -> None:
        if self._declared and not self.connection.closed and self.connection._session.status == "T":
            self._command("CLOSE")
        elif self._declared and self._withhold and self.connection.transaction_status == "idle":
            self._command("CLOSE")
        self._declared = False

    def _command(self, command: str) -> Self:
        if not self._declared:
            raise ProgrammingError("there is no result: execute a statement first")
        return super().execute(f"{command} {self._identifier}", prepare=False)


def _swallow(action: Callable[[], object]) -> None:
    """Runs what is meant to fail."""
    try:
        action()
    except _errors.Error:
        pass
