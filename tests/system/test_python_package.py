"""The Python package: its wheel is built, installed into a fresh environment, and tested there by its own tests."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import places

PACKAGE = places.ROOT / "bindings" / "python"
LIBRARY = Path(os.environ.get("CALF_LIBRARY", places.ROOT / "build" / "release" / "libcalf.so"))
FILES = sorted(path.name for path in (PACKAGE / "tests").glob("test_*.py"))

pytestmark = [pytest.mark.calf_only, pytest.mark.timeout(300)]


def run(*command, **options):
    done = subprocess.run([str(each) for each in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def environment():
    """A fresh environment with the wheel in it, made by the worker that comes first; the tests' own packages come from
    one that was installed before."""
    run_name = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    directory = places.ROOT / "build" / "python" / "environment"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = directory / "made-for"
        if not made.exists() or made.read_text() != run_name:
            make_environment(directory)
            made.write_text(run_name)
    return directory


def make_environment(directory):
    shutil.rmtree(directory, ignore_errors=True)
    output = run(places.ROOT / "scripts" / "python-wheel", env=os.environ | {"CALF_LIBRARY": str(LIBRARY)})
    wheel = output.splitlines()[-1]
    run(sys.executable, "-m", "venv", directory)
    run(directory / "bin" / "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    packages = next(directory.glob("lib/python*/site-packages"))
    theirs = next(Path(os.environ["CALF_PYTHON_PACKAGE_DEPS"]).glob("lib/python*/site-packages"))
    (packages / "tests.pth").write_text(f"{theirs}\n")


def test_nothing_else_is_needed(environment):
    """Isolated from the tests' packages (-S leaves .pth files unread)."""
    packages = next(environment.glob("lib/python*/site-packages"))
    code = f"import sys; sys.path.append({str(packages)!r}); import calf\nwith calf.open() as db, db.connect() as c: print(c.execute('select 1').fetchone())"
    assert run(environment / "bin" / "python", "-S", "-c", code, cwd="/").endswith("(1,)\n")


@pytest.mark.parametrize("name", FILES)
def test_its_own_tests(environment, name):
    # The package's fixtures, not those of this suite: no configuration of this one is to be found.
    arguments = ["-q", "-p", "no:cacheprovider", "--rootdir", PACKAGE / "tests", "-c", "/dev/null", "--timeout", "100"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PG"))}
    run(environment / "bin" / "python", "-m", "pytest", *arguments, PACKAGE / "tests" / name, cwd="/", env=clean)
