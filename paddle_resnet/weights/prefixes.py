"""Prefixes of a network's names in a file that contains more than the network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice

from . import key_names

#: Names that are examined; a file may have a million.
_MOST_NAMES = 5_000


def find_prefixes(
    names: Collection[str], own: Collection[str], blocks: Sequence[str] = ()
) -> list[str]:
    """Return the prefixes whose removal makes a file's names those of a network.

    Args:
        names: of the file, such as ``module.encoder_q.layer1.0.conv1.weight``.
        own: the network's names.
        blocks: see :func:`~paddle_resnet.weights.key_names.block_names`.

    Returns:
        Prefixes such as ``module.encoder_q.``, sorted. Each brings more than half of the network's
        backbone, and none begins with another that brings as much.
    """
    backbone = {name for name in own if not key_names.is_head(name)}
    found: dict[str, set[str]] = {}
    for name in islice(names, _MOST_NAMES):
        prefix = ""
        for part in name.split(".")[:-1]:
            prefix += part + "."
            mapped = key_names.to_own_name(name[len(prefix) :], own, blocks)
            if mapped in backbone:
                found.setdefault(prefix, set()).add(mapped)
    counts = {p: len(arrays) for p, arrays in found.items() if 2 * len(arrays) > len(backbone)}
    return sorted(
        prefix
        for prefix, count in counts.items()
        if not any(
            prefix != other and prefix.startswith(other) and counts[other] >= count
            for other in counts
        )
    )


def names_under(names: Collection[str], prefix: str) -> dict[str, str]:
    """Return the names that begin with a prefix, each with what is left of it."""
    return {name: name[len(prefix) :] for name in names if name.startswith(prefix)}
