"""Training: the classifier, and the job from recipe to result."""

from ..optim.ema import ExponentialMovingAverage
from .callbacks.plateau import EarlyStopping, ReduceLROnPlateau
from .image_classifier import ImageClassifier
from .paddle_compat.history import History

__all__ = [
    "EarlyStopping",
    "ExponentialMovingAverage",
    "History",
    "ImageClassifier",
    "ReduceLROnPlateau",
]
