"""Measures Calf beside PGlite in Node and native PostgreSQL 18: `bench/run [--quick] [--only NAME…] [--json FILE]`.

Rounds are interleaved (each round visits every system once) and the median of a system's rounds is what the table
shows, so that what else the machine does hits all alike. A system that is missing or cannot do a thing shows "-"."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import targets
from harness import places
from harness.server import scratch
from targets import Calf, Native, Pglite

DRIVER = os.environ["CALF_BENCH_DRIVER"]
IN_PROCESS = os.environ.get("CALF_BENCH_IN_PROCESS")  # absent: built without the library
PYTHON_CLIENT = str(Path(__file__).parent / "python_client.py")
PYTHON_PACKAGE = os.environ.get("CALF_BENCH_PYTHON_PACKAGE", "")  # where `calf` for Python was put
KINDS = [Calf, Pglite, Native]
SESSIONS = 20

SETUP = [
    "create table bench_kv (id int primary key, payload text)",
    "insert into bench_kv select i, md5(i::text) from generate_series(1, 100000) i",
    "create table bench_log (id bigserial primary key, client int, n int)",
    "vacuum analyze bench_kv",
]
ITEMS = "create table items (id int primary key, grp int, amount numeric(12,2), name text, at timestamptz)"
FILL = """insert into items select i, i % 1000, (i % 100000) / 100.0, 'name ' || md5(i::text),
          timestamptz '2026-01-01' + i * interval '1 second' from generate_series({0}, {1}) i"""
# name, what the table calls it, the statement, what is done before (not timed)
QUERIES = [
    ("aggregate", "count, sum, avg over 1 M rows", "select count(*), sum(id), avg(grp), max(at) from items", []),
    ("join", "hash join 1 M x 1 M", "select count(*), sum(b.grp) from items a join items b on b.id = a.id where b.grp < 500", []),
    ("group", "group by, 1,000 groups", "select count(*) from (select grp, count(*), sum(id) from items group by grp) g", []),
    ("sort", "sort 1 M by text", "select name from items order by name offset 999999", []),
    ("like", "like '%…%' over 1 M", "select count(*) from items where name like '%abc%'", []),
    ("numeric", "numeric sums over 1 M", "select sum(amount * 1.19), avg(amount) from items", []),
    ("index", "create index on text", "create index items_name on items (name)", ["drop index if exists items_name"]),
    ("update", "update 100,000 rows", "update items set grp = grp + 1 where id <= 100000", ["drop index if exists items_name"]),
]


@dataclass
class Row:
    """A line of the table. `goals`: what the figure, or its ratio to another system, must reach: (of what, limit)."""

    name: str
    label: str
    unit: str
    better: str = "lower"
    goals: tuple = ()  # of ("value" | "native" | "pglite" | "socket", limit)
    socket: "Row | None" = None  # the same thing over a socket
    rounds: dict = field(default_factory=dict)

    def median(self, system: str):
        values = [v for v in self.rounds.get(system, []) if v is not None]
        return statistics.median(values) if values else None

    def ratio(self, other: str):
        mine, theirs = self.median("calf"), self.socket.median("calf") if other == "socket" else self.median(other)
        return mine / theirs if mine is not None and theirs else None

    def reached(self, goal: tuple):
        """True, False, or None when there is no figure."""
        kind, limit = goal
        figure = self.median("calf") if kind == "value" else self.ratio(kind)
        if figure is None:
            return None
        return figure >= limit if self.better == "higher" else figure <= limit

    def as_json(self) -> dict:
        entry = {"name": self.name, "label": self.label, "unit": self.unit, "better": self.better}
        entry |= {system: self.median(system) for system in ("calf", "pglite", "native")}
        entry |= {"ratio": self.ratio("native"), "ratio_pglite": self.ratio("pglite"), "rounds": self.rounds}
        entry["goals"] = [{"of": goal[0], "limit": goal[1], "reached": self.reached(goal)} for goal in self.goals]
        return entry


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def drive(*arguments, timeout_s: float = 300) -> dict:
    pause = {"BENCH_PAUSE_MS": "100"} if any("calf-bench-pglite" in str(a) for a in arguments) else {}
    done = subprocess.run(
        [DRIVER, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, env=os.environ | pause
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-300:])
    return json.loads(done.stdout)


def drive_python(kind: str, seconds: float, *arguments: str) -> float:
    command = [sys.executable, PYTHON_CLIENT, kind, str(seconds), *arguments]
    environment = os.environ | {"PYTHONPATH": PYTHON_PACKAGE}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)["mean_us"]


def run_sql(target, *statements) -> None:
    for each in statements:
        drive("time", target.conninfo(), each)


class Bench:
    def __init__(self, quick: bool, only: list[str]):
        self.quick, self.only = quick, only
        self.kinds = [kind for kind in KINDS if kind.present()]
        self.rows: list[Row] = []
        self.failed: list[str] = []

    def wanted(self, *names: str) -> bool:
        return not self.only or any(chosen in name for name in names for chosen in self.only)

    def row(self, *arguments, **kw) -> Row:
        self.rows.append(Row(*arguments, **kw))
        return self.rows[-1]

    def ready(self, target, *statements) -> bool:
        """Runs what a measurement needs before it; False, and a line on stderr, when the system cannot."""
        try:
            run_sql(target, *statements)
            return True
        except Exception as error:
            say(f"{target.name}: {str(error).splitlines()[0]}")
            return False

    def note(self, row: Row, system: str, measure) -> None:
        """Adds one round. A figure that cannot be had is None, and why goes to stderr."""
        value = None
        try:
            value = measure()
        except Exception as error:
            message = f"{system}, {row.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            if message not in self.failed:
                self.failed.append(message)
                say(message)
        row.rounds.setdefault(system, []).append(value)

    # --- start ----------------------------------------------------------------------------------------------------

    def starts(self) -> None:
        if not self.wanted("first_answer_fresh", "first_answer_existing"):
            return
        say("start to first answer")
        directory = scratch("calf-bench-start-")
        try:
            self._prepare_directories(directory)
            fresh = self.row("first_answer_fresh", "fresh database, process start to end", "ms", goals=(("value", 10),))
            existing = self.row("first_answer_existing", "existing directory, process start to end", "ms", goals=(("value", 40),))
            for row, is_fresh in ((fresh, True), (existing, False)):
                for _ in range(3 if self.quick else 7):
                    for kind in self.kinds:
                        command = kind.first_answer(is_fresh, directory)
                        # Calf's takes milliseconds: several for one figure.
                        times = 5 if kind is Calf else 1
                        self.note(row, kind.name, lambda: statistics.median(drive("spawn", *command)["ms"] for _ in range(times)))
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _prepare_directories(self, directory: Path) -> None:
        directory.chmod(0o777)
        native = directory / "native"
        native.mkdir(mode=0o777)
        native.chmod(0o777)
        for kind in self.kinds:
            try:
                # What the first visit leaves is the existing directory of the others.
                drive("spawn", *kind.first_answer(kind is Native, directory))
            except Exception as error:
                say(f"{kind.name}, first visit: {error}")
        if (native / "fresh").exists():
            (native / "fresh").rename(native / "data")

    # --- one server of each, in memory or without fsync -------------------------------------------------------------

    def main_servers(self) -> None:
        names = "memory_empty memory_filled memory_session select insert simple session_start bulk insert_select reader python".split()
        if not self.wanted(*names, *(name for name, *_ in QUERIES)):
            return
        say("starting the servers")
        running = []
        try:
            for kind in self.kinds:
                try:
                    running.append(kind(in_memory=kind is not Native))
                except Exception as error:
                    say(f"{kind.name} did not start: {str(error).splitlines()[0]}")
            self.empty_memory(running)
            running = [each for each in running if self.ready(each, *SETUP) or each.close()]
            self.session_memory(running)
            self.statements(running)
            self.python_statements(running)
            self.session_starts(running)
            self.bulk(running)
            self.readers(running)
        finally:
            for each in running:
                each.close()

    def empty_memory(self, running) -> None:
        rss = self.row("memory_empty_rss", "memory after start: first process, RSS", "MB", goals=(("value", 25),))
        pss = self.row("memory_empty_pss", "memory after start: all processes, PSS", "MB")
        for each in running:
            self.ready(each, "select 1")
            time.sleep(0.3)
            memory = each.memory_kb()
            self.note(rss, each.name, lambda: memory["rss"] / 1024)
            self.note(pss, each.name, lambda: memory["pss"] / 1024)

    def session_memory(self, running) -> None:
        row = self.row("memory_session", "private memory of a further idle session", "MB", goals=(("value", 2),))
        for each in running:
            if each.concurrent:
                self.note(row, each.name, lambda: self._memory_of_a_session(each))

    def _memory_of_a_session(self, target) -> float:
        import psycopg

        held = []
        try:
            for _ in range(3):  # what only the first ones need
                held.append(self._idle(psycopg, target))
            before = target.memory_kb()["private"]
            for _ in range(SESSIONS):
                held.append(self._idle(psycopg, target))
            time.sleep(0.3)
            return (target.memory_kb()["private"] - before) / SESSIONS / 1024
        finally:
            for each in held:
                each.close()

    @staticmethod
    def _idle(psycopg, target):
        connection = psycopg.connect(target.conninfo(), autocommit=True)
        connection.execute("select payload from bench_kv where id = 1")
        return connection

    def statements(self, running) -> None:
        seconds, rounds = (1.0, 3) if self.quick else (3.0, 5)
        cases = [
            ("simple_1", "select 1, simple protocol, 1 client", "µs", "simple", 1, ()),
            ("select_1", "prepared select by key, 1 client", "µs", "select", 1, (("native", 0.85), ("pglite", 0.25))),
            ("insert_1", "prepared insert, 1 client", "µs", "insert", 1, (("native", 0.85), ("pglite", 0.25))),
            ("select_8", "prepared select by key, 8 clients", "tps", "select", 8, (("native", 1.0),)),
            ("insert_8", "prepared insert, 8 clients", "tps", "insert", 8, (("native", 1.0),)),
        ]
        for name, label, unit, kind, clients, goals in cases:
            if not self.wanted(name):
                continue
            say(label)
            row = self.row(name, label, unit, "higher" if unit == "tps" else "lower", goals)
            figure = "tps" if unit == "tps" else "mean_us"
            for _ in range(rounds):
                for each in running:
                    if clients == 1 or each.concurrent:
                        self.note(row, each.name, lambda: drive("statements", each.conninfo(), kind, clients, seconds)[figure])
                if name == "select_1" and IN_PROCESS:
                    self.in_process(row, seconds)

    def in_process(self, socket_row, seconds) -> None:
        """The statement of `socket_row` in a process that has the cluster inside. Beside it in time, too."""
        row = next((row for row in self.rows if row.name == "select_in_process"), None)
        row = row or self.row("select_in_process", "the same in process, C++ API", "µs", goals=(("socket", 0.25),), socket=socket_row)
        command = [IN_PROCESS, str(seconds), *SETUP]
        self.note(row, "calf", lambda: json.loads(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)["mean_us"])

    def python_statements(self, running) -> None:
        """The package, whose database is in the client's process, beside a driver and native PostgreSQL's socket."""
        cases = [
            ("python_select", "Python: prepared select by key; native: psycopg 3", "calf", "psycopg", (("native", 0.5),)),
            ("python_async", "Python, asyncio: the same; native: asyncpg", "calf-asyncio", "asyncpg", ()),
        ]
        seconds, rounds = (1.0, 3) if self.quick else (2.0, 5)
        native = next((each for each in running if each.name == "native"), None)
        for name, label, mine, theirs, goals in cases:
            if not self.wanted(name):
                continue
            say(label)
            row = self.row(name, label, "µs", goals=goals)
            for _ in range(rounds):
                if any(kind is Calf for kind in self.kinds):
                    self.note(row, "calf", lambda: drive_python(mine, seconds))
                if native:
                    self.note(row, "native", lambda: drive_python(theirs, seconds, native.conninfo()))

    def session_starts(self, running) -> None:
        if not self.wanted("session_start"):
            return
        say("session start")
        row = self.row("session_start", "connect, select 1, close", "ms", goals=(("value", 3),))
        for _ in range(3 if self.quick else 5):
            for each in running:
                self.note(row, each.name, lambda: drive("connect", each.conninfo(), 50 if each.concurrent else 10)["p50_ms"])

    def bulk(self, running) -> None:
        chosen = [query for query in QUERIES if self.wanted(query[0], "bulk")]
        if not chosen and not self.wanted("insert_select", "memory_filled"):
            return
        goals = (("native", 1.2), ("pglite", 0.6))
        insert = self.row("insert_select", "990,000 rows insert-select", "ms", goals=goals)
        say(insert.label)
        for _ in range(1 if self.quick else 3):
            for each in running:
                if self.ready(each, "drop table if exists items", ITEMS, FILL.format(1, 10000)):
                    self.note(insert, each.name, lambda: drive("time", each.conninfo(), FILL.format(10001, 1000000))["ms"])
        for each in running:
            self.ready(each, "vacuum analyze items", "checkpoint")
        for name, label, query, before in chosen:
            say(label)
            row = self.row(name, label, "ms", goals=goals)
            for _ in range(3 if self.quick else 5):
                for each in running:
                    if self.ready(each, *before):
                        self.note(row, each.name, lambda: drive("time", each.conninfo(), query)["ms"])
        filled = self.row("memory_filled", "memory after 1 M rows: all processes, PSS", "MB")
        for each in running:
            self.note(filled, each.name, lambda: each.memory_kb()["pss"] / 1024)

    def readers(self, running) -> None:
        if not self.wanted("reader_p95"):
            return
        say("readers while another session writes in bulk")
        row = self.row("reader_p95", "reader's p95 while another writes in bulk", "ms", goals=(("value", 5),))
        for _ in range(2 if self.quick else 5):
            for each in running:
                if each.concurrent:
                    self.note(row, each.name, lambda: drive("readers", each.conninfo(), 2 if self.quick else 5)["p95_ms"])

    # --- the npm packages' API, in process ---------------------------------------------------------------------------

    def node_api(self) -> None:
        if not self.wanted("node_create", "node_select"):
            return
        package = os.environ.get("CALF_NODE_PACKAGE")
        if not package:
            say("the npm package is not here: make node-package")
            return
        say("the API of the npm packages")
        create = self.row("node_create", "Node, in process: create() in memory", "ms", goals=(("value", 10),))
        select = self.row("node_select", "Node, in process: prepared select by key", "µs", goals=(("pglite", 0.2),))
        for _ in range(2 if self.quick else 5):
            for kind in self.kinds:
                if kind is Native:
                    continue
                outcome = {}

                def measured(figure: str, system: str = kind.name) -> float:
                    if not outcome:
                        command = ["node", str(Path(__file__).parent / "node_api.mjs"), system, "1" if self.quick else "3"]
                        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
                        if done.returncode != 0:
                            raise RuntimeError(done.stderr.strip()[-300:])
                        outcome.update(json.loads(done.stdout))
                    return outcome[figure]

                self.note(create, kind.name, lambda: measured("create_ms"))
                self.note(select, kind.name, lambda: measured("select_us"))

    # --- TPC-B ----------------------------------------------------------------------------------------------------

    def tpcb(self, durable: bool) -> None:
        name = "tpcb_8_fsync" if durable else "tpcb_8"
        if not self.wanted(name):
            return
        label = f"pgbench TPC-B, 8 clients, fsync {'on' if durable else 'off'}"
        say(label)
        row = self.row(name, label, "tps", "higher", () if durable else (("native", 1.1),))
        running = []
        try:
            for kind in self.kinds:
                if kind.concurrent:
                    running.append(kind(durable=durable))
            for each in list(running):
                try:
                    pgbench(each, "-i", "-q", "-s", "10")
                except Exception as error:
                    say(f"{each.name}, pgbench -i: {str(error).splitlines()[0]}")
                    running.remove(each)
                    each.close()
            for _ in range(2 if self.quick else 5):
                for each in running:
                    self.note(row, each.name, lambda: pgbench_tps(each, 4 if self.quick else 10))
        finally:
            for each in running:
                each.close()

    def run(self) -> None:
        self.starts()
        self.main_servers()
        self.node_api()
        self.tpcb(durable=False)
        self.tpcb(durable=True)


def pgbench(target, *arguments) -> str:
    command = [str(places.PGTOOLS / "pgbench"), *arguments, target.conninfo()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-300:])
    return done.stdout


def pgbench_tps(target, seconds: int) -> float:
    output = pgbench(target, "-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", str(seconds))
    return float(next(line for line in output.splitlines() if line.startswith("tps = ")).split()[2])


def shown(value, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "tps":
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def table(rows: list[Row]) -> str:
    head = ("", "unit", "Calf", "PGlite", "native", "Calf/native", "Calf/PGlite", "goal")
    lines = [head]
    for row in rows:
        figures = [shown(row.median(system), row.unit) for system in ("calf", "pglite", "native")]
        ratios = ["-" if row.ratio(other) is None else f"{row.ratio(other):.2f}" for other in ("native", "pglite")]
        sign = "≥" if row.better == "higher" else "≤"
        goals = []
        for goal in row.goals:
            text = f"{sign} {goal[1]:g}" + (f" {row.unit}" if goal[0] == "value" else f" of {goal[0]}")
            goals.append(text + {True: " yes", False: " NO", None: ""}[row.reached(goal)])
        lines.append((row.label, row.unit, *figures, *ratios, ", ".join(goals)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column in (0, 1, 7) else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: two to three minutes")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only rows whose name contains one of these")
    parser.add_argument("--without", nargs="+", default=[], choices=[k.name for k in KINDS], help="leave systems out")
    parser.add_argument("--json", default=str(targets.ROOT / "build" / "bench" / "bench.json"), help="where the rows go")
    options = parser.parse_args()
    bench = Bench(options.quick, options.only)
    bench.kinds = [kind for kind in bench.kinds if kind.name not in options.without]
    for kind in KINDS:
        if kind not in bench.kinds:
            say(f"{kind.name} is not here: it shows -")
    began = time.monotonic()
    bench.run()
    rows = [row for row in bench.rows if any(row.rounds.values()) and bench.wanted(row.name)]
    print(table(rows))
    target = Path(options.json)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps([row.as_json() for row in rows], indent=1))
    say(f"{time.monotonic() - began:.0f} s; rows in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
