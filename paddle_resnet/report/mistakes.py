"""Images inside a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..pages.heat_overlay import overlay
from ..pages.images import png_data_uri
from ..runs.run_reader import Predictions

MOST_MISTAKES = 24
# Larger images are scaled down to this: the page must stay light enough to mail.
MOST_PIXELS = 128


@dataclass(frozen=True)
class Mistake:
    """An image with what it shows, what it was taken for, and how sure the network was."""

    image: str
    true: str
    predicted: str
    confidence: float
    #: The image under its heat map; empty where the run has none.
    heatmap: str = ""


def top_losses(predictions: Predictions, names: list[str]) -> list[Mistake]:
    """Return the most confident mistakes that a run kept images of, worst first."""
    found = []
    heatmaps = predictions.mistake_heatmaps
    for i, index in enumerate(predictions.mistakes[:MOST_MISTAKES]):
        row = predictions.probabilities[index]
        predicted = int(row.argmax())
        pixels = _small(predictions.mistake_images[i])
        found.append(
            Mistake(
                png_data_uri(pixels),
                names[int(predictions.labels[index])],
                names[predicted],
                float(row[predicted]),
                "" if heatmaps is None else png_data_uri(_under_heatmap(pixels, heatmaps[i])),
            )
        )
    return found


def _under_heatmap(pixels: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Return an image uint8 [H, W(, 3)] under a heat map uint8 [h, w] of any size."""
    size = pixels.shape[1], pixels.shape[0]
    larger = Image.fromarray(heatmap).resize(size, Image.Resampling.BILINEAR)
    return overlay(pixels, np.asarray(larger) / 255)


def _small(image: np.ndarray) -> np.ndarray:
    """Turn uint8 [channels, H, W] into [H, W(, 3)] of at most MOST_PIXELS a side."""
    pixels = image.transpose(1, 2, 0)
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if max(pixels.shape[:2]) <= MOST_PIXELS:
        return pixels
    small = Image.fromarray(np.ascontiguousarray(pixels))
    small.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return np.asarray(small)
