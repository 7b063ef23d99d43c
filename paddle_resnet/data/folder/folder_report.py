"""What a user should know about a data set of image files before training on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from ...errors import PATH_LIMIT, DataError, for_display
from ...formatting import counted
from .dataset_index import DatasetIndex
from .decoding.value_range import choose_range, describe_range
from .verify_images import Verified


def describe(index: DatasetIndex, verified: Verified) -> dict[str, Any]:
    """Return counts per class and split, imbalance, corrupt files and copies (JSON types).

    Args:
        index: the files.
        verified: what decoding the files showed.

    Returns:
        ``classes``, ``images`` (split to counts in the order of the classes), ``imbalance`` (most
        over fewest training images of a class), ``corrupt`` (sentences), ``copies``: groups of
        files with equal content, each file with ``path``, ``split`` and ``class``, those
        that stand in several splits or classes first.
    """
    counts = {
        name: np.bincount(files.labels, minlength=len(index.classes)).tolist()
        for name, files in index.splits.items()
    }
    train = counts["train"]
    return {
        "root": for_display(index.root, PATH_LIMIT),
        "classes": index.classes,
        "images": counts,
        "imbalance": max(train) / max(min(train), 1),
        "corrupt": [verified.corrupt[path] for path in sorted(verified.corrupt)],
        "copies": _copies(index, verified),
        "notes": [*index.notes, *_about_range(verified)],
    }


def lines(report: dict[str, Any], most: int = 30) -> list[str]:
    """Return a report as lines for people."""
    splits, classes = report["images"], report["classes"]
    total = sum(map(sum, splits.values()))
    result = [f"{report['root']}: {total:,} images of {len(classes)} classes"]
    width = max(len("class"), *(len(name) for name in classes[:most]))
    result.append("  " + "class".ljust(width) + "".join(f"{split:>12}" for split in splits))
    for number, name in enumerate(classes[:most]):
        numbers = "".join(f"{counts[number]:>12,}" for counts in splits.values())
        result.append("  " + name.ljust(width) + numbers)
    if len(classes) > most:
        result.append(f"  and {len(classes) - most} more classes (all of them with --json)")
    train = splits["train"]
    few, many = int(np.argmin(train)), int(np.argmax(train))
    if train[few] == train[many]:
        result.append(f"balance: each class has {counted(train[few], 'training image')}.")
    else:
        result.append(
            f"imbalance: '{classes[many]}' has {train[many]:,} training images, '{classes[few]}' "
            f"{train[few]:,}: {report['imbalance']:.1f} times as many."
        )
    result += [f"note: {note}" for note in report["notes"]]
    result.append(f"corrupt: {len(report['corrupt']) or 'none'}")
    result += [f"  {sentence}" for sentence in report["corrupt"]]
    across = [group for group in report["copies"] if _differ(group, "split")]
    torn = [group for group in report["copies"] if _differ(group, "class")]
    result.append(
        f"copies: {_groups(len(report['copies']))} of files with equal content"
        + (f", {len(across)} of them across splits" if across else "")
        + (f", {len(torn)} of them with different classes" if torn else "")
    )
    for group in report["copies"][:10]:
        result.append("  " + " = ".join(f"{f['path']} ({f['split']}, {f['class']})" for f in group))
    return result


def _about_range(verified: Verified) -> list[str]:
    try:
        chosen = choose_range(verified.extremes.values())
    except DataError as error:
        return [f"in doubt: {error}"]
    return describe_range(verified.extremes, chosen) if chosen is not None else []


def _copies(index: DatasetIndex, verified: Verified) -> list[list[dict[str, str]]]:
    """Find valid files of equal content."""
    by_content: dict[str, list[dict[str, str]]] = defaultdict(list)
    for split, files in index.splits.items():
        for path, label in zip(files.paths, files.labels):
            if path in verified.facts:
                file = {"path": for_display(path, PATH_LIMIT), "split": split}
                file["class"] = index.classes[label]
                by_content[verified.facts[path].digest].append(file)
    groups = [group for group in by_content.values() if len(group) > 1]
    return sorted(groups, key=lambda g: (not _differ(g, "split"), not _differ(g, "class")))


def _groups(number: int) -> str:
    return counted(number, "group") if number else "no groups"


def _differ(group: list[dict[str, str]], key: str) -> bool:
    return len({file[key] for file in group}) > 1
