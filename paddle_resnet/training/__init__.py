"""Training: the classifier, and the job from recipe to result."""

from .classifier import ImageClassifier
from .history import History

__all__ = ["History", "ImageClassifier"]
