"""A disk without space, for real: a small tmpfs. Statements end, the data stays, and space makes everything well."""

import os
import subprocess

import psycopg
import pytest

from harness.server import StartFailed
from harness.sessions import Session, eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")

SIZE_MB = 160
SETTINGS = {"max_wal_size": "32MB", "min_wal_size": "32MB", "shared_buffers": "16MB", "autovacuum": "off"}


@pytest.fixture
def small_disk(directory):
    """A file system of SIZE_MB."""
    path = directory / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=755", "tmpfs", str(path)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def free_mb(path) -> float:
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize / 2**20


def leave_free(path, megabytes: int):
    """Takes all space but this; the file that does."""
    ballast = path / "ballast"
    with open(ballast, "wb") as file:
        while (left := free_mb(path) - megabytes) > 0.1:
            file.write(b"x" * int(left * 2**20))
            file.flush()
    return ballast


def test_a_full_disk_ends_the_statement_and_nothing_else(own_server, small_disk):
    server = own_server(data=small_disk / "data", settings=SETTINGS)
    one, other = Session(server.connect()), Session(server.connect())
    # What is not logged takes no WAL: the table's own file meets the end of the disk.
    one.run("create table kept (n int)", "create unlogged table large (filler text)", "insert into kept values (1)")
    other.run("begin", "insert into kept values (2)")
    error = one.error("insert into large select repeat('x', 1000) from generate_series(1, 300000)")
    assert error.sqlstate == "53100", error
    assert "No space left on device" in str(error)
    other.run("commit")
    assert one.value("select count(*) from large") == 0
    one.run("drop table large", "checkpoint")
    eventually(lambda: free_mb(small_disk) > 30, what="the space is given back")
    one.run("insert into kept select generate_series(3, 1000)")
    assert other.value("select count(*) from kept") == 1000
    assert "PANIC" not in server.output()


def test_what_was_acknowledged_survives_a_full_disk_of_wal(own_server, small_disk):
    server = own_server(data=small_disk / "data", settings=SETTINGS | {"max_wal_size": "1GB", "checkpoint_timeout": "1h"})
    one = Session(server.connect())
    one.run("create table t (n int primary key, filler text)")
    ballast = leave_free(small_disk, 40)
    confirmed = 0
    with pytest.raises(psycopg.Error):
        while confirmed < 1000:
            first, last = confirmed * 1000, confirmed * 1000 + 999
            one.run(f"insert into t select i, repeat('x', 200) from generate_series({first}, {last}) i")
            confirmed += 1
    assert 0 < confirmed < 1000
    ballast.unlink()

    def back():
        """PostgreSQL stops when it cannot write WAL. It has come back by itself, or is started again."""
        if not server.alive():
            try:
                server.launch()
            except StartFailed:
                return None
        try:
            return Session(server.connect())
        except psycopg.OperationalError:
            return None

    one = eventually(back, 30, 0.2, "the server is back")
    # The last statement may have been under way.
    assert one.value("select count(*) from t") in (confirmed * 1000, (confirmed + 1) * 1000)
    one.run("create extension amcheck", "insert into t values (-1, '')")
    one.rows("select bt_index_check('t_pkey', true)")
    assert one.rows("select * from verify_heapam('t')") == []
