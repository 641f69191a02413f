"""Values there and back."""

import datetime as dt
import enum
import ipaddress
import uuid
from decimal import Decimal

import calf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UTC = dt.timezone.utc
PARIS = dt.timezone(dt.timedelta(hours=2))

VALUES = [
    ("bool", True), ("bool", False), ("bool", None),
    ("int2", -32768), ("int4", 2**31 - 1), ("int4", -(2**31)), ("int8", 2**63 - 1), ("int8", -(2**63)),
    ("numeric", Decimal("1.500")), ("numeric", Decimal("-1e-20")), ("numeric", Decimal(2) ** 200),
    ("numeric", Decimal("Infinity")), ("float8", 0.1), ("float8", float("-inf")), ("float8", 5e-324), ("float4", 0.5),
    ("text", ""), ("text", "ä 😀 ' \\ %s $1"), ("varchar(5)", "abc"), ("char(3)", "ab "), ("name", "n"),
    ("bytea", b""), ("bytea", bytes(range(256))),
    ("date", dt.date(1, 1, 1)), ("date", dt.date(9999, 12, 31)), ("time", dt.time(23, 59, 59, 999999)),
    ("timetz", dt.time(1, 2, 3, tzinfo=PARIS)), ("timestamp", dt.datetime(1, 1, 1)),
    ("timestamp", dt.datetime(9999, 12, 31, 23, 59, 59, 999999)), ("timestamptz", dt.datetime(2024, 2, 29, 12, tzinfo=PARIS)),
    ("timestamptz", dt.datetime(1890, 1, 1, tzinfo=UTC)), ("interval", dt.timedelta(days=-3, seconds=7, microseconds=1)),
    ("interval", dt.timedelta(0)), ("interval", dt.timedelta(days=99999, microseconds=-1)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("jsonb", {"a": [1, None, "x", {"b": 1.5}]}), ("json", {"ä": True}),
    ("inet", ipaddress.ip_address("10.0.0.1")), ("inet", ipaddress.ip_interface("10.1.0.0/16")),
    ("cidr", ipaddress.ip_network("fe80::/64")),
    ("int4[]", [1, None, -3]), ("int8[]", [2**40, 1]), ("numeric[]", [Decimal("1.5"), None]), ("float8[]", [0.5, 1e300]),
    ("text[]", ["", "a,b", 'q"', "\\", "NULL", "null", None, " {} "]), ("text[]", []), ("text[]", [["a", "b"], ["c", None]]),
    ("bool[]", [True, False, None]), ("bytea[]", [b"\x00\\", b""]), ("uuid[]", [uuid.UUID(int=5)]),
    ("date[]", [dt.date(2024, 1, 1)]), ("timestamptz[]", [dt.datetime(2024, 1, 1, tzinfo=UTC)]),
    ("interval[]", [dt.timedelta(hours=1)]), ("jsonb[]", [{"a": 1}, None]),
    ("int4range", "[1,5)"), ("tsvector", "'a' 'b'"), ("point", "(1,2)"),
]  # fmt: skip


@pytest.mark.parametrize("kind, value", VALUES, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(VALUES)])
def test_a_value_comes_back(auto, kind, value):
    auto.execute(f"create temp table if not exists there (v {kind})")
    for _ in range(3):  # unprepared, then prepared
        auto.execute("insert into there values (%s)", (value,))
        returned = auto.execute("select v from there").fetchone()[0]
        assert returned == value and type(returned) is type(value)
        auto.execute("delete from there")
    auto.execute("drop table there")


@pytest.mark.parametrize(
    "value, kind",
    [(1, "integer"), (2**40, "bigint"), (2**70, "numeric"), (1.5, "double precision"), (b"x", "bytea"),
     (True, "boolean"), (Decimal(1), "numeric"), ([1, 2**40], "bigint[]"), ([1, Decimal("1.5")], "numeric[]"), (["x"], "text[]"),
     ({"a": 1}, "jsonb"), (calf.Json([1]), "json"), (calf.Jsonb([1]), "jsonb"), (dt.datetime.now(UTC), "timestamp with time zone"),
     (dt.datetime(2024, 1, 1), "timestamp without time zone"), (bytearray(b"x"), "bytea"), (memoryview(b"x"), "bytea")],
)  # fmt: skip
def test_a_value_says_its_type(connection, value, kind):
    assert connection.execute("select pg_typeof(%s)::text", (value,)).fetchone() == (kind,)


class Mood(enum.Enum):
    happy = 1


class Word(str, enum.Enum):
    SAD = "sad"


class Level(enum.IntEnum):
    HIGH = 3


