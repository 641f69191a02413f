"""Sessions for tests: short queries, queries in the background, waiting for a condition. Every wait has a deadline."""

import threading
import time

import psycopg

DEADLINE_S = 20


class Pending:
    """A call that runs on its own thread. `result` gives its value or raises what it raised."""

    def __init__(self, call):
        self._value = None
        self._error = None
        self.started = time.monotonic()
        self.ended = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call):
        try:
            self._value = call()
        except BaseException as error:  # handed to the test's thread
            self._error = error
        self.ended = time.monotonic()

    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self, timeout_s: float = DEADLINE_S):
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise AssertionError(f"still running after {timeout_s} s")
        if self._error is not None:
            raise self._error
        return self._value

    def error(self, timeout_s: float = DEADLINE_S) -> psycopg.Error:
        """The database error it ended with; fails if there was none."""
        try:
            value = self.result(timeout_s)
        except psycopg.Error as error:
            return error
        raise AssertionError(f"expected an error, got {value!r}")

    @property
    def seconds(self) -> float:
        return self.ended - self.started


class Session:
    """One connection in autocommit mode; transactions are begun by SQL."""

    def __init__(self, connection: psycopg.Connection):
        self.connection = connection
        # The backend's pid as the server announced it at login.
        self.pid = connection.info.backend_pid

    def rows(self, sql: str, parameters=None, **kw) -> list[tuple]:
        cursor = self.connection.execute(sql, parameters, **kw)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, parameters=None, **kw):
        rows = self.rows(sql, parameters, **kw)
        return rows[0][0] if rows else None

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement)

    def start(self, sql: str, parameters=None) -> Pending:
        return Pending(lambda: self.rows(sql, parameters))

    def error(self, sql: str, parameters=None) -> psycopg.Error:
        """Runs what must fail; the error."""
        try:
            rows = self.rows(sql, parameters)
        except psycopg.Error as error:
            return error
        raise AssertionError(f"expected an error, got {rows!r}")

    def close(self) -> None:
        self.connection.close()


def until_active(observer: Session, pid: int) -> None:
    """Waits until this backend is at work on a statement."""
    eventually(
        lambda: observer.value("select count(*) from pg_stat_activity where pid = %s and state = 'active'", (pid,)),
        what=f"backend {pid} is active",
    )


def eventually(condition, timeout_s: float = DEADLINE_S, every_s: float = 0.02, what: str = ""):
    """Waits until `condition()` is truthy and returns that value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or condition}; last value {value!r}")
        time.sleep(every_s)
