"""Weights: files, safe reading, trained networks."""

from .files import load_weights, read_weights, save_weights
from .trained import Trained, load_trained

__all__ = ["Trained", "load_trained", "load_weights", "read_weights", "save_weights"]
