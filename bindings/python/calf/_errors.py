"""PEP 249's exceptions, with PostgreSQL's report on them, and a class of its own for each SQLSTATE that programs ask for."""

from __future__ import annotations


class Warning(Exception):
    """For PEP 249. PostgreSQL's warnings are notices: see Connection.add_notice_handler."""


class Error(Exception):
    """What went wrong. PostgreSQL's report is in the attributes; those that it did not give are None."""

    sqlstate: str | None = None
    severity: str | None = None
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    internal_position: int | None = None
    internal_query: str | None = None
    context: str | None = None
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    datatype_name: str | None = None
    constraint_name: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    source_function: str | None = None


class InterfaceError(Error):
    """The package was used in a way that cannot work: a closed connection, a database of another process, …"""


class DatabaseError(Error):
    """PostgreSQL refused."""


class DataError(DatabaseError):
    """A value is wrong or out of range (class 22)."""


class OperationalError(DatabaseError):
    """Not the program's fault, or not only: conflicts, limits, cancelling, shutdown (classes 08, 28, 40, 53–58)."""


class IntegrityError(DatabaseError):
    """A constraint is violated (class 23)."""


class InternalError(DatabaseError):
    """PostgreSQL, or the state of the transaction, is not in order (classes 24, 25, XX, …)."""


class ProgrammingError(DatabaseError):
    """The SQL is wrong, or does not fit the schema (classes 42, 3D, …)."""


class NotSupportedError(DatabaseError):
    """PostgreSQL cannot do this (class 0A)."""


class UniqueViolation(IntegrityError):
    """23505"""


class ForeignKeyViolation(IntegrityError):
    """23503"""


class NotNullViolation(IntegrityError):
    """23502"""


class CheckViolation(IntegrityError):
    """23514"""


class ExclusionViolation(IntegrityError):
    """23P01"""


class InFailedTransaction(InternalError):
    """25P02: the transaction has failed before; roll back."""


class SerializationFailure(OperationalError):
    """40001: try the transaction again."""


class DeadlockDetected(OperationalError):
    """40P01: try the transaction again."""


class LockNotAvailable(OperationalError):
    """55P03"""


class QueryCanceled(OperationalError):
    """57014: cancelled, by cancel(), a timeout, or the end of a task."""


class AdminShutdown(OperationalError):
    """57P01: the database was closed."""


class TooManyConnections(OperationalError):
    """53300"""


class SqlSyntaxError(ProgrammingError):
    """42601"""


class UndefinedTable(ProgrammingError):
    """42P01"""


class UndefinedColumn(ProgrammingError):
    """42703"""


class UndefinedFunction(ProgrammingError):
    """42883"""


class DuplicateTable(ProgrammingError):
    """42P07"""


class DuplicateObject(ProgrammingError):
    """42710"""


class InsufficientPrivilege(ProgrammingError):
    """42501"""


_STATES: dict[str, type[Error]] = {
    "23502": NotNullViolation,
    "23503": ForeignKeyViolation,
    "23505": UniqueViolation,
    "23514": CheckViolation,
    "23P01": ExclusionViolation,
    "25P02": InFailedTransaction,
    "40001": SerializationFailure,
    "40P01": DeadlockDetected,
    "42501": InsufficientPrivilege,
    "42601": SqlSyntaxError,
    "42703": UndefinedColumn,
    "42710": DuplicateObject,
    "42883": UndefinedFunction,
    "42P01": UndefinedTable,
    "42P07": DuplicateTable,
    "53300": TooManyConnections,
    "55P03": LockNotAvailable,
    "57014": QueryCanceled,
    "57P01": AdminShutdown,
}
_CLASSES: dict[str, type[Error]] = {"0A": NotSupportedError, "22": DataError, "23": IntegrityError}
_CLASSES |= dict.fromkeys(
    ("08", "26", "27", "28", "34", "40", "53", "54", "55", "57", "58", "F0", "HV"), OperationalError
)
_CLASSES |= dict.fromkeys(("20", "21", "3D", "3F", "42", "44", "P0"), ProgrammingError)
_CLASSES |= dict.fromkeys(("24", "25", "2B", "2D", "2F", "38", "39", "3B", "XX"), InternalError)
# The protocol's letters.
_TEXTS = {
    "M": "message",
    "D": "detail",
    "H": "hint",
    "q": "internal_query",
    "W": "context",
    "s": "schema_name",
    "t": "table_name",
    "c": "column_name",
    "d": "datatype_name",
    "n": "constraint_name",
    "F": "source_file",
    "R": "source_function",
}
_NUMBERS = {"P": "position", "p": "internal_position", "L": "source_line"}


def lookup(sqlstate: str) -> type[Error]:
    """The exception class of a SQLSTATE."""
    return _STATES.get(sqlstate) or _CLASSES.get(sqlstate[:2], DatabaseError)


def from_fields(fields: dict[str, str]) -> Error:
    """The exception that the fields of an ErrorResponse make."""
    sqlstate = fields.get("C", "")
    text = fields.get("M", "unknown error")
    if "D" in fields:
        text += f"\nDETAIL:  {fields['D']}"
    if "H" in fields:
        text += f"\nHINT:  {fields['H']}"
    error = lookup(sqlstate)(text)
    error.sqlstate = sqlstate or None
    error.severity = fields.get("V", fields.get("S"))
    for letter, name in _TEXTS.items():
        if letter in fields:
            setattr(error, name, fields[letter])
    for letter, name in _NUMBERS.items():
        if fields.get(letter, "").isdecimal():
            setattr(error, name, int(fields[letter]))
    return error
