"""A cluster in one file: `calf snapshot save`, and `--from` for `calf serve` and `calf sql`."""

import os
import signal
import subprocess

import psycopg
import pytest

from harness import places
from harness.sessions import Session

pytestmark = pytest.mark.calf_only

EXAMPLE = """
create table t as select g as n, md5(g::text) as text from generate_series(1, 50000) g;
create index on t (text);
create role anna login;
create database other;
alter system set work_mem = '12MB';
"""
DIGEST = "select md5(string_agg(text, '' order by n)) from t"


def calf(*arguments, check=True, **kw):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    done = subprocess.run(
        [str(places.CALF), *map(str, arguments)], capture_output=True, text=True, timeout=50, env=environment, **kw
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def ask(*arguments):
    return calf("sql", "-At", *arguments).stdout.strip()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A data directory and its snapshot."""
    place = tmp_path_factory.mktemp("snapshot")
    calf("sql", place / "data", input=EXAMPLE)
    done = calf("snapshot", "save", place / "golden.calf", place / "data")
    assert "golden.calf" in done.stderr
    assert sorted(os.listdir(place)) == ["data", "golden.calf"]
    return place


def test_memory_starts_with_all_of_it(saved):
    assert ask("--from", saved / "golden.calf", "-c", "select count(*) from t") == "50000"
    assert ask("--from", saved / "golden.calf", "-c", DIGEST) == ask(saved / "data", "-c", DIGEST)
    what = "select (select count(*) from pg_roles where rolname = 'anna'), (select count(*) from pg_database), current_setting('work_mem')"
    assert ask("--from", saved / "golden.calf", "-c", what) == "1|4|12MB"


def test_a_server_starts_with_it_and_keeps_nothing(saved, tmp_path):
    command = [str(places.CALF), "serve", "--from", str(saved / "golden.calf"), "-p", "0", "-h", "", "-k", str(tmp_path), "--json"]
    for _ in range(2):
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert '"success"' in server.stdout.readline()
            socket = next(name for name in os.listdir(tmp_path) if name.startswith(".s.PGSQL") and not name.endswith("lock"))
            with psycopg.connect(host=str(tmp_path), port=socket.rsplit(".", 1)[1], user="postgres", dbname="postgres") as one:
                assert one.execute("select count(*) from t").fetchone() == (50000,)
                one.execute("delete from t")
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0


def test_a_directory_is_made_from_it_once(saved, tmp_path):
    data = tmp_path / "deep" / "copy"
    assert ask(data, "--from", saved / "golden.calf", "-c", DIGEST) == ask(saved / "data", "-c", DIGEST)
    calf("sql", data, "-c", "create table mine ()")
    again = calf("sql", data, "--from", saved / "golden.calf", "-c", "select 1", check=False)
    assert again.returncode == 2
    assert "holds a cluster already" in again.stderr and "HINT:" in again.stderr
    assert ask(data, "-c", "select count(*) from mine") == "0"


def test_a_directory_that_was_killed_can_be_saved(own_server, directory, tmp_path):
    server = own_server(data=directory / "data")
    Session(server.connect()).run("create table t as select generate_series(1, 1000) as n")
    server.kill()
    calf("snapshot", "save", tmp_path / "f", directory / "data")
    assert ask("--from", tmp_path / "f", "-c", "select count(*) from t") == "1000"


def test_a_running_servers_directory_is_refused(own_server, directory, tmp_path):
    own_server(data=directory / "data")
    done = calf("snapshot", "save", tmp_path / "f", directory / "data", check=False)
    assert done.returncode == 1
    assert "in use by process" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "longer", "other", "empty"])
def test_damage_leaves_no_half_directory(saved, tmp_path, damage):
    data = bytearray((saved / "golden.calf").read_bytes())
    if damage == "cut":
        data = data[: len(data) * 9 // 10]
    elif damage == "flipped":
        data[len(data) // 2] ^= 0x10
    elif damage == "longer":
        data += b"x"
    elif damage == "other":
        data = bytearray(b"PK\3\4" + bytes(10000))
    else:
        data = bytearray()
    broken = tmp_path / "broken"
    broken.write_bytes(data)
    for location in ([tmp_path / "data"], []):
        done = calf("sql", *location, "--from", broken, "-c", "select 1", check=False)
        assert done.returncode == 2, done.stdout
        assert str(broken) in done.stderr and "snapshot" in done.stderr and "HINT:" in done.stderr
    assert os.listdir(tmp_path) == ["broken"]


def test_saving_replaces_the_file_in_one_step_or_not_at_all(saved, tmp_path):
    target = tmp_path / "file"
    target.write_text("precious")
    assert calf("snapshot", "save", target, tmp_path / "none", check=False).returncode == 1
    assert target.read_text() == "precious"
    (tmp_path / "data").mkdir()
    calf("sql", tmp_path / "d", "-c", "select 1")
    os.symlink("/etc", tmp_path / "d" / "pg_tblspc" / "1")
    done = calf("snapshot", "save", target, tmp_path / "d", check=False)
    assert done.returncode == 1 and "tablespaces" in done.stderr
    assert target.read_text() == "precious"
    os.unlink(tmp_path / "d" / "pg_tblspc" / "1")
    calf("snapshot", "save", "-q", target, tmp_path / "d")
    assert ask("--from", target, "-c", "select 1") == "1"
    assert sorted(os.listdir(tmp_path)) == ["d", "data", "file"]
    assert os.stat(target).st_mode & 0o777 == 0o600


def test_an_interrupted_save_leaves_nothing(saved, tmp_path):
    # A hole of 100 GB keeps it busy.
    calf("sql", tmp_path / "d", "-c", "select 1")
    with open(tmp_path / "d" / "big", "wb") as big:
        big.truncate(100 << 30)
    save = subprocess.Popen(
        [str(places.CALF), "snapshot", "save", str(tmp_path / "f"), str(tmp_path / "d")], stderr=subprocess.PIPE
    )
    said = b""
    while b"%" not in said:
        chunk = os.read(save.stderr.fileno(), 1000)
        assert chunk, said
        said += chunk
    save.send_signal(signal.SIGINT)
    _, rest = save.communicate(timeout=20)
    assert save.returncode == 1
    assert b"interrupted" in rest
    assert os.listdir(tmp_path) == ["d"]


def test_the_command_line_says_what_is_missing():
    assert "FILE is required" in calf("snapshot", "save", check=False).stderr
    assert "no data directory" in calf("snapshot", "save", "f", check=False).stderr
    assert "memory" in calf("snapshot", "save", "f", "memory://", check=False).stderr
    assert "calf serve --from" in calf("snapshot", "save", "--help").stdout


@pytest.mark.slow
def test_gigabytes_take_little_memory(tmp_path):
    calf("sql", tmp_path / "d", "-c", "create table t as select g, repeat(md5(g::text), 30) from generate_series(1, 1500000) g")
    for arguments in (
        ["snapshot", "save", tmp_path / "f", tmp_path / "d"],
        ["sql", tmp_path / "copy", "--from", tmp_path / "f", "-c", "select 1"],
    ):
        process = subprocess.Popen([str(places.CALF), *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        assert usage.ru_maxrss < 300_000, f"{usage.ru_maxrss} kB"
