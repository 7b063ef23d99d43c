"""Weights: any framework's files in, three frameworks' out, trained networks."""

from .files import load_weights, read_weights, save_weights
from .opening import open_weights, read_state
from .pretrained import load_pretrained
from .report import LoadReport
from .trained import Trained, load_trained

__all__ = [
    "LoadReport",
    "Trained",
    "load_pretrained",
    "load_trained",
    "load_weights",
    "open_weights",
    "read_state",
    "read_weights",
    "save_weights",
]
