"""Scenarios for Python's drivers: `client.py psycopg|psycopg2|asyncpg|sqlalchemy`."""

import asyncio
import datetime
import decimal
import io
import json
import os
import sys
import threading
import time
import uuid

URL = os.environ["DATABASE_URL"]
NUMBER = decimal.Decimal("12345678901234567890.123456789")
MOMENT = datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=datetime.timezone.utc)
NAME = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
BYTES = bytes(range(256))
DOCUMENT = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
ARRAY = [1, None, 3]
TABLE = "create table typed (n numeric, t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, d date, o bool)"


def report(name, call):
    try:
        call()
        print(json.dumps({"test": name, "ok": True, "detail": ""}), flush=True)
    except Exception as error:
        print(json.dumps({"test": name, "ok": False, "detail": f"{type(error).__name__}: {error}"}), flush=True)


def same(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


def in_threads(count, work):
    errors = []

    def guarded(n):
        try:
            work(n)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert not errors, errors[0]


class Psycopg:
    """psycopg 3."""

    def __init__(self):
        import psycopg

        self.driver = psycopg
        self.connection = psycopg.connect(URL, autocommit=True)

    def typed_round_trip(self):
        from psycopg.types.json import Jsonb

        self.connection.execute(TABLE)
        row = (NUMBER, MOMENT, Jsonb(DOCUMENT), BYTES, NAME, ARRAY, None, 0.1, MOMENT.date(), True)
        for binary in (False, True):
            self.connection.execute("truncate typed")
            self.connection.execute("insert into typed values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
            got = self.connection.cursor(binary=binary).execute("select * from typed").fetchone()
            same(got, (NUMBER, MOMENT, DOCUMENT, BYTES, NAME, ARRAY, None, 0.1, MOMENT.date(), True))

    def prepared_statements(self):
        for n in range(100):
            same(self.connection.execute("select %s::int * 2", (n,), prepare=True).fetchone(), (n * 2,))
        same(self.connection.execute("select count(*) from pg_prepared_statements").fetchone(), (1,))

    def transaction_rollback(self):
        self.connection.execute("create table tx (n int)")
        with self.connection.transaction() as t:
            self.connection.execute("insert into tx values (1)")
            raise_rollback = self.driver.Rollback(t)
            raise raise_rollback
        with self.connection.transaction():
            self.connection.execute("insert into tx values (2)")
        same(self.connection.execute("select n from tx").fetchall(), [(2,)])

    def unique_violation(self):
        self.connection.execute("create table once (n int primary key)")
        self.connection.execute("insert into once values (1)")
        try:
            self.connection.execute("insert into once values (1)")
        except self.driver.errors.UniqueViolation as error:
            same((error.sqlstate, error.diag.constraint_name), ("23505", "once_pkey"))
        else:
            raise AssertionError("no error")
        same(self.connection.execute("select 1").fetchone(), (1,))

    def copy_in_out(self):
        self.connection.execute("create table copied (n int, x text)")
        with self.connection.cursor().copy("copy copied from stdin") as copy:
            for n in range(10000):
                copy.write_row((n, f"row {n}"))
        with self.connection.cursor().copy("copy copied to stdout") as copy:
            rows = list(copy.rows())
        same((len(rows), rows[-1]), (10000, ("9999", "row 9999")))

    def listen_notify(self):
        with self.driver.connect(URL, autocommit=True) as other:
            other.execute("listen ch")
            self.connection.execute("notify ch, 'hi'")
            same([n.payload for n in other.notifies(timeout=5, stop_after=1)], ["hi"])

    def cancel(self):
        timer = threading.Timer(0.3, lambda: self.connection.cancel_safe(timeout=5))
        timer.start()
        started = time.monotonic()
        try:
            self.connection.execute("select pg_sleep(30)")
        except self.driver.errors.QueryCanceled as error:
            same(error.sqlstate, "57014")
            assert time.monotonic() - started < 10
        else:
            raise AssertionError("not cancelled")

    def concurrent_sessions(self):
        self.connection.execute("create table counter (n int)")
        self.connection.execute("insert into counter values (0)")

        def work(_):
            with self.driver.connect(URL, autocommit=True) as mine:
                for _ in range(20):
                    mine.execute("update counter set n = n + 1")

        in_threads(8, work)
        same(self.connection.execute("select n from counter").fetchone(), (160,))

    def pipeline_batch(self):
        self.connection.execute("create table batch (n int)")
        with self.connection.pipeline():
            self.connection.cursor().executemany("insert into batch values (%s)", [(n,) for n in range(500)])
            cursor = self.connection.execute("select sum(n) from batch")
        same(cursor.fetchone(), (124750,))


class Psycopg2:
    def __init__(self):
        import psycopg2
        import psycopg2.extras

        psycopg2.extras.register_uuid()
        self.driver = psycopg2
        self.connection = psycopg2.connect(URL)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def rows(self, sql, parameters=None):
        self.cursor.execute(sql, parameters)
        return self.cursor.fetchall() if self.cursor.description else None

    def typed_round_trip(self):
        self.rows(TABLE)
        row = (NUMBER, MOMENT, json.dumps(DOCUMENT), BYTES, NAME, ARRAY, None, 0.1, MOMENT.date(), True)
        self.rows("insert into typed values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
        got = list(self.rows("select * from typed")[0])
        got[3] = bytes(got[3])
        same(tuple(got), (NUMBER, MOMENT, DOCUMENT, BYTES, NAME, ARRAY, None, 0.1, MOMENT.date(), True))

    def prepared_statements(self):
        self.rows("prepare p (int) as select $1 * 2")
        for n in range(100):
            same(self.rows("execute p (%s)", (n,)), [(n * 2,)])

    def transaction_rollback(self):
        self.rows("create table tx (n int)")
        self.connection.autocommit = False
        self.rows("insert into tx values (1)")
        self.connection.rollback()
        self.rows("insert into tx values (2)")
        self.connection.commit()
        self.connection.autocommit = True
        same(self.rows("select n from tx"), [(2,)])

    def unique_violation(self):
        self.rows("create table once (n int primary key)")
        self.rows("insert into once values (1)")
        try:
            self.rows("insert into once values (1)")
        except self.driver.errors.UniqueViolation as error:
            same(error.pgcode, "23505")
        else:
            raise AssertionError("no error")

    def copy_in_out(self):
        self.rows("create table copied (n int, x text)")
        lines = "".join(f"{n}\trow {n}\n" for n in range(10000))
        self.cursor.copy_expert("copy copied from stdin", io.StringIO(lines))
        out = io.StringIO()
        self.cursor.copy_expert("copy copied to stdout", out)
        same(out.getvalue(), lines)

    def listen_notify(self):
        import select

        other = self.driver.connect(URL)
        other.autocommit = True
        other.cursor().execute("listen ch")
        self.rows("notify ch, 'hi'")
        assert select.select([other], [], [], 5)[0], "nothing came"
        other.poll()
        same([n.payload for n in other.notifies], ["hi"])
        other.close()

    def cancel(self):
        threading.Timer(0.3, self.connection.cancel).start()
        try:
            self.rows("select pg_sleep(30)")
        except self.driver.extensions.QueryCanceledError as error:
            same(error.pgcode, "57014")
        else:
            raise AssertionError("not cancelled")

    def concurrent_sessions(self):
        self.rows("create table counter (n int)")
        self.rows("insert into counter values (0)")

        def work(_):
            mine = self.driver.connect(URL)
            for _ in range(20):
                with mine, mine.cursor() as cursor:
                    cursor.execute("update counter set n = n + 1")
            mine.close()

        in_threads(8, work)
        same(self.rows("select n from counter"), [(160,)])

    def pipeline_batch(self):
        from psycopg2.extras import execute_batch, execute_values

        self.rows("create table batch (n int)")
        execute_values(self.cursor, "insert into batch values %s", [(n,) for n in range(250)])
        execute_batch(self.cursor, "insert into batch values (%s)", [(n,) for n in range(250, 500)])
        same(self.rows("select sum(n) from batch"), [(124750,)])


class Asyncpg:
    def __init__(self):
        import asyncpg

        self.driver = asyncpg
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(asyncpg.connect(URL))

    def __getattribute__(self, name):
        method = object.__getattribute__(self, name)
        if asyncio.iscoroutinefunction(method):
            return lambda: self.loop.run_until_complete(asyncio.wait_for(method(), 60))
        return method

    async def typed_round_trip(self):
        await self.connection.execute(TABLE)
        row = (NUMBER, MOMENT, json.dumps(DOCUMENT), BYTES, NAME, ARRAY, None, 0.1, MOMENT.date(), True)
        await self.connection.execute("insert into typed values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", *row)
        got = list(await self.connection.fetchrow("select * from typed"))
        got[2] = json.loads(got[2])
        same(tuple(got), (NUMBER, MOMENT, DOCUMENT, BYTES, NAME, ARRAY, None, 0.1, MOMENT.date(), True))

    async def prepared_statements(self):
        statement = await self.connection.prepare("select $1::int * 2")
        for n in range(100):
            same(await statement.fetchval(n), n * 2)

    async def transaction_rollback(self):
        await self.connection.execute("create table tx (n int)")
        transaction = self.connection.transaction()
        await transaction.start()
        await self.connection.execute("insert into tx values (1)")
        await transaction.rollback()
        async with self.connection.transaction():
            await self.connection.execute("insert into tx values (2)")
        same(await self.connection.fetchval("select array_agg(n) from tx"), [2])

    async def unique_violation(self):
        await self.connection.execute("create table once (n int primary key); insert into once values (1)")
        try:
            await self.connection.execute("insert into once values ($1)", 1)
        except self.driver.UniqueViolationError as error:
            same(error.sqlstate, "23505")
        else:
            raise AssertionError("no error")

    async def copy_in_out(self):
        await self.connection.execute("create table copied (n int, x text)")
        rows = [(n, f"row {n}") for n in range(10000)]
        await self.connection.copy_records_to_table("copied", records=rows)
        out = io.BytesIO()
        await self.connection.copy_from_table("copied", output=out)
        same(out.getvalue().count(b"\n"), 10000)

    async def listen_notify(self):
        other = await self.driver.connect(URL)
        arrived = asyncio.get_running_loop().create_future()
        await other.add_listener("ch", lambda *a: arrived.set_result(a[3]))
        await self.connection.execute("notify ch, 'hi'")
        same(await asyncio.wait_for(arrived, 5), "hi")
        await other.close()

    async def cancel(self):
        try:
            await self.connection.execute("select pg_sleep(30)", timeout=0.3)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("not cancelled")
        same(await self.connection.fetchval("select 1"), 1)

    async def concurrent_sessions(self):
        await self.connection.execute("create table counter (n int); insert into counter values (0)")
        pool = await self.driver.create_pool(URL, min_size=8, max_size=8)

        async def work():
            for _ in range(20):
                async with pool.acquire() as mine:
                    await mine.execute("update counter set n = n + 1")

        await asyncio.gather(*(work() for _ in range(8)))
        same(await self.connection.fetchval("select n from counter"), 160)
        await pool.close()

    async def pipeline_batch(self):
        await self.connection.execute("create table batch (n int)")
        await self.connection.executemany("insert into batch values ($1)", [(n,) for n in range(500)])
        same(await self.connection.fetchval("select sum(n) from batch"), 124750)
        async with self.connection.transaction():
            cursor = await self.connection.cursor("select n from batch order by n")
            same([r[0] for r in await cursor.fetch(3)], [0, 1, 2])


class Sqlalchemy:
    """SQLAlchemy's ORM and reflection over psycopg 3: what it asks of the catalog."""

    def __init__(self):
        import sqlalchemy

        self.s = sqlalchemy
        self.engine = sqlalchemy.create_engine(URL.replace("postgresql://", "postgresql+psycopg://"), pool_size=8)

    def typed_round_trip(self):
        s = self.s
        from sqlalchemy.dialects.postgresql import ARRAY as PgArray, JSONB, UUID

        meta = s.MetaData()
        table = s.Table(
            "typed", meta, s.Column("id", s.Integer, primary_key=True), s.Column("n", s.Numeric), s.Column("t", s.DateTime(timezone=True)),
            s.Column("j", JSONB), s.Column("b", s.LargeBinary), s.Column("u", UUID), s.Column("a", PgArray(s.Integer)), s.Column("x", s.Text),
        )  # fmt: skip
        meta.create_all(self.engine)
        with self.engine.begin() as c:
            c.execute(table.insert(), {"n": NUMBER, "t": MOMENT, "j": DOCUMENT, "b": BYTES, "u": NAME, "a": ARRAY, "x": None})
            got = c.execute(s.select(table)).one()
            same(tuple(got)[1:], (NUMBER, MOMENT, DOCUMENT, BYTES, NAME, ARRAY, None))
        reflected = s.MetaData()
        reflected.reflect(self.engine)
        same([c.name for c in reflected.tables["typed"].columns], ["id", "n", "t", "j", "b", "u", "a", "x"])
        inspector = s.inspect(self.engine)
        same(inspector.get_pk_constraint("typed")["constrained_columns"], ["id"])
        meta.drop_all(self.engine)

    def prepared_statements(self):
        with self.engine.connect() as c:
            for n in range(100):
                same(c.execute(self.s.text("select :n * 2"), {"n": n}).scalar_one(), n * 2)

    def transaction_rollback(self):
        text = self.s.text
        with self.engine.begin() as c:
            c.execute(text("create table tx (n int)"))
        with self.engine.connect() as c:
            c.execute(text("insert into tx values (1)"))
            c.rollback()
            with c.begin_nested():
                c.execute(text("insert into tx values (2)"))
            c.commit()
            same(c.execute(text("select array_agg(n) from tx")).scalar_one(), [2])

    def unique_violation(self):
        text = self.s.text
        with self.engine.begin() as c:
            c.execute(text("create table once (n int primary key)"))
        try:
            with self.engine.begin() as c:
                c.execute(text("insert into once values (1), (1)"))
        except self.s.exc.IntegrityError as error:
            same(error.orig.sqlstate, "23505")
        else:
            raise AssertionError("no error")

    def concurrent_sessions(self):
        text = self.s.text
        with self.engine.begin() as c:
            c.execute(text("create table counter (n int)"))
            c.execute(text("insert into counter values (0)"))

        def work(_):
            for _ in range(20):
                with self.engine.begin() as c:
                    c.execute(text("update counter set n = n + 1"))

        in_threads(8, work)
        with self.engine.connect() as c:
            same(c.execute(text("select n from counter")).scalar_one(), 160)

    def pipeline_batch(self):
        s = self.s
        from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

        class Base(DeclarativeBase):
            pass

        class Thing(Base):
            __tablename__ = "thing"
            id: Mapped[int] = mapped_column(primary_key=True)
            n: Mapped[int]

        Base.metadata.create_all(self.engine)
        with Session(self.engine) as session:
            session.add_all(Thing(n=n) for n in range(500))
            session.commit()
            same(session.scalar(s.select(s.func.sum(Thing.n))), 124750)
            same(session.scalars(s.select(Thing.id).order_by(Thing.id)).all(), list(range(1, 501)))


SCENARIOS = (
    "typed_round_trip prepared_statements transaction_rollback unique_violation copy_in_out listen_notify cancel"
    " concurrent_sessions pipeline_batch"
).split()

if __name__ == "__main__":
    client = {"psycopg": Psycopg, "psycopg2": Psycopg2, "asyncpg": Asyncpg, "sqlalchemy": Sqlalchemy}[sys.argv[1]]()
    for scenario in SCENARIOS:
        if hasattr(type(client), scenario):
            report(scenario, getattr(client, scenario))
