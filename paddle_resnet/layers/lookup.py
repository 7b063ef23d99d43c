"""Options that are a name from a table, or the thing itself."""

from __future__ import annotations

from typing import Any

from ..errors import ModelError, did_you_mean, for_display


def lookup(what: str, choice: Any, table: dict[str, Any]) -> Any:
    """Return what ``choice`` names, or ``choice`` itself where it can be called.

    Raises:
        ModelError: the name is unknown; says what comes nearest.
    """
    if callable(choice):
        return choice
    if not isinstance(choice, str) or choice not in table:
        raise ModelError(
            f"unknown {what} {for_display(repr(choice))}, expected one of {', '.join(table)}."
            + did_you_mean(str(choice), table)
        )
    return table[choice]
