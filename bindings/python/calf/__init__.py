"""PostgreSQL 18 inside your Python process.

    import calf

    with calf.open() as db, db.connect() as connection:
        connection.execute("create table t (id int primary key, name text)")
        connection.execute("insert into t values (%s, %s)", (1, "one"))
        print(connection.execute("select * from t").fetchall())

The connections are PEP 249's; calf.aio has the same for asyncio; Database.connection_url() lets other drivers in.
"""

from . import _engine, _errors, errors
from ._connection import Connection, Cursor, ServerCursor
from ._copy import Copy
from ._database import Branch, Database, connect, open
from ._errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryCanceled,
    Warning,
)
from ._rows import dict_row, namedtuple_row, tuple_row
from ._state import Column, Notification
from ._types import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Json,
    Jsonb,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    dump,
    register_adapter,
    register_array,
    register_loader,
)
from .aio import AsyncBranch, AsyncConnection, AsyncCopy, AsyncCursor, AsyncDatabase, open_async

_engine.configure(_errors.from_fields, dump, DataError, ProgrammingError, InterfaceError)

apilevel = "2.0"
#: Threads may share the module and connections.
threadsafety = 2
#: And %s with sequences.
paramstyle = "pyformat"

__version__, postgres_version = _engine.versions()

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "AsyncBranch",
    "AsyncConnection",
    "AsyncCopy",
    "AsyncCursor",
    "AsyncDatabase",
    "Binary",
    "Branch",
    "Column",
    "Connection",
    "Copy",
    "Cursor",
    "DataError",
    "Database",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "Json",
    "Jsonb",
    "NotSupportedError",
    "Notification",
    "OperationalError",
    "ProgrammingError",
    "QueryCanceled",
    "ServerCursor",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "dict_row",
    "errors",
    "namedtuple_row",
    "open",
    "open_async",
    "paramstyle",
    "postgres_version",
    "register_adapter",
    "register_array",
    "register_loader",
    "threadsafety",
    "tuple_row",
]
