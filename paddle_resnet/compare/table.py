"""A comparison as a table for a terminal."""

from __future__ import annotations

from typing import Any

from .rows import Row, headline, sections, setting


def as_text(found: dict[str, Any]) -> str:
    """Return what `compare` found as lines of text."""
    names = found["setting"]["names"]
    parts = sections(found)
    rows = [Row("", names["a"], names["b"], "A to B"), *(r for part in parts for r in part.rows)]
    columns = [[getattr(row, key) for row in rows] for key in ("label", "a", "b")]
    widths = [max(map(len, column)) for column in columns]
    lines = [", ".join(setting(found)), "", _line(rows[0], widths)]
    for part in parts:
        lines += ["", part.title, *(_line(row, widths) for row in part.rows)]
        if not part.rows:
            lines.append(f"  {part.note}")
    return "\n".join([*lines, "", headline(found)])


def _line(row: Row, widths: list[int]) -> str:
    label, a, b = row.label.ljust(widths[0]), row.a.rjust(widths[1]), row.b.rjust(widths[2])
    return f"  {label}  {a}  {b}  {row.between}".rstrip()
