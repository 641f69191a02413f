"""Programs of the host: archive_command and restore_command, COPY … PROGRAM, and who may not start them."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from harness import places
from harness.server import scratch
from harness.sessions import Session, eventually


@pytest.fixture
def archive():
    """A directory that the native server's unprivileged user can write into as well."""
    path = scratch("calf-archive-")
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def archiving(archive, **settings) -> dict:
    return {"archive_mode": "on", "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f", **settings}


def archived(one) -> int:
    return one.value("select archived_count from pg_stat_archiver")


def copied_while_running(one, data, to):
    """What pg_basebackup does: the files as they come, and the label that makes recovery begin at the right place."""
    one.run("select pg_backup_start('copy', fast => true)")
    shutil.copytree(data, to, ignore=shutil.ignore_patterns("postmaster.*", "calf.lock"))
    label = one.value("select labelfile from pg_backup_stop()")
    (to / "backup_label").write_text(label)
    for path in [to, *to.rglob("*")]:
        shutil.chown(path, data.stat().st_uid, data.stat().st_gid)


def test_archived_wal_brings_a_copy_to_a_point_in_time(own_server, directory, archive):
    server = own_server(data=directory / "data", settings=archiving(archive))
    one = Session(server.connect())
    one.run("create table t (n int)", "insert into t values (1)")
    copied_while_running(one, directory / "data", directory / "copy")
    one.run("insert into t values (2)", "select pg_create_restore_point('here')", "insert into t values (3)")
    last = one.value("select pg_walfile_name(pg_switch_wal())")
    eventually(lambda: one.value("select last_archived_wal from pg_stat_archiver") == last)
    server.kill()
    (directory / "copy" / "recovery.signal").touch()
    shutil.chown(directory / "copy" / "recovery.signal", (directory / "copy").stat().st_uid)
    restored = own_server(
        data=directory / "copy",
        settings={
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_name": "here",
            "recovery_target_action": "promote",
            "recovery_end_command": f"touch {archive}/end",
        },
    )
    one = Session(restored.connect())
    eventually(lambda: not one.value("select pg_is_in_recovery()"))
    assert one.rows("select n from t order by n") == [(1,), (2,)]
    eventually(lambda: (archive / "end").exists())
    one.run("insert into t values (4)")
    assert "restored log file" in restored.output()


def test_an_archive_command_that_fails_is_told_and_tried_again(own_server, directory, archive):
    server = own_server(data=directory / "data", settings=archiving(archive, archive_command=f"test -f {archive}/go && cp %p {archive}/%f"))
    one = Session(server.connect())
    one.run("create table t (n int)", "select pg_switch_wal()")
    eventually(lambda: one.value("select failed_count from pg_stat_archiver") > 0)
    assert "archive command failed with exit code 1" in server.output()
    (archive / "go").touch()
    one.run("insert into t values (1)", "select pg_switch_wal()")
    eventually(lambda: archived(one) > 0, timeout_s=40)


def until(path) -> str:
    """Shell: waits for this file."""
    return f"while [ ! -e {path} ]; do sleep 0.05; done"


def test_sessions_go_on_while_an_archive_command_takes_its_time(own_server, directory, archive):
    server = own_server(data=directory / "data", settings=archiving(archive, archive_command=f"touch {archive}/began; {until(archive / 'go')}; cp %p {archive}/%f"))
    one = Session(server.connect())
    one.run("create table t (n int)", "select pg_switch_wal()")
    eventually(lambda: (archive / "began").exists())
    for n in range(100):
        one.run(f"insert into t values ({n})")
    assert archived(one) == 0
    (archive / "go").touch()
    eventually(lambda: archived(one) == 1)


@pytest.mark.calf_only
def test_a_cluster_in_memory_has_no_archive(own_server):
    server = own_server(settings={"archive_mode": "on", "archive_command": "true"})
    one = Session(server.connect())
    one.run("create table t (n int)", "select pg_switch_wal()")
    eventually(lambda: one.value("select failed_count from pg_stat_archiver") > 0)
    assert "archive and restore commands are not run here" in server.output()


