"""The classes of single images, by a trained network."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import paddle

from ..data import BatchLoader
from ..models import TrainedModel
from ..models.precision import Precision
from .class_activation import heatmap
from .evaluate import mean_probabilities, to_layout


def classify(
    trained: TrainedModel,
    pixels: np.ndarray,
    top: int = 5,
    tta: str = "none",
    precision: Optional[Precision] = None,
) -> list[dict[str, Any]]:
    """Return the most probable classes of an image, the most probable first.

    Args:
        trained: the network and how it is fed.
        pixels: uint8 ``[C, H, W]`` of ``trained.input_shape``.
        top: number of classes to return.
        tta: the views whose answers are averaged, see
            :func:`~paddle_resnet.evaluation.tta.tta_views`. Default: ``none``, the image alone.
        precision: what to compute in. Default: float32.

    Returns:
        list: ``{"class": name, "probability": float}``.
    """
    images = _as_batch(trained, pixels)
    with paddle.no_grad():
        probabilities = mean_probabilities(trained.network, images, tta, precision)[0]
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [
        {"class": trained.classes[index], "probability": float(probabilities[index])}
        for index in order
    ]


def class_heatmap(trained: TrainedModel, pixels: np.ndarray, target: int) -> np.ndarray:
    """Return what a class depends on in an image: float32 ``[H, W]``, 0 to 1, by Grad-CAM.

    Args:
        trained: the network and how it is fed.
        pixels: uint8 ``[C, H, W]`` of ``trained.input_shape``.
        target: index of the class.
    """
    images = to_layout(trained.network, _as_batch(trained, pixels))
    return heatmap(trained.network, images, target=target)[0]


def _as_batch(trained: TrainedModel, pixels: np.ndarray) -> np.ndarray:
    # The loader's own normalization: training and prediction cannot drift apart.
    loader = BatchLoader(pixels[None], np.zeros(1, np.int64), 1, mean=trained.mean, std=trained.std)
    return next(iter(loader))[0]
