"""Views of an image whose answers are averaged: test-time augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Name -> number of views, and so the factor by which evaluation takes longer.
VIEWS = {"none": 1, "flip": 2, "crops": 5, "crops_flip": 10}


def views(images: np.ndarray, kind: str) -> Iterator[np.ndarray]:
    """Yield the views of a batch, each of the batch's own shape.

    Args:
        images: float32 [B, C, H, W].
        kind: ``none``: the images alone; ``flip``: and their mirror images; ``crops``: the images,
            and moved along both diagonals by a sixteenth of their size, with the border mirrored,
            which is what the four corner crops of slightly larger images are; ``crops_flip``:
            these and their mirror images.
    """
    places = [images]
    if kind.startswith("crops"):
        height, width = images.shape[2:]
        down, right = max(height // 16, 1), max(width // 16, 1)
        padding = ((0, 0), (0, 0), (down, down), (right, right))
        larger = np.pad(images, padding, mode="reflect")
        places += [
            larger[:, :, top : top + height, left : left + width]
            for top in (0, 2 * down)
            for left in (0, 2 * right)
        ]
    for place in places:
        yield np.ascontiguousarray(place)
        if kind.endswith("flip"):
            yield np.ascontiguousarray(place[..., ::-1])
