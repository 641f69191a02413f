import psycopg
import pytest


def test_the_table_is_empty(db):
    assert db.execute("select count(*) from users").fetchone() == (0,)


@pytest.mark.parametrize("attempt", range(3))
def test_a_user_is_committed_and_seen_by_this_test_only(db, attempt):
    assert db.execute("insert into users (name) values ('Ada') returning id").fetchone() == (1,)
    db.commit()
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("insert into users (name) values ('Ada')")
