"""Object storage against emulators: the contract that all stores keep to, run by its unit-test program."""

import os
import subprocess

import pytest
from harness import places

pytestmark = [pytest.mark.calf_only, pytest.mark.xdist_group("emulators")]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["s3rver", "moto", "azurite"])
def test_every_store_keeps_the_contract(emulators, name):
    emulator = emulators[name]
    url = f"{emulator.url}#{emulator.flaws}"
    done = subprocess.run(
        [places.CALF.parent / "blob_test", "--gtest_filter=*ObjectStoreContract*/2_*", "--gtest_brief=1"],
        env={**os.environ, **emulator.environment, "CALF_TEST_STORES": url},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "0 tests from" not in done.stdout
