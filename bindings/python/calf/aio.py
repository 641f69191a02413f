"""The same for asyncio: nothing here blocks the event loop, and no thread is needed for a statement.

The library's descriptor tells the loop when something has come. When a task is cancelled, so is its statement.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self

from . import _engine
from ._connection import MANY_AT_ONCE, Parameters
from ._copy import format_row, parse_row
from ._database import BaseDatabase, Branch, Database
from ._errors import Error, InterfaceError, ProgrammingError
from ._rows import RowFactory
from ._state import NOT_A_COPY, ConnectionState, CursorState, Notification, procedure_call, total_rows

# How long PostgreSQL may take to obey a cancel before the session is given up.
_CANCEL_PATIENCE_S = 10.0
# How long a task waits for what it holds itself.
_OWN_PATIENCE_S = 1.0
# Sending waits for room by looking again.
_SEND_RETRY_S = 0.001
_MAX_UNSENT_COPY_BYTES = 512 * 1024


class _Turn:
    """A lock that tells a task that it has it already, rather than let it wait for itself for ever."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        # What it holds may be a stream that it has left, and that the event loop is about to close.
        patience = _OWN_PATIENCE_S if self._holder is task else None
        try:
            async with asyncio.timeout(patience):
                await self._lock.acquire()
        except TimeoutError:
            raise ProgrammingError("another operation is under way on this connection") from None
        self._holder = task

    async def __aexit__(self, *exception: object) -> None:
        self._holder = None
        self._lock.release()


