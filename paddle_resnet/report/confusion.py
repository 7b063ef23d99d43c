"""Confusion matrix, scores per class and the most frequent confusions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [classes, classes]; entry [t, p] counts images of class t taken for class p.

    Args:
        labels: true classes, integers [N] in [0, classes).
        predicted: predicted classes, integers [N] in [0, classes).
        classes: number of classes.
    """
    flat = np.asarray(labels, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised. A score of 0/0 is NaN."""

    index: int
    images: int
    precision: float
    recall: float
    f1: float


def class_scores(matrix: np.ndarray) -> list[ClassScore]:
    """Return precision, recall and F1 (fractions) of every class of a confusion matrix."""
    hits = np.diag(matrix).astype(float)
    true, taken = matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall, f1 = hits / taken, hits / true, 2 * hits / (true + taken)
    return [
        ClassScore(i, int(true[i]), float(precision[i]), float(recall[i]), float(f1[i]))
        for i in range(len(matrix))
    ]


@dataclass(frozen=True)
class ConfusedPair:
    """``count`` of the ``images`` of class ``true`` were taken for class ``predicted``."""

    true: int
    predicted: int
    count: int
    images: int


def most_confused(matrix: np.ndarray, limit: int) -> list[ConfusedPair]:
    """Return the ``limit`` most frequent mistakes, most frequent first; none that never occurs."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = zip(*np.unravel_index(order, wrong.shape))
    images = matrix.sum(axis=1)
    return [
        ConfusedPair(int(t), int(p), int(wrong[t, p]), int(images[t]))
        for t, p in pairs
        if wrong[t, p]
    ]
