"""Weights: any framework's files in, three frameworks' out, trained networks."""

from ..models.trained_model import Trained, load_trained
from .load_report import LoadReport
from .pretrained import load_pretrained
from .readers import open_weights, read_state
from .save_load import load_weights, read_weights, save_weights

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
