#!/usr/bin/env python3
"""Unpacks the guest's read-only files from the pinned npm packages.

Reads @electric-sql/pglite's dist/pglite.data (by the list of files in dist/pglite.js) and the extensions' *.tar.gz of all
installed @electric-sql packages. Writes

  ROOT/…      the tree the guest sees: /pglite/share/…, /pglite/bin/…; each lib/postgresql/*.so is only a marker there,
              because the module itself is linked into the image and found by its path
  MODULES/…   the side modules (*.so), for the translator

Both directories are made anew. The same packages give the same bytes.
"""
import argparse
import os
import pathlib
import re
import shutil
import stat
import sys
import tarfile

PREFIX = "/pglite/"
LIBRARIES = PREFIX + "lib/postgresql/"
MARKER = b"This module is linked into the image.\n"


def files_of_image(package: pathlib.Path):
    """Yields (guest path, bytes, executable) of everything in pglite.data."""
    script = (package / "dist/pglite.js").read_text()
    data = (package / "dist/pglite.data").read_bytes()
    listed = re.findall(r'filename:"([^"]+)",start:(\d+),end:(\d+)', script)
    if not listed:
        sys.exit("unpack: no list of files in pglite.js; has the package changed?")
    if max(int(end) for _, _, end in listed) != len(data):
        sys.exit("unpack: the list of files does not cover pglite.data")
    for path, start, end in listed:
        yield path, data[int(start):int(end)], path.startswith(PREFIX + "bin/")


def files_of_tarball(tarball: pathlib.Path):
    with tarfile.open(tarball) as archive:
        for member in archive:
            if member.isdir():
                continue
            path = os.path.normpath(PREFIX + member.name)
            if not member.isfile() or not path.startswith(PREFIX):
                sys.exit(f"unpack: {tarball.name}: unexpected member {member.name}")
            yield path, archive.extractfile(member).read(), False


def tarballs(packages: pathlib.Path):
    for package in sorted(packages.iterdir()):
        yield from sorted((package / "dist").glob("*.tar.gz"))


def gather(packages: pathlib.Path):
    """Guest path to (bytes, executable). A path that comes twice must have the same content."""
    files, origin = {}, {}
    sources = [("pglite.data", files_of_image(packages / "pglite"))]
    sources += [(tarball.name, files_of_tarball(tarball)) for tarball in tarballs(packages)]
    for source, content in sources:
        for path, data, executable in content:
            if path in files and files[path][0] != data:
                sys.exit(f"unpack: {path} differs between {origin[path]} and {source}")
            files[path] = (data, executable)
            origin[path] = source
    return files


def write(path: pathlib.Path, data: bytes, executable: bool):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH | (0o111 if executable else 0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=pathlib.Path, required=True, help="node_modules/@electric-sql")
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--modules", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    files = gather(arguments.packages)
    for directory in (arguments.root, arguments.modules):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    modules = 0
    for path, (data, executable) in sorted(files.items()):
        if path.startswith(LIBRARIES) and path.endswith(".so"):
            write(arguments.modules / path[len(LIBRARIES):], data, False)
            data = MARKER
            modules += 1
        write(arguments.root / path.lstrip("/"), data, executable)
    print(f"unpacked {len(files)} files, {modules} of them side modules")


if __name__ == "__main__":
    main()
