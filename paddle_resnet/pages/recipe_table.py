"""The recipe and the machine of a run, as tables of names and values."""

from __future__ import annotations

import json
from typing import Any

from .. import formatting

_FACTS = {
    "date": "Date",
    "device": "Device",
    "cpu": "CPU",
    "cores": "Cores",
    "threads": "Threads",
    "memory_gb": "Memory",
    "platform": "System",
    "python": "Python",
    "paddle": "Paddle",
    "numpy": "NumPy",
    "paddle_resnet": "paddle_resnet",
    "commit": "Commit",
    "starts": "Interrupted",
}


def recipe_groups(config: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return a recipe as (heading, [(key, value)]); single values come first, under no heading.

    Deeper sections are written with dots, as on the command line: ``augment.crop.padding``.
    """
    alone = [(str(key), _value(v)) for key, v in config.items() if not _section(v)]
    groups = [(str(key), _flat(v)) for key, v in config.items() if _section(v)]
    return [("", alone), *groups] if alone else groups


def environment_facts(environment: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (key, label, value) of what is known of the machine; unknown keys come last."""
    facts = []
    others = {key: str(key) for key in environment if key not in _FACTS and key != "command"}
    for key, label in {**_FACTS, **others}.items():
        value = environment.get(key)
        if value is None or value == "":
            continue
        text = _value(value) if key != "starts" else _interruptions(value)
        if not text:
            continue
        if key == "date":
            text = formatting.date(value)
        elif key == "memory_gb":
            text = f"{text}{formatting.SPACE}GB"
        facts.append((str(key), label, text))
    return facts


def _interruptions(starts: object) -> str:
    """Return where a run was resumed; nothing of a run without an interruption."""
    later = starts[1:] if isinstance(starts, list) else []
    return "; ".join(
        f"resumed after step {start.get('step')} ({formatting.date(start.get('date'))})"
        for start in later
        if isinstance(start, dict)
    )


def _section(value: object) -> bool:
    return isinstance(value, dict) and bool(value)


def _flat(section: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in section.items():
        name = f"{before}{key}"
        rows += _flat(value, f"{name}.") if _section(value) else [(name, _value(value))]
    return rows


def _value(value: object) -> str:
    """Write a value as YAML would, in one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value) or "[]"
    return str(value)
