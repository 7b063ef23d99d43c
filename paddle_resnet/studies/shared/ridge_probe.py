"""Linear probes: how well a class can be read from activations by a linear function."""

from __future__ import annotations

import numpy as np


class RidgeProbe:
    """Ridge regression from standardized features to one-hot targets.

    Args:
        features: float [n, d].
        labels: int64 [n], classes 0 to 9.
        penalty: lambda of the squared norm of the weights.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, penalty: float) -> None:
        x = features.astype(np.float64)
        self.mean, std = x.mean(axis=0), x.std(axis=0)
        # A constant feature carries no information and stays zero.
        self.scale = np.where(std > 0, 1 / np.where(std > 0, std, 1), 0.0)
        x = (x - self.mean) * self.scale
        targets = np.eye(10)[labels]
        self.offset = targets.mean(axis=0)
        gram = x.T @ x + penalty * np.eye(x.shape[1])
        self.weights = np.linalg.solve(gram, x.T @ (targets - self.offset))

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of images whose largest output is their class."""
        x = (features.astype(np.float64) - self.mean) * self.scale
        return float(((x @ self.weights + self.offset).argmax(axis=1) == labels).mean())
