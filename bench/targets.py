"""The three systems that are measured, started, asked for memory and ended by one interface.

What does not belong here: what is measured (bench.py) and load (driver.cc)."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from harness import places, proc  # noqa: E402
from harness.server import Options, Server, scratch  # noqa: E402
from harness.sqlite import SqliteServer  # noqa: E402

START_DEADLINE_S = 60

# The same room for both, and for native neither JIT nor helpers that Calf does not have.
COMMON = {"shared_buffers": "128MB"}
NATIVE_ONLY = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}


class Target:
    """A running system. `conninfo(…)` reaches it over a Unix socket."""

    name = ""
    concurrent = True  # can it serve several clients at once?

    def conninfo(self, dbname: str = "postgres") -> str:
        raise NotImplementedError

    def memory_kb(self) -> dict:
        """rss: of the first process; pss and private: of all processes of the system."""
        pid = self.pid()
        return {"rss": proc.rss_kb(pid), "pss": proc.pss_kb(pid), "private": proc.private_kb(pid)}

    def pid(self) -> int:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class _Postgres(Target):
    """Calf and native PostgreSQL, which the system tests' harness can start."""

    which = ""

    def __init__(self, durable: bool = False, in_memory: bool = False):
        settings = COMMON | (NATIVE_ONLY if self.which == "native" else {})
        self.directory = None
        if not in_memory:
            self.directory = scratch("calf-bench-")
            if not durable:
                settings = settings | {"fsync": "off"}
        data = self.directory / "data" if self.directory else None
        self.server = Server.start(Options(target=self.which, data=data, settings=settings, durable=durable))

    def conninfo(self, dbname: str = "postgres") -> str:
        return f"host={self.server.sockets} port={self.server.port} user=postgres dbname={dbname}"

    def pid(self) -> int:
        return self.server.pid

    def close(self) -> None:
        self.server.close()
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)


class Calf(_Postgres):
    name, which = "calf", "calf"

    @staticmethod
    def present() -> bool:
        return places.CALF.exists()

    @staticmethod
    def first_answer(fresh: bool, directory: Path) -> list[str]:
        """The command that starts, answers one query and ends; on a new database or on the one in the directory."""
        data = "memory://" if fresh else str(directory / "calf")
        return [str(places.CALF), "sql", data, "-c", "select 1"]


class Native(_Postgres):
    name, which = "native", "native"

    @staticmethod
    def present() -> bool:
        return places.NATIVE.exists()

    @staticmethod
    def first_answer(fresh: bool, directory: Path) -> list[str]:
        """initdb (when fresh), start, one query through psql, fast shutdown: what `calf sql` does, with a real server."""
        script = str(Path(__file__).parent / "native_first_answer.sh")
        command = [script, str(places.NATIVE), "fresh" if fresh else "existing", str(directory / "native"), str(places.PGTOOLS / "psql")]
        if os.geteuid() != 0:
            return command
        user = pwd.getpwnam("nobody")
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]


class CalfSqlite(Target):
    """Calf's sqlite engine; its figures stand in Calf's column, in rows of their own."""

    name = "calf"

    def __init__(self):
        self.directory = scratch("calf-bench-sqlite-")
        self.server = SqliteServer(self.directory / "bench.db")

    def conninfo(self, dbname: str = "postgres") -> str:
        return f"host={self.server.scratch} port={self.server.port} user=postgres dbname={dbname}"

    def pid(self) -> int:
        return self.server.process.pid

    def close(self) -> None:
        self.server.kill()
        shutil.rmtree(self.server.scratch, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)


class Pglite(Target):
    name = "pglite"
    concurrent = False
    modules = os.environ.get("NODE_MODULES_AT", "")  # where npm put the packages

    def __init__(self, durable: bool = False, in_memory: bool = False):
        self.directory = scratch("calf-bench-pglite-")
        data = "memory://" if in_memory else str(self.directory / "data")
        command = ["node", str(Path(__file__).parent / "pglite" / "server.mjs"), data, str(self.directory / ".s.PGSQL.5432")]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | {"NODE_MODULES_AT": self.modules}
        )
        if self.process.stdout.readline().strip() != "ready":
            self.close()
            raise RuntimeError("PGlite did not start")

    @staticmethod
    def present() -> bool:
        return Path(Pglite.modules).exists()

    @staticmethod
    def first_answer(fresh: bool, directory: Path) -> list[str]:
        data = "memory://" if fresh else str(directory / "pglite")
        return ["node", str(Path(__file__).parent / "pglite" / "server.mjs"), "--once", data]

    def conninfo(self, dbname: str = "postgres") -> str:
        return f"host={self.directory} port=5432 user=postgres dbname={dbname} sslmode=disable gssencmode=disable"

    def pid(self) -> int:
        return self.process.pid

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        time.sleep(0.05)
