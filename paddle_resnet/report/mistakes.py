"""Images inside a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

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


def top_losses(predictions: Predictions, names: list[str]) -> list[Mistake]:
    """Return the most confident mistakes that a run kept pictures of, worst first."""
    found = []
    for index, image in zip(predictions.mistakes[:MOST_MISTAKES], predictions.mistake_images):
        row = predictions.probabilities[index]
        predicted = int(row.argmax())
        found.append(
            Mistake(
                png_data_uri(_small(image)),
                names[int(predictions.labels[index])],
                names[predicted],
                float(row[predicted]),
            )
        )
    return found


def _small(image: np.ndarray) -> np.ndarray:
    """Turn uint8 [channels, H, W] into [H, W(, 3)] of at most MOST_PIXELS a side."""
    pixels = image.transpose(1, 2, 0)
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if max(pixels.shape[:2]) <= MOST_PIXELS:
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return np.asarray(picture)
