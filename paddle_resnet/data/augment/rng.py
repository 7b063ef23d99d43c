"""Random numbers that are a pure function of (seed, epoch, position in the epoch).

So neither threads, nor what was read before, nor an interruption can change them. They are raw
words of a PCG64, which numpy promises never to change; of what it builds upon them, such as
`Generator.beta`, it promises nothing.
"""

from __future__ import annotations

import numpy as np

# One stream of words for each kind of chance, so that switching one off leaves the others as they
# are. The loader's order, padded crops and flips are an older stream, without a number.
CROP, POLICY, ERASE, CUTOUT, MIX, FLIP = range(1, 7)


def random_words(seed: int, epoch: int, kind: int, first: int, count: int, each: int) -> np.ndarray:
    """Return the words of positions ``first`` to ``first + count``: uint64 [count, each]."""
    stream = np.random.PCG64([seed, epoch, kind])
    stream.advance(first * each)
    return stream.random_raw(count * each).reshape(count, each)


def uniform(words: np.ndarray) -> np.ndarray:
    """Turn words into float64 from 0 (included) to 1 (excluded)."""
    return (words >> np.uint64(11)) * 2.0**-53


def beta(alpha: float, seed: int, epoch: int, kind: int, batch: int) -> float:
    """Draw from the symmetric distribution Beta(alpha, alpha) by Jöhnk's method.

    Args:
        alpha: from 0.05 (nearly always next to 0 or 1) over 1 (uniform) to 4.
        seed, epoch, kind, batch: which draw.
    """
    stream = np.random.PCG64([seed, epoch, kind, batch])
    while True:
        # In (0, 1]: of 0, the power would be 0 too, and the quotient NaN.
        pairs = (1 - uniform(stream.random_raw(64))).reshape(32, 2) ** (1 / alpha)
        sums = pairs.sum(1)
        for first in np.flatnonzero((sums > 0) & (sums <= 1))[:1]:
            return float(pairs[first, 0] / sums[first])
