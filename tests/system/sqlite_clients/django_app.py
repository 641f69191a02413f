"""Django on the server that PGHOST and PGPORT name: migrations forth and back, CRUD, inspectdb."""

import io
import os
import sys
import tempfile
from pathlib import Path

import django
from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command

folder = Path(tempfile.mkdtemp())
(folder / "shop").mkdir()
(folder / "shop" / "__init__.py").touch()
(folder / "shop" / "migrations").mkdir()
(folder / "shop" / "migrations" / "__init__.py").touch()
MODELS = '''
from django.db import models

class Author(models.Model):
    name = models.CharField(max_length=40, unique=True)
    born = models.DateField(null=True)

class Book(models.Model):
    class Kind(models.TextChoices):
        PAPER = "p"
        AUDIO = "a"
    title = models.CharField(max_length=80, db_index=True)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    price = models.DecimalField(max_digits=8, decimal_places=2)
    kind = models.CharField(max_length=1, choices=Kind.choices, default=Kind.PAPER)
    data = models.JSONField(default=dict)
    made = models.DateTimeField(auto_now_add=True)
    key = models.UUIDField(null=True)
    length = models.DurationField(null=True)
    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name="price_is_positive")]
        indexes = [models.Index(fields=["author", "-made"], name="by_author")]
'''
(folder / "shop" / "models.py").write_text(MODELS)
sys.path.insert(0, str(folder))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
                           "USER": "postgres", "NAME": "postgres"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shop"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)

import datetime  # noqa: E402
import decimal  # noqa: E402
import uuid  # noqa: E402

from django.contrib.auth.models import Group, User  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Coalesce, Lower, RowNumber, TruncMonth  # noqa: E402
from shop.models import Author, Book  # noqa: E402

# Create, read, update, delete.
ann = Author.objects.create(name="Ann", born=datetime.date(1970, 2, 3))
ben = Author.objects.create(name="Ben")
key = uuid.uuid4()
Book.objects.bulk_create([
    Book(title=f"Book {n}", author=ann if n % 2 else ben, price=decimal.Decimal("1.50") * n, data={"pages": n * 10, "tags": ["a", "b"]},
         key=key if n == 3 else None, length=datetime.timedelta(hours=n)) for n in range(1, 6)
])
assert Book.objects.count() == 5
book = Book.objects.select_related("author").get(key=key)
assert (book.title, book.author.name, book.price, book.length) == ("Book 3", "Ann", decimal.Decimal("4.50"), datetime.timedelta(hours=3))
assert Book.objects.filter(data__pages__gt=20).count() == 3
assert Book.objects.filter(data__pages=20).get().title == "Book 2"
assert Book.objects.filter(data__has_key="tags", data__contains={"pages": 30}).count() == 1
assert Book.objects.filter(title__icontains="BOOK", author__name__startswith="A").count() == 3
assert Book.objects.filter(title__regex=r"[45]$").count() == 2
assert Book.objects.filter(Q(price__lt=2) | Q(price__gt=7)).count() == 2
assert Book.objects.filter(made__year=datetime.datetime.now(datetime.UTC).year).count() == 5
assert Book.objects.filter(price=F("price") * 1).update(price=F("price") + 1) == 5
assert Book.objects.aggregate(s=Sum("price"), a=Avg("price")) == {"s": decimal.Decimal("27.50"), "a": decimal.Decimal("5.5")}
per_author = list(Author.objects.annotate(n=Count("books")).order_by("name").values_list("name", "n"))
assert per_author == [("Ann", 3), ("Ben", 2)], per_author
newest = Book.objects.filter(author=OuterRef("pk")).order_by("-price").values("title")[:1]
assert list(Author.objects.annotate(best=Subquery(newest)).order_by("id").values_list("best", flat=True)) == ["Book 5", "Book 4"]
assert Author.objects.filter(Exists(Book.objects.filter(author=OuterRef("pk"), price__gt=8))).get() == ann
numbered = Book.objects.annotate(n=Window(RowNumber(), partition_by=[F("author")], order_by=F("price").desc())).order_by("id")
assert [b.n for b in numbered] == [3, 2, 2, 1, 1]
assert Book.objects.annotate(month=TruncMonth("made")).values("month").annotate(n=Count("id")).get()["n"] == 5
assert Book.objects.annotate(l=Lower("title"), c=Coalesce("key", None)).order_by("l").first().l == "book 1"
assert list(Book.objects.values_list("title", flat=True).distinct().order_by("-title")[1:3]) == ["Book 4", "Book 3"]
assert [a.books.all()[0].title for a in Author.objects.prefetch_related("books").order_by("id")]
Book.objects.filter(title="Book 1").delete()
book.title = "Renamed"
book.save()
assert Book.objects.get(pk=book.pk).title == "Renamed"
again, made = Author.objects.update_or_create(name="Ben", defaults={"born": datetime.date(1980, 1, 1)})
assert not made and again.pk == ben.pk
Author.objects.bulk_create([Author(name="Ben"), Author(name="Cid")], ignore_conflicts=True)
Author.objects.bulk_create([Author(name="Cid", born="1990-05-05")], update_conflicts=True, unique_fields=["name"], update_fields=["born"])
assert Author.objects.get(name="Cid").born == datetime.date(1990, 5, 5)
try:
    with transaction.atomic():
        Author.objects.create(name="Ann")
    raise SystemExit("a duplicate was accepted")
