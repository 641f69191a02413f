"""Databases: opening, closing, directories, several at once, fork, exit, memory."""

import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import calf
import pytest


def test_options(tmp_path):
    lines = []
    with calf.open(
        user="ada",
        database="engines",
        extensions=["vector", "pg_trgm"],
        settings={"work_mem": "7MB", "jit": False, "log_statement": "all"},
        log=lines.append,
    ) as database:
        with database.connect() as connection:
            row = connection.execute("select current_user, current_database(), current_setting('work_mem')").fetchone()
            assert row == ("ada", "engines", "7MB")
            assert connection.execute("select '[1,2]'::vector <-> '[1,4]'").fetchone() == (2.0,)
            connection.execute("create role guest login")
            connection.execute("select 'seen in the log'")
        with database.connect(user="guest", settings={"application_name": "me"}) as guest:
            assert guest.execute("select current_user, current_setting('application_name')").fetchone() == ("guest", "me")
            with pytest.raises(calf.errors.InsufficientPrivilege):
                guest.execute("create role nope")
    assert any("seen in the log" in line for line in lines)


@pytest.mark.parametrize(
    "options, error",
    [
        ({"settings": {"no_such_setting": 1}}, calf.Error),
        ({"extensions": ["no_such_extension"]}, calf.Error),
        ({"location": "/proc/nowhere/data"}, calf.Error),
        ({"settings": {"shared_buffers": "all of it"}}, calf.Error),
    ],
)
def test_what_cannot_be_opened_is_an_error_that_says_why(options, error):
    with pytest.raises(error) as caught:
        calf.open(**options)
    assert caught.value.message and caught.value.sqlstate


def test_wrong_logins(database):
    with pytest.raises(calf.ProgrammingError) as caught:
        database.connect(database="nowhere")
    assert caught.value.sqlstate == "3D000"
    with pytest.raises(calf.OperationalError) as caught:
        database.connect(user="nobody")
    assert caught.value.sqlstate == "28000"
    with pytest.raises(calf.Error):
        database.connect(settings={"no_such_setting": "1"})


def test_a_directory_keeps_what_was_committed(tmp_path):
    for n in range(3):
        with calf.open(tmp_path / "data") as database, database.connect() as connection:
            connection.execute("create table if not exists kept (n int)")
            connection.execute("insert into kept values (%s)", (n,))
            assert connection.execute("select count(*) from kept").fetchone() == (n + 1,)


def test_a_snapshot_is_the_whole_database_in_a_file(tmp_path):
    file = tmp_path / "golden.calf"
    with calf.open() as database:
        with database.connect() as connection:
            connection.execute("create table kept as select 42 as n")
        database.save_snapshot(file)
        with pytest.raises(calf.Error, match="no such|No such"):
            database.save_snapshot(tmp_path / "no" / "such" / "file")
        with database.connect() as connection:
            connection.execute("drop table kept")
    for location in ("memory://", tmp_path / "copy"):
        with calf.open(location, snapshot=file) as copy, copy.connect() as connection:
            assert connection.execute("select n from kept").fetchone() == (42,)
    with pytest.raises(calf.Error, match="nothing"):
        calf.open(snapshot=tmp_path / "nothing")


def test_a_directory_is_open_once(tmp_path):
    with calf.open(tmp_path / "data"), pytest.raises(calf.Error, match="(?i)open|use"):
        calf.open(tmp_path / "data")


def test_databases_are_independent():
    with calf.open() as one, calf.open() as other:
        with one.connect() as connection:
            connection.execute("create table mine (n int)")
        with other.connect() as connection, pytest.raises(calf.errors.UndefinedTable):
            connection.execute("select * from mine")


def test_closing_a_database_ends_its_connections():
    database = calf.open()
    connection = database.connect(autocommit=True)
    failures = []

    def sleep():
        try:
            connection.execute("select pg_sleep(30)")
        except calf.Error as error:
            failures.append(error)

    thread = threading.Thread(target=sleep)
    thread.start()
    idle = database.connect()
    while connection.transaction_status == "idle" and connection._session.idle:
        pass
    database.close()
    database.close()
    thread.join(20)
    assert not thread.is_alive() and len(failures) == 1
    with pytest.raises(calf.Error):
        idle.execute("select 1")
    assert idle.closed
    with pytest.raises(calf.InterfaceError, match="closed"):
        database.connect()


