"""The folder of a recipe's several seeds (``train.num_seeds``): each run is a folder in it."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

#: Names that a sentence takes; the others are counted.
_MOST = 5


def seeds_folder_error(folder: Path) -> Optional[str]:
    """Return the sentence that a folder holds runs and is none itself; None where that is not so.

    Args:
        folder: a folder that a user gave as a run.
    """
    names = [path.parent.name for path in folder.glob("seed-*/config.yaml")]
    if not names:
        return None
    names.sort(key=lambda name: (len(name), name))
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return (
        f"'{folder}' is not one run, but holds {', '.join(names[:_MOST])}{more}: name one of them, "
        f"such as '{folder / names[0]}'."
    )
