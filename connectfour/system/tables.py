"""Tables as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectfour.system.files import write_atomically

Cell = str | float | None
"""A cell of a table: a text, a number, or nothing."""


def write_csv(file: Path, rows: Sequence[Mapping[str, Cell]]) -> None:
    """Write rows with the same columns atomically, after a header; at least one row is needed.

    Fractions get four digits, and None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_format(cell) for cell in row.values()] for row in rows)
    write_atomically(file, text.getvalue().encode())


def _format(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
