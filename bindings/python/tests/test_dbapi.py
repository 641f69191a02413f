"""PEP 249, paragraph by paragraph."""

import time

import calf
import pytest


def test_the_module_says_what_it_supports():
    assert (calf.apilevel, calf.threadsafety, calf.paramstyle) == ("2.0", 2, "pyformat")


def test_exceptions_are_ordered_as_the_pep_says():
    assert issubclass(calf.Warning, Exception) and not issubclass(calf.Warning, calf.Error)
    assert issubclass(calf.InterfaceError, calf.Error) and not issubclass(calf.InterfaceError, calf.DatabaseError)
    for name in ("DataError", "OperationalError", "IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"):
        assert issubclass(getattr(calf, name), calf.DatabaseError)
        assert getattr(calf.Connection, name) is getattr(calf, name)


def test_module_level_connect_opens_a_database_that_ends_with_the_connection():
    connection = calf.connect()
    assert connection.execute("select 1").fetchone() == (1,)
    connection.close()
    assert connection.closed
    with pytest.raises(calf.InterfaceError):
        connection.cursor()


def test_nothing_is_stored_without_commit(database, connection):
    connection.execute("create table kept (n int)")
    connection.commit()
    connection.execute("insert into kept values (1)")
    connection.rollback()
    connection.execute("insert into kept values (2)")
    connection.commit()
    assert connection.execute("select n from kept").fetchall() == [(2,)]


def test_commit_and_rollback_without_a_transaction_do_nothing(connection):
    connection.commit()
    connection.rollback()
    assert connection.transaction_status == "idle"


def test_a_connection_block_commits_and_rolls_back_after_an_exception(database):
    with database.connect() as connection:
        connection.execute("create table block (n int)")
    with pytest.raises(ZeroDivisionError), database.connect() as connection:
        connection.execute("insert into block values (1)")
        raise ZeroDivisionError
    assert connection.closed
    with database.connect() as connection:
        assert connection.execute("select count(*) from block").fetchone() == (0,)
        connection.execute("drop table block")


def test_description_tells_names_types_and_sizes(connection):
    cursor = connection.execute("select 1::int4 as a, 'x'::varchar(7) as b, 1.25::numeric(9, 2) as c, now()")
    names = [column[0] for column in cursor.description]
    assert names == ["a", "b", "c", "now"]
    a, b, c, now = cursor.description
    assert all(len(column) == 7 for column in cursor.description)
    assert a.type_code == calf.NUMBER and b.type_code == calf.STRING and now.type_code == calf.DATETIME
    assert a.type_code != calf.STRING
    assert (a.internal_size, b.internal_size, c.precision, c.scale) == (4, 7, 9, 2)


def test_description_is_none_without_rows(connection):
    cursor = connection.cursor()
    assert cursor.description is None and cursor.rowcount == -1
    cursor.execute("create table without_rows (n int)")
    assert cursor.description is None
    with pytest.raises(calf.ProgrammingError):
        cursor.fetchone()


def test_fetching_without_a_result_is_an_error(connection):
    cursor = connection.cursor()
    for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
        with pytest.raises(calf.Error):
            fetch()


def test_rowcount(connection):
    cursor = connection.execute("create table counted (n int)")
    assert cursor.execute("insert into counted select generate_series(1, 7)").rowcount == 7
    assert cursor.execute("update counted set n = 0 where n > 5").rowcount == 2
    assert cursor.execute("select * from counted").rowcount == 7
    assert cursor.execute("delete from counted where n = 99").rowcount == 0


def test_fetchone_fetchmany_fetchall_share_a_position(connection):
    cursor = connection.execute("select generate_series(1, 10)")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany() == [(2,)]
    cursor.arraysize = 3
    assert cursor.fetchmany() == [(3,), (4,), (5,)]
    assert cursor.fetchmany(2) == [(6,), (7,)]
    assert cursor.rownumber == 7
    assert cursor.fetchall() == [(8,), (9,), (10,)]
    assert cursor.fetchone() is None and cursor.fetchmany(5) == [] and cursor.fetchall() == []


def test_scroll_and_iteration(connection):
    cursor = connection.execute("select generate_series(1, 5)")
    cursor.scroll(3)
    assert next(cursor) == (4,)
    cursor.scroll(0, "absolute")
    assert [row[0] for row in cursor] == [1, 2, 3, 4, 5]
    with pytest.raises(IndexError):
        cursor.scroll(99)
    with pytest.raises(IndexError):
        cursor.scroll(-1, "absolute")


