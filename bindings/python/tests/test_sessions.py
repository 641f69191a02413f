"""Transactions, prepared statements, COPY, streams, notices, cancelling, threads."""

import logging
import threading
import time

import calf
import pytest


# --- Transactions -----------------------------------------------------------------------------------------------------


def test_transactions_nest_as_savepoints(connection):
    connection.execute("create table nested (n int)")
    connection.commit()
    with connection.transaction():
        connection.execute("insert into nested values (1)")
        with pytest.raises(calf.DataError), connection.transaction():
            connection.execute("insert into nested values (2)")
            connection.execute("select 1/0")
        with connection.transaction():
            connection.execute("insert into nested values (3)")
        with pytest.raises(calf.ProgrammingError):
            connection.commit()
    assert connection.transaction_status == "idle"
    assert connection.execute("select n from nested order by n").fetchall() == [(1,), (3,)]


def test_a_transaction_block_works_with_autocommit(auto):
    auto.execute("create table blocks (n int)")
    with pytest.raises(ZeroDivisionError), auto.transaction():
        auto.execute("insert into blocks values (1)")
        raise ZeroDivisionError
    assert auto.execute("select count(*) from blocks").fetchone() == (0,)


def test_isolation_and_read_only_hold_for_the_next_transactions(connection):
    connection.isolation_level = "serializable"
    connection.read_only = True
    assert connection.execute("show transaction_isolation").fetchone() == ("serializable",)
    with pytest.raises(calf.ProgrammingError):
        connection.isolation_level = None
    with pytest.raises(calf.InternalError) as caught:
        connection.execute("create table nope (n int)")
    assert caught.value.sqlstate == "25006"
    connection.rollback()
    with pytest.raises(calf.ProgrammingError):
        connection.isolation_level = "chaos; drop table x"


def test_sessions_see_each_other_only_after_commit(database, auto):
    auto.execute("create table seen (n int)")
    schema = auto.execute("select current_schema").fetchone()[0]
    with database.connect(settings={"search_path": schema}) as other:
        other.execute("insert into seen values (1)")
        assert auto.execute("select count(*) from seen").fetchone() == (0,)
        other.commit()
        assert auto.execute("select count(*) from seen").fetchone() == (1,)


# --- Prepared statements ----------------------------------------------------------------------------------------------


def prepared(connection):
    query = "select count(*) from pg_prepared_statements where name like 'calf%'"
    return connection.execute(query, prepare=False).fetchone()[0]


def test_statements_are_prepared_when_they_come_again(auto):
    auto.execute("select %s + 1", (1,))
    assert prepared(auto) == 0
    for _ in range(3):
        assert auto.execute("select %s + 1", (1,)).fetchone() == (2,)
    assert prepared(auto) == 1
    auto.execute("select %s + 2", (1,), prepare=True)
    assert prepared(auto) == 2
    auto.prepare_threshold = None
    for _ in range(3):
        auto.execute("select %s + 3", (1,))
    assert prepared(auto) == 2


def test_prepared_statements_are_bounded(auto):
    auto.prepared_max = 5
    for n in range(30):
        for _ in range(3):
            auto.execute(f"select {n}, %s::int", (n,))
    auto.execute("select 1, %s", (1,))  # what is to be closed goes out with the next one
    assert 1 <= prepared(auto) <= 6


def test_a_null_does_not_need_a_statement_of_its_own(auto):
    auto.execute("create table nulls (a int, b text)")
    for i in range(20):
        auto.execute("insert into nulls values (%s, %s)", (i if i % 2 == 0 else None, "x" if i % 3 else None))
    assert prepared(auto) <= 2
    assert auto.execute("select count(a), count(b) from nulls").fetchone() == (10, 13)


