"""Sessions that write, with a journal on the client's side of which commits were acknowledged, and the check that a
database holds just these.

Each transaction inserts rows under keys of its own, moves money between accounts, and now and then makes a table, drops
one, or replaces the contents of one; its row in `journal` says what it did. A commit whose answer did not come may have
happened or not; everything else must be as the journal says."""

import random
import threading
import time

import psycopg

from .server import Server
from .sessions import Session

ACCOUNTS = 400
ROWS_OF_MADE = 40

TABLES = (
    "create extension amcheck",
    "create table account (id int primary key, balance bigint not null, note text)",
    f"insert into account select i, 1000, 'account ' || i from generate_series(1, {ACCOUNTS}) i",
    "create index on account (balance)",
    "create table journal (tx bigint primary key, session int, items int, made bool, dropped text, kept int)",
    "create table item (tx bigint, n int, payload text, primary key (tx, n))",
    "create index on item (md5(payload))",
)

HEAPS = (
    "select c.oid::regclass::text || ': ' || v::text from pg_class c, verify_heapam(c.oid, check_toast := true) v "
    "where c.relkind in ('r', 't', 'm') and c.relpersistence <> 't'"
)
INDEXES = (
    "select count(bt_index_check(i.indexrelid, true)) from pg_index i join pg_class c on c.oid = i.indexrelid "
    "join pg_am a on a.oid = c.relam where a.amname = 'btree' and i.indisvalid and c.relpersistence <> 't'"
)


