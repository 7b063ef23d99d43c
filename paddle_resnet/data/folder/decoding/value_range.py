"""Which values of 16-bit, 32-bit and float images are black and white: one rule.

A file that says it itself (the bits of a TIFF, the maxval of a PGM, the precision of a JPEG 2000)
is read by that. For all others a data set has one range, chosen from all of its files together:
never one for each file, which would make equal pixels of two files unequal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from ....errors import DataError

#: Bits that cameras and scanners have; a range of integers is the smallest that fits.
_DEPTHS = (8, 10, 12, 14, 16, 32)
#: Images that stay below this share of the range look black.
_DARK = 1 / 16
#: How far floats of 0 to 1 may stick out, after resampling or rounding.
_TOLERANCE = 1e-3


class ValueRange(NamedTuple):
    """The value of black and that of white."""

    low: float
    high: float

    def to_bytes(self, values: np.ndarray) -> np.ndarray:
        """Scale values to 0 (black and below) to 255 (white and above): uint8, the same shape.

        NaN is black.
        """
        if values.dtype == np.uint16:  # a table: seldom more than 65,536 different values
            return self.to_bytes(np.arange(65536, dtype=np.float32))[values]
        scaled = (values.astype(np.float64) - self.low) * (255 / (self.high - self.low))
        return np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255).round().astype(np.uint8)

    def __str__(self) -> str:
        return f"{self.low:,.6g} to {self.high:,.6g}"


class Extremes(NamedTuple):
    """The smallest and the largest value of one file that does not say its range."""

    low: float
    high: float
    #: Integers, or floats.
    whole: bool
    #: Its tags state them; else its pixels have them.
    stated: bool = False


def extremes(values: np.ndarray) -> Extremes:
    """Return those of an image's finite pixels."""
    whole = values.dtype.kind in "iu"
    finite = values if whole else values[np.isfinite(values)]
    if not finite.size:
        return Extremes(0.0, 0.0, whole)
    return Extremes(float(finite.min()), float(finite.max()), whole)


def choose_range(found: Iterable[Extremes]) -> Optional[ValueRange]:
    """Return the range of a data set of images that do not say theirs; None if there are none.

    Integers of 0 or more: 0 to ``2 ** bits - 1`` for the smallest usual number of bits (8, 10, 12,
    14, 16, 32) that holds all of them. Floats: 0 to 1 or -1 to 1 where all lie in it, 0 to 255
    where all lie in that, and likewise for more bits. Else: the smallest to the largest value.
    What tags state counts as a value, so a stated maximum of 4,095 makes 12 bits.

    Raises:
        DataError: integers and floats together that no single range fits.
    """
    found = list(found)
    kinds = {whole: [each for each in found if each.whole == whole] for whole in (True, False)}
    ranges = {whole: _of_kind(group, whole) for whole, group in kinds.items() if group}
    if len(set(ranges.values())) > 1:
        raise DataError(
            f"{len(kinds[True]):,} images hold integers ({ranges[True]}) and {len(kinds[False]):,} "
            f"floats ({ranges[False]}): no single range fits both. Name one for all with "
            "data.value_range=[LOW,HIGH], or convert one kind into the other."
        )
    return next(iter(ranges.values()), None)


def _of_kind(found: list[Extremes], whole: bool) -> ValueRange:
    low, high = min(each.low for each in found), max(each.high for each in found)
    stated = [each for each in found if each.stated]
    if stated:
        said = ValueRange(min(e.low for e in stated), max(e.high for e in stated))
        if said.low <= low and high <= said.high:
            return said
    if not whole and low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE:
        return ValueRange(0.0 if low >= -_TOLERANCE else -1.0, 1.0)
    if low >= 0:
        return next(
            (ValueRange(0.0, 2.0**bits - 1) for bits in _DEPTHS if high < 2**bits),
            ValueRange(0.0, high),
        )
    return ValueRange(low, high)


def describe_range(
    found: Mapping[Path, Extremes], chosen: ValueRange, given: bool = False
) -> list[str]:
    """Return what a user should know about a range: a sentence, and one for what is in doubt.

    Args:
        found: the files that do not say theirs.
        chosen: the range that they are read by.
        given: the recipe or the run says it.
    """
    kinds = " and ".join(
        name
        for whole, name in ((True, "more than 8 bits"), (False, "floats"))
        if any(each.whole == whole for each in found.values())
    )
    low, high = min(e.low for e in found.values()), max(e.high for e in found.values())
    values = ValueRange(low, high)
    one = len(found) == 1
    sentences = [
        f"{len(found):,} {'image' if one else 'images'} of {kinds} {'has' if one else 'have'} "
        f"values of {values}: {chosen.low:,.6g} is black and {chosen.high:,.6g} white in "
        + ("it" if one else "all of them")
        + (
            ", as the recipe says."
            if given
            else " (data.value_range=[LOW,HIGH] sets another range)."
        )
    ]
    limit = chosen.low + (chosen.high - chosen.low) * _DARK
    dark = sorted(path for path, each in found.items() if each.high < limit)
    if dark:
        sentences.append(
            f"in doubt: {len(dark):,} of them use less than a sixteenth of that range and look "
            f"black, such as '{dark[0].name}'."
        )
    outside = [e for e in found.values() if e.low < chosen.low or e.high > chosen.high]
    if outside:
        sentences.append(
            f"in doubt: {len(outside):,} of them have values outside of that range, which become "
            "black or white."
        )
    return sentences
