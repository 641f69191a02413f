"""PostgreSQL's own programs as people use them: psql (Debian's and 18's), pgbench, pg_dump and pg_restore, pg_isready."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import places
from harness.sessions import Session, until_active

PSQLS = [pytest.param(shutil.which("psql") or "psql", id="debian"), pytest.param(str(places.PGTOOLS / "psql"), id="18")]


def run(server, database, *command, stdin=None, timeout=50, check=True, **variables):
    done = subprocess.run(
        command,
        input=stdin,
        env=server.environment(database) | variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=server.scratch,
    )
    assert not check or done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done


SCHEMA = """
create schema shop;
set search_path = shop, public;
create type state as enum ('new', 'paid');
create domain amount as numeric(12, 2) check (value >= 0);
create sequence numbers start 1000;
create table customer (id int generated always as identity primary key, name text not null unique, tags text[] default '{}');
create table purchase (
  id bigint default nextval('numbers') primary key, customer int references customer on delete cascade,
  state state default 'new', total amount, at timestamptz default now(), extra jsonb, check (total < 1000000)
) partition by range (id);
create table purchase_low partition of purchase for values from (0) to (2000);
create table purchase_high partition of purchase for values from (2000) to (1000000);
create index purchase_extra on purchase using gin (extra);
create view paid as select * from purchase where state = 'paid';
create materialized view totals as select customer, sum(total) from purchase group by 1;
create function twice(n int) returns int language sql immutable as 'select n * 2';
create procedure tidy() language plpgsql as $$ begin delete from shop.purchase where total = 0; end $$;
create function stamp() returns trigger language plpgsql as $$ begin new.at := '2026-01-01'; return new; end $$;
create trigger stamp before insert on purchase for each row execute function stamp();
create rule nothing as on delete to paid do instead nothing;
alter table customer enable row level security;
create policy all_of_them on customer using (true);
create statistics sizes on state, customer from shop.purchase;
comment on table customer is 'who buys';
insert into customer (name, tags) select 'customer ' || i, array['a', i::text] from generate_series(1, 50) i;
insert into purchase (customer, state, total, extra)
  select i % 50 + 1, (array['new', 'paid']::state[])[i % 2 + 1], i * 1.5, jsonb_build_object('n', i, 't', E'tab\\tnew\\nline') from generate_series(1, 1500) i;
refresh materialized view totals;
select lo_from_bytea(4711, 'a large object');
"""


@pytest.mark.parametrize("psql", PSQLS)
def test_psql_runs_and_prints(server, database, psql):
    done = run(server, database, psql, "-X", "-c", "select 1 as one, 'zwei' as two")
    assert done.stdout == " one | two  \n-----+------\n   1 | zwei\n(1 row)\n\n"
    done = run(server, database, psql, "-XAt", "-F,", stdin="select 1, null, true;\nselect 'x' \\gdesc\n\\echo done\n")
    assert done.stdout == "1,,t\n?column?,text\ndone\n"


@pytest.mark.parametrize("psql", PSQLS)
def test_psql_errors_and_exit_codes(server, database, psql):
    done = run(server, database, psql, "-X", "-v", "ON_ERROR_STOP=1", stdin="select 1;\nselect nonsense;\nselect 2;\n", check=False)
    assert done.returncode == 3 and 'column "nonsense" does not exist' in done.stderr and "LINE 1" in done.stderr
    assert run(server, "no_such_database", psql, "-X", "-c", "select 1", check=False).returncode == 2


@pytest.mark.parametrize("psql", PSQLS)
def test_psql_over_a_unix_socket(server, database, psql):
    done = run(server, database, psql, "-XAt", "-h", str(server.sockets), "-c", "select inet_client_addr() is null")
    assert done.stdout == "t\n"


def test_psql_describes_everything(server, database):
    psql = places.tool("psql")
    run(server, database, psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=SCHEMA)
    commands = r"\l \d \dt+ \di+ \dv \dm \ds \df \df+ \dT+ \dn+ \du \dx \dp \dD \db+ \dc \dC \da \dF \dL \do \dO \dy \dX \drds \dRp \dP+ \dA \dconfig"
    commands = commands.split() + [
        r"\d shop.customer",
        r"\d+ shop.purchase",
        r"\d+ shop.purchase_low",
        r"\d shop.paid",
        r"\d+ shop.totals",
        r"\dt *.*",
        r"\df pg_catalog.abs",
        r"\sf shop.stamp",
        r"\sv shop.paid",
        r"\encoding",
        r"\conninfo",
        r"\dl",
    ]
    for command in commands:
        done = run(server, database, psql, "-X", "-v", "ON_ERROR_STOP=1", "-c", command)
        assert "ERROR" not in done.stderr, (command, done.stderr)
    table = run(server, database, psql, "-X", "-c", r"\d shop.customer").stdout
    assert 'Table "shop.customer"' in table and "generated always as identity" in table and "customer_pkey" in table
    assert 'TABLE "shop.purchase" CONSTRAINT' in table
    assert "a large object" in run(server, database, psql, "-XAt", "-c", "select convert_from(lo_get(4711), 'UTF8')").stdout


def test_debian_s_older_psql_describes_tables(server, database):
    run(server, database, places.tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=SCHEMA)
    for command in (r"\dt", r"\d shop.customer", r"\du", r"\dn", r"\df shop.*"):
        done = run(server, database, shutil.which("psql"), "-X", "-v", "ON_ERROR_STOP=1", "-c", command)
        assert "ERROR" not in done.stderr


def test_psql_copy_both_ways(server, database):
    psql = places.tool("psql")
    file = server.scratch / f"{database}.csv"
    file.write_text("".join(f'{n},"text, with ""quotes"" {n}"\n' for n in range(5000)))
    script = f"create table t (n int, x text);\n\\copy t from '{file}' csv\n\\copy (select * from t order by n) to '{file}.out' csv\n"
    run(server, database, psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=script)
    assert file.with_suffix(".csv.out").read_text().count("\n") == 5000
    done = run(server, database, psql, "-XAt", "-c", "select x from t where n = 42")
    assert done.stdout == 'text, with "quotes" 42\n'


def test_psql_pipes_copy_through_stdin_and_stdout(server, database):
    psql = places.tool("psql")
    run(server, database, psql, "-X", "-q", stdin="create table t (n int);\ncopy t from stdin;\n1\n2\n\\.\n")
    assert run(server, database, psql, "-XAt", "-c", "copy t to stdout").stdout == "1\n2\n"


def test_psql_variables_transactions_and_pipeline(server, database):
    script = """
