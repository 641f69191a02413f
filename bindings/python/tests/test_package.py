"""What is installed: the README's examples, type hints, nothing that would have to be installed beside it."""

import re
import subprocess
import sys
from pathlib import Path

import calf
import pytest

PACKAGE = Path(calf.__file__).parent
README = Path(__file__).parents[1] / "README.md"
EXAMPLES = [block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)]


def test_the_readme_has_examples():
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_readme_runs_and_prints_what_it_says(number, tmp_path):
    example = EXAMPLES[number]
    command = [sys.executable, "-c", example]
    if "# conftest.py" in example:
        conftest, tests = example.split("# test_users.py")
        (tmp_path / "conftest.py").write_text(conftest)
        (tmp_path / "test_users.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in example.splitlines():
        said = re.search(r"print\(.*# ([\[({\w].*)$", line)
        if said and "…" not in said[1] and not said[1].startswith("for "):
            assert said[1] in done.stdout


def test_it_asks_for_the_c_library_only():
    # libgcc_s belongs to it: pthread_exit() unwinds with that.
    for library in [*PACKAGE.glob("*.so"), *PACKAGE.glob("*.so.*")]:
        listing = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True).stdout
        needed = re.findall(r"NEEDED.*\[(.*?)\]", listing)
        assert all(re.match(r"lib(c|m|calf|pthread|dl|gcc_s)\.so|ld-linux", name) for name in needed), (library, needed)


def test_type_hints_are_strict():
    assert (PACKAGE / "py.typed").exists()
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "/dev/null", "-p", "calf"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout


def test_everything_public_is_documented():
    for name in calf.__all__:
        thing = getattr(calf, name)
        assert getattr(thing, "__doc__", None), name
