"""Training: the classifier, and the job from recipe to result."""

from ..optim.ema import ExponentialMovingAverage
from .image_classifier import ImageClassifier
from .paddle_compat.history import History

__all__ = [
    "ExponentialMovingAverage",
    "History",
    "ImageClassifier",
]