@pytest.mark.calf_only
def test_a_branch_does_not_write_into_its_parent_s_archive(own_server, directory, archive):
    server = own_server(data=directory / "data", settings=archiving(archive))
    Session(server.connect()).run("create extension if not exists calf", "select calf.branch('b')")
    branch = Session(server.connect("postgres@b"))
    assert branch.value("show archive_mode") == "off"
    branch.run("create table t (n int)", "select pg_switch_wal()")


# --- COPY … PROGRAM


def alive_in_group(group: int) -> list[str]:
    """Processes of this group that are not waiting to be reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue  # has just ended
        state, _, its_group = rest.split()[:3]
        if state != "Z" and int(its_group) == group:
            found.append(name)
    return found


@pytest.mark.calf_only
def test_copy_program_wants_the_server_s_consent(own_server, directory):
    for server in (own_server(), own_server(data=directory / "data")):
        one = Session(server.connect())
        for statement in ("copy (select 1) to program 'cat'", "create temp table t (n int); copy t from program 'echo 1'"):
            with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
                one.run(statement)
            assert "--allow-programs" in caught.value.diag.message_hint
        assert one.value("select 1") == 1


@pytest.fixture(scope="module")
def permitting():
    from harness.server import Options, Server

    with Server.start(Options(arguments=("--allow-programs",) if places.is_calf() else ())) as server:
        yield server


@pytest.fixture
def numbers(permitting):
    one = Session(permitting.connect())
    one.run("create temp table t (n int)")
    return one


def test_copy_moves_much_through_programs(numbers, archive):
    numbers.run("copy t from program 'seq 1000000'")
    assert numbers.rows("select count(*), sum(n) from t") == [(1000000, 500000500000)]
    numbers.run(f"copy (select n, repeat('x', 100) from t) to program 'sleep 1; wc > {archive}/wc'")
    lines, words, size = map(int, (archive / "wc").read_text().split())
    assert (lines, words, size) == (1000000, 2000000, 6888896 + 102 * 1000000 - 1000000)


def test_copy_tells_how_a_program_has_failed(numbers):
    for program, detail in (
        ("exit 3", "child process exited with exit code 3"),
        ("no_such_program_here", "command not found"),
        ("kill -9 $$", "child process was terminated by signal 9"),
    ):
        with pytest.raises(psycopg.errors.ExternalRoutineException) as caught:
            numbers.run(f"copy t to program '{program}'")
        assert detail in caught.value.diag.message_detail
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        numbers.run("copy t from program 'echo a'")
    assert numbers.value("select count(*) from t") == 0


def test_others_go_on_while_a_program_runs(permitting, numbers, archive):
    pending = numbers.start(f"copy t from program 'touch {archive}/began; {until(archive / 'go')}; echo 1'")
    eventually(lambda: (archive / "began").exists())
    other = Session(permitting.connect())
    assert other.value("select 1") == 1
    (archive / "go").touch()
    pending.result()
    assert numbers.value("select n from t") == 1


def test_a_cancelled_copy_ends_its_program(numbers, archive):
    script = f"echo $$ > {archive}/pid; while true; do echo 5; sleep 0.1; done"
    pending = numbers.start(f"copy t from program '{script}'")
    eventually(lambda: (archive / "pid").exists() and (archive / "pid").read_text())
    numbers.connection.cancel_safe(timeout=5)
    assert pending.error().sqlstate == "57014"
    pid = int((archive / "pid").read_text())
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def test_copy_program_is_for_roles_with_the_privilege(permitting):
    admin = Session(permitting.connect())
    admin.run("create role plain login", "create role trusted login in role pg_execute_server_program")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        Session(permitting.connect(user="plain", dbname="postgres")).run("copy (select 1) to program 'cat'")
    Session(permitting.connect(user="trusted", dbname="postgres")).run("copy (select 1) to program 'cat >&2'")


@pytest.mark.calf_only
def test_no_program_outlives_the_server(own_server, archive):
    server = own_server(arguments=("--allow-programs",))
    one = Session(server.connect())
    one.run("create table t (n int)")
    one.start(f"copy t from program 'echo $$ > {archive}/pid; sleep 1000 & sleep 1000'")
    eventually(lambda: (archive / "pid").exists() and (archive / "pid").read_text())
    assert server.stop() == 0
    group = int((archive / "pid").read_text())
    eventually(lambda: not alive_in_group(group))
