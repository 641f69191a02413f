"""What rows look like: a row factory gets the names of the columns and returns what makes a row of a tuple."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

RowMaker = Callable[[tuple[Any, ...]], Any]
RowFactory = Callable[[Sequence[str]], RowMaker]


def tuple_row(names: Sequence[str]) -> RowMaker:
    """Rows are tuples (the default)."""
    return tuple


def dict_row(names: Sequence[str]) -> RowMaker:
    """Rows are dicts by column name; of columns with one name the last one counts."""
    return lambda row: dict(zip(names, row))


def namedtuple_row(names: Sequence[str]) -> RowMaker:
    """Rows are named tuples; characters that names cannot have become underscores."""
    fields = [re.sub(r"\W|^(?=[\d_])", "_", name).replace("__", "_").lstrip("_") or "column" for name in names]
    row: Any = namedtuple("Row", fields, rename=True)  # type: ignore[misc]
    make: RowMaker = row._make
    return make
