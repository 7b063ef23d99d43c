"""Numbers as people read them."""

from __future__ import annotations

from typing import Optional


def duration(seconds: Optional[float]) -> str:
    """Return ``"45 s"``, ``"3 min 05 s"`` or ``"2 h 10 min"``; ``"?"`` where it is unknown."""
    if seconds is None:
        return "?"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def metrics_text(logs: dict) -> str:
    """Return ``"loss 1.2345  acc 43.21 %"`` from metrics by their names."""
    parts = []
    for name, value in logs.items():
        if name in ("step", "batch_size"):
            continue
        number = float(value[0] if isinstance(value, (list, tuple)) else value)
        parts.append(f"{name} {number:.2%}" if "acc" in name else f"{name} {number:.4f}")
    return "  ".join(parts)
