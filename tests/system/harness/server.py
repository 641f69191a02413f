"""A server under test: started, stopped and killed the same way whether it is Calf or a native PostgreSQL.

One Server is one running cluster. Not thread-safe; every wait has a deadline."""

import json
import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from . import places, proc

START_DEADLINE_S = 30
STOP_DEADLINE_S = 20
UNPRIVILEGED = "nobody"


class StartFailed(Exception):
    """The server ended or stayed silent instead of getting ready; carries what it printed."""


@dataclass
class Options:
    """target: "calf" or "native", by default what the environment says.
    data: None for a fresh database that nobody needs later (Calf: memory://), else a directory of the data.
    auth: "trust", "password" or "scram-sha-256" for every connection."""

    target: str = places.TARGET
    data: Path | None = None
    settings: dict = field(default_factory=dict)
    auth: str = "trust"
    tls: bool = False
    durable: bool = True
    host: str = "127.0.0.1"
    environment: dict = field(default_factory=dict)
    arguments: tuple = ()  # more of them, of calf serve


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def scratch(prefix: str = "calf-test-") -> Path:
    """A fresh directory that the unprivileged user of the native server can reach as well."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=os.environ.get("CALF_TEST_TMP", "/tmp")))
    path.chmod(0o755)
    return path


class Server:
    """Use `start(options)`; a context manager that kills the server and removes its scratch directory."""

    # Those that are running now, for reports.
    running: "list[Server]" = []

    def __init__(self, options: Options):
        self.options = options
        Server.running.append(self)
        self.host = options.host
        self.port = 0
        self.ready = {}  # Calf's ready line
        self.process: subprocess.Popen | None = None
        self.scratch = scratch()
        self.sockets = self.scratch / "s"
        self.sockets.mkdir()
        self.sockets.chmod(0o777)
        self.log = self.scratch / "log"

    # --- life -----------------------------------------------------------------------------------------------------

    @classmethod
    def start(cls, options: Options | None = None, **kw) -> "Server":
        server = cls(options or Options(**kw))
        try:
            server.launch()
        except BaseException:
            server.close()
            raise
        return server

    def launch(self) -> None:
        """Starts (again) with the same options. Raises StartFailed."""
        if self.is_calf:
            self._launch_calf()
        else:
            self._launch_native()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def is_calf(self) -> bool:
        return self.options.target == "calf"

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = STOP_DEADLINE_S) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout_s)

    def stop(self, timeout_s: float = STOP_DEADLINE_S) -> int:
        """A fast shutdown; the exit code. What SIGTERM does in Calf is SIGINT for a native postmaster."""
        self.signal(self.fast_shutdown_signal)
        return self.wait(timeout_s)

    @property
    def fast_shutdown_signal(self) -> int:
        return signal.SIGTERM if self.is_calf else signal.SIGINT

    def kill(self) -> None:
        """SIGKILL to every process of the server: what a power cut leaves, minus the disk's own caches."""
        if self.process is None:
            return
        for pid in proc.tree(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            pass

    def close(self) -> None:
        if self in Server.running:
            Server.running.remove(self)
        if self.alive():
            self.kill()
        for stream in (self.process.stdout, self.process.stderr) if self.process else ():
            if stream:
                stream.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    # --- reaching it ----------------------------------------------------------------------------------------------

    def url(self, dbname: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@{self.host}:{self.port}/{dbname}"

    def connect(self, dbname: str = "postgres", user: str = "postgres", unix: bool = False, **kw) -> psycopg.Connection:
        kw.setdefault("autocommit", True)
        kw.setdefault("connect_timeout", 10)
        kw.setdefault("host", str(self.sockets) if unix else self.host)
        # psycopg prepares by itself after five executions; tests say when they want a prepared statement.
        kw.setdefault("prepare_threshold", None)
        return psycopg.connect(port=self.port, dbname=dbname, user=user, **kw)

    def raw(self, timeout_s: float = 10) -> socket.socket:
        """A bare TCP connection, nothing sent."""
        s = socket.create_connection((self.host, self.port), timeout=timeout_s)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def environment(self, dbname: str = "postgres") -> dict:
        """Variables for client programs."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return clean | {
            "DATABASE_URL": self.url(dbname),
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGDATABASE": dbname,
            "PGCONNECT_TIMEOUT": "10",
        }

    def output(self) -> str:
        """What the server wrote to its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # --- Calf -----------------------------------------------------------------------------------------------------

    def _launch_calf(self) -> None:
        o = self.options
        if not places.CALF.exists():
            raise StartFailed(f"{places.CALF} is missing: build it first")
        command = [str(places.CALF), "serve", str(o.data) if o.data else "memory://", "--json"]
        command += ["-h", o.host, "-p", str(self.port), "-k", str(self.sockets)]
        if o.auth != "trust":
            command += ["--auth", o.auth]
        if o.tls:
            command += ["--tls"]
        if "authentication_timeout" in o.settings:
            # Up to the startup packet it is the listener that waits.
            command += ["--handshake-timeout", str(o.settings["authentication_timeout"]).removesuffix("s")]
        for name, value in o.settings.items():
            command += ["-c", f"{name}={value}"]
        command += o.arguments
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | o.environment
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
            )
        line = self._ready_line()
        try:
            ready = json.loads(line)
        except json.JSONDecodeError:
            raise StartFailed(f"not a ready line: {line!r}\n{self.output()}") from None
        if not ready.get("success"):
            self.process.wait(STOP_DEADLINE_S)
            raise StartFailed(line)
        self.ready = ready
        self.port = int(ready["port"])

    def _ready_line(self) -> str:
        deadline = time.monotonic() + START_DEADLINE_S
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in buffer:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.kill()
                    raise StartFailed(f"no ready line within {START_DEADLINE_S} s\n{self.output()}")
                chunk = os.read(self.process.stdout.fileno(), 65536)
                if not chunk:
                    code = self.process.wait(STOP_DEADLINE_S)
                    raise StartFailed(f"ended with {code} before it was ready: {buffer!r}\n{self.output()}")
                buffer += chunk
        return buffer.split(b"\n", 1)[0].decode()

    # --- native PostgreSQL ----------------------------------------------------------------------------------------

    def _launch_native(self) -> None:
        o = self.options
        data = o.data or self.scratch / "data"
        if not (data / "PG_VERSION").exists():
            _copy_native_template(data)
        (data / "pg_hba.conf").write_text(f"local all all {o.auth}\nhost all all all {o.auth}\n")
        self.port = self.port or _free_port()
        settings = {"fsync": "on" if o.data and o.durable else "off", "unix_socket_directories": self.sockets}
        settings |= {"listen_addresses": o.host, "logging_collector": "off"}
        if o.tls:
            settings |= _certificate(data)
        command = [str(places.NATIVE / "bin" / "postgres"), "-D", str(data), "-p", str(self.port)]
        for name, value in (settings | o.settings).items():
            command += ["-c", f"{name}={value}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | o.environment
        with open(self.log, "ab") as log:
            offset = log.tell()
            self.process = subprocess.Popen(
                _unprivileged(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while b"ready to accept connections" not in self.log.read_bytes()[offset:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise StartFailed(self.output()[offset:])
            time.sleep(0.01)


def _unprivileged(command: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam(UNPRIVILEGED)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", str(path)], check=True)


def _copy_native_template(data: Path) -> None:
    """initdb takes a second: it runs once a machine, and its result is copied."""
    template = places.DEPS / "native-template-18.4.0-beta.17"
    if not template.exists():
        fresh = scratch("calf-initdb-")
        _give_away(fresh)
        initdb = [str(places.NATIVE / "bin" / "initdb"), "-D", str(fresh / "data"), "-U", "postgres", "-A", "trust"]
        initdb += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        subprocess.run(_unprivileged(initdb), check=True, stdout=subprocess.DEVNULL, cwd="/tmp")
        try:
            os.rename(shutil.copytree(fresh / "data", f"{template}.{os.getpid()}"), template)
        except OSError:
            pass  # another worker was first
        shutil.rmtree(fresh, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(data)], check=True)
    data.chmod(0o700)
    _give_away(data)


def _certificate(data: Path) -> dict:
    key, certificate = data / "server.key", data / "server.crt"
    if not certificate.exists():
        command = ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"]
        command += ["-newkey", "rsa:2048", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        key.chmod(0o600)
        _give_away(data)
    return {"ssl": "on"}