class AsyncConnection(ConnectionState):
    """A session with the database, of the event loop that it was made in. Tasks may share it: they take turns,
    statement by statement."""

    def __init__(self, session: _engine.Session, timeout: float | None):
        super().__init__(session, timeout)
        self._loop = asyncio.get_running_loop()
        self._turn = _Turn()
        self._waiter: asyncio.Future[None] | None = None
        self._news = asyncio.Event()
        self._descriptor = session.fileno()
        if self._descriptor < 0:
            raise InterfaceError("the session has no descriptor to wait for")
        self._loop.add_reader(self._descriptor, self._readable)

    # --- Statements

    def cursor(self, *, row_factory: RowFactory | None = None) -> AsyncCursor:
        """A new cursor. For results of any size see AsyncCursor.stream()."""
        self._check_open()
        return AsyncCursor(self, row_factory or self.row_factory)

    async def execute(
        self, query: str, params: Parameters = None, *, prepare: bool | None = None, timeout: float | None = None
    ) -> AsyncCursor:
        """Executes a statement on a new cursor, and returns that."""
        return await self.cursor().execute(query, params, prepare=prepare, timeout=timeout)

    # --- Transactions

    async def commit(self) -> None:
        """Commits the transaction, if there is one."""
        await self._end_transaction("COMMIT")

    async def rollback(self) -> None:
        """Rolls the transaction back, if there is one."""
        await self._end_transaction("ROLLBACK")

    async def _end_transaction(self, statement: str) -> None:
        self._check_open()
        if self._nested:
            raise ProgrammingError(f"{statement.lower()}() cannot be used inside of a transaction() block")
        if self._session.status != "I":
            await self._run(statement)

    async def _run(self, statement: str) -> None:
        await self._operate(lambda: self._session.start(statement, None, False, None))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A block that is committed at its end, or rolled back when an exception leaves it; a savepoint inside of
        another transaction. Works with and without autocommit."""
        outer = self._session.status != "I"
        savepoint = f"calf_{self._nested}"
        await self._run(f"SAVEPOINT {savepoint}" if outer else self._begin_statement())
        self._nested += 1
        try:
            yield self
        except BaseException:
            self._nested -= 1
            if not self.closed:
                await self._run(f"ROLLBACK TO {savepoint}" if outer else "ROLLBACK")
                if outer:
                    await self._run(f"RELEASE {savepoint}")
            raise
        self._nested -= 1
        await self._run(f"RELEASE {savepoint}" if outer else "COMMIT")

    # --- Notifications

    async def notifies(
        self, *, timeout: float | None = None, stop_after: int | None = None
    ) -> AsyncIterator[Notification]:
        """Notifications as they come, for `timeout` seconds, or until `stop_after` of them came. Other tasks may go on
        using the connection. LISTEN first, and commit."""
        deadline = None if timeout is None else self._loop.time() + timeout
        count = 0
        while stop_after is None or count < stop_after:
            if self._notifications:
                count += 1
                yield self._notifications.popleft()
                continue
            self._check_open()
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                return

    # --- The end

    async def close(self) -> None:
        """Ends the session; an open transaction is rolled back."""
        self._forget_descriptor()
        self._session.close()
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after an exception, and closes."""
        try:
            if not self.closed:
                if kind is None:
                    await self.commit()
                else:
                    await self.rollback()
        finally:
            await self.close()

    def __repr__(self) -> str:
        return f"<calf.AsyncConnection {self.transaction_status}, pid {self.pid}>"

    # --- The event loop

    def _readable(self) -> None:
        done = self._session.poll()
        if self._waiter is not None:
            if done:
                self._wake()
        else:
            self._after()
        if self._session.ended:
            self._forget_descriptor()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._news.set()

    def _after(self) -> None:
        if self._session.has_news:
            self._dispatch()
        self._news.set()

    def _forget_descriptor(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._descriptor = -1

    async def _operate(self, start: Callable[[], None], timeout: float | None = None) -> list[_engine.Result]:
        """Starts an operation, and waits until it has ended."""
        async with self._turn:
            return await self._operate_locked(start, timeout)

    async def _operate_locked(self, start: Callable[[], None], timeout: float | None = None) -> list[_engine.Result]:
        try:
            while True:
                start()
                await self._wait(timeout)
                results = self._session.finish()
                if results is not None:
                    return results
        finally:
            self._after()

    async def _wait(self, timeout: float | None = None) -> None:
        """Waits for the operation. It is cancelled when its time is up, or the task is cancelled."""
        session = self._session
        if session.poll():
            return
        seconds = self.timeout if timeout is None else timeout
        alarm = None if seconds is None else self._loop.call_later(seconds, session.time_out)
        try:
            await self._stopped()
        except asyncio.CancelledError:
            session.cancel()
            await self._drain()
            raise
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _stopped(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            while self._session.unsent and not self._waiter.done():
                await asyncio.sleep(_SEND_RETRY_S)
                if self._session.poll():
                    return
            await self._waiter
        finally:
            self._waiter = None

    async def _drain(self) -> None:
        """Waits for the end of what was cancelled; a session that does not obey is closed."""
        patience = self._loop.time() + _CANCEL_PATIENCE_S
        while self._session.waiting and not self._session.ended:
            if self._loop.time() > patience:
                await self.close()
                return
            try:
                async with asyncio.timeout(_CANCEL_PATIENCE_S):
                    await self._stopped()
            except (asyncio.CancelledError, TimeoutError):
                continue
            self._session.take_copied()


class AsyncCursor(CursorState):
    """Executes statements and holds their results."""

    def __init__(self, connection: AsyncConnection, row_factory: RowFactory):
        super().__init__(row_factory)
        self.connection = connection

    async def execute(
        self, query: str, params: Parameters = None, *, prepare: bool | None = None, timeout: float | None = None
    ) -> Self:
        """Executes `query`: see Cursor.execute."""
        self._check()
        connection = self.connection
        async with connection._turn:
            begin = connection._begin()
            try:
                self._take(
                    await connection._operate_locked(
                        lambda: connection._session.start(query, params, prepare, begin), timeout
                    )
                )
            except BaseException:
                self._take([])
                raise
        return self

    async def executemany(
        self, query: str, params_seq: Iterable[Sequence[Any] | Mapping[str, Any]], *, returning: bool = False
    ) -> Self:
        """Executes `query` with each of the parameter sets: see Cursor.executemany."""
        self._check()
        self._take([])
        connection, session = self.connection, self.connection._session
        results: list[_engine.Result] = []
        total, sent = 0, False
        rows = iter(params_seq)
        async with connection._turn:
            try:
                chunk = list(islice(rows, MANY_AT_ONCE))
                while chunk:
                    following = list(islice(rows, MANY_AT_ONCE))
                    part = (chunk, not sent, not following, returning, None if sent else connection._begin())
                    results += await connection._operate_locked(functools.partial(session.start_many, query, *part))
                    sent = True
                    total += session.discarded
                    chunk = following
            except BaseException:
                if not session.idle and not session.ended:
                    try:
                        await connection._operate_locked(session.start_abort)
                    except Error:
                        pass
                raise
        self._take(results)
        self._many_rowcount = total + total_rows(results)
        return self

    async def callproc(self, procname: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Calls a function; its result can be fetched."""
        await self.execute(procedure_call(procname, len(parameters)), parameters)
        return parameters

    async def stream(self, query: str, params: Parameters = None, *, size: int = 1000) -> AsyncIterator[Any]:
        """Yields the rows of `query`, `size` of which are in memory at a time: see Cursor.stream."""
        self._check()
        if size < 1:
            raise ValueError("size must be at least 1")
        connection, session = self.connection, self.connection._session
        async with connection._turn:
            begin = connection._begin()
            try:
                self._take(await connection._operate_locked(lambda: session.start_stream(query, params, begin, size)))
                while True:
                    result = self._result
                    if result is None or not result.has_rows:
                        raise ProgrammingError("stream() wants a statement that returns rows")
                    for row in self._iterate():
                        yield row
                    if not result.suspended:
                        break
                    self._take(await connection._operate_locked(functools.partial(session.start_fetch, result, size)))
            finally:
                if not session.idle and not session.ended:
                    await connection._operate_locked(session.start_end_stream)

    def copy(self, query: str) -> AsyncCopy:
        """Begins a COPY … FROM STDIN or COPY … TO STDOUT, as an asynchronous context manager."""
        self._check()
        return AsyncCopy(self, query)

    async def fetchone(self) -> Any:
        """The next row, or None."""
        return self._fetch_one()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, at most `size` (by default: arraysize)."""
        return self._fetch(self.arraysize if size is None else max(size, 0))

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self._fetch(-1)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in self._iterate():
            yield row

    async def close(self) -> None:
        """Frees the results."""
        self._take([])
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def _check(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        self.connection._check_open()


class AsyncCopy:
    """A COPY under way: see Copy."""

    def __init__(self, cursor: AsyncCursor, query: str):
        self._cursor, self._query = cursor, query
        self._connection, self._session = cursor.connection, cursor.connection._session
        self._pieces: list[bytes] = []
        self._next = 0
        self._out = True

    async def __aenter__(self) -> Self:
        connection, session = self._connection, self._session
        await connection._turn.__aenter__()
        try:
            session.start_copy(self._query, connection._begin())
            await connection._wait()
            if session.idle:
                self._cursor._take(session.finish() or [])
                raise ProgrammingError(NOT_A_COPY)
        except BaseException:
            await connection._turn.__aexit__()
            raise
        self._out = session.copy_state != "in"
        return self

    async def write(self, data: bytes | bytearray | memoryview | str) -> None:
        """Sends data in the format that the statement names; cut anywhere. Waits while PostgreSQL is behind."""
        unsent = self._session.copy_write(data, False)
        self._session.poll()
        while unsent > _MAX_UNSENT_COPY_BYTES:
            await asyncio.sleep(_SEND_RETRY_S)
            self._session.poll()
            unsent = self._session.copy_write(b"", False)

    async def write_row(self, row: Sequence[Any]) -> None:
        """Sends a row in the text format (COPY's default)."""
        await self.write(format_row(row))

    async def read(self) -> bytes:
        """The next piece, a row in text format; b"" at the end."""
        while self._next >= len(self._pieces):
            if not self._out or (self._session.idle and not self._pieces_left()):
                return b""
            if not self._pieces_left():
                await self._connection._wait()
                self._pieces, self._next = self._session.take_copied(), 0
        self._next += 1
        return self._pieces[self._next - 1]

    def _pieces_left(self) -> bool:
        """Takes what has come between two reads."""
        if self._next >= len(self._pieces):
            self._pieces, self._next = self._session.take_copied(), 0
        return bool(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    async def rows(self) -> AsyncIterator[tuple[str | None, ...]]:
        """The rows of a COPY TO STDOUT in the text format; their values are str or None."""
        async for piece in self:
            yield parse_row(piece)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, session = self._connection, self._session
        try:
            if session.ended:
                if kind is None:
                    session.finish()  # raises what ended it
                    raise InterfaceError("the connection was closed during the COPY")
                return
            reason = None if kind is None else f"error from Python: {kind.__name__}: {error}"
            if not self._out:
                session.start_copy_end(reason)
            elif not session.idle:
                session.cancel()
            while not session.idle:
                await connection._wait()
                session.take_copied()
            self._cursor._take(session.finish() or [])
        except Error as failure:
            if kind is None and not (self._out and failure.sqlstate == "57014"):
                raise
        finally:
            connection._after()
            await connection._turn.__aexit__()


class _AsyncBase:
    """Sessions of a database or a branch."""

    def __init__(self, plain: BaseDatabase):
        self._plain = plain

    async def connect(
        self,
        user: str | None = None,
        database: str | None = None,
        *,
        autocommit: bool = False,
        timeout: float | None = None,
        row_factory: RowFactory | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> AsyncConnection:
        """A new session: see Database.connect."""
        connection = AsyncConnection(self._plain.session(user, database, settings), timeout)
        try:
            await connection._operate(lambda: None)
        except BaseException:
            await connection.close()
            raise
        connection._autocommit = autocommit
        if row_factory is not None:
            connection.row_factory = row_factory
        return connection

    def connection_parameters(self, database: str | None = None, *, tcp: bool = False) -> dict[str, Any]:
        """See Database.connection_parameters."""
        return self._plain.connection_parameters(database, tcp=tcp)

    def connection_url(self, database: str | None = None, *, driver: str | None = None, tcp: bool = False) -> str:
        """See Database.connection_url."""
        return self._plain.connection_url(database, driver=driver, tcp=tcp)


class AsyncBranch(_AsyncBase):
    """A branch of a database: see Branch."""

    def __init__(self, plain: Branch):
        super().__init__(plain)
        self._branch = plain
        self.name = plain.name

    async def drop(self) -> None:
        """Drops the branch; sessions that are still on it end."""
        await asyncio.to_thread(self._branch.drop)

    async def reset(self) -> None:
        """Makes the branch anew: see Branch.reset."""
        await asyncio.to_thread(self._branch.reset)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.drop()


class AsyncDatabase(_AsyncBase):
    """A PostgreSQL cluster that runs in this process: see Database. Made by open_async()."""

    def __init__(self, plain: Database):
        super().__init__(plain)
        self._database = plain

    @property
    def closed(self) -> bool:
        return self._database.closed

    async def branch(self, name: str | None = None) -> AsyncBranch:
        """A copy that changes apart from the original: see Database.branch."""
        return AsyncBranch(await asyncio.to_thread(self._database.branch, name))

    async def branches(self) -> list[dict[str, Any]]:
        """The branches there are."""
        return await asyncio.to_thread(self._database.branches)

    async def close(self) -> None:
        """Shuts the cluster down."""
        await asyncio.to_thread(self._database.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


async def open_async(location: str | os.PathLike[str] = "memory://", **options: Any) -> AsyncDatabase:
    """Starts PostgreSQL in this process; options as those of open(). Starting and closing run on a thread, statements
    do not."""
    return AsyncDatabase(await asyncio.to_thread(functools.partial(Database, location, **options)))
