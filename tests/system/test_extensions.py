"""CREATE EXTENSION for everything that is available, with something small done by each."""

import json

import pytest

from harness import places

# name -> (statements, query, its one row). What a native server does not ship is skipped there.
WORKING = {
    "amcheck": (["create table t as select generate_series(1, 500) n", "create index i on t (n)"], "select bt_index_check('i') is null", (False,)),
    "autoinc": (["create sequence s", "create table t (n int, x text)", "create trigger a before insert on t for each row execute function autoinc(n, s)", "insert into t values (null, 'x')"], "select n from t", (1,)),
    "bloom": (["create table t as select i % 100 a, i % 77 b from generate_series(1, 5000) i", "create index on t using bloom (a, b)", "set enable_seqscan = off"], "select count(*) from t where a = 5 and b = 3", (1,)),
    "btree_gin": (["create table t as select i n from generate_series(1, 1000) i", "create index on t using gin (n)", "set enable_seqscan = off"], "select count(*) from t where n < 10", (9,)),
    "btree_gist": (["create table t (n int, r tsrange, exclude using gist (n with =, r with &&))", "insert into t values (1, '[2026-01-01,2026-02-01)')"], "select count(*) from t", (1,)),
    "citext": (["create table t (x citext primary key)", "insert into t values ('Hello')"], "select x = 'HELLO' from t", (True,)),
    "cube": ([], "select cube_distance('(0,0)', '(3,4)'), '(0,0),(2,2)'::cube @> '(1,1)'", (5.0, True)),
    "dict_int": (["alter text search dictionary intdict (maxlen = 3)"], "select ts_lexize('intdict', '12345678')", (["123"],)),
    "dict_xsyn": ([], "select ts_lexize('xsyn', 'nothing') is null", (True,)),
    "earthdistance": ([], "select round(earth_distance(ll_to_earth(0, 0), ll_to_earth(0, 1)))", (111320.0,)),
    "fuzzystrmatch": ([], "select levenshtein('kitten', 'sitting'), soundex('Robert'), dmetaphone('Thompson')", (3, "R163", "TMPS")),
    "hstore": (["create table t (h hstore)", "insert into t values ('a=>1, b=>NULL')", "create index on t using gin (h)"], "select h->'a', h ? 'b', (h || 'c=>3')::text from t", ("1", True, '"a"=>"1", "b"=>NULL, "c"=>"3"')),
    "insert_username": (["create table t (who text)", "create trigger u before insert on t for each row execute function insert_username(who)", "insert into t values (null)"], "select who from t", ("postgres",)),
    "intagg": ([], "select int_array_aggregate(i) from generate_series(1, 3) i", ([1, 2, 3],)),
    "intarray": ([], "select '{3,1,2}'::int[] && '{2}', sort('{3,1,2}'), '{1,2,3}'::int[] @@ '1&(2|5)'::query_int", (True, [1, 2, 3], True)),
    "isn": ([], "select isbn('978-0-393-04002-9')::text, is_valid('978-0-393-04002-9'::isbn13)", ("0-393-04002-X", True)),
    "lo": (["create table t (l lo)", "create trigger m before update or delete on t for each row execute function lo_manage(l)", "insert into t values (lo_create(0))", "delete from t"], "select count(*) from pg_largeobject_metadata", (0,)),
    "ltree": (["create table t (p ltree)", "insert into t values ('Top.Science.Astronomy'), ('Top.Hobbies')", "create index on t using gist (p)"], "select count(*) from t where p <@ 'Top.Science' or p ~ '*.Hobbies'", (2,)),
    "moddatetime": (["create table t (n int, m timestamp)", "create trigger m before update on t for each row execute function moddatetime(m)", "insert into t values (1, null)", "update t set n = 2"], "select m is not null from t", (True,)),
    "pageinspect": (["create table t as select generate_series(1, 10) n"], "select count(*) from heap_page_items(get_raw_page('t', 0))", (10,)),
    "pg_buffercache": ([], "select count(*) > 100 from pg_buffercache", (True,)),
    "pg_freespacemap": (["create table t as select generate_series(1, 1000) n", "delete from t", "vacuum t"], "select count(*) >= 0 from pg_freespace('t')", (True,)),
    "pg_logicalinspect": ([], "select count(*) from pg_extension where extname = 'pg_logicalinspect'", (1,)),
    "pg_prewarm": (["create table t as select generate_series(1, 1000) n"], "select pg_prewarm('t') > 0", (True,)),
    "pg_stat_statements": None,  # needs shared_preload_libraries: a test of its own below
    "pg_surgery": (["create table t as select 1 n", "select heap_force_kill('t', array['(0,1)'::tid])"], "select count(*) from t", (0,)),
    "pg_trgm": (["create table t (w text)", "insert into t select md5(i::text) from generate_series(1, 2000) i", "insert into t values ('hello world')", "create index on t using gin (w gin_trgm_ops)", "set enable_seqscan = off"], "select similarity('word', 'words') > 0.5, (select count(*) from t where w like '%lo wor%')", (True, 1)),
    "pg_visibility": (["create table t as select generate_series(1, 100) n", "vacuum t"], "select all_visible from pg_visibility_map('t', 0)", (True,)),
    "pg_walinspect": ([], "select count(*) > 0 from pg_get_wal_records_info((select redo_lsn from pg_control_checkpoint()), 'FFFFFFFF/FFFFFFFF')", (True,)),
    "pgcrypto": ([], "select encode(digest('abc', 'sha256'), 'hex'), (select crypt('pw', h) = h from (select crypt('pw', gen_salt('bf', 5)) h offset 0) q), pgp_sym_decrypt(pgp_sym_encrypt('secret', 'key'), 'key'), encode(hmac('a', 'k', 'md5'), 'hex'), convert_from(decrypt(encrypt('data', 'k0123456789abcde', 'aes'), 'k0123456789abcde', 'aes'), 'utf8'), length(gen_random_bytes(16))", ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", True, "secret", "ddcf3d210049e7135f61affae73731cd", "data", 16)),
    "pgrowlocks": (["create table t as select 1 n"], "select count(*) from pgrowlocks('t')", (0,)),
    "pgstattuple": (["create table t as select generate_series(1, 100) n"], "select tuple_count from pgstattuple('t')", (100,)),
    "plpgsql": ([], "select count(*) from pg_language where lanname = 'plpgsql'", (1,)),
    "refint": (["create table t (n int)"], "select count(*) from t", (0,)),
    "seg": ([], "select '1.5 .. 2.5'::seg @> '2'::seg, seg_size('1 .. 4')", (True, 3.0)),
    "tablefunc": (["create table t as select * from (values ('a', 'x', 1), ('a', 'y', 2)) v (r, c, n)"], "select * from crosstab('select r, c, n from t order by 1, 2') as (r text, x int, y int)", ("a", 1, 2)),
    "tcn": (["create table t (id int primary key)", "create trigger c after insert on t for each row execute function triggered_change_notification()", "insert into t values (1)"], "select count(*) from t", (1,)),
    "tsm_system_rows": (["create table t as select generate_series(1, 1000) n"], "select count(*) from t tablesample system_rows(10)", (10,)),
    "tsm_system_time": (["create table t as select generate_series(1, 1000) n"], "select count(*) from t tablesample system_time(5000)", (1000,)),
    "unaccent": ([], "select unaccent('Hôtel Ørsted')", ("Hotel Orsted",)),
    "uuid-ossp": ([], "select uuid_generate_v5(uuid_ns_dns(), 'www.example.com')::text, uuid_generate_v4() <> uuid_generate_v4(), uuid_generate_v1() <> uuid_generate_v1()", ("2ed6657d-e927-568b-95e1-2665a8aea6a2", True, True)),
    # From npm packages of their own.
    "vector": (["create table t (id int, e vector(3))", "insert into t select i, array[i, i * 2, 1]::vector from generate_series(1, 300) i", "create index on t using hnsw (e vector_l2_ops)", "set enable_seqscan = off"], "select id, '[1,2,3]'::vector <-> '[4,6,3]', '[1,0]'::vector <=> '[0,1]' from t order by e <-> '[7,14,1]' limit 1", (7, 5.0, 1.0)),
    "age": (["load 'age'", "set search_path = ag_catalog, public", "select create_graph('people')", "select * from cypher('people', $$ create (:P {name: 'Ann'})-[:KNOWS]->(:P {name: 'Bob'}) $$) as (a agtype)"], "select r::text from cypher('people', $$ match (a:P)-[:KNOWS]->(b) return b.name $$) as (r agtype)", ("Bob",)),
    "pg_hashids": ([], "select id_decode(id_encode(1001, 'salt', 10), 'salt', 10), length(id_encode(1001, 'salt', 10))", ([1001], 10)),
    "pg_ivm": (["create table t (n int)", "insert into t values (1), (2)", "select pgivm.create_immv('m', 'select count(*) c, sum(n) s from t')", "insert into t values (39)"], "select c, s from m", (3, 42)),
    "pg_uuidv7": ([], "select (select a < b from (select uuid_generate_v7() a, pg_sleep(0.01), uuid_generate_v7() b offset 0) q), substr(uuid_generate_v7()::text, 15, 1)", (True, "7")),
    "pgtap": (["select plan(1)"], "select ok(1 = 1, 'one is one')", ("ok 1 - one is one",)),
    "pg_textsearch": None,  # needs shared_preload_libraries
    "file_fdw": None,  # a test of its own below
    "postgres_fdw": None,
    "dblink": None,
    "sslinfo": None,
    "xml2": None,
}
# Calf must have these: what its npm packages bring. On a native server they are tried when they are there.
REQUIRED = set(WORKING) - {"dblink", "intagg", "pg_prewarm", "pgrowlocks", "pgstattuple", "postgres_fdw", "sslinfo", "xml2"}


def available(one, name) -> bool:
    return one.value("select count(*) from pg_available_extensions where name = %s", (name,)) == 1


@pytest.mark.parametrize("name", [name for name, case in WORKING.items() if case])
def test_extension_works(session, name):
    one = session()
    if not available(one, name):
        if places.is_calf() and name in REQUIRED:
            pytest.fail(f"{name} is not available")
        pytest.skip(f"{name} is not shipped")
    statements, query, expected = WORKING[name]
    if name != "plpgsql":
        one.run(f'create extension "{name}" cascade')
    one.run(*statements)
    assert one.rows(query) == [expected]
    # A second session of the same database uses it as well: the module is loaded there anew.
    other = session()
    if name not in ("pgtap",):
        other.run(*(s for s in statements if s.startswith(("set ", "load "))))
        other.rows(query)
    one.run(f'drop extension "{name}" cascade')


def test_every_available_extension_is_created_or_says_what_it_lacks(server, session):
    one = session()
    names = [name for (name,) in one.rows("select name from pg_available_extensions where installed_version is null order by 1")]
    assert len(names) >= 30
    created, refused, before = [], {}, server.pid
    for name in names:
        try:
            one.run(f'create extension "{name}" cascade')
            created.append(name)
        except Exception as error:
            assert error.sqlstate, f"{name}: {error}"  # an answer, not a lost connection
            refused[name] = str(error).splitlines()[0]
        if one.value(f"select count(*) from pg_extension where extname = '{name}'") and name not in ("plpgsql",):
            one.run(f'drop extension "{name}" cascade')
        assert one.value("select 1") == 1
    assert server.pid == before
    allowed = {"pg_textsearch"}
    if not places.is_calf():
        # The reference server comes without these languages' libraries.
        allowed |= {n for n in names if any(language in n for language in ("perl", "python", "tcl"))} | {"uuid-ossp", "xml2"}
    else:
        allowed |= set(names) - REQUIRED  # it may lack a symbol, but then the message names it
        assert all("undefined symbol" in refused[n] or "not supported" in refused[n] or "missing" in refused[n] for n in refused if n in allowed - {"pg_textsearch"}), refused
    assert set(refused) <= allowed, {n: refused[n] for n in refused if n not in allowed}


def test_extensions_of_two_databases_are_apart(session, server, database):
    from harness.sessions import Session

    one, elsewhere = session(), Session(server.connect("postgres"))
    one.run("create extension citext")
    assert elsewhere.value("select count(*) from pg_extension where extname = 'citext'") == 0
    elsewhere.close()


def test_eight_sessions_use_one_extension_at_once(session):
    from harness.sessions import Pending

    session().run("create extension pg_trgm", "create extension hstore")

    def use(mine, n):
        for i in range(50):
            assert mine.value("select similarity(%s, %s)", (f"word{n}", f"word{n}")) == 1
            assert mine.value("select ('k=>' || %s::text)::hstore -> 'k'", (str(i),)) == str(i)
        return n

    assert [p.result() for p in [Pending(lambda s=session(), n=n: use(s, n)) for n in range(8)]] == list(range(8))


def test_pg_stat_statements_counts_across_sessions(own_server):
    from harness.sessions import Session

    server = own_server(settings={"shared_preload_libraries": "pg_stat_statements"})
    one, other = Session(server.connect()), Session(server.connect())
    one.run("create extension pg_stat_statements")
    for n in range(5):
        one.value("select %s + 4711", (n,))
        other.value("select %s + 4711", (n,))
    assert one.value("select sum(calls) from pg_stat_statements where query like 'select $1 + $2%%'") == 10


def test_auto_explain_logs_plans(own_server):
    from harness.sessions import Session, eventually

    server = own_server(settings={"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0"})
    Session(server.connect()).value("select count(*) from pg_class where relname = 'calf_was_here'")
    eventually(lambda: "Query Text: select count(*) from pg_class" in server.output(), 5)


def test_file_fdw_reads_a_file_that_copy_wrote(session):
    one = session()
    one.run("create extension file_fdw", "create server files foreign data wrapper file_fdw")
    one.run("copy (select i, i * i from generate_series(1, 10) i) to '/tmp/calf_file_fdw.csv' csv" if not places.is_calf()
            else "select 1")
    name = "/tmp/calf_file_fdw.csv"
    if places.is_calf():
        # Inside the cluster's own directory: the host's files are out of reach.
        name = one.value("show data_directory") + "/calf_file_fdw.csv"
        one.run(f"copy (select i, i * i from generate_series(1, 10) i) to '{name}' csv")
    one.run(f"create foreign table f (a int, b int) server files options (filename '{name}', format 'csv')")
    assert one.value("select sum(b) from f") == 385


def test_full_text_search_in_several_languages(session):
    one = session()
    assert one.value("select to_tsvector('english', 'The quick brown foxes jumped')") == "'brown':3 'fox':4 'jump':5 'quick':2"
    assert one.value("select to_tsvector('german', 'Die Häuser der Bäcker')") == "'back':4 'haus':2"
    assert one.value("select count(*) from pg_ts_config") >= 29
    for (config,) in one.rows("select cfgname from pg_ts_config"):
        assert one.value("select length(to_tsvector(%s::regconfig, 'words and numbers 42'))", (config,)) >= 1


@pytest.mark.calf_only
def test_the_host_s_files_are_out_of_reach(session):
    one = session()
    for path in ("/etc/passwd", "/proc/self/environ", "../../../etc/passwd", "/pglite/data/../../../etc/passwd", "/root/.bashrc"):
        for sql in ("select pg_read_file(%s)", "select pg_stat_file(%s)"):
            assert one.error(sql, (path,)).sqlstate in ("58P01", "42501", "58P03"), path
    assert one.error("copy (select 1) to program 'id'").sqlstate
    assert one.error("copy (select 1) to '/etc/calf_was_here'").sqlstate


@pytest.mark.calf_only
def test_pg_textsearch_when_preloaded(own_server):
    from harness.sessions import Session

    server = own_server(settings={"shared_preload_libraries": "pg_textsearch"})
    one = Session(server.connect())
    one.run(
        "create extension pg_textsearch",
        "create table doc (id int, words text)",
        "insert into doc values (1, 'the quick brown fox'), (2, 'a lazy dog'), (3, 'foxes and dogs')",
        "create index doc_words on doc using bm25 (words) with (text_config = 'english')",
    )
    assert one.value("select id from doc order by words <@> to_bm25query('lazy', 'doc_words') limit 1") == 2


def test_the_notice_names_the_extensions_of_every_package():
    packages = json.loads((places.ROOT / "guest" / "package.json").read_text())["dependencies"]
    notice = (places.ROOT / "NOTICE").read_text().lower()
    missing = [name for name in packages if name.removeprefix("@electric-sql/").removeprefix("pglite-") not in notice]
    assert not missing
