"""Who may come in and as whom: roles, databases, limits, passwords, TLS."""

import ssl

import psycopg
import pytest

from harness import wire
from harness.sessions import Pending, Session, eventually


def refused(call) -> str:
    """The SQLSTATE of a login that must fail. libpq does not give it for a failed login, so this asks the wire."""
    try:
        call()
    except wire.Refused as error:
        return error.sqlstate
    raise AssertionError("the login went through")


def raw_login(server, **kw):
    connected = wire.Wire(server.raw())
    try:
        connected.login(**kw)
    finally:
        connected.close()


def test_unknown_role_is_28000(server):
    assert refused(lambda: raw_login(server, user="nobody_here")) == "28000"


def test_unknown_database_is_3D000(server):
    assert refused(lambda: raw_login(server, database="nothing_here")) == "3D000"


def test_the_database_defaults_to_the_role_s_name(server, session):
    admin = session()
    connected = wire.Wire(server.raw())
    connected.send(wire.packet(b"\0\3\0\0user\0postgres\0\0"))
    assert connected.until(b"Z")
    connected.send(wire.query("select current_database()"))
    assert b"postgres" in dict(connected.until(b"Z"))[b"D"]
    connected.close()
    assert admin.value("select 1") == 1


def test_bad_startup_option_is_refused(server):
    assert refused(lambda: raw_login(server, work_mem="much")) == "22023"
    assert refused(lambda: raw_login(server, options="-c nonsense_option=1")) == "42704"


def test_too_many_clients_is_53300_and_room_comes_back(own_server):
    server = own_server(settings={"max_connections": "10", "superuser_reserved_connections": "2", "reserved_connections": "0"})
    with server.connect() as admin:
        admin.execute("create role plain login")
    held = []
    with pytest.raises(psycopg.OperationalError) as caught:
        for _ in range(12):
            held.append(server.connect(user="plain", dbname="postgres"))
    assert len(held) in (8, 7)  # 7: the admin's backend may be on its way out
    assert "remaining connection slots are reserved" in str(caught.value)
    assert refused(lambda: raw_login(server, user="plain")) == "53300"
    supers = [server.connect(), server.connect()]
    assert refused(lambda: raw_login(server)) == "53300"
    for each in held + supers:
        each.close()
    eventually(lambda: not _fails(lambda: raw_login(server, user="plain")), what="a slot is free again")


def _fails(call) -> bool:
    try:
        call()
    except (wire.Refused, wire.Closed):
        return True
    return False


def test_connection_limit_of_a_role_and_of_a_database(session, server, database):
    admin = session()
    admin.run("create role once login connection limit 1")
    try:
        with server.connect(user="once", dbname=database):
            assert refused(lambda: raw_login(server, user="once", database=database)) == "53300"
        admin.run("create role plain_user login", f"alter database {database} connection limit 0")
        assert refused(lambda: raw_login(server, user="plain_user", database=database)) == "53300"
        with server.connect() as elsewhere:
            elsewhere.execute(f"alter database {database} allow_connections false")
        assert refused(lambda: raw_login(server, database=database)) == "55000"
    finally:
        admin.run("drop role if exists once", "drop role if exists plain_user")


@pytest.fixture
def roles(session, server):
    """Two roles with names of their own, dropped afterwards."""
    admin = session()
    tag = admin.value("select current_database()")
    names = (f"{tag}_ann", f"{tag}_bob")
    for name in names:
        admin.run(f"create role {name} login")
    yield names
    admin.run(*(f"drop owned by {name} cascade" for name in names), *(f"drop role {name}" for name in names))


def test_a_plain_role_stays_one(session, roles):
    admin, plain = session(), session(user=roles[0])
    admin.run("create table secret (x int)")
    assert plain.rows("select current_user, session_user") == [(roles[0], roles[0])]
    assert plain.value("show is_superuser") == "off"
    for statement in (
        "select * from secret",
        "create role evil superuser",
        "alter system set work_mem = '1MB'",
        "copy (select 1) to '/tmp/x'",
        "copy (select 1) to program 'id'",
        "create extension file_fdw",
        "select pg_read_file('pg_hba.conf')",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
        "load '/tmp/x.so'",
        "set session authorization postgres",
        f"set role {roles[1]}",
        "create table public.t (x int)",
        "update pg_authid set rolsuper = true",
        "checkpoint",
    ):
        assert plain.error(statement).sqlstate == "42501", statement