@pytest.mark.parametrize("values", [None, (5,)])
def test_prepared_statements_survive_changes_of_the_table(database, auto, values):
    auto.execute("create table changing (n int)")
    auto.execute("insert into changing values (5)")
    query = "select * from changing" + (" where n = %s" if values else "")
    for _ in range(3):
        assert auto.execute(query, values).fetchone() == (5,)
    schema = auto.execute("select current_schema").fetchone()[0]
    with database.connect(autocommit=True) as other:
        other.execute(f"alter table {schema}.changing add column t text default 'new'")
    cursor = auto.execute(query, values)
    assert cursor.fetchone() == (5, "new") and len(cursor.description) == 2
    auto.execute("alter table changing drop column t")
    assert auto.execute(query, values).fetchone() == (5,)
    auto.execute("deallocate all")
    assert auto.execute(query, values).fetchone() == (5,)
    auto.execute("discard all")
    assert auto.execute("select %s", (1,)).fetchone() == (1,)


def test_a_rolled_back_change_of_a_table_leaves_statements_usable(connection):
    connection.execute("create table rolled (n int)")
    connection.commit()
    for _ in range(2):
        connection.execute("alter table rolled add column t text")
        for _ in range(3):
            assert len(connection.execute("select * from rolled where n > %s", (0,)).description) == 2
        connection.rollback()
        for _ in range(3):
            assert len(connection.execute("select * from rolled where n > %s", (0,)).description) == 1
        connection.rollback()


def test_many_different_statements_are_forgotten_again(auto):
    for n in range(1500):
        assert auto.execute(f"select %s + {n}", (1,)).fetchone() == (n + 1,)
    assert prepared(auto) == 0
    long = "select '" + "x" * 100_000 + "' || %s"
    for _ in range(3):
        assert len(auto.execute(long, ("y",)).fetchone()[0]) == 100_001


# --- COPY and streams -------------------------------------------------------------------------------------------------


def test_copy_in_and_out(connection):
    connection.execute("create table copied (n int, t text, b bytea, d date)")
    cursor = connection.cursor()
    rows = [(i, None if i % 2 else f"tab\t{i}\n\\", bytes([i % 256]), "2024-02-29") for i in range(5000)]
    with cursor.copy("copy copied from stdin") as copy:
        for row in rows:
            copy.write_row(row)
    assert cursor.rowcount == 5000 and cursor.statusmessage == "COPY 5000"
    with cursor.copy("copy (select n, t from copied order by n) to stdout") as copy:
        assert list(copy.rows()) == [(str(n), t) for n, t, _, _ in rows]
    with cursor.copy("copy copied to stdout (format binary)") as copy:
        binary = b"".join(copy)
    assert binary.startswith(b"PGCOPY\n\xff\r\n\0")
    connection.execute("truncate copied")
    with cursor.copy("copy copied from stdin (format binary)") as copy:
        for at in range(0, len(binary), 1000):
            copy.write(binary[at : at + 1000])
    assert connection.execute("select count(*), max(n) from copied").fetchone() == (5000, 4999)


def test_a_failed_copy_stores_nothing_and_leaves_the_connection_usable(auto):
    auto.execute("create table refused (n int primary key)")
    cursor = auto.cursor()
    with pytest.raises(calf.DataError), cursor.copy("copy refused from stdin") as copy:
        copy.write("1\nnot a number\n")
    with pytest.raises(calf.IntegrityError), cursor.copy("copy refused from stdin") as copy:
        copy.write("1\n1\n")
    with pytest.raises(ZeroDivisionError), cursor.copy("copy refused from stdin") as copy:
        copy.write("7\n")
        raise ZeroDivisionError
    # Much more after the failure than fits into any buffer.
    with pytest.raises(calf.DataError), cursor.copy("copy refused from stdin") as copy:
        for _ in range(200):
            copy.write("x\n" * 10_000)
    assert auto.execute("select count(*) from refused").fetchone() == (0,)


