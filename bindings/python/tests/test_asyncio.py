"""calf.aio."""

import asyncio
import time

import calf
import pytest


def run(test):
    """Runs a coroutine function of (database, connection)."""

    async def main():
        async with await calf.open_async() as database, await database.connect(autocommit=True) as connection:
            await test(database, connection)

    asyncio.run(asyncio.wait_for(main(), 50))


def test_statements_rows_and_iteration():
    async def test(database, connection):
        cursor = await connection.execute("select g, %s from generate_series(1, 3) g", ("x",))
        assert await cursor.fetchone() == (1, "x")
        assert await cursor.fetchmany(1) == [(2, "x")]
        assert [row async for row in cursor] == [(3, "x")]
        assert cursor.rowcount == 3 and cursor.description[0].name == "g"
        with pytest.raises(calf.DataError):
            await connection.execute("select 1/0")
        assert await (await connection.execute("select 2")).fetchall() == [(2,)]

    run(test)


def test_transactions():
    async def test(database, connection):
        await connection.execute("create table t (n int)")
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("insert into t values (1)")
                raise ZeroDivisionError
        async with connection.transaction():
            await connection.execute("insert into t values (2)")
        async with await database.connect() as other:
            await other.execute("insert into t values (3)")
            await other.rollback()
            await other.execute("insert into t values (4)")
        assert await (await connection.execute("select n from t order by n")).fetchall() == [(2,), (4,)]

    run(test)


def test_the_loop_goes_on_while_statements_run():
    async def test(database, connection):
        others = [await database.connect(autocommit=True) for _ in range(4)]
        began = time.monotonic()
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticker = asyncio.create_task(tick())
        await asyncio.gather(*(each.execute("select pg_sleep(1)") for each in others))
        ticker.cancel()
        assert time.monotonic() - began < 4 and ticks > 20
        for each in others:
            await each.close()

    run(test)


def test_cancelling_a_task_cancels_its_statement():
    async def test(database, connection):
        await connection.execute("create table t (n int)")
        began = time.monotonic()
        task = asyncio.create_task(connection.execute("insert into t select 1 from pg_sleep(30)"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 10
        assert await (await connection.execute("select count(*) from t")).fetchone() == (0,)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.execute("select pg_sleep(30)")
        with pytest.raises(calf.QueryCanceled, match="timeout"):
            await connection.execute("select pg_sleep(30)", timeout=0.1)
        assert await (await connection.execute("select 1")).fetchone() == (1,)

    run(test)


def test_tasks_may_share_a_connection():
    async def test(database, connection):
        async def one(n):
            return (await (await connection.execute("select %s", (n,))).fetchone())[0]

        assert await asyncio.gather(*(one(n) for n in range(200))) == list(range(200))

    run(test)


def test_executemany_streams_and_copy():
    async def test(database, connection):
        await connection.execute("create table t (n int primary key, s text)")
        cursor = connection.cursor()
        await cursor.executemany("insert into t values (%s, %s)", ((i, "x") for i in range(1200)))
        assert cursor.rowcount == 1200
        with pytest.raises(calf.IntegrityError):
            await cursor.executemany("insert into t values (%s, %s)", ((10_000 - i, "x") for i in range(9000)))
        assert await (await connection.execute("select count(*) from t")).fetchone() == (1200,)
        assert sum([n async for n, _ in cursor.stream("select * from t", size=100)]) == 1200 * 1199 // 2
        async for _ in cursor.stream("select * from t", size=100):
            break
        async with cursor.copy("copy t from stdin") as copy:
            for i in range(2000, 40_000):
                await copy.write_row((i, "some text " * 10))
        assert cursor.rowcount == 38_000
        async with cursor.copy("copy t to stdout") as copy:
            assert sum([1 async for _ in copy.rows()]) == 39_200
        with pytest.raises(calf.DataError):
            async with cursor.copy("copy t from stdin") as copy:
                await copy.write(b"not a number\n")
        async with cursor.copy("copy (select generate_series(1, 100000)) to stdout") as copy:
            assert await copy.read() == b"1\n"
        assert await (await connection.execute("select 1")).fetchone() == (1,)

    run(test)


def test_a_stream_that_is_left_early_frees_the_connection():
    async def test(database, connection):
        rows = connection.cursor().stream("select generate_series(1, 1000)", size=10)
        assert await anext(rows) == (1,)
        with pytest.raises(calf.ProgrammingError, match="under way"):
            await connection.execute("select 1")
        await rows.aclose()
        slow = connection.cursor().stream("select pg_sleep(g) from generate_series(0, 30) g", size=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                async for _ in slow:
                    pass
        await slow.aclose()
        assert await (await connection.execute("select 1")).fetchone() == (1,)

    run(test)


def test_notifications_come_while_nothing_runs():
    async def test(database, connection):
        await connection.execute("listen news")
        async with await database.connect(autocommit=True) as other:
            asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(other.execute("notify news, 'one'")))
            came = [each async for each in connection.notifies(timeout=10, stop_after=1)]
            assert [each.payload for each in came] == ["one"]
            assert [each async for each in connection.notifies(timeout=0.05)] == []

    run(test)


def test_a_wrong_login_is_an_error():
    async def test(database, connection):
        with pytest.raises(calf.ProgrammingError) as caught:
            await database.connect(database="nowhere")
        assert caught.value.sqlstate == "3D000"

    run(test)


def test_large_parameters_and_results():
    async def test(database, connection):
        big = "z" * 3_000_000
        assert await (await connection.execute("select %s", (big,))).fetchone() == (big,)

    run(test)
