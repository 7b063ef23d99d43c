"""Calibration: the accuracy of predictions against their confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15  # as in Guo et al. 2017, "On Calibration of Modern Neural Networks"


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence is in (low, high]: their number and two means (fractions)."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Sort predictions into ``bins`` equally wide bins of confidence; empty bins are left out.

    Args:
        confidence: probability of the predicted class, floats [N] in [0, 1].
        right: whether the prediction was right, booleans [N].
        bins: number of bins.
    """
    confidence = np.asarray(confidence, np.float64)
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sure = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=np.asarray(right, np.float64), minlength=bins)
    return [
        Bin(float(edges[i]), float(edges[i + 1]), int(n), float(sure[i] / n), float(hits[i] / n))
        for i, n in enumerate(counts)
        if n
    ]


def expected_calibration_error(bins: list[Bin]) -> float:
    """Return the mean of |accuracy - confidence| over predictions (ECE), a fraction."""
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / total
