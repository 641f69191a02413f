"""The Elixir library (bindings/elixir): its own tests, against the binary, without Hex. Every test file is a test."""

import os
import re
import subprocess

import pytest

from harness import places

PACKAGE = places.ROOT / "bindings" / "elixir"
BUILD = places.ROOT / "build" / "elixir"
FILES = sorted(path.name for path in (PACKAGE / "test").glob("*_test.exs"))

# One worker: they share what Mix has compiled.
pytestmark = [pytest.mark.calf_only, pytest.mark.xdist_group("elixir")]


def mix(*arguments: str, timeout: float, build: str = "test") -> str:
    """Runs Mix in the package, with everything that it writes in a folder of the build; its output."""
    environment = os.environ | {
        "PGLITE_WITHOUT_HEX": "1",
        "CALF_PATH": str(places.CALF),
        "MIX_ENV": "test",
        "MIX_HOME": str(BUILD / "mix"),
        "MIX_BUILD_PATH": str(BUILD / build),
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["mix", *arguments],
        cwd=PACKAGE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-20000:]
    return done.stdout


def test_formatted():
    mix("format", "--check-formatted", timeout=30)


def test_compiles_without_warnings():
    mix("compile", "--force", "--warnings-as-errors", timeout=50, build="strict")


@pytest.mark.timeout(150)
@pytest.mark.parametrize("file", FILES)
def test_exunit(file, request, record_property):
    slow = ["--include", "slow"] if request.config.getoption("--slow") else []
    output = mix("test", *slow, f"test/{file}", timeout=140)
    # "11 doctests, 48 tests, 0 failures, 2 excluded"; what is excluded is among the tests.
    summary = re.search(r"^(?:(\d+) doctests?, )?(?:(\d+) tests?, )?0 failures(?:, (\d+) excluded)?", output, re.MULTILINE)
    assert summary, output[-5000:]
    doctests, tests, excluded = (int(number or 0) for number in summary.groups())
    assert doctests + tests > 0, output[-5000:]
    record_property("exunit_tests", doctests + tests - excluded)
    if doctests + tests == excluded:
        pytest.skip("needs what this binary does not have")
