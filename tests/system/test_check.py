"""`calf check`: finds what is wrong in a stopped cluster and says where; leaves a sound one alone."""

import fcntl
import json
import re
import subprocess

import pytest

from harness import places
from harness.sessions import Session

pytestmark = pytest.mark.calf_only

PAGE = 8192


def calf(*arguments, timeout_s: float = 50):
    return subprocess.run([str(places.CALF), *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s)


def sql(data, *statements) -> list[str]:
    done = calf("sql", data, "-At", *(part for s in statements for part in ("-c", s)))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def check(data, *options) -> tuple[int, dict]:
    done = calf("check", data, "--json", *options)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def data(directory):
    """A cluster with a table and its index, in a database of its own, stopped."""
    path = directory / "data"
    sql(path, "create database shop")
    done = calf("sql", path, "-d", "shop", "-c",
                "create table account (id int primary key, note text);"
                "insert into account select i, repeat('x', 200) from generate_series(1, 5000) i")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return path


def file_of(data, relation: str):
    done = calf("sql", data, "-d", "shop", "-At", "-c", f"select pg_relation_filepath('{relation}')")
    return done.stdout.strip()


def flip_bit(path, offset: int):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def problem(result: dict, **wanted) -> dict:
    for each in result["problems"]:
        if all(each.get(key) == value for key, value in wanted.items()):
            return each
    raise AssertionError(f"no problem with {wanted} in {result['problems']}")


def test_a_sound_cluster_passes_and_stays_as_it_is(data):
    before = sql(data, "select system_identifier from pg_control_system()")
    code, result = check(data)
    assert code == 0 and result["success"] and result["problems"] == []
    assert result["state"] == "shut down" and not result["recovered"] and result["page_checksums"]
    assert result["databases"] == 3 and result["pages"] > 2000 and result["tables"] > 200 and result["indexes"] > 300
    assert sql(data, "select system_identifier from pg_control_system()") == before
    # amcheck was not left behind.
    assert sql(data, "select count(*) from pg_extension where extname = 'amcheck'") == ["0"]
    words = calf("check", data)
    assert words.returncode == 0 and words.stdout.endswith("no problems found\n")


@pytest.mark.parametrize("relation", ["account", "account_pkey", "pg_description"])
def test_a_flipped_bit_is_found_with_file_block_and_relation(data, relation):
    file = file_of(data, relation)
    flip_bit(data / file, 2 * PAGE + 5000)
    code, result = check(data)
    assert code == 1 and not result["success"]
    found = problem(result, where="page", file=file, block=2)
    assert re.search(r"calculated checksum \d+ but expected \d+", found["message"])
    assert found["relation"].endswith("." + relation) and found["database"] == "shop"
    # PostgreSQL itself stumbles over it, too.
    assert any(each["where"] in ("table", "index") for each in result["problems"])
    words = calf("check", data).stdout
    assert f"{file} block 2 ({found['relation']} in database shop): page verification failed" in words


def test_a_file_cut_off_in_a_block(data):
    file = file_of(data, "account")
    with open(data / file, "r+b") as f:
        f.truncate(3 * PAGE + 100)
    code, result = check(data)
    assert code == 1
    assert "ends in the middle of a block" in problem(result, where="page", file=file, block=3)["message"]


def test_an_index_cut_off_between_blocks(data):
    file = file_of(data, "account_pkey")
    with open(data / file, "r+b") as f:
        f.truncate(4 * PAGE)
    code, result = check(data)
    assert code == 1
    assert problem(result, where="index", relation="public.account_pkey", database="shop")


def test_a_lost_row_of_an_index(data):
    """Every page is right by itself: only amcheck sees that the index lacks what the table has."""
    file = file_of(data, "account_pkey")
    kept = (data / file).read_bytes()
    sql_in_shop = ("insert into account values (100000, 'new')", "checkpoint")
    for statement in sql_in_shop:
        assert calf("sql", data, "-d", "shop", "-c", statement).returncode == 0
    (data / file).write_bytes(kept)
    code, result = check(data)
    assert code == 1
    found = problem(result, where="index", relation="public.account_pkey")
    assert "lacks matching index tuple" in found["message"]


def test_a_file_of_no_table_is_no_problem(data):
    stray = file_of(data, "account").rpartition("/")[0] + "/99999"
    (data / stray).write_bytes(b"anything" * 1024)
    code, result = check(data)
    assert code == 0 and result["problems"] == [] and result["leftovers"] == [stray]
    assert f"{stray} belongs to no table" in calf("check", data).stdout


def test_a_damaged_control_file(data):
    flip_bit(data / "global" / "pg_control", 100)
    code, result = check(data)
    assert code == 1
    assert "CRC" in problem(result, where="control file", file="global/pg_control")["message"]
    assert result["pages"] > 2000, "the pages are looked at all the same"


def test_a_missing_catalog_keeps_the_cluster_from_starting(data):
    (data / "global" / "pg_filenode.map").unlink()
    code, result = check(data)
    assert code == 1
    assert problem(result, where="cluster")


def test_a_cluster_that_was_killed_is_recovered_first(own_server, directory):
    data = directory / "data"
    server = own_server(data=data)
    one = Session(server.connect())
    one.run("create table t (n int primary key)", "insert into t select generate_series(1, 10000)")
    server.kill()
    code, result = check(data)
    assert code == 0, result
    assert result["state"] == "in production" and result["recovered"]
    code, result = check(data)
    assert code == 0 and result["state"] == "shut down" and not result["recovered"]


def test_a_directory_in_use_is_refused_and_the_owner_named(own_server, directory):
    data = directory / "data"
    server = own_server(data=data)
    done = calf("check", data, "--json")
    assert done.returncode == 1
    assert f"in use by process {server.pid}" in json.loads(done.stdout)["error"]
    assert Session(server.connect()).value("select 1") == 1


@pytest.mark.parametrize("record", ["", "nonsense", "[]", '{"pid": "x"}', '{"pid": 7, "host": 5, "started_at": "then"}'])
def test_an_unreadable_owner_s_record_is_no_obstacle_to_refusing(data, record):
    with open(data / "calf.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(record)
        lock.flush()
        done = calf("check", data)
        assert done.returncode == 1
        assert "in use by another program" in done.stderr or "in use by process 7 on host ?" in done.stderr
    assert calf("check", data).returncode == 0


def test_what_is_no_cluster_is_refused_and_not_made_one(directory):
    for path in (directory / "none", directory):
        done = calf("check", path)
        assert done.returncode == 1 and "holds no cluster" in done.stderr
    assert list(directory.iterdir()) == []


@pytest.fixture
def branched(own_server, directory):
    """A stopped cluster whose branch `b` has blocks of its own, and was not shut down; and the parent wrote since."""
    data = directory / "data"
    server = own_server(data=data)
    boss = Session(server.connect())
    boss.run("create table t as select i, repeat('x', 500) as note from generate_series(1, 2000) i")
    boss.run("alter table t add primary key (i)")
    boss.run("checkpoint")
    boss.run("select calf.branch('b')")
    branch = Session(server.connect("postgres@b"))
    branch.run("update t set note = 'of the branch' where i % 2 = 0")
    branch.run("checkpoint")
    branch.run("insert into t values (0, 'after the checkpoint')")
    boss.run("update t set note = 'of the parent' where i % 3 = 0")
    boss.run("checkpoint")
    file = branch.value("select pg_relation_filepath('t')")
    server.kill()
    return data, file


def contents(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_branch_is_checked_and_stays_as_it_is(branched, own_server):
    data, _ = branched
    calf("sql", data, "-c", "select 1")  # the directory itself recovers, and knows its branches
    before, parents = contents(data / "calf_branches"), contents(data / "base")
    code, result = check(data, "--branch", "b")
    assert code == 0 and result["problems"] == [] and result["branch"] == "b"
    assert result["recovered"] and result["pages"] > 1000 and result["databases"] == 2
    after = contents(data / "calf_branches")
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name] and not name.endswith("/journal")] == []
    assert contents(data / "base") == parents
    assert check(data, "--branch", "none")[0] == 1
    server = own_server(data=data)
    branch = Session(server.connect("postgres@b"))
    assert branch.rows("select count(*), count(*) filter (where note = 'of the branch') from t") == [(2001, 1000)]


def test_a_flipped_bit_of_a_branch_is_found_there_only(branched):
    data, file = branched
    assert check(data)[0] == 0
    assert check(data, "--branch", "b")[0] == 0
    slots = data / "calf_branches" / "b" / "blocks"
    content = slots.read_bytes()
    # A row that the branch alone has, in a block of its own.
    flip_bit(slots, content.index(b"of the branch"))
    code, result = check(data, "--branch", "b")
    assert code == 1
    assert problem(result, where="page", file=file)["relation"] == "public.t"
    assert check(data)[0] == 0


def test_the_files_of_a_branch_are_no_directory_to_start_in(branched):
    data, _ = branched
    inside = data / "calf_branches" / "b" / "data"
    for command in ("check", "sql"):
        refused = calf(command, inside, *(("-c", "select 1") if command == "sql" else ()))
        assert refused.returncode != 0
        assert f'is branch "b" of "{data}"' in refused.stderr and "--branch b" in refused.stderr
