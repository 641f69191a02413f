"""The npm package (bindings/node): its own tests, by node:test, on the tarball that users install."""

import hashlib
import os
import shutil
import subprocess

import pytest

from harness import places

SOURCE = places.ROOT / "bindings" / "node" / "test"
# Their files, and how long each may take in s.
FILES = {"compatibility": 280, "database": 280, "orm": 200, "package": 200, "readme": 100}

pytestmark = [
    pytest.mark.skipif(not places.is_calf(), reason="it carries Calf's library"),
    pytest.mark.xdist_group("node-package"),
]


def output_of(command: list[str], timeout_s: float, **options) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-20000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tests beside the packages that they use: those of their lock file, and the one under test."""
    tarball = output_of([str(places.ROOT / "scripts" / "node-package")], 280).splitlines()[-1]
    lock = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:12]
    installed = places.DEPS / f"node-tests-{lock}" / "node_modules"
    target = tmp_path_factory.mktemp("node") / "test"
    shutil.copytree(SOURCE, target, ignore=shutil.ignore_patterns("node_modules"))
    modules = target / "node_modules"
    modules.mkdir()
    for each in installed.iterdir():
        (modules / each.name).symlink_to(each)
    (modules / "calf").symlink_to(places.ROOT / "build" / "node" / "package")
    return target, tarball


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FILES)
def test_node_package(folder, name):
    target, tarball = folder
    command = ["node", "--test", "--test-reporter=spec", f"{name}.test.mjs"]
    output_of(command, FILES[name], cwd=target, env=os.environ | {"CALF_NODE_TARBALL": tarball})
