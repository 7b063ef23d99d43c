"""Results in rows and columns, and beside the numbers of the reference run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from ... import formatting

Cell = Union[str, int, float, bool, None]


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings.

    ``columns`` are keys of the card's ``columns``, or headings that need no translation (numbers,
    symbols, names of networks).
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def texts(self) -> list[list[str]]:
        """Return every cell as text: three significant digits, whole numbers in full."""
        return [[cell_text(cell) for cell in row] for row in self.rows]

    def __str__(self) -> str:
        lines = [list(map(str, self.columns)), *self.texts()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        from .notebook_view import table_html

        return table_html(list(map(str, self.columns)), self.texts())


@dataclass(frozen=True)
class Reference:
    """A measured value beside the one of the reference run.

    Args:
        name: what it is.
        measured: in this run; with several seeds, their mean.
        expected: in the reference run.
        tolerance: how far apart two machines may be: a difference, or a share of ``expected``
            with ``relative``.
        relative: see ``tolerance``. Default: False.
    """

    name: str
    measured: float
    expected: float
    tolerance: float
    relative: bool = False

    @property
    def within(self) -> bool:
        """Whether the two agree within the tolerance."""
        allowed = self.tolerance * (abs(self.expected) if self.relative else 1.0)
        return abs(self.measured - self.expected) <= allowed

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {**vars(self), "within": self.within}


def cell_text(cell: Cell) -> str:
    """Return a cell as text; ``–`` for nothing."""
    if isinstance(cell, bool):
        return "✓" if cell else "✗"
    if isinstance(cell, int):
        return formatting.count(cell)
    if isinstance(cell, float):
        return formatting.decimal(cell, 3).replace("-", "−", 1)  # also ∞ and NaN
    return formatting.NOTHING if cell is None else cell