def test_enums_are_their_labels_or_values(auto):
    auto.execute("create type mood as enum ('happy', 'sad')")
    row = auto.execute("select %s::mood, %s::mood, %s + 1", (Mood.happy, Word.SAD, Level.HIGH)).fetchone()
    assert row == ("happy", "sad", 4)
    array, element = auto.execute("select typarray, oid from pg_type where oid = 'mood'::regtype").fetchone()
    query = "select array['sad', null, 'happy']::mood[]"
    assert auto.execute(query).fetchone() == ("{sad,NULL,happy}",)
    calf.register_array(array, element)
    assert auto.execute(query).fetchone() == (["sad", None, "happy"],)


@pytest.mark.parametrize(
    "expression, says",
    [("'infinity'::date", "no counterpart"), ("'-infinity'::timestamptz", "no counterpart"), ("'infinity'::timestamp", "no counterpart"),
     ("'infinity'::interval", "no counterpart"), ("'0044-03-15 BC'::date", "before the year 1"), ("'20000-01-01'::date", "out of Python's range"),
     ("'24:00'::time", "out of Python's range"), ("'20000-01-01'::timestamptz", "out of Python's range")],
)  # fmt: skip
def test_what_python_cannot_hold_is_a_clear_error(auto, expression, says):
    cursor = auto.execute(f"select {expression}")
    with pytest.raises(calf.DataError, match=says):
        cursor.fetchone()
    assert auto.execute(f"select ({expression})::text").fetchone()[0]


def test_intervals_with_months_count_30_and_365_days(auto):
    assert auto.execute("select interval '1 year 2 mons -3 days -04:05:06.5'").fetchone() == (
        dt.timedelta(days=365 + 60 - 3, hours=-4, minutes=-5, seconds=-6.5),
    )


def test_a_changed_datestyle_is_reported_not_misread(auto):
    auto.execute("set datestyle = 'german'")
    with pytest.raises(calf.DataError, match="DateStyle"):
        auto.execute("select date '2024-02-01'").fetchone()


def test_times_follow_the_session_time_zone(auto):
    auto.execute("set timezone = 'Asia/Kathmandu'")
    value = auto.execute("select timestamptz '2024-01-01 00:00+00'").fetchone()[0]
    assert value == dt.datetime(2024, 1, 1, tzinfo=UTC) and value.utcoffset() == dt.timedelta(hours=5, minutes=45)


def test_arrays_with_other_bounds_and_escape_format(auto):
    assert auto.execute("select '[0:1]={1,2}'::int[]").fetchone() == ([1, 2],)
    auto.execute("set bytea_output = 'escape'")
    assert auto.execute(r"select '\x005c41ff'::bytea").fetchone() == (b"\x00\\A\xff",)


def test_mixed_lists_are_refused(connection):
    with pytest.raises(calf.ProgrammingError, match="one type"):
        connection.execute("select %s", ([1, "x"],))


def test_adapters_and_loaders_can_be_added(auto):
    class Point:
        def __init__(self, x, y):
            self.x, self.y = x, y

    calf.register_adapter(Point, lambda p: (600, f"({p.x},{p.y})"))
    calf.register_loader(600, lambda text: Point(*map(float, text.strip("()").split(","))))
    try:
        returned = auto.execute("select %s, array[%s]", (Point(1, 2), Point(3, 4))).fetchone()
        assert (returned[0].x, returned[0].y) == (1, 2)
    finally:
        calf.register_loader(600, None)
    assert auto.execute("select point '(1,2)'").fetchone() == ("(1,2)",)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
scalars = {
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats(allow_nan=False),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20),
    "text": texts,
    "bytea": st.binary(max_size=50),
    "timestamp": st.datetimes(),
    "interval": st.timedeltas(dt.timedelta(-(10**6)), dt.timedelta(10**6)),
}


@pytest.mark.parametrize("kind", scalars)
def test_any_value_comes_back(database, kind):
    with database.connect(autocommit=True) as connection:

        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(value=scalars[kind], items=st.lists(st.one_of(st.none(), scalars[kind]), max_size=5))
        def there_and_back(value, items):
            row = connection.execute(f"select %s::{kind}, %s::{kind}[]", (value, items)).fetchone()
            assert row == (value, items)

        there_and_back()


@settings(max_examples=60, deadline=None, database=None)
@given(rows=st.lists(st.tuples(st.one_of(st.none(), texts), st.one_of(st.none(), texts)), max_size=10))
def test_copy_rows_are_formatted_and_parsed_alike(rows):
    from calf._copy import format_row, parse_row

    assert [parse_row(format_row(row)) for row in rows] == rows