def test_executemany_counts_and_stores(connection):
    cursor = connection.execute("create table many (n int, t text)")
    cursor.executemany("insert into many values (%s, %s)", [(i, None if i % 2 else str(i)) for i in range(1300)])
    assert cursor.rowcount == 1300
    assert connection.execute("select count(*), count(t), sum(n) from many").fetchone() == (1300, 650, 1300 * 1299 // 2)
    cursor.executemany("insert into many values (%(n)s, %(t)s)", ({"n": i, "t": "x"} for i in range(3)))
    assert cursor.rowcount == 3
    cursor.executemany("insert into many values (%s, 'y')", [])
    assert cursor.rowcount == 0


def test_executemany_with_returning_keeps_the_results(connection):
    cursor = connection.execute("create table ids (id serial, n int)")
    cursor.executemany("insert into ids (n) values (%s) returning id, n", [(7,), (8,), (9,)], returning=True)
    seen = [cursor.fetchone()]
    while cursor.nextset():
        seen.append(cursor.fetchone())
    assert seen == [(1, 7), (2, 8), (3, 9)] and cursor.rowcount == 3


def failing_rows(kind):
    for i in range(1700):
        if i == 1600:
            if kind == "generator":
                raise KeyError("from the generator")
            yield (object(),) if kind == "adapter" else (1,)
        yield (i,)


@pytest.mark.parametrize("kind, error", [("generator", KeyError), ("adapter", calf.ProgrammingError), ("server", calf.IntegrityError)])
def test_executemany_stores_nothing_when_one_set_fails(auto, kind, error):
    auto.execute("create table unique_numbers (n int primary key)")
    with pytest.raises(error):
        auto.cursor().executemany("insert into unique_numbers values (%s)", failing_rows(kind))
    assert auto.transaction_status == "idle"
    assert auto.execute("select count(*) from unique_numbers").fetchone() == (0,)


def test_callproc_calls_a_function_and_returns_its_parameters(connection):
    connection.execute("create function twice(n int) returns int language sql as 'select 2 * n'")
    cursor = connection.cursor()
    assert cursor.callproc("twice", [21]) == [21]
    assert cursor.fetchall() == [(42,)]
    with pytest.raises(calf.errors.UndefinedFunction):
        cursor.callproc('twice(1); drop function twice; --')


def test_nextset_goes_through_the_results_of_several_statements(connection):
    cursor = connection.execute("select 1; create temp table between_them (n int); select 2, 3")
    assert cursor.fetchall() == [(1,)]
    assert cursor.nextset() is True and cursor.description is None
    assert cursor.nextset() is True and cursor.fetchall() == [(2, 3)]
    assert cursor.nextset() is None


def test_setinputsizes_and_setoutputsize_may_be_called(connection):
    cursor = connection.cursor()
    cursor.setinputsizes([25])
    cursor.setoutputsize(1000, 0)
    assert cursor.execute("select %s", ("x",)).fetchone() == ("x",)


def test_placeholders(connection):
    execute = connection.execute
    assert execute("select %s, %s", ("a", 1)).fetchone() == ("a", 1)
    assert execute("select %s, %s", ["a", 1]).fetchone() == ("a", 1)
    assert execute("select %(x)s, %(y)s, %(x)s", {"x": "a", "y": 2, "unused": 3}).fetchone() == ("a", 2, "a")
    assert execute("select '100%%', %s", (1,)).fetchone() == ("100%", 1)
    assert execute("select '100%'").fetchone() == ("100%",)
    assert execute("select '100%%'").fetchone() == ("100%%",)
    assert execute("select '100%%'", ()).fetchone() == ("100%",)


@pytest.mark.parametrize(
    "query, params, error",
    [
        ("select %s", (), calf.ProgrammingError),
        ("select %s", (1, 2), calf.ProgrammingError),
        ("select %s", {"a": 1}, TypeError),
        ("select %(a)s", (1,), TypeError),
        ("select %(a)s", {"b": 1}, calf.ProgrammingError),
        ("select %(a)s, %s", {"a": 1}, calf.ProgrammingError),
        ("select %(a", {"a": 1}, calf.ProgrammingError),
        ("select 5 % 3", (1,), calf.ProgrammingError),
        ("select %s", "x", TypeError),
        ("select %s", 7, TypeError),
        ("select '\0'", None, calf.ProgrammingError),
        ("select %s", ("a\0b",), calf.DataError),
        ("select %s", ((1, 2),), calf.ProgrammingError),
        ("select %s", (object(),), calf.ProgrammingError),
        (b"select 1", None, TypeError),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_sent(connection, query, params, error):
    with pytest.raises(error):
        connection.execute(query, params)
    assert connection.transaction_status == "idle"
    assert connection.execute("select 1").fetchone() == (1,)


def test_errors_carry_the_whole_report(connection):
    connection.execute("create table reported (id int primary key, n int not null check (n > 0))")
    connection.execute("insert into reported values (1, 1)")
    connection.commit()
    with pytest.raises(calf.IntegrityError) as caught:
        connection.execute("insert into reported values (%s, 2)", (1,))
    error = caught.value
    assert isinstance(error, calf.errors.UniqueViolation)
    assert (error.sqlstate, error.severity, error.constraint_name, error.table_name) == ("23505", "ERROR", "reported_pkey", "reported")
    assert error.detail == "Key (id)=(1) already exists." and error.schema_name and "DETAIL:" in str(error)
    with pytest.raises(calf.errors.InFailedTransaction):
        connection.execute("select 1")
    connection.rollback()
    with pytest.raises(calf.errors.NotNullViolation) as caught:
        connection.execute("insert into reported values (2, null)")
    assert caught.value.column_name == "n"
    connection.rollback()
    with pytest.raises(calf.errors.SqlSyntaxError) as caught:
        connection.execute("select 1 +")
    assert caught.value.position == 11
    connection.rollback()
    with pytest.raises(calf.errors.UndefinedFunction) as caught:
        connection.execute("select sqrtt(%s)", (1,))
    assert caught.value.hint


@pytest.mark.parametrize(
    "statement, error",
    [
        ("select 1/0", calf.DataError),
        ("select * from nowhere", calf.errors.UndefinedTable),
        ("do $$ begin raise exception using errcode = '40001'; end $$", calf.errors.SerializationFailure),
        ("do $$ begin raise exception using errcode = '0A123'; end $$", calf.NotSupportedError),
        ("do $$ begin raise exception using errcode = 'ZZ999'; end $$", calf.DatabaseError),
        ("do $$ begin raise exception 'mine'; end $$", calf.ProgrammingError),
    ],
)
def test_sqlstates_choose_the_exception(auto, statement, error):
    with pytest.raises(calf.DatabaseError) as caught:
        auto.execute(statement)
    assert type(caught.value) is error


def test_closed_cursors_and_connections_refuse(database):
    connection = database.connect()
    cursor = connection.execute("select 1")
    cursor.close()
    for call in (lambda: cursor.execute("select 1"), cursor.fetchone, lambda: cursor.executemany("select %s", [(1,)])):
        with pytest.raises(calf.InterfaceError):
            call()
    connection.close()
    connection.close()
    for call in (connection.cursor, connection.commit, connection.rollback, lambda: connection.execute("select 1")):
        with pytest.raises(calf.InterfaceError):
            call()


def test_constructors():
    assert calf.Date(2024, 2, 29).isoformat() == "2024-02-29"
    assert calf.Time(1, 2, 3).isoformat() == "01:02:03"
    assert calf.Timestamp(2024, 2, 29, 1, 2, 3).isoformat() == "2024-02-29T01:02:03"
    ticks = 1_700_000_000
    local = time.localtime(ticks)
    assert calf.DateFromTicks(ticks).timetuple()[:3] == local[:3]
    assert calf.TimeFromTicks(ticks).hour == local.tm_hour
    assert calf.TimestampFromTicks(ticks).timestamp() == ticks
    assert calf.Binary(b"x") == b"x"
    assert calf.STRING != calf.NUMBER and calf.ROWID == 26 and hash(calf.BINARY) == hash(calf.BINARY)


def test_rows_as_dicts_and_named_tuples(connection):
    connection.row_factory = calf.dict_row
    assert connection.execute("select 1 as a, 'x' as b").fetchall() == [{"a": 1, "b": "x"}]
    cursor = connection.cursor(row_factory=calf.namedtuple_row)
    row = cursor.execute("select 1 as a, 2 as class, 3").fetchone()
    assert row.a == 1 and row == (1, 2, 3)
    assert list(connection.cursor(row_factory=calf.tuple_row).execute("select 1")) == [(1,)]
