"""Alembic on the server that PGHOST and PGPORT name: revisions up and down, and autogenerate, which must find no difference between
what is declared and what is there."""

import os
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

URL = f"postgresql+psycopg://postgres@{os.environ['PGHOST']}:{os.environ['PGPORT']}/postgres"
folder = Path(tempfile.mkdtemp())
engine = sa.create_engine(URL)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), index=True)
    level: Mapped[str] = mapped_column(sa.Enum("low", "high", name="level"), server_default="low")
    tags: Mapped[list] = mapped_column(pg.ARRAY(sa.Text), server_default="{}")
    extra: Mapped[dict] = mapped_column(pg.JSONB, nullable=True)
    made: Mapped[object] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (sa.UniqueConstraint("customer_id", "number", name="one_number"), sa.CheckConstraint("total >= 0", name="total_ok"),
                      sa.Index("big_orders", "total", postgresql_where=sa.text("total > 100")))
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id", ondelete="CASCADE"))
    number: Mapped[int]
    total: Mapped[object] = mapped_column(sa.Numeric(10, 2))
    key: Mapped[object] = mapped_column(sa.Uuid, nullable=True)
    customer: Mapped[Customer] = relationship(back_populates="orders")


config = Config(str(folder / "alembic.ini"))
config.set_main_option("script_location", str(folder / "alembic"))
config.set_main_option("sqlalchemy.url", URL)
(folder / "alembic" / "versions").mkdir(parents=True)
(folder / "alembic" / "script.py.mako").write_text('''
revision, down_revision, branch_labels, depends_on = ${repr(up_revision)}, ${repr(down_revision)}, None, None
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
def upgrade():
    ${upgrades if upgrades else "pass"}
def downgrade():
    ${downgrades if downgrades else "pass"}
''')
(folder / "alembic" / "env.py").write_text("""
from alembic import context
import sqlalchemy as sa
engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=context.config.attributes.get("metadata"), compare_type=True, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
""")
config.attributes["metadata"] = Base.metadata
command.revision(config, "all of it", autogenerate=True, rev_id="r1")
command.upgrade(config, "head")
with engine.connect() as connection:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    differences = compare_metadata(context, Base.metadata)
    assert differences == [], differences

with Session(engine) as session:
    ann = Customer(name="Ann", tags=["x", "y"], extra={"a": [1, 2]})
    ann.orders = [Order(number=n, total=n * 50) for n in range(1, 4)]
    session.add_all([ann, Customer(name="Ben", level="high")])
    session.commit()
    assert session.scalars(sa.select(Customer).where(Customer.level == "high")).one().name == "Ben"
    assert session.scalars(sa.select(Customer).where(Customer.tags.any("x"))).one() is ann
    assert session.scalar(sa.select(Customer.extra["a"][1].as_integer()).where(Customer.id == ann.id)) == 2
    rows = session.execute(sa.select(Customer.name, sa.func.sum(Order.total)).outerjoin(Order).group_by(Customer.name).order_by(Customer.name)).all()
    assert [(name, total and int(total)) for name, total in rows] == [("Ann", 300), ("Ben", None)], rows
    best = sa.select(Order.total).where(Order.customer_id == Customer.id).order_by(Order.total.desc()).limit(1).lateral("best")
    assert session.execute(sa.select(Customer.name, best.c.total).join(best, sa.true())).one().total == 150
    statement = pg.insert(Customer).values(id=ann.id, name="Ann II")
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": statement.excluded.name}))
    session.expire_all()
    assert ann.name == "Ann II"
    session.delete(ann)
    session.commit()
    assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 0

(folder / "alembic" / "versions" / "r2.py").write_text('''
revision, down_revision, branch_labels, depends_on = "r2", "r1", None, None
from alembic import op
import sqlalchemy as sa
def upgrade():
    op.add_column("customer", sa.Column("city", sa.String(30), server_default="here", nullable=False))
    op.alter_column("customer", "name", new_column_name="full_name", existing_type=sa.String(40))
    op.alter_column("orders", "number", type_=sa.BigInteger(), nullable=True)
    op.drop_constraint("one_number", "orders")
    op.create_foreign_key("self_fk", "customer", "customer", ["id"], ["id"])
    op.create_table("note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
    op.bulk_insert(sa.table("note", sa.column("text")), [{"text": "a"}, {"text": "b"}])
    op.rename_table("note", "remark")
    op.execute("alter type level add value 'middle' after 'low'")
def downgrade():
    op.drop_table("remark")
    op.drop_constraint("self_fk", "customer", type_="foreignkey")
    op.create_unique_constraint("one_number", "orders", ["customer_id", "number"])
    op.alter_column("orders", "number", type_=sa.Integer(), nullable=False)
    op.alter_column("customer", "full_name", new_column_name="name")
    op.drop_column("customer", "city")
''')
command.upgrade(config, "head")
inspector = sa.inspect(engine)
assert [c["name"] for c in inspector.get_columns("customer")][-1] == "city"
assert inspector.get_enums() == [{"name": "level", "schema": "public", "visible": True, "labels": ["low", "middle", "high"]}], inspector.get_enums()
command.downgrade(config, "r1")
with engine.connect() as connection:
    differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)
    assert differences == [], differences
meta = sa.MetaData()
meta.reflect(engine)
assert {t.name for t in meta.sorted_tables} == {"customer", "orders", "alembic_version"}
assert {c.name for c in meta.tables["orders"].constraints} >= {"one_number", "total_ok", "orders_pkey", "orders_customer_id_fkey"}
engine.dispose()
