"""Training: the classifier, and the job from recipe to result."""

from .callbacks.plateau import EarlyStopping, ReduceLROnPlateau
from .classifier import ImageClassifier
from .ema import WeightAverage
from .history import History

__all__ = ["EarlyStopping", "History", "ImageClassifier", "ReduceLROnPlateau", "WeightAverage"]
