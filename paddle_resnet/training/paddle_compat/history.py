"""What `fit` returns: the metrics of every epoch."""

from __future__ import annotations


class History:
    """One row per epoch; a column by name: ``history["val_loss"]``.

    Rows hold ``epoch`` (from 1), ``loss``, the metrics by their names and, in epochs that were
    evaluated, the same with ``val_`` in front. Every metric is a mean over samples.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def __getitem__(self, name: str) -> list[float]:
        """Return a column; epochs that lack the metric are left out.

        Raises:
            KeyError: no epoch has it.
        """
        column = [row[name] for row in self.rows if name in row]
        if not column:
            known = sorted({key for row in self.rows for key in row})
            raise KeyError(f"no epoch has '{name}', expected one of {', '.join(known)}")
        return column

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return "\n".join(
            "  ".join(f"{key} {value:.4g}" for key, value in row.items()) for row in self.rows
        )