class Ledger:
    """The journal over all rounds. The threads of one round run between start() and finish()."""

    def __init__(self, seed: int, sessions: int):
        self.seed = seed
        self.sessions = sessions
        self.fates = {}  # tx -> "acknowledged", "in doubt" or "rolled back"
        self.made = [[] for _ in range(sessions)]  # names of tables that each session may drop
        self.numbers = [0] * sessions
        self.round = 0
        self.threads = []
        self.stopping = False

    def prepare(self, server: Server) -> None:
        one = Session(server.connect())
        one.run(*TABLES)
        for n in range(self.sessions):
            one.run(f"create table kept_{n} (tx bigint, n int primary key)")
        one.close()

    def start(self, server: Server) -> None:
        self.round += 1
        self.stopping = False
        self.threads = [
            threading.Thread(target=self._write, args=(server, n, random.Random(f"{self.seed}.{self.round}.{n}")))
            for n in range(self.sessions)
        ]
        for each in self.threads:
            each.start()

    def finish(self) -> None:
        """Waits until the sessions have noticed that the server is gone, or are done with what they do."""
        self.stopping = True
        for each in self.threads:
            each.join(20)
            assert not each.is_alive(), "a session does not notice that its server is gone"

    @property
    def acknowledged(self) -> int:
        return sum(fate == "acknowledged" for fate in list(self.fates.values()))

    def _write(self, server: Server, session: int, dice: random.Random) -> None:
        try:
            with server.connect() as connection:
                while not self.stopping:
                    self._transaction(connection, session, dice)
        except psycopg.OperationalError:
            pass  # killed

    def _transaction(self, connection, session: int, dice: random.Random) -> None:
        self.numbers[session] += 1
        tx = self.numbers[session] * self.sessions + session
        self.fates[tx] = "rolled back"  # until it comes to its commit
        run = connection.execute
        run("begin")
        made, dropped = self._write_rows(run, tx, session, dice)
        if dice.random() < 0.1:
            run("rollback")
            return
        self.fates[tx] = "in doubt"
        run("commit")
        self.fates[tx] = "acknowledged"
        if made:
            self.made[session].append(f"made_{tx}")
        if dropped:
            self.made[session].remove(dropped)

    def _write_rows(self, run, tx: int, session: int, dice: random.Random) -> tuple:
        items = dice.randint(1, 5)
        for n in range(1, items + 1):
            # Some too long for a page: they go to TOAST.
            length = 400 if dice.random() < 0.1 else dice.randint(0, 9)
            run(f"insert into item select {tx}, {n}, string_agg(md5('{tx}' || i), '') from generate_series(0, {length}) i")
        amount = dice.randint(-50, 50)
        # In the order of their ids: sessions wait for each other, but never in a circle.
        for account, change in zip(sorted(dice.sample(range(1, ACCOUNTS + 1), 2)), (amount, -amount)):
            run(f"update account set balance = balance + {change}, note = 'by {tx}' where id = {account}")
        made = dice.random() < 0.06
        if made:
            run(f"create table made_{tx} (n int primary key)")
            run(f"insert into made_{tx} select generate_series(1, {ROWS_OF_MADE})")
        dropped = self.made[session][0] if self.made[session] and dice.random() < 0.05 else None
        if dropped:
            run(f"drop table {dropped}")
        kept = dice.randint(1, 300) if dice.random() < 0.05 else None
        if kept:
            run(f"truncate kept_{session}")
            run(f"insert into kept_{session} select {tx}, generate_series(1, {kept})")
        run("insert into journal values (%s, %s, %s, %s, %s, %s)", (tx, session, items, made, dropped, kept))
        return made, dropped

    def problems(self, server: Server) -> list[str]:
        """What is wrong in the database now. What was in doubt is settled afterwards."""
        one = Session(server.connect())
        present = {tx for (tx,) in one.rows("select tx from journal")}
        found = [
            f"transaction {tx} was acknowledged and is lost"
            for tx, fate in self.fates.items()
            if fate == "acknowledged" and tx not in present
        ]
        found += [
            f"transaction {tx} is there and was never committed"
            for tx in present
            if self.fates.get(tx) not in ("acknowledged", "in doubt")
        ]
        found += [
            row
            for (row,) in one.rows(
                "select format('transaction %s has %s of %s items', tx, i.n, j.items) from journal j full join "
                "(select tx, count(*) n from item group by tx) i using (tx) where j.items is distinct from i.n"
            )
        ]
        expected = one.rows("select 'made_' || tx from journal where made except select dropped from journal")
        tables = one.rows("select relname::text from pg_class where relname like 'made\\_%' and relkind = 'r'")
        found += [f"table {name} is missing or too much" for (name,) in set(expected) ^ set(tables)]
        for (name,) in tables:
            rows = one.value(f"select count(*) from {name}")
            if rows != ROWS_OF_MADE:
                found.append(f"{name} has {rows} rows")
        for n in range(self.sessions):
            found += self._wrong_kept(one, n)
        money = one.rows("select count(*), sum(balance)::bigint from account")[0]
        if money != (ACCOUNTS, ACCOUNTS * 1000):
            found.append(f"accounts and their sum: {money}")
        found += [row for (row,) in one.rows(HEAPS)]
        try:
            one.value(INDEXES)
        except psycopg.Error as error:
            found.append(str(error))
        one.close()
        self._settle(present, {name for (name,) in tables})
        return found

    @staticmethod
    def _wrong_kept(one: Session, n: int) -> list[str]:
        rows = one.rows(f"select count(*)::int, min(tx), max(tx) from kept_{n}")[0]
        last = one.rows(f"select kept, tx, tx from journal where session = {n} and kept is not null order by tx desc limit 1")
        wanted = last[0] if last else (0, None, None)
        return [] if rows == wanted else [f"kept_{n} has {rows}, not {wanted}"]

    def _settle(self, present: set, tables: set) -> None:
        for tx, fate in self.fates.items():
            if fate == "in doubt":
                self.fates[tx] = "acknowledged" if tx in present else "rolled back"
        for session in range(self.sessions):
            self.made[session] = sorted(t for t in tables if int(t.removeprefix("made_")) % self.sessions == session)


def survive(server: Server, rounds: int, seed: int, sessions: int = 5, longest_s: float = 0.5) -> Ledger:
    """Kills the server at a random moment under load, `rounds` times, and compares each time."""
    ledger = Ledger(seed, sessions)
    ledger.prepare(server)
    dice = random.Random(seed)
    for number in range(rounds):
        ledger.start(server)
        time.sleep(0.03 + dice.random() * longest_s)
        if dice.random() < 0.3:
            threading.Thread(target=_checkpoint, args=(server,), daemon=True).start()
            time.sleep(dice.random() * 0.05)
        server.kill()
        ledger.finish()
        server.launch()
        found = ledger.problems(server)
        assert not found, f"after kill {number} of seed {seed}: {found}"
    return ledger


def _checkpoint(server: Server) -> None:
    try:
        with server.connect() as one:
            one.execute("checkpoint")
    except psycopg.OperationalError:
        pass
