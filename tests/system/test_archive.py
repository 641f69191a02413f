"""The archive of a SQLite database: a writer is killed at random moments, and nothing that it said to be in the store
is missing on the next machine. Its unit tests and the random model are src/archive's."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import time

import pytest
from harness import places
from harness.emulators import Emulators

pytestmark = [pytest.mark.calf_only, pytest.mark.xdist_group("emulators")]


@pytest.fixture(scope="module")
def emulators():
    made = Emulators()
    yield made
    made.close()


class Writer:
    def __init__(self, url: str, file: str, seed: int, environment: dict):
        self.process = subprocess.Popen(
            [places.CALF.parent / "archive_writer", url, file, str(seed)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started = None
        self.acknowledged = 0

    def read_for(self, seconds: float):
        """Reads what it acknowledges; returns at the end of the time, counted from when it has started, or of the process."""
        deadline = time.monotonic() + seconds if self.started is not None else None
        for line in self.process.stdout:
            if match := re.fullmatch(r"started (\d+)\n", line):
                self.started = int(match[1])
                deadline = time.monotonic() + seconds
            elif line.startswith("error"):
                return line
            else:
                self.acknowledged = int(line)
            if deadline and time.monotonic() > deadline:
                return None
        return "ended"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        rest = self.process.stdout.read()  # what it had said before
        for line in rest.splitlines():
            if line.isdigit():
                self.acknowledged = int(line)
        self.process.wait(10)


def place_in(url: str, name: str) -> str:
    base, _, query = url.partition("?")
    return f"{base.rstrip('/')}/{name}?{query}" if query else f"{base.rstrip('/')}/{name}"


def restored(url: str, file, environment: dict) -> sqlite3.Connection:
    done = subprocess.run(
        [places.CALF, "restore", url, file], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return sqlite3.connect(file)


def kill_rounds(url: str, environment: dict, directory, rounds: int):
    dice = random.Random(rounds)
    known = 0
    for number in range(rounds):
        # Sometimes the same machine again, mostly an empty one.
        machine = number if dice.random() < 0.7 else max(0, number - 1)
        writer = Writer(url, str(directory / f"machine{machine}.db"), number, environment)
        try:
            end = writer.read_for(dice.uniform(0.05, 0.8))
            assert end is None, end
            assert writer.started >= known, f"round {number}: {known} was acknowledged, {writer.started} is there"
        finally:
            writer.kill()
        known = max(known, writer.acknowledged)
    copy = restored(url, directory / "copy.db", environment)
    assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    last, count = copy.execute("select max(n), count(*) from log").fetchone()
    assert count == last >= known > 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["moto", "azurite"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(emulators, directory, name):
    emulator = emulators[name]
    kill_rounds(place_in(emulator.url, f"kill-{os.getpid()}"), emulator.environment, directory, 6)


@pytest.mark.timeout(120)
def test_nor_with_a_folder(directory):
    kill_rounds(str(directory / "store"), {}, directory, 8)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["moto", "azurite"])
def test_nor_in_a_hundred_rounds(emulators, directory, name):
    emulator = emulators[name]
    kill_rounds(place_in(emulator.url, f"hundred-{os.getpid()}"), emulator.environment, directory, 100)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["moto", "azurite"])
def test_of_two_writers_only_one_goes_on(emulators, directory, name):
    """The first one is stopped for longer than its lease; when it wakes it must not write any more."""
    emulator = emulators[name]
    url = place_in(emulator.url, f"two-{os.getpid()}")
    first = Writer(url, str(directory / "a.db"), 1, emulator.environment)
    assert first.read_for(0.5) is None
    first.process.send_signal(signal.SIGSTOP)
    second = Writer(url, str(directory / "b.db"), 2, emulator.environment)
    try:
        assert second.read_for(0.5) is None
        assert second.started >= first.acknowledged
        before = second.started
        first.process.send_signal(signal.SIGCONT)
        end = first.read_for(20)
        assert end and "no longer the writer" in end, end
        assert first.acknowledged <= before, "both said that the same number was theirs"
        assert second.read_for(0.2) is None
    finally:
        first.kill()
        second.kill()
    copy = restored(url, directory / "copy.db", emulator.environment)
    last, count = copy.execute("select max(n), count(*) from log").fetchone()
    assert count == last >= second.acknowledged
