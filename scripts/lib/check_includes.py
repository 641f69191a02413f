"""Checks that modules include only what they depend on.

A module is a folder src/NAME; what it may include is what the calf_module(… DEPENDS …) of its CMakeLists.txt names, and
what those depend on in turn; base, os and the contract with the generated code (wasm/abi) are everybody's. Prints each include that breaks this, and exits with 1 if there is one.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"


def declared():
    """Module (folder below src) -> folders it names. Sub-modules like wasm/files are called wasm_files in CMake."""
    modules = {}
    folders = {}
    for file in SOURCE.glob("*/**/CMakeLists.txt"):
        text = re.sub(r"#.*", "", file.read_text())
        for call in re.finditer(r"calf_module\((\w+)([^)]*)\)", text):
            folder = file.parent.relative_to(SOURCE).as_posix()
            words = call.group(2).split()
            depends, inside = [], False
            for word in words:
                if word.isupper() and len(word) > 3:
                    inside = word == "DEPENDS"
                elif inside:
                    depends.append(word)
            folders[call.group(1)] = folder
            modules[folder] = depends
    return {folder: {folders[name] for name in depends} for folder, depends in modules.items()}


def closure(direct, folder):
    reached, todo = set(), [folder]
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            todo.extend(direct.get(here, ()))
    return reached


def module_of(path, modules):
    """The innermost module that a path below src belongs to, or None."""
    parts = path.split("/")[:-1]
    for length in range(len(parts), 0, -1):
        if "/".join(parts[:length]) in modules:
            return "/".join(parts[:length])
    return None


def main() -> int:
    direct = declared()
    everyone = {"base", "os"}
    broken = 0
    for file in sorted(list(SOURCE.glob("**/*.h")) + list(SOURCE.glob("**/*.cc"))):
        path = file.relative_to(SOURCE).as_posix()
        module = module_of(path, direct)
        # Tests and test helpers may use more; so may the program's main.
        if module is None or path.endswith("_test.cc") or "/testing/" in path or path.endswith("/main.cc"):
            continue
        allowed = closure(direct, module) | everyone
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'#include "(?!wasm/abi/)([^"]+)"', line)
            other = module_of(match.group(1), direct) if match else None
            if other and other not in allowed and not other.startswith(module + "/"):
                print(f"src/{path}:{number}: {module} may not include {match.group(1)} (add {other} to its DEPENDS?)")
                broken += 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