def memory_kb():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def test_opening_and_closing_leaks_nothing():
    def once():
        with calf.open() as database:
            connections = [database.connect() for _ in range(2)]
            for connection in connections:
                connection.execute("create temp table t (n int)")
                connection.cursor().executemany("insert into t values (%s)", [(i,) for i in range(10)])
            connections[0].close()

    for _ in range(20):
        once()
    before, descriptors, threads = memory_kb(), len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(200):
        once()
    assert memory_kb() - before < 8 * 1024
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/task")) < 20


def test_statements_leak_nothing(database):
    def work(connection):
        for i in range(300):
            connection.execute("select %s, %s, %s::text[]", (i, "x" * 50, ["a", None])).fetchall()
            connection.execute(f"select {i}, now()").fetchone()
            with pytest.raises(calf.Error):
                connection.execute("select nothing")

    with database.connect(autocommit=True) as connection:
        for _ in range(3):
            work(connection)
        before = memory_kb()
        for _ in range(10):
            work(connection)
        assert memory_kb() - before < 4 * 1024


def in_child(database, connection, results):
    seen = []
    for call in (database.connect, lambda: connection.execute("select 1"), connection.cancel):
        try:
            call()
            seen.append("no error")
        except calf.InterfaceError as error:
            seen.append(str(error))
    connection.close()
    database.close()
    with calf.open() as own, own.connect() as fresh:
        seen.append(fresh.execute("select 42").fetchone()[0])
    results.put(seen)


def test_a_forked_child_gets_an_error_and_the_parent_goes_on(database):
    with database.connect(autocommit=True) as connection:
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        child = context.Process(target=in_child, args=(database, connection, results))
        child.start()
        seen = results.get(timeout=30)
        child.join(30)
        assert child.exitcode == 0
        assert all("before fork()" in text for text in seen[:3]) and seen[3] == 42
        assert connection.execute("select 1").fetchone() == (1,)


def python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=50, **options
    )


def test_python_may_exit_without_closing(tmp_path):
    done = python(
        f"""
        import calf, threading
        one, other = calf.open(), calf.open({str(tmp_path / "data")!r}, log=lambda line: None)
        connection = other.connect(autocommit=True)
        connection.execute("create table t (n int)")

        def sleep():
            try:
                one.connect().execute("select pg_sleep(60)")
            except calf.Error:
                pass

        threading.Thread(target=sleep, daemon=True).start()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = []
    with calf.open(tmp_path / "data", log=lines.append) as database, database.connect() as connection:
        assert connection.execute("select count(*) from t").fetchone() == (0,)
    assert not any("was not properly shut down" in line for line in lines)


def test_python_may_exit_while_threads_are_at_work():
    code = """
        import calf, os, threading, time
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # most of them wait for Python's lock at any time
        database = calf.open()

        def work():
            connection = database.connect(autocommit=True)
            while True:
                try:
                    connection.execute("select 1")
                except calf.Error:
                    pass

        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
        """
    for _ in range(5):
        done = python(code)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_child_may_exit_in_any_way():
    done = python(
        """
        import calf, os, sys
        database = calf.open()
        connection = database.connect()
        for leave in (lambda: os._exit(0), lambda: sys.exit(0)):
            child = os.fork()
            if child == 0:
                leave()
            assert os.waitpid(child, 0)[1] == 0
        print(connection.execute("select 1").fetchone())
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1,)\n", "")


def test_ctrl_c_cancels_the_statement():
    done = python(
        """
        import calf, os, signal, threading
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        with calf.open() as database, database.connect(autocommit=True) as connection:
            def interrupt():
                with database.connect(autocommit=True) as observer:
                    while not observer.execute("select 1 from pg_stat_activity where pid = %s and state = 'active'", (connection.pid,)).fetchone():
                        pass
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=interrupt).start()
            try:
                connection.execute("select pg_sleep(100)")
            except KeyboardInterrupt:
                print("interrupted", connection.execute("select 1").fetchone())
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted (1,)\n"), done.stderr