except IntegrityError as error:
    assert "duplicate key" in str(error)
try:
    with transaction.atomic():
        Book.objects.create(title="x", author=ann, price=-1)
    raise SystemExit("the check did not hold")
except IntegrityError as error:
    assert "price_is_positive" in str(error)
with transaction.atomic():
    Author.objects.select_for_update().get(name="Ann")
    point = transaction.savepoint()
    Author.objects.create(name="Nobody")
    transaction.savepoint_rollback(point)
assert not Author.objects.filter(name="Nobody").exists()
user = User.objects.create_user("jo", password="pw")
user.groups.add(Group.objects.create(name="g"))
assert User.objects.filter(groups__name="g", is_active=True).get().check_password("pw")
ann.delete()
assert Book.objects.filter(author__name="Ann").count() == 0

# The next migration: add, change, rename, remove.
(folder / "shop" / "migrations" / "0002_next.py").write_text('''
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RenameField("author", "born", "birthday"),
        migrations.AddField("author", "email", models.EmailField(default="none@example.com", max_length=254)),
        migrations.AlterField("book", "title", models.CharField(max_length=120)),
        migrations.AlterField("book", "price", models.DecimalField(max_digits=10, decimal_places=3, null=True)),
        migrations.RemoveConstraint("book", "price_is_positive"),
        migrations.AddConstraint("book", models.UniqueConstraint(fields=["author", "title"], name="one_title")),
        migrations.AddConstraint("book", models.UniqueConstraint(fields=["key"], condition=models.Q(key__isnull=False), name="one_key")),
        migrations.CreateModel("Tag", [("id", models.BigAutoField(primary_key=True)), ("name", models.SlugField(unique=True)),
                                       ("books", models.ManyToManyField(to="shop.book"))]),
        migrations.RemoveField("book", "length"),
        migrations.RenameModel("Tag", "Label"),
        migrations.RunSQL("create index shop_lower on shop_author (lower(name))", "drop index shop_lower"),
    ]
''')
call_command("migrate", "shop", verbosity=0)
with connection.cursor() as cursor:
    tables = connection.introspection.table_names(cursor)
    assert {"shop_author", "shop_book", "shop_label", "shop_label_books"} <= set(tables)
    constraints = connection.introspection.get_constraints(cursor, "shop_book")
    assert constraints["one_title"]["unique"] and constraints["by_author"]["orders"] == ["ASC", "DESC"], constraints
    assert any(c["foreign_key"] == ("shop_author", "id") for c in constraints.values())
text = io.StringIO()
call_command("inspectdb", stdout=text)
assert "class ShopBook(models.Model)" in text.getvalue() and "author = models.ForeignKey(ShopAuthor" in text.getvalue(), text.getvalue()
assert "price = models.DecimalField(max_digits=10, decimal_places=3" in text.getvalue(), text.getvalue()
call_command("migrate", "shop", "0001", verbosity=0)
call_command("migrate", "shop", "zero", verbosity=0)
call_command("flush", interactive=False, verbosity=0)
assert User.objects.count() == 0
