"""Other drivers and ORMs, by connection_url."""

import asyncio
import os
import stat
import subprocess
import sys
import textwrap

import asyncpg
import calf
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import JSONB


@pytest.mark.parametrize("tcp", [False, True])
def test_psycopg(database, tcp):
    with psycopg.connect(database.connection_url(tcp=tcp)) as connection:
        assert connection.execute("select %s + 1", (41,)).fetchone() == (42,)
    with psycopg.connect(**database.connection_parameters(tcp=tcp)) as connection:
        assert connection.execute("select current_user").fetchone() == ("postgres",)


def test_the_socket_is_private_and_goes_away():
    database = calf.open()
    directory = database.connection_parameters()["host"]
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert database.connection_url() == database.connection_url()
    database.close()
    assert not os.path.exists(directory)


def test_urls_name_the_database_user_and_password():
    with calf.open(user="ada l", database="e/d", password="p@:/ss", auth="scram-sha-256") as database:
        for tcp in (False, True):
            with psycopg.connect(database.connection_url(tcp=tcp)) as connection:
                assert connection.execute("select current_user, current_database()").fetchone() == ("ada l", "e/d")
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(**database.connection_parameters(tcp=tcp) | {"password": "wrong"})
        assert "/postgres" in database.connection_url("postgres")


def test_asyncpg(database):
    async def main():
        connection = await asyncpg.connect(database.connection_url())
        assert await connection.fetchval("select $1::int + 1", 41) == 42
        await connection.close()

    asyncio.run(main())


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    tags: orm.Mapped[list[str]] = orm.mapped_column(sa.ARRAY(sa.Text), default=list)
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id"))
    title: orm.Mapped[str]
    extra: orm.Mapped[dict] = orm.mapped_column(JSONB, default=dict)
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


def test_sqlalchemy_with_psycopg(database):
    with database.connect(database="postgres", autocommit=True) as connection:
        connection.execute("create database orm")
    engine = sa.create_engine(database.connection_url("orm", driver="psycopg"), pool_size=3)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        ada = Author(name="Ada", tags=["math", "verse"], books=[Book(title="Notes", extra={"pages": 65})])
        session.add(ada)
        session.commit()
        session.add(Author(name="Ada"))
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()
    with orm.Session(engine) as session:
        found = session.scalars(sa.select(Book).join(Author).where(sa.literal("verse") == sa.any_(Author.tags))).one()
        assert (found.title, found.extra, found.author.name) == ("Notes", {"pages": 65}, "Ada")
        session.delete(found.author)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 0
    assert set(sa.inspect(engine).get_table_names()) == {"author", "book"}
    engine.dispose()


DJANGO = """
import datetime, decimal, sys, types
import calf, django
from django.conf import settings
from django.core.management import call_command

with calf.open() as database:
    p = database.connection_parameters()
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": p["dbname"], "USER": p["user"],
                               "HOST": p["host"], "PORT": p["port"]}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
    )
    django.setup()
    call_command("makemigrations", "shop", verbosity=0)
    call_command("migrate", verbosity=0)

    from django.contrib.auth.models import User
    from django.db import IntegrityError, connection, transaction
    from shop.models import Item

    User.objects.create_user("ada", password="x")
    assert User.objects.get(username="ada").check_password("x")
    for n in range(20):
        Item.objects.create(name=f"item {n}", price=decimal.Decimal(n) / 4, data={"n": n})
    assert Item.objects.filter(data__n__gte=10, price__lt=4).count() == 6
    Item.objects.filter(name="item 3").update(price=1)
    try:
        with transaction.atomic():
            Item.objects.create(name="item 1", price=1)
    except IntegrityError:
        print("unique")
    with transaction.atomic():
        item = Item.objects.select_for_update().get(name="item 3")
    assert item.price == 1 and item.made.tzinfo is not None
    item.delete()
    assert Item.objects.count() == 19
    assert list(Item.objects.order_by("-price").values_list("name", flat=True)[:2]) == ["item 19", "item 18"]
    call_command("migrate", "shop", "zero", verbosity=0)
    assert "shop_item" not in connection.introspection.table_names()
    connection.close()
print("done")
"""

MODELS = """
from django.db import models

class Item(models.Model):
    name = models.CharField(max_length=50, unique=True)
    price = models.DecimalField(max_digits=9, decimal_places=2)
    data = models.JSONField(default=dict)
    made = models.DateTimeField(auto_now_add=True)
    class Meta:
        indexes = [models.Index(fields=["price"])]
        constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name="not_negative")]
"""


def test_django_migrates_and_works(tmp_path):
    shop = tmp_path / "shop"
    (shop / "migrations").mkdir(parents=True)
    for name in ("__init__.py", "migrations/__init__.py"):
        (shop / name).touch()
    (shop / "models.py").write_text(textwrap.dedent(MODELS))
    done = subprocess.run([sys.executable, "-c", DJANGO], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "unique\ndone\n"), done.stderr