\\set ON_ERROR_STOP 1
\\set name 'O''Reilly'
select :'name' as name \\gset copy_
\\if true
begin; create table t (n int); savepoint a; insert into t values (1); rollback to a; commit;
\\endif
insert into t values (7) returning n \\gset
\\startpipeline
select $1::int + 1 \\bind 41 \\sendpipeline
select $1::text \\bind 'piped' \\sendpipeline
\\endpipeline
select :n * 6;
"""
    done = run(server, database, places.tool("psql"), "-XAtq", stdin=script)
    assert done.stdout.split() == ["42", "piped", "42"]


def test_ctrl_c_in_psql_cancels_the_query(server, database):
    environment = server.environment(database)
    shell = subprocess.Popen(
        [places.tool("psql"), "-XAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    shell.stdin.write("select pg_backend_pid();\nselect pg_sleep(100);\n")
    shell.stdin.flush()
    with server.connect(database) as observer:
        until_active(Session(observer), int(shell.stdout.readline()))
    shell.send_signal(signal.SIGINT)
    out, errors = shell.communicate("select 'alive';\n", timeout=30)
    assert "canceling statement due to user request" in errors
    # Reading from a pipe, psql ends after an interrupt; at a terminal it goes on.
    assert shell.returncode in (0, 3) and out in ("alive\n", "")


def test_pg_isready(server, own_server):
    assert run(server, "postgres", places.tool("pg_isready")).stdout.endswith("accepting connections\n")
    assert run(server, "postgres", places.tool("pg_isready"), "-h", str(server.sockets)).returncode == 0
    other = own_server()
    other.stop()
    done = run(other, "postgres", places.tool("pg_isready"), "-t", "2", check=False)
    assert done.returncode == 2 and "no response" in done.stdout


def test_pgbench_tpcb(server, database):
    pgbench = places.tool("pgbench")
    run(server, database, pgbench, "-i", "-q", "-s", "1")
    done = run(server, database, pgbench, "-n", "-c", "8", "-j", "2", "-t", "60")
    assert "number of transactions actually processed: 480/480" in done.stdout
    assert "number of failed transactions: 0" in done.stdout
    # What TPC-B keeps equal.
    with server.connect(database) as one:
        sums = one.execute(
            "select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches),"
            " (select sum(tbalance) from pgbench_tellers), (select sum(delta) from pgbench_history),"
            " (select count(*) from pgbench_history)"
        ).fetchone()
    assert len(set(sums[:4])) == 1 and sums[4] == 480


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_protocols(server, database, mode):
    pgbench = places.tool("pgbench")
    run(server, database, pgbench, "-i", "-q", "-I", "dtGvp")
    done = run(server, database, pgbench, "-n", "-S", "-M", mode, "-c", "8", "-j", "2", "-t", "100", "-h", str(server.sockets))
    assert "number of failed transactions: 0" in done.stdout
    assert float(re.search(r"tps = ([\d.]+)", done.stdout).group(1)) > 100


def test_pgbench_with_a_pipeline_and_serializable_retries(server, database):
    pgbench = places.tool("pgbench")
    run(server, database, pgbench, "-i", "-q")
    script = server.scratch / f"{database}.sql"
    script.write_text(
        "\\set a random(1, 5)\n\\startpipeline\nbegin isolation level serializable;\n"
        "update pgbench_branches set bbalance = bbalance + 1;\nupdate pgbench_tellers set tbalance = tbalance + 1 where tid = :a;\n"
        "commit;\n\\endpipeline\n"
    )
    done = run(server, database, pgbench, "-n", "-f", str(script), "-M", "extended", "-c", "4", "-t", "20", check=False)
    # A failure in a pipeline is not retried: what counts is that the books are right.
    processed = int(re.search(r"actually processed: (\d+)", done.stdout).group(1))
    with server.connect(database) as one:
        branch, tellers = one.execute(
            "select (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers)"
        ).fetchone()
    assert branch == tellers and branch >= processed > 0


def catalog(server, database) -> str:
    """A schema-only dump without what differs from run to run."""
    done = run(server, database, places.tool("pg_dump"), "--schema-only", "--no-owner")
    return re.sub(r"(?m)^(--.*|\\(un)?restrict .*)\n", "", done.stdout)


@pytest.mark.parametrize("kind", ["plain", "custom", "directory"])
def test_dump_and_restore(server, database, kind):
    run(server, database, places.tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=SCHEMA)
    file = server.scratch / f"{database}.dump"
    jobs = ["-j", "2"] if kind == "directory" else []
    run(server, database, places.tool("pg_dump"), "--format", kind, "-f", str(file), *jobs)
    copy = f"{database}_copy"
    with server.connect() as admin:
        admin.execute(f"create database {copy}")
    try:
        if kind == "plain":
            run(server, copy, places.tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(file))
        else:
            run(server, copy, places.tool("pg_restore"), "--exit-on-error", "-d", copy, "-j", "2", str(file))
        assert catalog(server, copy) == catalog(server, database)
        with server.connect(database) as one, server.connect(copy) as two:
            for query in (
                "select md5(string_agg(p::text, '|' order by id)) from shop.purchase p",
                "select md5(string_agg(c::text, '|' order by id)) from shop.customer c",
                "select md5(string_agg(t::text, '|' order by customer)) from shop.totals t",
                "select last_value from shop.numbers",
                "select lo_get(4711)",
                "select shop.twice(21)",
            ):
                assert one.execute(query).fetchone() == two.execute(query).fetchone(), query
    finally:
        with server.connect() as admin:
            admin.execute(f"drop database {copy} with (force)")
        shutil.rmtree(file, ignore_errors=True) if file.is_dir() else file.unlink(missing_ok=True)


def test_pg_dumpall_of_roles(server):
    assert "CREATE ROLE postgres" in run(server, "postgres", places.tool("pg_dumpall"), "--roles-only").stdout


def test_createdb_vacuumdb_reindexdb_dropdb(server, database):
    name = f"{database}_tool"
    run(server, "postgres", places.tool("createdb"), name)
    run(server, name, places.tool("psql"), "-X", "-q", "-c", "create table t as select generate_series(1, 1000) n")
    run(server, name, places.tool("vacuumdb"), "--analyze", "-j", "2", name)
    run(server, name, places.tool("reindexdb"), name)
    run(server, "postgres", places.tool("dropdb"), "--force", name)


def test_pg_amcheck_finds_nothing(server, database):
    run(server, database, places.tool("pgbench"), "-i", "-q")
    run(server, database, places.tool("pg_amcheck"), "--install-missing", "--heapallindexed", database)


def test_libpq_variables_alone_are_enough(server, database):
    done = run(server, database, places.tool("psql"), "-XAtc", "select current_user || '@' || current_database()")
    assert done.stdout == f"postgres@{database}\n"
    done = run(server, "postgres", places.tool("psql"), "-XAtc", "select current_database()", server.url(database))
    assert done.stdout == f"{database}\n"