def test_privileges_and_row_security_are_kept(session, roles):
    admin, plain, other = session(), session(user=roles[0]), session(user=roles[1])
    admin.run(
        "create table note (owner name default current_user, words text)",
        "alter table note enable row level security",
        "create policy own on note using (owner = current_user)",
        f"grant select, insert on note to {roles[0]}, {roles[1]}",
    )
    plain.run("insert into note (words) values ('mine')")
    assert plain.value("select count(*) from note") == 1
    assert other.value("select count(*) from note") == 0
    assert plain.error("delete from note").sqlstate == "42501"
    assert admin.value("select count(*) from note") == 1
    admin.run(f"revoke all on note from {roles[0]}")
    assert plain.error("select * from note").sqlstate == "42501"


def test_security_definer_and_set_role(session, roles):
    admin, plain = session(), session(user=roles[0])
    admin.run("create function who() returns text security definer language sql as 'select current_user::text'")
    assert plain.value("select who()") == "postgres"
    admin.run(f"set role {roles[1]}")
    assert admin.value("select current_user") == roles[1]
    assert admin.error("create role x").sqlstate == "42501"
    admin.run("reset role")


def test_alter_role_set_takes_effect_at_login(session, server, database, roles):
    admin = session()
    admin.run(
        f"alter role {roles[0]} set work_mem = '9MB'",
        f"alter database {database} set statement_timeout = '77s'",
        f"alter role {roles[0]} in database {database} set search_path = 'special'",
    )
    plain = session(user=roles[0])
    assert plain.rows("select current_setting('work_mem'), current_setting('statement_timeout'), current_setting('search_path')") == [
        ("9MB", "77s", "special")
    ]


def test_a_nologin_role_is_refused(session, server, roles):
    session().run(f"alter role {roles[0]} nologin")
    assert refused(lambda: raw_login(server, user=roles[0])) == "28000"


def test_passwords_with_scram(own_server, directory):
    data = directory / "data"
    server = own_server(data=data, durable=False)
    with server.connect() as admin:
        admin.execute("create role ann login password 'correct horse'")
        admin.execute("create role old login password 'x' valid until '2001-01-01'")
        admin.execute("create role bare login")
        admin.execute("alter role postgres password 'the boss'")
        assert admin.execute("select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'ann'").fetchone()[0]
    assert server.stop() == 0
    server = own_server(data=data, durable=False, auth="scram-sha-256")
    assert Session(server.connect(user="ann", password="correct horse")).value("select current_user") == "ann"
    assert Session(server.connect(password="the boss")).value("show is_superuser") == "on"
    for unix in (False, True):
        for user, password in (("ann", "wrong"), ("ann", ""), ("bare", "x"), ("old", "x"), ("missing", "x")):
            with pytest.raises(psycopg.OperationalError) as caught:
                server.connect(user=user, dbname="postgres", password=password or "''", unix=unix)
            assert "authentication failed" in str(caught.value), (user, password)
    assert _scram_failure(server) == "28P01"
    with pytest.raises(psycopg.OperationalError):
        server.connect(user="ann", dbname="postgres")  # no password at all
    with Session(server.connect(password="the boss")).connection as admin:
        admin.execute("alter role ann password 'changed'")
    assert Session(server.connect(user="ann", dbname="postgres", password="changed")).value("select 1") == 1


def _scram_failure(server) -> str:
    """A SCRAM exchange with a proof that is wrong; the SQLSTATE of the answer."""
    import base64
    import struct

    connected = wire.Wire(server.raw())
    connected.send(wire.startup(user="ann"))
    kind, body = connected.receive()
    assert kind == b"R" and struct.unpack("!i", body[:4])[0] == 10 and b"SCRAM-SHA-256\0" in body
    first = b"n,,n=,r=clientnonce"
    connected.send(wire.message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first))
    kind, body = connected.receive()
    assert kind == b"R" and struct.unpack("!i", body[:4])[0] == 11
    nonce = body[4:].split(b",")[0]
    final = b"c=biws," + nonce + b",p=" + base64.b64encode(b"\0" * 32)
    connected.send(wire.message(b"p", final))
    return connected.ending()[0]["C"]


def test_passwords_in_clear(own_server, directory):
    data = directory / "data"
    server = own_server(data=data, durable=False)
    with server.connect() as admin:
        admin.execute("create role ann login password 'secret'")
    assert server.stop() == 0
    server = own_server(data=data, durable=False, auth="password")
    assert Session(server.connect(user="ann", dbname="postgres", password="secret")).value("select 1") == 1
    with pytest.raises(psycopg.OperationalError) as caught:
        server.connect(user="ann", dbname="postgres", password="wrong")
    assert "password authentication failed" in str(caught.value)


@pytest.fixture(scope="module")
def tls_server():
    from harness.server import Options, Server

    with Server.start(Options(tls=True)) as server:
        yield server


