"""A server of the sqlite engine, for the tests about it."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from . import places
from .server import scratch


class SqliteServer:
    """A context manager. file: None for memory. Extra arguments go to calf serve; `engine` is another one to compare with."""

    def __init__(self, file: Path | None = None, *arguments: str, engine: str = "sqlite"):
        self.scratch = scratch()
        self.file = file
        self.log = open(self.scratch / "log", "wb")
        command = [str(places.CALF), "serve", "--engine", engine, *([str(file)] if file else []), "-p", "0",
                   "-k", str(self.scratch), "--json", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        self.ready = json.loads(line)
        if not self.ready["success"]:
            raise RuntimeError(self.ready["error"])
        self.port = self.ready["port"]

    def connect(self, **options) -> psycopg.Connection:
        options = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres", "autocommit": True} | options
        return psycopg.connect(**options)

    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def resident_kb(self, which: str = "RssAnon") -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(which):
                return int(line.split()[1])
        raise LookupError(which)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
