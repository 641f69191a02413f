"""Databases: a cluster inside of this process, and branches of it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from . import _engine
from ._connection import Connection
from ._errors import InterfaceError
from ._rows import RowFactory

#: The port in the name of the Unix socket, .s.PGSQL.5432.
SOCKET_PORT = 5432
# The native half reads values in these forms, whatever the server's configuration says.
_SESSION = (("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"))
# At most 107 bytes fit into the address of a Unix socket.
_LONGEST_SOCKET_DIR = 90


class BaseDatabase:
    """What a database and a branch have in common: sessions and URLs."""

    user: str
    database: str

    def _cluster_now(self) -> _engine.Cluster:
        raise NotImplementedError

    def _server(self) -> Database:
        raise NotImplementedError

    def _name(self, database: str | None) -> str:
        return database or self.database

    def session(
        self, user: str | None = None, database: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> _engine.Session:
        """For the package: a session that is logging in."""
        parameters = {"user": user or self.user, "database": self._name(database)} | dict(_SESSION)
        parameters |= {name: str(value) for name, value in (settings or {}).items()}
        return _engine.Session(self._cluster_now(), tuple(parameters.items()))

    def connect(
        self,
        user: str | None = None,
        database: str | None = None,
        *,
        autocommit: bool = False,
        timeout: float | None = None,
        row_factory: RowFactory | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Connection:
        """A new session. No password is asked for: who is in the process owns the database; but the session has its
        user's rights only.

        user, database: those that the database was opened with, if None. timeout: seconds that each statement may
        take. settings: any of PostgreSQL's for this session, {"search_path": "app", "application_name": "…"}.
        """
        connection = Connection(self.session(user, database, settings), timeout)
        connection._autocommit = autocommit
        if row_factory is not None:
            connection.row_factory = row_factory
        return connection

    def connection_parameters(self, database: str | None = None, *, tcp: bool = False) -> dict[str, Any]:
        """For drivers that take keywords: host (a directory, for the Unix socket), port, user, dbname, and password
        when the database was opened with one. Listens first, if it has not yet."""
        server = self._server()
        host, port = server._listen_tcp() if tcp else server._listen_unix()
        parameters = {"host": host, "port": port, "user": self.user, "dbname": self._name(database)}
        if server._password is not None:
            parameters["password"] = server._password
        return parameters

    def connection_url(self, database: str | None = None, *, driver: str | None = None, tcp: bool = False) -> str:
        """A URL for libpq, psycopg, SQLAlchemy (driver="psycopg"), asyncpg and others: of a Unix socket in a private
        directory, or with `tcp` of a free port on 127.0.0.1. The database listens from the first call on."""
        p = self.connection_parameters(database, tcp=tcp)
        scheme = "postgresql" + (f"+{driver}" if driver else "")
        login = quote(p["user"], safe="") + (f":{quote(p['password'], safe='')}" if "password" in p else "")
        name = quote(p["dbname"], safe="")
        if tcp:
            return f"{scheme}://{login}@{p['host']}:{p['port']}/{name}"
        return f"{scheme}://{login}@/{name}?host={quote(p['host'], safe='/')}&port={p['port']}"


class Database(BaseDatabase):
    """A PostgreSQL cluster that runs in this process. Made by calf.open()."""

    def __init__(
        self,
        location: str | os.PathLike[str] = "memory://",
        *,
        user: str = "postgres",
        database: str = "postgres",
        password: str | None = None,
        auth: str | None = None,
        extensions: Iterable[str] = (),
        settings: Mapping[str, Any] | None = None,
        log: Callable[[str], object] | None = None,
        snapshot: str | os.PathLike[str] | None = None,
    ):
        self.location, self.user, self.database = os.fspath(location), user, database
        self._password = password
        self._lock = threading.RLock()
        self._socket_dir: str | None = None
        self._tcp: tuple[str, int] | None = None
        self._opened_in = os.getpid()
        lines = tuple(f"{name}={_setting(value)}" for name, value in (settings or {}).items())
        start = None if snapshot is None else os.fspath(snapshot)
        self._cluster = _engine.Cluster(self.location, lines, user, database, password, auth, tuple(extensions), log, start)
        _open_databases.add(self)

    @property
    def closed(self) -> bool:
        return self._cluster.closed

    def branch(self, name: str | None = None) -> Branch:
        """A copy of the whole cluster, as it is now, that changes apart from it: made in milliseconds, whatever its
        size. Without a name it gets one. Drop it with Branch.drop(), or by its `with` block."""
        name = name or f"b_{uuid.uuid4().hex[:12]}"
        self._call("select calf.branch(%s)", name)
        return Branch(self, name)

    def branches(self) -> list[dict[str, Any]]:
        """The branches there are, by the columns of calf.branches()."""
        from ._rows import dict_row

        with self.connect(database="postgres", autocommit=True, row_factory=dict_row) as connection:
            return connection.execute("select * from calf.branches()").fetchall()

    def save_snapshot(self, file: str | os.PathLike[str]) -> None:
        """Saves the whole cluster as it is now into one compressed, checksummed file, for calf.open(snapshot=…).
        Sessions go on meanwhile. A file that is there is replaced in one step."""
        self._cluster_now().save_snapshot(os.fspath(file))

    def close(self) -> None:
        """Shuts the cluster down: sessions end, and what is in a directory is left in order. In memory all is gone."""
        with self._lock:
            _open_databases.discard(self)
            self._cluster.close()
            if self._socket_dir is not None and self._opened_in == os.getpid():
                shutil.rmtree(self._socket_dir, ignore_errors=True)
                self._socket_dir = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<calf.Database {self.location}{', closed' if self.closed else ''}>"

    def session(
        self, user: str | None = None, database: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> _engine.Session:
        # close() must not come between the look at the cluster and its use.
        with self._lock:
            return super().session(user, database, settings)

    def _cluster_now(self) -> _engine.Cluster:
        return self._cluster

    def _server(self) -> Database:
        return self

    def _call(self, query: str, argument: str) -> None:
        with self.connect(database="postgres", autocommit=True) as connection:
            connection.execute(query, (argument,))

    def _listen_unix(self) -> tuple[str, int]:
        with self._lock:
            if self._socket_dir is None:
                base = tempfile.gettempdir()
                directory = tempfile.mkdtemp(prefix="calf-", dir="/tmp" if len(base) > _LONGEST_SOCKET_DIR else None)
                try:
                    self._cluster.listen(None, SOCKET_PORT, directory, False)
                except BaseException:
                    shutil.rmtree(directory, ignore_errors=True)
                    raise
                self._socket_dir = directory
            return self._socket_dir, SOCKET_PORT

    def _listen_tcp(self) -> tuple[str, int]:
        with self._lock:
            if self._tcp is None:
                url = urlsplit(self._cluster.listen("127.0.0.1", 0, None, False))
                if url.port is None:
                    raise InterfaceError(f"the library listens, but does not say where: {url.geturl()}")
                self._tcp = ("127.0.0.1", url.port)
            return self._tcp


class Branch(BaseDatabase):
    """A branch of a database. Made by Database.branch(). Its `with` block drops it."""

    def __init__(self, server: Database, name: str):
        self.server, self.name = server, name
        self.user, self.database = server.user, f"{server.database}@{name}"

    def drop(self) -> None:
        """Drops the branch; sessions that are still on it end."""
        self.server._call("select calf.drop_branch(%s)", self.name)

    def reset(self) -> None:
        """Makes the branch anew, from what its parent is now; sessions that are on it end."""
        self.server._call("select calf.reset_branch(%s)", self.name)

    def close(self) -> None:
        """As drop()."""
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()

    def __repr__(self) -> str:
        return f"<calf.Branch {self.name} of {self.server!r}>"

    def _name(self, database: str | None) -> str:
        return f"{database}@{self.name}" if database else self.database

    def _cluster_now(self) -> _engine.Cluster:
        return self.server._cluster

    def _server(self) -> Database:
        return self.server


def open(
    location: str | os.PathLike[str] = "memory://",
    *,
    user: str = "postgres",
    database: str = "postgres",
    password: str | None = None,
    auth: str | None = None,
    extensions: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    log: Callable[[str], object] | None = None,
    snapshot: str | os.PathLike[str] | None = None,
) -> Database:
    """Starts PostgreSQL in this process.

    location: "memory://" (gone when it is closed), or a directory, which is made when it is missing.
    user, database: what connect() takes without others; made when they are missing, the user as a superuser.
    password, auth: for clients that come by connection_url(); auth is "trust", "password" or "scram-sha-256".
    extensions: made in `database` if they are not there: ["vector", "pg_trgm"].
    settings: of PostgreSQL, {"work_mem": "64MB"}.
    log: called with each line of PostgreSQL's log, on a thread of the library; it must not use the database.
    snapshot: a file of Database.save_snapshot() (or `calf snapshot save`) to start with; a directory must be missing or
        empty then.
    """
    return Database(
        location,
        user=user,
        database=database,
        password=password,
        auth=auth,
        extensions=extensions,
        settings=settings,
        log=log,
        snapshot=snapshot,
    )


class _OwningConnection(Connection):
    """A connection that closes its database with itself."""

    def __init__(self, database: Database):
        self._database = database
        super().__init__(database.session(), None)

    def close(self) -> None:
        super().close()
        self._database.close()


def connect(location: str | os.PathLike[str] = "memory://", **options: Any) -> Connection:
    """PEP 249's constructor: opens a database, with options as those of open(), for one connection, which closes it when
    it is closed. For several connections use open()."""
    return _OwningConnection(Database(location, **options))


def _setting(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Shutting down in order spares the next start a recovery, and no thread of the library is left when Python goes."""
    for database in list(_open_databases):
        if database._opened_in == os.getpid():
            try:
                database.close()
            except Exception:
                pass  # nobody is left to be told; the next start recovers
