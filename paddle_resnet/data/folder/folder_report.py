"""What a user should know about a data set of image files before training on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from ...errors import DataError, for_display
from .dataset_index import DatasetIndex
from .decoding.image_decoder import PATH_LIMIT
from .decoding.value_range import choose_range, describe_range
from .verify_images import Verified


def describe(listing: DatasetIndex, verified: Verified) -> dict[str, Any]:
    """Return counts per class and part, imbalance, damaged files and copies (JSON types).

    Args:
        listing: the files.
        verified: what decoding the files showed.

    Returns:
        ``classes``, ``images`` (part to counts in the order of the classes), ``imbalance`` (most
        over fewest training images of a class), ``damaged`` (sentences), ``copies``: groups of
        files with equal content, each file with ``path``, ``part`` and ``class``, those that stand
        in several parts or classes first.
    """
    counts = {
        name: np.bincount(part.labels, minlength=len(listing.classes)).tolist()
        for name, part in listing.parts.items()
    }
    train = counts["train"]
    return {
        "root": for_display(listing.root, PATH_LIMIT),
        "classes": listing.classes,
        "images": counts,
        "imbalance": max(train) / max(min(train), 1),
        "damaged": [verified.corrupt[path] for path in sorted(verified.corrupt)],
        "copies": _copies(listing, verified),
        "notes": [*listing.notes, *_about_range(verified)],
    }


def lines(report: dict[str, Any], most: int = 30) -> list[str]:
    """Return a report as lines for people."""
    parts, classes = report["images"], report["classes"]
    total = sum(map(sum, parts.values()))
    result = [f"{report['root']}: {total:,} images of {len(classes)} classes"]
    width = max(len("class"), *(len(name) for name in classes[:most]))
    result.append("  " + "class".ljust(width) + "".join(f"{part:>12}" for part in parts))
    for number, name in enumerate(classes[:most]):
        figures = "".join(f"{counts[number]:>12,}" for counts in parts.values())
        result.append("  " + name.ljust(width) + figures)
    if len(classes) > most:
        result.append(f"  and {len(classes) - most} more classes (all of them with --json)")
    train = parts["train"]
    few, many = int(np.argmin(train)), int(np.argmax(train))
    if train[few] == train[many]:
        result.append(f"balance: each class has {train[few]:,} training images.")
    else:
        result.append(
            f"imbalance: '{classes[many]}' has {train[many]:,} training images, '{classes[few]}' "
            f"{train[few]:,}: {report['imbalance']:.1f} times as many."
        )
    result += [f"note: {note}" for note in report["notes"]]
    result.append(f"damaged: {len(report['damaged']) or 'none'}")
    result += [f"  {sentence}" for sentence in report["damaged"]]
    across = [group for group in report["copies"] if _differ(group, "part")]
    torn = [group for group in report["copies"] if _differ(group, "class")]
    result.append(
        f"copies: {len(report['copies']) or 'no'} groups of files with equal content"
        + (f", {len(across)} of them across parts" if across else "")
        + (f", {len(torn)} of them with different classes" if torn else "")
    )
    for group in report["copies"][:10]:
        result.append("  " + " = ".join(f"{f['path']} ({f['part']}, {f['class']})" for f in group))
    return result


def _about_range(verified: Verified) -> list[str]:
    try:
        chosen = choose_range(verified.extremes.values())
    except DataError as error:
        return [f"in doubt: {error}"]
    return describe_range(verified.extremes, chosen) if chosen is not None else []


def _copies(listing: DatasetIndex, verified: Verified) -> list[list[dict[str, str]]]:
    """Find valid files of equal content."""
    by_content: dict[str, list[dict[str, str]]] = defaultdict(list)
    for split, files in listing.parts.items():
        for path, label in zip(files.paths, files.labels):
            if path in verified.facts:
                file = {"path": for_display(path, PATH_LIMIT), "part": split}
                file["class"] = listing.classes[label]
                by_content[verified.facts[path].digest].append(file)
    groups = [group for group in by_content.values() if len(group) > 1]
    return sorted(groups, key=lambda g: (not _differ(g, "part"), not _differ(g, "class")))


def _differ(group: list[dict[str, str]], key: str) -> bool:
    return len({file[key] for file in group}) > 1
