"""calf serve --pool: IntegreSQL's REST API, by the requests that its Go client makes, and by those that nobody should."""

import http.client
import json
import socket
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from harness import proc
from harness.measure import assert_below
from harness.sessions import Session, eventually

pytestmark = pytest.mark.calf_only

SCHEMA = "create table users (id serial primary key, name text unique)"


class Client:
    """What integresql-client-go sends; one connection, kept alive."""

    def __init__(self, server):
        self.url = urllib.parse.urlparse(server.ready["pool"])
        self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=30)

    def ask(self, method, path, body=None, headers=None):
        headers = {"Accept": "application/json"} | (headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json; charset=UTF-8"
            body = json.dumps(body) + "\n"
        self.connection.request(method, f"{self.url.path}/v1{path}", body, headers)

    def answer(self):
        response = self.connection.getresponse()
        text = response.read()
        assert (response.status == 204) == (text == b"")
        return response.status, json.loads(text) if text else None

    def call(self, *request, **options):
        self.ask(*request, **options)
        return self.answer()

    def initialize(self, key="h"):
        status, template = self.call("POST", "/templates", {"hash": key})
        assert status == 200, template
        return template

    def finalize(self, key="h"):
        assert self.call("PUT", f"/templates/{key}") == (204, None)

    def set_up(self, key="h", sql=SCHEMA):
        with connect(self.initialize(key)) as session:
            session.execute(sql)
        self.finalize(key)

    def take(self, key="h"):
        status, test = self.call("GET", f"/templates/{key}/tests")
        assert status == 200, test
        return test


def connect(answer):
    """With the connection string that the Go client makes, blanks and all."""
    c = answer["database"]["config"]
    conninfo = f"host={c['host']} port={c['port']} user={c['username']} password={c['password']} dbname={c['database']}"
    return psycopg.connect(conninfo + " sslmode=disable", autocommit=True, connect_timeout=20)


def add_ada(answer):
    with connect(answer) as session:
        return session.execute("insert into users (name) values ('Ada') returning id").fetchone()[0]


@pytest.fixture
def pool(own_server):
    server = own_server(arguments=("--pool", "0"))
    return server, Client(server)


@pytest.fixture
def small_pool(own_server):
    server = own_server(arguments=("--pool", "0", "--pool-size", "2"))
    client = Client(server)
    client.set_up()
    return server, client


def test_what_the_go_client_does(pool):
    _, client = pool
    template = client.initialize()
    assert template["database"]["templateHash"] == "h"
    with connect(template) as session:
        session.execute(SCHEMA)
    client.finalize()
    first, second = client.take(), client.take()
    assert first["id"] != second["id"] and first["database"]["templateHash"] == "h"
    assert add_ada(first) == 1 and add_ada(second) == 1
    assert client.call("DELETE", f"/templates/h/tests/{first['id']}") == (204, None)
    assert client.call("DELETE", "/templates/h") == (204, None)
    assert client.call("DELETE", "/admin/templates") == (204, None)


def test_the_pool_of_a_directory(own_server, directory):
    server = own_server(data=directory / "data", arguments=("--pool", "0", "--pool-size", "3"))
    client = Client(server)
    client.set_up()
    tests = [client.take() for _ in range(3)]
    assert [add_ada(test) for test in tests] == [1, 1, 1]
    assert add_ada(client.take()) == 1  # one of them, made anew
    assert client.call("POST", f"/templates/h/tests/{tests[2]['id']}/recreate") == (204, None)
    assert add_ada(tests[2]) == 1
    server.stop()
    # What an earlier run has left is dropped: the hash is free.
    server = own_server(data=directory / "data", arguments=("--pool", "0"))
    boss = Session(server.connect())
    eventually(lambda: boss.rows("select name from calf.branches()") == [])
    client = Client(server)
    client.set_up()
    assert add_ada(client.take()) == 1


def test_databases_are_awake_before_somebody_asks(own_server):
    server = own_server(arguments=("--pool", "0", "--pool-ahead", "3"))
    client = Client(server)
    client.set_up()
    boss = Session(server.connect())

    def tests():
        return boss.rows("select state from calf.branches() where name like 'pool-1-%'")

    for taken in range(3):
        # Those that were taken are awake as well, though nobody has connected to them.
        eventually(lambda: tests() == [("awake",)] * (taken + 3))
        client.take()
    assert add_ada(client.take()) == 1


def test_statuses(pool):
    _, client = pool
    for body in ({}, {"hash": ""}, []):
        status, answer = client.call("POST", "/templates", body)
        assert status == 400 and answer["message"]
    for method, path in (("PUT", ""), ("DELETE", ""), ("GET", "/tests"), ("POST", "/tests/1/unlock"), ("POST", "/tests/1/recreate")):
        assert client.call(method, f"/templates/none{path}")[0] == 404
    client.initialize()
    assert client.call("POST", "/templates", {"hash": "h"})[0] == 423
    client.finalize()
    client.finalize()
    assert client.call("POST", "/templates", {"hash": "h"})[0] == 423
    assert client.call("POST", "/templates/h/tests/99/unlock")[0] == 404
    assert client.call("POST", "/templates/h/tests/x/unlock")[0] == 400
    assert client.call("GET", "/templates")[0] == 405
    assert client.call("GET", "/nothing")[0] == 404


def test_many_tests_at_once_have_databases_of_their_own(pool):
    server, client = pool
    client.set_up()

    def one_test(_):
        own = Client(server)
        test = own.take()
        return test["id"], add_ada(test)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(one_test, range(40)))
    assert len({number for number, _ in results}) == 40
    assert {ada for _, ada in results} == {1}