@pytest.mark.parametrize("direction", ["from stdin", "to stdout"])
def test_a_session_that_ends_during_copy_is_not_taken_for_a_complete_one(database, auto, direction):
    auto.execute("create table cut (n int, t text)")
    auto.execute("insert into cut select g, repeat('x', 1000) from generate_series(1, 20000) g")
    schema = auto.execute("select current_schema").fetchone()[0]
    connection = database.connect(settings={"search_path": schema})
    with pytest.raises(calf.Error), connection.cursor().copy(f"copy cut {direction}") as copy:
        if direction == "from stdin":
            copy.write_row((1, "y"))
        else:
            copy.read()
        auto.execute("select pg_terminate_backend(%s, 5000)", (connection.pid,))
        while direction == "to stdout" and copy.read():
            pass
    assert connection.closed


def test_copy_may_be_left_early(auto):
    cursor = auto.cursor()
    with cursor.copy("copy (select generate_series(1, 1000000)) to stdout") as copy:
        assert copy.read() == b"1\n"
    assert auto.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("statement", ["select 1", "create temp table by_copy (n int)", "copy nowhere from stdin"])
def test_copy_refuses_other_statements(auto, statement):
    with pytest.raises(calf.ProgrammingError), auto.cursor().copy(statement):
        pass
    assert auto.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("direction", ["from stdin", "to stdout"])
def test_execute_refuses_copy(auto, direction):
    auto.execute("create table no_copy (n int)")
    for _ in range(4):  # by both protocols
        with pytest.raises(calf.Error, match="copy"):
            auto.execute(f"copy no_copy {direction}")
        with pytest.raises(calf.Error, match="copy"):
            auto.execute(f"copy no_copy {direction}", prepare=True)
    assert auto.execute("select 1").fetchone() == (1,)


def test_a_stream_has_all_rows_in_little_memory(auto):
    total = 0
    for n, text in auto.cursor().stream("select g, repeat('x', 1000) from generate_series(1, %s) g", (50_000,), size=500):
        total += n + len(text)
    assert total == 50_000 * 50_001 // 2 + 50_000 * 1000


def test_a_stream_may_be_left_early_and_keeps_the_connection_meanwhile(connection):
    rows = connection.cursor().stream("select generate_series(1, 100)", size=10)
    assert next(rows) == (1,)
    with pytest.raises(calf.ProgrammingError, match="under way"):
        connection.execute("select 1")
    rows.close()
    assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(calf.DataError):
        list(connection.cursor().stream("select 10 / (50 - g) from generate_series(1, 100) g", size=10))
    connection.rollback()
    with pytest.raises(calf.ProgrammingError):
        list(connection.cursor().stream("create table streamed (n int)"))


def test_cursors_on_the_server(connection):
    with connection.cursor('c"1%', scrollable=True) as cursor:
        cursor.execute("select g as n from generate_series(1, %s) g", (5000,))
        assert [column.name for column in cursor.description] == ["n"]
        assert cursor.fetchone() == (1,) and cursor.fetchmany(2) == [(2,), (3,)]
        assert sum(row[0] for row in cursor) == 5000 * 5001 // 2 - 6
        cursor.scroll(-10)
        assert cursor.fetchall() == [(n,) for n in range(4992, 5001)]
    assert connection.execute("select count(*) from pg_cursors").fetchone() == (0,)
    with pytest.raises(calf.Error):
        cursor.fetchone()


def test_results_larger_than_any_buffer(auto):
    rows = auto.execute("select g, repeat('y', 100000) from generate_series(1, 200) g").fetchall()
    assert len(rows) == 200 and all(len(text) == 100_000 for _, text in rows)
    big = "z" * 5_000_000
    assert auto.execute("select %s", (big,)).fetchone() == (big,)


# --- Notices and notifications ----------------------------------------------------------------------------------------


def test_notices_reach_their_handlers(auto, caplog):
    seen = []
    auto.add_notice_handler(lambda notice: 1 / 0)
    auto.add_notice_handler(seen.append)
    with caplog.at_level(logging.ERROR):
        auto.execute("do $$ begin raise warning 'look %', 7 using hint = 'here'; end $$")
    assert [(notice.severity, notice.message, notice.hint) for notice in seen] == [("WARNING", "look 7", "here")]
    assert "handler" in caplog.text
    auto.remove_notice_handler(seen.append)