def test_tls_session(tls_server):
    one = Session(tls_server.connect(sslmode="require"))
    assert one.connection.pgconn.ssl_in_use
    one.run("create temp table t (x text)", "insert into t select repeat('x', 1000) from generate_series(1, 5000)")
    assert sum(len(x) for (x,) in one.rows("select x from t")) == 5_000_000
    assert one.value("select length(%s::text)", ("y" * 3_000_000,)) == 3_000_000
    one.close()


def test_tls_is_offered_and_plain_still_works(tls_server):
    assert Session(tls_server.connect(sslmode="disable")).value("select 1") == 1
    assert Session(tls_server.connect(sslmode="prefer")).connection.pgconn.ssl_in_use


def test_tls_cancel_and_concurrent_sessions(tls_server):
    sessions = [Session(tls_server.connect(sslmode="require")) for _ in range(8)]
    pending = [each.start("select pg_sleep(100)") for each in sessions]
    eventually(
        lambda: Session(tls_server.connect()).value("select count(*) from pg_stat_activity where query like '%pg_sleep(100)' and state='active'")
        == 8
    )
    for each in sessions:
        each.connection.cancel_safe(timeout=5)
    assert {each.error().sqlstate for each in pending} == {"57014"}


def test_pg_stat_ssl_tells_what_was_negotiated(tls_server):
    question = "select ssl, version, cipher, bits from pg_stat_ssl where pid = pg_backend_pid()"
    with tls_server.connect(sslmode="require") as new, tls_server.connect(sslmode="require", ssl_max_protocol_version="TLSv1.2") as old:
        ssl_on, version, cipher, bits = new.execute(question).fetchone()
        assert (ssl_on, version) == (True, "TLSv1.3")
        assert cipher.startswith("TLS_") and bits in (128, 256)
        assert old.execute(question).fetchone()[:2] == (True, "TLSv1.2")
        assert new.execute("select version from pg_stat_ssl where pid = %s", (old.info.backend_pid,)).fetchone() == ("TLSv1.2",)
        seen = new.execute("select count(*) from pg_stat_ssl where ssl").fetchone()[0]
    assert seen >= 2
    with tls_server.connect(sslmode="disable") as clear:
        assert clear.execute(question).fetchone() == (False, None, None, None)


def test_hostssl_and_hostnossl_rules(own_server):
    server = own_server(tls=True)

    def use_rules(*rules):
        with server.connect(sslmode="prefer", unix=True) as admin:
            lines = " union all ".join(f"select '{rule}'" for rule in ("local all all trust", *rules))
            path = admin.execute("show hba_file").fetchone()[0]
            admin.execute(f"copy ({lines}) to '{path}'")
            admin.execute("select pg_reload_conf()")
            assert admin.execute("select count(error) from pg_hba_file_rules").fetchone() == (0,)

    def refusal(sslmode) -> str:
        try:
            with server.connect(sslmode=sslmode) as one:
                return "" if one.execute("select 1").fetchone() == (1,) else "no answer"
        except psycopg.OperationalError as error:
            return str(error)

    use_rules("hostnossl all all all reject", "hostssl all all all trust")
    eventually(lambda: "no encryption" in refusal("disable"))
    assert refusal("require") == ""
    use_rules("hostnossl all all all trust")
    eventually(lambda: refusal("disable") == "")
    assert "no pg_hba.conf entry for host" in refusal("require")
    assert "SSL encryption" in refusal("require")


def test_plain_bytes_stuffed_behind_the_tls_request_are_refused(tls_server):
    """CVE-2021-23214: what came unencrypted before the handshake must not be read as if it were encrypted."""
    with tls_server.raw() as raw:
        raw.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f" + wire.startup())
        assert raw.recv(1) in (b"S", b"E", b"")  # refused at once, or when the handshake finds no TLS hello
        raw.settimeout(5)
        try:
            rest = raw.recv(100)
        except ConnectionResetError:
            rest = b""
    assert b"R\0\0\0\x08" not in rest, "it logged in with the stuffed bytes"


def test_direct_tls_needs_alpn(tls_server):
    """PostgreSQL 17's sslnegotiation=direct: a TLS hello at once, with ALPN `postgresql`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    with context.wrap_socket(tls_server.raw()) as secure:
        connected = wire.Wire(secure).login()
        assert secure.selected_alpn_protocol() == "postgresql"
        connected.send(wire.query("select 1"))
        assert b"D" in dict(connected.until(b"Z"))


def test_logins_at_the_same_time(server, database):
    def login_and_ask(n):
        one = Session(server.connect(dbname=database, unix=n % 2 == 0))
        try:
            return one.value("select %s::int", (n,))
        finally:
            one.close()

    pending = [Pending(lambda n=n: login_and_ask(n)) for n in range(40)]
    assert [each.result() for each in pending] == list(range(40))
