"""The sample of real CIFAR-10 images that ships with the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import DataError
from .fingerprint import Arrays, Fingerprint, verify

FOLDER = Path(__file__).parent / "sample"
COLUMNS = 25  # images side by side in a mosaic; divides 2,000 and 500

SAMPLE = {
    "train_images": Fingerprint(
        (2000, 3, 32, 32), "6d87aa7e4433c896ea8e98ad734bc5acaaf2966ce174f39563d27f9dc4e64ec1"
    ),
    "train_labels": Fingerprint(
        (2000,), "cc4c5aa56e0ea34249936cd7a5956a98ebba578dba9473e0684b0d70ce1161df"
    ),
    "test_images": Fingerprint(
        (500, 3, 32, 32), "9bc54919dd26fb31d13e41be1c4e91e9f757f0385e9adda3184bce27358ed42d"
    ),
    "test_labels": Fingerprint(
        (500,), "ef05233573cbaa3aef37039dda9546f3232a1e96050a39502b89413dc8c9e952"
    ),
}


def load_sample() -> Arrays:
    """Read the sample, 2,000 training and 500 test images, and check its fingerprint (0.1 s).

    Raises:
        DataError: The files are missing or corrupt, so that the package must be installed anew.
    """
    try:
        arrays = {}
        for split in ("train", "test"):
            arrays[f"{split}_images"] = _from_mosaic(FOLDER / f"{split}.png")
            labels = _index()[split]["labels"]
            arrays[f"{split}_labels"] = np.array(labels, np.uint8)
        sample = Arrays(**arrays)
        verify(sample, SAMPLE)
    except (DataError, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The CIFAR-10 sample inside the package is corrupt ({error}) Install the package anew."
        ) from error
    return sample


def _index() -> dict:
    return json.loads((FOLDER / "sample.json").read_text(encoding="utf-8"))


def _from_mosaic(path: Path) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as image:
        tiles = np.asarray(image).reshape(-1, 32, COLUMNS, 32, 3)
    return np.ascontiguousarray(tiles.transpose(0, 2, 4, 1, 3)).reshape(-1, 3, 32, 32)
