"""A prepared select by key from Python, as programs do it: execute and fetchone in a loop. Prints {"mean_us": …}.

    python_client.py calf|calf-asyncio SECONDS            the package `calf`, its database in this process
    python_client.py psycopg|asyncpg SECONDS CONNINFO     another driver, on a server that has bench_kv

bench.py runs it, with the package on PYTHONPATH."""

import asyncio
import json
import sys
import time

QUERY = "select payload from bench_kv where id = {}"
ROWS = 100_000
SETUP = [
    "create table bench_kv (id int primary key, payload text)",
    f"insert into bench_kv select i, md5(i::text) from generate_series(1, {ROWS}) i",
    "vacuum analyze bench_kv",
]
WARM_UP = 1000
BATCH = 500  # statements between two looks at the clock


def key(number: int) -> int:
    return number * 7919 % ROWS + 1


def measure(cursor, seconds: float) -> float:
    query = QUERY.format("%s")

    def run(begin: int, count: int) -> None:
        for number in range(begin, begin + count):
            cursor.execute(query, (key(number),))
            assert cursor.fetchone()

    run(0, WARM_UP)
    done, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        run(done, BATCH)
        done += BATCH
    return passed / done * 1e6


async def measure_async(fetch, seconds: float) -> float:
    async def run(begin: int, count: int) -> None:
        for number in range(begin, begin + count):
            assert await fetch(key(number))

    await run(0, WARM_UP)
    done, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        await run(done, BATCH)
        done += BATCH
    return passed / done * 1e6


def with_calf(seconds: float) -> float:
    import calf

    with calf.open() as database, database.connect(autocommit=True) as connection:
        for statement in SETUP:
            connection.execute(statement)
        return measure(connection.cursor(), seconds)


def with_psycopg(seconds: float, conninfo: str) -> float:
    import psycopg

    assert psycopg.pq.__impl__ == "binary", "psycopg's fast implementation is missing"
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=0) as connection:
        return measure(connection.cursor(), seconds)


async def with_calf_asyncio(seconds: float) -> float:
    import calf

    async with await calf.open_async() as database, await database.connect(autocommit=True) as connection:
        for statement in SETUP:
            await connection.execute(statement)
        cursor, query = connection.cursor(), QUERY.format("%s")

        async def fetch(number: int):
            await cursor.execute(query, (number,))
            return await cursor.fetchone()

        return await measure_async(fetch, seconds)


async def with_asyncpg(seconds: float, conninfo: str) -> float:
    import asyncpg

    options = dict(pair.split("=", 1) for pair in conninfo.split())
    connection = await asyncpg.connect(
        host=options["host"], port=int(options["port"]), user=options["user"], database=options["dbname"]
    )
    try:
        statement = await connection.prepare(QUERY.format("$1"))
        return await measure_async(statement.fetchrow, seconds)
    finally:
        await connection.close()


def main() -> None:
    kind, seconds, *rest = sys.argv[1:]
    blocking = {"calf": with_calf, "psycopg": with_psycopg}
    awaiting = {"calf-asyncio": with_calf_asyncio, "asyncpg": with_asyncpg}
    if kind in blocking:
        mean_us = blocking[kind](float(seconds), *rest)
    else:
        mean_us = asyncio.run(awaiting[kind](float(seconds), *rest))
    print(json.dumps({"mean_us": mean_us}))


if __name__ == "__main__":
    main()
