"""Bounds on memory and time. They are about the program as it is released: sanitizers keep freed memory and slow everything
down, so with such a build what was measured is told and not judged; the test's behaviour is tested all the same."""

import functools
import re
import subprocess
import time
import warnings

from harness import places


@functools.cache
def sanitizers() -> str:
    """What the binary under test was built with: "address,undefined", "thread", or "" for a release."""
    if not places.is_calf():
        return ""
    version = subprocess.run([places.CALF, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    found = re.search(r"sanitizers: ([a-z,]+)", version)
    return found[1] if found else ""


def assert_soon_below(measure, bound: float, what: str, timeout_s: float = 20):
    """For what shrinks by itself a moment later."""
    deadline = time.monotonic() + timeout_s
    while measure() >= bound and time.monotonic() < deadline:
        time.sleep(0.1)
    assert_below(measure(), bound, what)


def assert_below(measured: float, bound: float, what: str):
    if not sanitizers():
        assert measured < bound, f"{what}: {measured}, and should be below {bound}"
    elif measured >= bound:
        warnings.warn(f"not judged, with sanitizers ({sanitizers()}): {what}: {measured}, and should be below {bound}", stacklevel=2)
