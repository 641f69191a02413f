"""Python values ↔ PostgreSQL's: what the native half does not do itself, and PEP 249's type objects and constructors.

A parameter becomes (type OID, text); OID 0 lets PostgreSQL find the type out. Results come as text and become what the
table in the README says; types without a loader stay str.
"""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from . import _engine
from ._errors import ProgrammingError

UNKNOWN = 0
BOOL, BYTEA, INT8, INT4, TEXT, JSON = 16, 17, 20, 23, 25, 114
FLOAT8, NUMERIC, JSONB, UUID = 701, 1700, 3802, 2950
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, TIMETZ = 1082, 1083, 1114, 1184, 1186, 1266
INET, CIDR = 869, 650

# Array type by element type, as pg_type.typarray.
_ARRAYS = {
    BOOL: 1000, BYTEA: 1001, 18: 1002, 19: 1003, INT8: 1016, 21: 1005, INT4: 1007, TEXT: 1009, 26: 1028, 27: 1010,
    28: 1011, 29: 1012, JSON: 199, 142: 143, FLOAT8: 1022, 700: 1021, 790: 791, 829: 1040, 774: 775, INET: 1041,
    CIDR: 651, 1042: 1014, 1043: 1015, DATE: 1182, TIME: 1183, TIMESTAMP: 1115, TIMESTAMPTZ: 1185, INTERVAL: 1187,
    TIMETZ: 1270, 1560: 1561, 1562: 1563, NUMERIC: 1231, UUID: 2951, 3220: 3221, 3614: 3643, 3615: 3645, JSONB: 3807,
    3904: 3905, 3906: 3907, 3908: 3909, 3910: 3911, 3912: 3913, 3926: 3927, 4072: 4073,
}  # fmt: skip


class Json:
    """A value to be passed as `json`: Json([1, 2]). A dict alone is passed as `jsonb`."""

    def __init__(self, value: Any, dumps: Callable[[Any], str] = json.dumps):
        self.value, self.dumps = value, dumps

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class Jsonb(Json):
    """A value to be passed as `jsonb`: Jsonb([1, 2])."""


# --- Parameters -------------------------------------------------------------------------------------------------------

Adapter = Callable[[Any], "tuple[int, str | bytes | None]"]
_adapters: dict[type, Adapter] = {}


def register_adapter(kind: type, adapter: Adapter) -> None:
    """Passes values of `kind`, and of classes made from it, as `adapter(value)` says: (type OID, str in PostgreSQL's
    text form, bytes in its binary form, or None for NULL). OID 0 lets PostgreSQL find the type out. For the process."""
    _adapters[kind] = adapter


def dump(value: Any) -> tuple[int, str | bytes | None]:
    """What the native half passes for a value that it does not know itself."""
    for kind in type(value).__mro__:
        adapter = _adapters.get(kind)
        if adapter is not None:
            return adapter(value)
    raise ProgrammingError(
        f"cannot adapt type {type(value).__name__!r}: pass one that PostgreSQL has, or see calf.register_adapter"
    )


def as_text(value: Any) -> tuple[int, str | None]:
    """Any value in text form, for arrays and COPY."""
    if value is None:
        return UNKNOWN, None
    oid, content = dump(value)
    if isinstance(content, bytes):
        return oid, "\\x" + content.hex()
    return oid, content


def _dump_int(value: int) -> tuple[int, str]:
    number = int(value)
    if -(2**31) <= number < 2**31:
        return INT4, str(number)
    return (INT8 if -(2**63) <= number < 2**63 else NUMERIC), str(number)


def _dump_enum(value: enum.Enum) -> tuple[int, str]:
    return UNKNOWN, value.name


def _dump_timedelta(value: dt.timedelta) -> tuple[int, str]:
    return INTERVAL, f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"


def _dump_json(value: Json) -> tuple[int, str]:
    return (JSONB if isinstance(value, Jsonb) else JSON), value.dumps(value.value)


def _refuse_tuple(value: tuple[Any, ...]) -> tuple[int, str]:
    raise ProgrammingError("a tuple cannot be a parameter: pass a list, which is an array, as in “id = any(%s)”")


# The wider of two numeric types comes later.
_WIDENING = (INT4, INT8, NUMERIC, FLOAT8)


def _common_type(oids: set[int]) -> int:
    """The type of an array whose elements have these."""
    if not oids:
        return UNKNOWN
    if len(oids) == 1:
        return next(iter(oids))
    if not oids.issubset(_WIDENING):
        raise ProgrammingError("the elements of a list that is passed as an array must be of one type")
    return max(oids, key=_WIDENING.index)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(values: list[Any], oids: set[int]) -> str:
    items = []
    for value in values:
        if isinstance(value, list):
            items.append(_array(value, oids))
            continue
        oid, text = as_text(value)
        if text is None:
            items.append("NULL")
        else:
            oids.add(oid or TEXT)
            items.append(_quoted(text))
    return "{" + ",".join(items) + "}"


