"""A comparison as a table for a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from .rows import Row, headline, sections, setting


def as_text(found: dict[str, Any]) -> str:
    """Return what `compare` found as lines of text."""
    names = found["setting"]["names"]
    parts = sections(found)
    heads = [Row("", *part.columns) for part in parts if part.columns]
    rows = [Row("", names["a"], names["b"], "A to B"), *heads]
    rows += [row for part in parts for row in part.rows]
    columns = [[getattr(row, key) for row in rows] for key in ("label", "a", "b")]
    widths = [max(map(len, column)) for column in columns]
    lines = [", ".join(setting(found)), "", _line(rows[0], widths)]
    for part in parts:
        lines += ["", part.title]
        if part.columns:
            lines.append(_line(Row("", *part.columns), widths))
        lines += [_line(row, widths) for row in part.rows]
        if part.columns or not part.rows:
            lines += textwrap.wrap(part.note, 100, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*lines, "", headline(found)])


def _line(row: Row, widths: list[int]) -> str:
    label, a, b = row.label.ljust(widths[0]), row.a.rjust(widths[1]), row.b.rjust(widths[2])
    return f"  {label}  {a}  {b}  {row.between}".rstrip()
