"""Test-time augmentation (TTA): views of an image whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Name -> number of views, and so the factor by which evaluation takes longer.
TTA_VIEWS = {"none": 1, "flip": 2, "shifts_flip": 6, "crops": 5, "crops_flip": 10}


def tta_views(images: np.ndarray, tta: str) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the views of a batch, each of the batch's own shape, with its weight in the mean.

    Args:
        images: float32 [B, C, H, W].
        tta: ``none``: the images alone; ``flip``: and their mirror images; ``crops``: the images,
            and moved along both diagonals by a sixteenth of their size, with the border mirrored,
            which is what the four corner crops of slightly larger images are; ``crops_flip``:
            these and their mirror images; ``shifts_flip``: the images, and moved along one
            diagonal, both ways, by a thirty-second of their size, and all mirrored; the images
            where they are count for half (Jordan 2024, arXiv:2404.00498).
    """
    places = [(1.0, images)]
    if tta.startswith("crops"):
        down, right = (max(side // 16, 1) for side in images.shape[2:])
        places += [(1.0, move(images, y, x)) for y in (-down, down) for x in (-right, right)]
    elif tta.startswith("shifts"):
        down, right = (max(side // 32, 1) for side in images.shape[2:])
        places += [(0.5, move(images, way * down, way * right)) for way in (-1, 1)]
    for weight, place in places:
        yield weight, np.ascontiguousarray(place)
        if tta.endswith("flip"):
            yield weight, np.ascontiguousarray(place[..., ::-1])


def move(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return images [B, C, H, W] seen ``down`` and ``right`` pixels further, mirrored outside."""
    height, width = images.shape[2:]
    rows, columns = abs(down), abs(right)
    padding = ((0, 0), (0, 0), (rows, rows), (columns, columns))
    larger = np.pad(images, padding, mode="reflect")
    top, left = rows + down, columns + right
    return larger[:, :, top : top + height, left : left + width]
