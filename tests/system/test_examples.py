"""The examples of docs/testing.md: every one is run as the page says, and the page shows what the files hold."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from harness import places

pytestmark = pytest.mark.calf_only

EXAMPLES = places.ROOT / "tests" / "examples"
PAGE = places.ROOT / "docs" / "testing.md"


def node_modules(kind, folder):
    """What scripts/install/test-deps.sh has installed for a lock file."""
    lock = places.SYSTEM / folder / "package-lock.json"
    return places.DEPS / f"{kind}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}" / "node_modules"


@pytest.fixture
def project(tmp_path, request):
    """A copy of an example, run by calf serve; its output."""

    def run(name, command, program):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine")
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder)
        if name == "node":
            (folder / "node_modules").symlink_to(node_modules("node", "clients/node"))
        if name in ("vitest", "jest"):
            shutil.copytree(EXAMPLES / "node", tmp_path / "node")
            (tmp_path / "node_modules").symlink_to(node_modules("node-runners", "runners"))
        tools = tmp_path / "bin"
        tools.mkdir()
        (tools / "calf").symlink_to(places.CALF)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PYTEST"))}
        environment["PATH"] = f"{tools}:{places.PGTOOLS}:{environment['PATH']}"
        serve = ["calf", "serve", "-p", "0", "--pool", "0", "-q", "--run", command]
        done = subprocess.run(serve, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.timeout(60)
def test_pytest(project):
    assert "4 passed" in project("pytest", f"{sys.executable} -m pytest -q -p no:cacheprovider", sys.executable)


@pytest.mark.timeout(60)
def test_pytest_with_xdist(project):
    assert "4 passed" in project("pytest", f"{sys.executable} -m pytest -q -n 2 -p no:cacheprovider", sys.executable)


@pytest.mark.timeout(60)
def test_node(project):
    assert re.search(r"pass 4\b", project("node", "node --test --test-reporter=tap", "node"))


@pytest.mark.timeout(90)
def test_vitest(project):
    assert re.search(r"Tests\s+4 passed", project("vitest", "NO_COLOR=1 ../node_modules/.bin/vitest run 2>&1", "node"))


@pytest.mark.timeout(90)
def test_jest(project):
    jest = "NODE_OPTIONS=--experimental-vm-modules ../node_modules/.bin/jest 2>&1"
    assert re.search(r"Tests:\s+4 passed", project("jest", jest, "node"))


@pytest.mark.timeout(150)
def test_go(project):
    assert project("go", "go test -count=1 -v ./...", "go").count("--- PASS") == 5


@pytest.mark.timeout(250)
def test_junit(project):
    assert "Tests run: 4, Failures: 0, Errors: 0" in project("junit", "mvn -B -ntp test", "mvn")


@pytest.mark.timeout(90)
def test_exunit(project):
    assert "4 tests, 0 failures" in project("exunit", "mix test", "mix")


def shown_files():
    """The page's files: a line that names one, and a block that holds it."""
    found = re.findall(r"^`(tests/examples/[^`]+)`:\n\n```\w*\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return dict(found)


def test_the_page_shows_the_files_as_they_are():
    shown = shown_files()
    left_out = {"go.sum"}
    files = [f for f in EXAMPLES.rglob("*") if f.is_file() and f.name not in left_out]
    assert sorted(shown) == sorted(str(f.relative_to(places.ROOT)) for f in files)
    for name, text in shown.items():
        assert (places.ROOT / name).read_text() == text, name
