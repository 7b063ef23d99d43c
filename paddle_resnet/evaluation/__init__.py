"""Evaluation of networks on data sets, and predictions for single images."""

from .class_activation import class_activation, heatmap

__all__ = ["class_activation", "heatmap"]
