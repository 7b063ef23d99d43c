"""The launches of a run, and what may change its bits: kept in its environment.json."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

#: Facts that may change the last bits of a training, and how to name them.
REPRODUCIBILITY_KEYS = {
    "paddle": "Paddle {}",
    "commit": "commit {}",
    "threads": "threads: {}",
    "processes": "processes: {}",
    "cpu": "{}",
    "device": "{}",
    "convolutions": "{}",
}
_KEPT = (*REPRODUCIBILITY_KEYS, "paddle_resnet", "python")


def append_launch(
    path: Path, facts: dict[str, Any], step: int, checkpoint: Optional[str]
) -> tuple[dict[str, Any], Optional[str]]:
    """Return the content of environment.json with one more launch, and a warning about it.

    Args:
        path: the file; if it is missing or corrupt, its content is made anew.
        facts: those of this process: :func:`~paddle_resnet.runs.run_folder.environment` and,
            where they are known, ``processes`` and ``convolutions``.
        step: number of steps done before.
        checkpoint: name of the file that it resumes from; None at the beginning.

    Returns:
        tuple: the content; and a warning if the launch differs from the one before in what may
        change the last bits, else None.
    """
    content = _read(path) or dict(facts)
    starts = content.get("starts")
    starts = [each for each in starts if isinstance(each, dict)] if isinstance(starts, list) else []
    before = starts[-1] if starts else content
    start = {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "step": step,
        "checkpoint": checkpoint,
        **{key: facts[key] for key in _KEPT if key in facts},
    }
    changes = [
        f"{form.format(start[key])} instead of {form.format(before[key])}"
        for key, form in REPRODUCIBILITY_KEYS.items()
        if key in before and key in start and before[key] != start[key]
    ]
    warning = (
        f"warning: the run is resumed with {', '.join(changes)}: it may differ in the last bits "
        "from one that was not interrupted."
        if changes and checkpoint is not None
        else None
    )
    return {**content, "starts": [*starts, start]}, warning


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