def _dump_list(value: list[Any]) -> tuple[int, str]:
    oids: set[int] = set()
    text = _array(value, oids)
    return _ARRAYS.get(_common_type(oids), UNKNOWN), text


for _kind, _adapter in {
    str: lambda v: (UNKNOWN, str.__str__(v)),
    bool: lambda v: (BOOL, "t" if v else "f"),
    int: _dump_int,
    float: lambda v: (FLOAT8, float.__repr__(v)),
    Decimal: lambda v: (NUMERIC, str(v)),
    bytes: lambda v: (BYTEA, bytes(v)),
    bytearray: lambda v: (BYTEA, bytes(v)),
    memoryview: lambda v: (BYTEA, v.tobytes()),
    enum.Enum: _dump_enum,
    dt.date: lambda v: (DATE, v.isoformat()),
    dt.datetime: lambda v: (TIMESTAMPTZ if v.tzinfo else TIMESTAMP, v.isoformat(" ")),
    dt.time: lambda v: (TIMETZ if v.tzinfo else TIME, v.isoformat()),
    dt.timedelta: _dump_timedelta,
    uuid.UUID: lambda v: (UUID, str(v)),
    dict: lambda v: (JSONB, json.dumps(v)),
    Json: _dump_json,
    list: _dump_list,
    tuple: _refuse_tuple,
    ipaddress.IPv4Address: lambda v: (INET, str(v)),
    ipaddress.IPv6Address: lambda v: (INET, str(v)),
    ipaddress.IPv4Interface: lambda v: (INET, str(v)),
    ipaddress.IPv6Interface: lambda v: (INET, str(v)),
    ipaddress.IPv4Network: lambda v: (CIDR, str(v)),
    ipaddress.IPv6Network: lambda v: (CIDR, str(v)),
}.items():
    register_adapter(_kind, _adapter)  # type: ignore[arg-type]


# --- Results ----------------------------------------------------------------------------------------------------------


def register_loader(oid: int, loader: Callable[[str], Any] | None) -> None:
    """Reads values of the type `oid` by `loader(text)`, also in arrays of it; None goes back to the built-in way.
    For the process."""
    _engine.set_loader(oid, loader)


def register_array(array_oid: int, element_oid: int) -> None:
    """Reads values of the type `array_oid` as lists. PostgreSQL's own arrays are known; those of enums and other types
    that are made by CREATE TYPE are not: their OIDs are pg_type.typarray and pg_type.oid. For the process."""
    _engine.set_array(array_oid, element_oid)


def _load_inet(text: str) -> Any:
    return ipaddress.ip_interface(text) if "/" in text else ipaddress.ip_address(text)


register_loader(UUID, uuid.UUID)
register_loader(JSON, json.loads)
register_loader(JSONB, json.loads)
register_loader(INET, _load_inet)
register_loader(CIDR, ipaddress.ip_network)
for _element, _array_oid in _ARRAYS.items():
    register_array(_array_oid, _element)


# --- PEP 249 ----------------------------------------------------------------------------------------------------------


class TypeObject:
    """Equal to the type codes (OIDs) of a kind of column."""

    def __init__(self, name: str, *oids: int):
        self.name, self.oids = name, frozenset(oids)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TypeObject):
            return self.oids == other.oids
        return isinstance(other, int) and other in self.oids

    def __hash__(self) -> int:
        return hash(self.oids)

    def __repr__(self) -> str:
        return f"calf.{self.name}"


STRING = TypeObject("STRING", 18, 19, TEXT, 705, 1042, 1043)
BINARY = TypeObject("BINARY", BYTEA)
NUMBER = TypeObject("NUMBER", INT8, 21, INT4, 700, FLOAT8, 790, NUMERIC)
DATETIME = TypeObject("DATETIME", DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, TIMETZ)
ROWID = TypeObject("ROWID", 26)

Date = dt.date
Time = dt.time
Timestamp = dt.datetime
Binary = bytes


def DateFromTicks(ticks: float) -> dt.date:
    """The local date at `ticks` seconds since 1970."""
    return dt.date.fromtimestamp(ticks)


def TimeFromTicks(ticks: float) -> dt.time:
    """The local time of day at `ticks` seconds since 1970."""
    return dt.datetime.fromtimestamp(ticks).time()


def TimestampFromTicks(ticks: float) -> dt.datetime:
    """The local time at `ticks` seconds since 1970, with its zone."""
    return dt.datetime.fromtimestamp(ticks).astimezone()
