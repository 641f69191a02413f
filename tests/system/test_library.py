"""libcalf as users get it: installed to a prefix, found by pkg-config and CMake, in C and C++, shared and static."""

import os
import shutil
import subprocess

import pytest

from harness import places

pytestmark = [pytest.mark.calf_only, pytest.mark.xdist_group("library")]
NOTES = "note 1\nnote 2\nrefused: 23502 (column words)\n1: one\n2: two\n4: copied\n5: also copied\n"


def run(*command, **environment):
    done = subprocess.run(
        [str(part) for part in command], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """An installed tree. It is moved afterwards: nothing in it may know where it was made."""
    made = tmp_path_factory.mktemp("made") / "prefix"
    run(places.ROOT / "scripts" / "install-tree", made)
    return shutil.move(made, tmp_path_factory.mktemp("moved") / "prefix")


def test_pkg_config_finds_it(prefix, tmp_path):
    flags = run("pkg-config", "--cflags", "--libs", "calf", PKG_CONFIG_PATH=f"{prefix}/lib/pkgconfig").split()
    assert run("pkg-config", "--modversion", "calf", PKG_CONFIG_PATH=f"{prefix}/lib/pkgconfig").count(".") == 2
    run("cc", "-Wall", "-Werror", places.ROOT / "examples/c/notes.c", *flags, "-o", tmp_path / "notes")
    assert run(tmp_path / "notes", LD_LIBRARY_PATH=f"{prefix}/lib") == NOTES
    assert run(tmp_path / "notes", tmp_path / "data", LD_LIBRARY_PATH=f"{prefix}/lib") == NOTES


@pytest.mark.parametrize("language, programs", [("c", ["notes", "notes_static"]), ("cpp", ["bank"])])
def test_cmake_finds_it(prefix, tmp_path, language, programs):
    run("cmake", "-S", places.ROOT / "examples" / language, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path)
    for program in programs:
        out = run(tmp_path / program)
        assert out == NOTES or out.startswith("done\n1: 200\n2: 1800\n23514: account_balance_check\npostgresql://")


def test_only_its_own_names_are_visible(prefix):
    shared = run("nm", "-D", "--defined-only", prefix / "lib/libcalf.so")
    names = {line.split()[-1].split("@")[0] for line in shared.splitlines()}
    names.discard("CALF_0")
    assert len(names) > 50 and all(name.startswith("calf_") for name in names)
    archive = run("nm", "--defined-only", "--extern-only", prefix / "lib/libcalf.a")
    assert {line.split()[-1] for line in archive.splitlines() if " " in line} == names
    header = (prefix / "include/calf/calf.h").read_text()
    assert all(f"{name}(" in header for name in names)


def test_it_needs_the_c_library_only(prefix):
    needed = [line.split("[")[1] for line in run("readelf", "-d", prefix / "lib/libcalf.so").splitlines() if "NEEDED" in line]
    assert {name.split(".")[0] for name in needed} <= {"libc", "libm", "ld-linux-x86-64", "libpthread", "libgcc_s"}


def test_the_installed_program_runs(prefix):
    assert run(prefix / "bin/calf", "sql", "-At", "-c", "select 6 * 7") == "42\n"
