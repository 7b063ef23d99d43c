"""Weights: any framework's files in, three frameworks' files out."""

from .load_report import LoadReport
from .pretrained import load_pretrained
from .readers import open_weights, read_state
from .save_load import load_weights, read_weights, save_weights

__all__ = [
    "LoadReport",
    "load_pretrained",
    "load_weights",
    "open_weights",
    "read_state",
    "read_weights",
    "save_weights",
]