def test_a_test_waits_for_its_template(pool):
    server, client = pool
    template = client.initialize()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lambda: add_ada(Client(server).take()))
        with connect(template) as session:
            session.execute(SCHEMA)
        time.sleep(0.2)
        assert not waiting.done()
        client.finalize()
        assert waiting.result(20) == 1


def test_a_discarded_template_is_gone_for_those_who_wait_too(pool):
    server, client = pool
    client.initialize()
    waiting = Client(server)
    assert waiting.call("GET", "/templates/none/tests")[0] == 404  # it is connected
    waiting.ask("GET", "/templates/h/tests")
    assert client.call("DELETE", "/templates/h")[0] == 204
    assert waiting.answer()[0] == 410
    assert client.call("GET", "/templates/h/tests")[0] == 404


def test_discarding_ends_sessions_and_leaves_no_branch(pool):
    server, client = pool
    client.set_up()
    client.set_up("other")
    session = connect(client.take())
    assert client.call("DELETE", "/templates/h")[0] == 204
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")
    boss = Session(server.connect())
    assert {name.split("-")[1] for (name,) in boss.rows("select name from calf.branches()")} == {"2"}
    assert client.call("DELETE", "/admin/templates")[0] == 204
    assert boss.rows("select * from calf.branches()") == []
    client.set_up()
    assert add_ada(client.take()) == 1


def test_unlocked_it_is_as_it_was_recreated_it_is_new(small_pool):
    _, client = small_pool
    kept, test = client.take(), client.take()
    holder = connect(kept)
    assert add_ada(test) == 1
    assert client.call("POST", f"/templates/h/tests/{test['id']}/unlock") == (204, None)
    assert client.take() == test
    with connect(test) as session:
        assert session.execute("select name from users").fetchall() == [("Ada",)]
    assert client.call("POST", f"/templates/h/tests/{test['id']}/recreate") == (204, None)
    assert client.take() == test
    assert add_ada(test) == 1
    holder.close()


def test_the_oldest_that_nobody_uses_is_given_out_again(small_pool):
    _, client = small_pool
    first, second = client.take(), client.take()
    assert add_ada(second) == 1
    with connect(first) as session:
        eventually(lambda: client.call("GET", "/templates/h/tests")[1].get("id") == second["id"])
        assert add_ada(second) == 1
        with connect(second):
            status, answer = client.call("GET", "/templates/h/tests")
            assert status == 507 and "in use" in answer["message"]
        session.execute("select 1")


def test_password_and_role_come_along(own_server):
    server = own_server(
        auth="scram-sha-256", arguments=("--pool", "0"), environment={"POSTGRES_USER": "anna", "POSTGRES_PASSWORD": "se/cret", "POSTGRES_DB": "app"}
    )
    client = Client(server)
    client.set_up()
    test = client.take()
    assert test["database"]["config"]["username"] == "anna" and test["database"]["config"]["database"].startswith("app@")
    with connect(test) as session:
        assert session.execute("select current_user").fetchone() == ("anna",)


