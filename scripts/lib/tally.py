"""Adds up test results: `tally.py RESULTS_DIRECTORY`.

Reads what scripts/test leaves there: unit/*.xml (one GoogleTest file a binary), ctest.xml (which binaries ctest ran, and
whether they ended well), system.json, and steps/NAME with the word passed or failed. Prints the one closing line, writes
it as total.json, and exits with 1 if anything failed or nothing ran.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def unit(directory: pathlib.Path):
    """GoogleTest's own numbers. A binary that failed without naming a failed test (a crash) counts as one."""
    passed, failed, named = 0, 0, set()
    for file in sorted((directory / "unit").glob("*.xml")):
        root = ElementTree.parse(file).getroot()
        bad = int(root.get("failures", 0)) + int(root.get("errors", 0))
        left_out = int(root.get("disabled", 0)) + len(root.findall(".//testcase[@result='skipped']"))
        passed += int(root.get("tests", 0)) - bad - left_out
        failed += bad
        if bad:
            named.add(file.stem)
    report = directory / "ctest.xml"
    for case in ElementTree.parse(report).getroot().iter("testcase") if report.exists() else []:
        if case.get("status") != "run" and f"{case.get('name')}_test" not in named:
            failed += 1
    return passed, failed


def steps(directory: pathlib.Path):
    words = [file.read_text().strip() for file in sorted((directory / "steps").glob("*"))]
    return words.count("passed"), words.count("failed")


def system(directory: pathlib.Path):
    file = directory / "system.json"
    if not file.exists():
        return 0, 0
    totals = json.loads(file.read_text())
    return totals["passed"], totals["failed"]


def main(directory: pathlib.Path) -> int:
    parts = [unit(directory), steps(directory), system(directory)]
    passed, failed = sum(part[0] for part in parts), sum(part[1] for part in parts)
    if passed + failed == 0:
        failed = 1
    (directory / "total.json").write_text(json.dumps({"passed": passed, "failed": failed}) + "\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
