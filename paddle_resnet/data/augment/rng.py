"""Random numbers as a pure function of (seed, epoch, position in the epoch).

Threads, previous reads and interruptions do not change them. They are raw words of a PCG64, which
NumPy guarantees never to change. It does not guarantee what is derived from them, such as
`Generator.beta`.
"""

from __future__ import annotations

import numpy as np

# One stream of words per kind of random choice: switching one off does not change the others. The
# loader's order, padded crops and flips are a stream of their own, without a number. `beta` needs a
# kind that `random_words` is never called with: PCG64 takes [a, b, c, 0] for [a, b, c].
CROP, POLICY, ERASE, CUTOUT, MIX, FLIP, MIX_WEIGHT = range(1, 8)


def random_words(seed: int, epoch: int, kind: int, first: int, count: int, each: int) -> np.ndarray:
    """Return the words of positions ``first`` to ``first + count``: uint64 [count, each]."""
    stream = np.random.PCG64([seed, epoch, kind])
    stream.advance(first * each)
    return stream.random_raw(count * each).reshape(count, each)


def uniform(words: np.ndarray) -> np.ndarray:
    """Return words as float64 in [0, 1)."""
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