def test_a_crashed_template_comes_back(pool):
    server, client = pool
    client.set_up()
    name = client.take()["database"]["config"]["database"].rsplit("-", 1)[0]
    # The pool's own sessions, too.
    with server.connect(name) as session:
        session.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'")

    def taken():
        status, test = client.call("GET", "/templates/h/tests")
        return status == 200 and add_ada(test) == 1

    for _ in range(8):  # some were made ahead
        eventually(taken)


# --- Requests that nobody should make


def raw(client, data, half_close=False):
    """What the server answers until it closes."""
    with socket.create_connection((client.url.hostname, client.url.port), timeout=20) as s:
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while chunk := s.recv(65536):
                answer += chunk
        except OSError:
            pass
        return answer


def test_hostile_requests(pool):
    _, client = pool
    head = b"POST /api/v1/templates HTTP/1.1\r\nHost: localhost\r\n"
    assert raw(client, b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert raw(client, b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 431")
    assert raw(client, head + b"X: " + b"x" * 20_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431")
    assert raw(client, head + b"Content-Length: 99999999999\r\n\r\n").startswith(b"HTTP/1.1 413")
    assert raw(client, head + b"Content-Length: -1\r\n\r\n").startswith(b"HTTP/1.1 400")
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n") * 4
    assert raw(client, chunked).startswith(b"HTTP/1.1 413")
    assert raw(client, head + b"Content-Length: 50\r\n\r\n{", half_close=True) == b""
    deep = b"[" * 60_000
    assert raw(client, head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(deep) + deep).startswith(b"HTTP/1.1 400")
    two = b"PUT /api/v1/templates/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(client, two * 2 + two.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).count(b"HTTP/1.1 404") == 3
    client.set_up()
    assert add_ada(client.take()) == 1


def test_web_pages_are_not_served(pool):
    _, client = pool
    assert client.call("DELETE", "/admin/templates", headers={"Origin": "http://evil.example"})[0] == 403
    other = Client(pool[0])
    assert other.call("DELETE", "/admin/templates", headers={"Host": f"evil.example:{client.url.port}"})[0] == 403
    for host in ("localhost", "integresql:5000", "127.0.0.1", "[::1]:5000"):
        assert Client(pool[0]).call("DELETE", "/admin/templates", headers={"Host": host})[0] == 204


def test_silent_connections_do_not_lock_others_out(pool):
    server, client = pool
    silent = [socket.create_connection((client.url.hostname, client.url.port)) for _ in range(600)]
    for s in silent[:300]:
        s.sendall(b"POST /api/v1/temp")
    assert Client(server).call("PUT", "/templates/none")[0] == 404
    assert proc.open_files(server.pid) < 700
    for s in silent:
        s.close()
    eventually(lambda: proc.open_files(server.pid) < 200)


def test_databases_in_a_row_leave_nothing_behind(own_server, request):
    server = own_server(arguments=("--pool", "0", "--pool-size", "40"))
    client = Client(server)
    client.set_up()

    def rounds(n):
        times = []
        for _ in range(n):
            began = time.monotonic()
            assert add_ada(client.take()) == 1
            times.append(time.monotonic() - began)
        return sorted(times)

    rounds(120)
    memory, files = proc.rss_kb(server.pid), proc.open_files(server.pid)
    times = rounds(10_000 if request.config.getoption("--slow") else 200)
    # 5 ms on a quiet machine; this one is shared with other tests.
    assert_below(times[len(times) // 2], 0.1, "seconds for a test's database, the median")
    eventually(lambda: proc.open_files(server.pid) <= files + 100)
    assert_below(proc.rss_kb(server.pid), memory + 100_000, "kB")


def test_shutdown_with_a_waiting_client_is_quick(pool):
    server, client = pool
    client.initialize()
    waiting = threading.Thread(target=lambda: pytest.raises(Exception, Client(server).take))
    waiting.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert server.stop() == 0
    assert_below(time.monotonic() - began, 5, "seconds of a shutdown with a waiting client")
    waiting.join(10)