def test_notifications(database, auto):
    handled = []
    auto.add_notify_handler(handled.append)
    auto.execute("listen news")
    with database.connect(autocommit=True) as other:
        other.execute("select pg_notify('news', n::text) from generate_series(1, 3) n")
        assert [each.payload for each in auto.notifies(timeout=5, stop_after=2)] == ["1", "2"]
        assert list(auto.notifies(timeout=0)) == [calf.Notification("news", "3", other.pid)]
        threading.Timer(0.1, lambda: other.execute("notify news, 'later'")).start()
        began = time.monotonic()
        assert next(auto.notifies(timeout=10)).payload == "later"
        assert time.monotonic() - began < 5
    assert list(auto.notifies(timeout=0.05)) == []
    assert len(handled) == 4


# --- Cancelling and threads -------------------------------------------------------------------------------------------


def test_another_thread_cancels(database, auto):
    def cancel():
        with database.connect(autocommit=True) as observer:
            while not observer.execute("select 1 from pg_stat_activity where pid = %s and state = 'active'", (auto.pid,)).fetchone():
                time.sleep(0.01)
        auto.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(calf.QueryCanceled):
        auto.execute("select pg_sleep(100)")
    canceller.join()
    auto.cancel()
    assert auto.execute("select 1").fetchone() == (1,)


def test_a_timeout_cancels_the_statement_and_nothing_else(auto):
    with pytest.raises(calf.QueryCanceled, match="timeout"):
        auto.execute("select pg_sleep(30)", timeout=0.1)
    auto.timeout = 0.1
    with pytest.raises(calf.QueryCanceled):
        auto.execute("select count(*) from generate_series(1, 1000000000)")
    auto.timeout = 20
    assert auto.execute("select 1").fetchone() == (1,)


def test_a_lock_is_waited_for_and_the_wait_can_be_cut(database, auto):
    auto.execute("create table locked (n int)")
    schema = auto.execute("select current_schema").fetchone()[0]
    with database.connect() as holder:
        holder.execute(f"lock table {schema}.locked")
        with pytest.raises(calf.QueryCanceled):
            auto.execute("select * from locked", timeout=0.2)
        threading.Timer(0.2, holder.commit).start()
        assert auto.execute("select count(*) from locked", timeout=20).fetchone() == (0,)


def test_closing_from_another_thread_ends_the_statement(database):
    connection = database.connect()
    threading.Timer(0.2, connection.close).start()
    began = time.monotonic()
    with pytest.raises(calf.Error):
        connection.execute("select pg_sleep(30)")
    assert time.monotonic() - began < 10 and connection.closed


def test_threads_with_connections_of_their_own(database, auto):
    auto.execute("create table counters (id int primary key, n int)")
    auto.execute("insert into counters select g, 0 from generate_series(0, 7) g")
    schema = auto.execute("select current_schema").fetchone()[0]
    failures = []

    def work(number):
        try:
            with database.connect(settings={"search_path": schema}) as connection:
                for i in range(100):
                    connection.execute("update counters set n = n + 1 where id = %s", (number,))
                    assert connection.execute("select %s, %s", (number, str(i))).fetchone() == (number, str(i))
                    connection.commit()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert auto.execute("select n from counters").fetchall() == [(100,)] * 8


def test_threads_may_share_a_connection(auto):
    failures = []

    def work(number):
        try:
            for i in range(200):
                assert auto.execute("select %s, %s", (number, i)).fetchone() == (number, i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_other_threads_run_while_one_waits(auto):
    ticks = 0
    waiting = threading.Thread(target=lambda: auto.execute("select pg_sleep(0.5)"))
    waiting.start()
    while waiting.is_alive():
        ticks += 1
        time.sleep(0.001)
    assert ticks > 5
