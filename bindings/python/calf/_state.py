"""What connections and cursors are, whether one blocks or awaits: transactions, notices, and the results of a cursor."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from . import _engine
from ._errors import Error, InterfaceError, ProgrammingError, from_fields
from ._rows import RowFactory, RowMaker, tuple_row

_log = logging.getLogger("calf")
_ISOLATION_LEVELS = ("read uncommitted", "read committed", "repeatable read", "serializable")


#: What copy() says to other statements.
NOT_A_COPY = "copy() wants COPY … FROM STDIN or COPY … TO STDOUT; other statements want execute()"


class Column(NamedTuple):
    """An item of Cursor.description (PEP 249)."""

    name: str
    type_code: int
    display_size: int | None
    internal_size: int | None
    precision: int | None
    scale: int | None
    null_ok: bool | None


class Notification(NamedTuple):
    """What NOTIFY sends to those that LISTEN."""

    channel: str
    payload: str
    pid: int


def _column(name: str, oid: int, size: int, modifier: int) -> Column:
    precision = scale = None
    width = size if size >= 0 else None
    if oid == 1700 and modifier >= 4:
        precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF
    elif oid in (1042, 1043) and modifier >= 4:
        width = modifier - 4
    return Column(name, oid, None, width, precision, scale, None)


class ConnectionState:
    """The half of a connection that does not wait."""

    def __init__(self, session: _engine.Session, timeout: float | None):
        self._session = session
        self._autocommit = False
        self._isolation_level: str | None = None
        self._read_only: bool | None = None
        self._nested = 0  # open transaction() blocks
        self._notice_handlers: list[Callable[[Error], object]] = []
        self._notify_handlers: list[Callable[[Notification], object]] = []
        self._notifications: deque[Notification] = deque()
        self._prepare_threshold: int | None = 1
        self._prepared_max = 100
        #: Seconds that each statement may take before it is cancelled (QueryCanceled); None: no limit.
        self.timeout = timeout
        #: Makes the rows of new cursors: calf.dict_row, …
        self.row_factory: RowFactory = tuple_row

    # --- What it is

    @property
    def closed(self) -> bool:
        """Has it been closed, or ended by the server?"""
        return self._session.ended

    @property
    def transaction_status(self) -> str:
        """ "idle", "in transaction", "failed", or "closed"."""
        if self.closed:
            return "closed"
        return {"I": "idle", "T": "in transaction", "E": "failed"}.get(self._session.status, "closed")

    @property
    def pid(self) -> int:
        """pg_backend_pid()"""
        return self._session.pid

    def parameter_status(self, name: str) -> str | None:
        """What the server has reported: "server_version", "TimeZone", "client_encoding", …"""
        return self._session.parameter(name)

    # --- Transactions

    @property
    def autocommit(self) -> bool:
        """True: each statement is a transaction. False (PEP 249's way): the first statement begins one, which commit()
        or rollback() ends. It cannot be set inside of a transaction."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._check_idle("autocommit")
        self._autocommit = bool(value)

    @property
    def isolation_level(self) -> str | None:
        """Of the transactions that begin from now on: "read committed", "repeatable read", "serializable"; None: the
        server's default."""
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        self._check_idle("isolation_level")
        if value is not None and value.lower() not in _ISOLATION_LEVELS:
            raise ProgrammingError(f"isolation_level must be None or one of {', '.join(_ISOLATION_LEVELS)}")
        self._isolation_level = value

    @property
    def read_only(self) -> bool | None:
        """Of the transactions that begin from now on; None: the server's default."""
        return self._read_only

    @read_only.setter
    def read_only(self, value: bool | None) -> None:
        self._check_idle("read_only")
        self._read_only = value

    def _check_idle(self, what: str) -> None:
        if not self.closed and self._session.status != "I":
            raise ProgrammingError(f"{what} cannot be set inside of a transaction: commit or roll back first")

    def _begin_statement(self) -> str:
        statement = "BEGIN"
        if self._isolation_level is not None:
            statement += f" ISOLATION LEVEL {self._isolation_level.upper()}"
        if self._read_only is not None:
            statement += " READ ONLY" if self._read_only else " READ WRITE"
        return statement

    def _begin(self) -> str | None:
        """What has to run before the next statement."""
        if self._autocommit or self._session.status != "I":
            return None
        return self._begin_statement()

    # --- Prepared statements

    @property
    def prepare_threshold(self) -> int | None:
        """A statement is prepared on the server when it has run this many times before; None: never."""
        return self._prepare_threshold

    @prepare_threshold.setter
    def prepare_threshold(self, value: int | None) -> None:
        if value is not None and value < 0:
            raise ValueError("prepare_threshold must be None, 0 or more")
        self._prepare_threshold = value
        self._session.set_preparing(value, self._prepared_max)

    @property
    def prepared_max(self) -> int:
        """How many statements are kept prepared; those that were not used for longest are dropped first."""
        return self._prepared_max

    @prepared_max.setter
    def prepared_max(self, value: int) -> None:
        if value < 0:
            raise ValueError("prepared_max must be 0 or more")
        self._prepared_max = value
        self._session.set_preparing(self._prepare_threshold, value)

    # --- Notices and notifications

    def add_notice_handler(self, handler: Callable[[Error], object]) -> None:
        """Calls `handler` with each NOTICE, WARNING, …: an object with the attributes of an exception."""
        self._notice_handlers.append(handler)

    def remove_notice_handler(self, handler: Callable[[Error], object]) -> None:
        self._notice_handlers.remove(handler)

    def add_notify_handler(self, handler: Callable[[Notification], object]) -> None:
        """Calls `handler` with each notification, besides what notifies() returns."""
        self._notify_handlers.append(handler)

    def remove_notify_handler(self, handler: Callable[[Notification], object]) -> None:
        self._notify_handlers.remove(handler)

    def _dispatch(self) -> None:
        """Hands out what has come beside results. A handler that fails is logged, and hurts nobody else."""
        for fields in self._session.take_notices():
            notice = from_fields(fields)
            for on_notice in self._notice_handlers:
                self._call(on_notice, notice)
        for item in self._session.take_notifications():
            notification = Notification(*item)
            self._notifications.append(notification)
            for on_notify in self._notify_handlers:
                self._call(on_notify, notification)

    @staticmethod
    def _call(handler: Callable[[Any], object], argument: Any) -> None:
        try:
            handler(argument)
        except Exception:
            _log.exception("a handler of notices or notifications failed")

    def cancel(self) -> None:
        """Cancels the statement that runs, which then fails with QueryCanceled; nothing happens when none does. May be
        called from any thread."""
        self._session.cancel()

    def _check_open(self) -> None:
        if self._session.ended:
            raise InterfaceError("the connection is closed")


class CursorState:
    """The half of a cursor that does not wait: the results of its last statement."""

    def __init__(self, row_factory: RowFactory):
        self._results: list[_engine.Result] = []
        self._index = 0
        self._result: _engine.Result | None = None
        self._make_row: RowMaker | None = None
        self._many_rowcount: int | None = None
        self._closed = False
        self._row_factory = row_factory
        #: How many rows fetchmany() returns without a size.
        self.arraysize = 1

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def row_factory(self) -> RowFactory:
        """Makes the rows: calf.tuple_row, calf.dict_row, calf.namedtuple_row, or one's own."""
        return self._row_factory

    @row_factory.setter
    def row_factory(self, value: RowFactory) -> None:
        self._row_factory = value
        self._select(self._index)

    @property
    def description(self) -> list[Column] | None:
        """The columns of the result; None when the statement returns no rows."""
        columns = self._result.columns if self._result is not None else None
        if columns is None:
            return None
        return [_column(name, oid, size, modifier) for name, oid, _, _, size, modifier in columns]

    @property
    def rowcount(self) -> int:
        """Rows returned or changed by the last statement; -1 when that is not known."""
        if self._many_rowcount is not None:
            return self._many_rowcount
        if self._result is None:
            return -1
        return self._result.row_count if self._result.has_rows else self._result.affected

    @property
    def rownumber(self) -> int | None:
        """The index of the next row."""
        return self._result.position if self._result is not None and self._result.has_rows else None

    @property
    def statusmessage(self) -> str | None:
        """The command tag: "INSERT 0 1"."""
        return self._result.tag if self._result is not None else None

    lastrowid = None

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """For PEP 249; does nothing, as parameters carry their types."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """For PEP 249; does nothing, as values of any size are fetched."""

    def nextset(self) -> bool | None:
        """Goes on to the result of the next statement of several; None when there is none."""
        if self._index + 1 >= len(self._results):
            return None
        self._select(self._index + 1)
        return True

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Moves the position in the result. IndexError when there is no such row."""
        result = self._rows()
        if mode not in ("relative", "absolute"):
            raise ProgrammingError("mode must be 'relative' or 'absolute'")
        target = value + result.position if mode == "relative" else value
        if not 0 <= target < max(result.row_count, 1):
            raise IndexError("there is no such row")
        result.position = target

    def _take(self, results: list[_engine.Result]) -> None:
        """Makes these the cursor's results."""
        self._results = results
        self._many_rowcount = None
        if len(results) == 1 and self._row_factory is tuple_row:
            self._index, self._result, self._make_row = 0, results[0], None
        else:
            self._select(0)

    def _select(self, index: int) -> None:
        self._index = index
        self._result = self._results[index] if index < len(self._results) else None
        self._make_row = None
        if self._row_factory is not tuple_row and self._result is not None and self._result.has_rows:
            self._make_row = self._row_factory([column[0] for column in self._result.columns or ()])

    def _rows(self) -> _engine.Result:
        result = self._result
        if self._closed:
            raise InterfaceError("the cursor is closed")
        if result is None:
            raise ProgrammingError("there is no result: execute a statement first")
        if not result.has_rows:
            raise ProgrammingError(f"the statement returned no rows (it was {result.tag or 'empty'})")
        return result

    def _fetch_one(self) -> Any:
        row = self._rows().fetch_one()
        return row if row is None or self._make_row is None else self._make_row(row)

    def _fetch(self, count: int) -> list[Any]:
        rows = self._rows().fetch(count)
        return rows if self._make_row is None else [self._make_row(row) for row in rows]

    def _iterate(self) -> Iterator[Any]:
        result = self._rows()
        while (row := result.fetch_one()) is not None:
            yield row if self._make_row is None else self._make_row(row)


def total_rows(results: list[_engine.Result]) -> int:
    """Rows returned or changed by all of them."""
    return sum(each.row_count if each.has_rows else max(each.affected, 0) for each in results)


def quoted_identifier(name: str) -> str:
    """`name` as an identifier of SQL."""
    if "\0" in name:
        raise ProgrammingError("names cannot contain NUL (0x00) characters")
    return '"' + name.replace('"', '""') + '"'


def procedure_call(name: str, count: int) -> str:
    """The SELECT that callproc() runs. A plain name is taken as it is, so that SQL folds its case; others are quoted."""
    parts = name.split(".")
    if not all(part.isascii() and part.isidentifier() for part in parts):
        name = ".".join(quoted_identifier(part) for part in parts).replace("%", "%%")
    return f"SELECT * FROM {name}({', '.join(['%s'] * count)})"
