"""What /proc says about a server: its memory and open files, summed over its processes. Needs the same user or root."""

import os
from pathlib import Path


def tree(pid: int) -> list[int]:
    """The process and its descendants that are alive now."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*"):
            try:
                queue += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                pass
    return found


def _field_kb(pid: int, file: str, name: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def pss_kb(pid: int) -> int:
    """Proportional memory of the whole server: shared pages are counted once."""
    return sum(_field_kb(p, "smaps_rollup", "Pss") for p in tree(pid))


def private_kb(pid: int) -> int:
    """Private memory of the whole server (clean and dirty)."""
    return sum(
        _field_kb(p, "smaps_rollup", "Private_Dirty") + _field_kb(p, "smaps_rollup", "Private_Clean") for p in tree(pid)
    )


def rss_kb(pid: int) -> int:
    """Resident memory of the first process alone."""
    return _field_kb(pid, "status", "VmRSS")


def processor_seconds(pid: int) -> float:
    """Time on a processor, in user and kernel mode, of the first process alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    total = 0
    for p in tree(pid):
        try:
            total += len(os.listdir(f"/proc/{p}/fd"))
        except OSError:
            pass
    return total


def threads(pid: int) -> int:
    return sum(_field_kb(p, "status", "Threads") for p in tree(pid))
