"""The sample of real CIFAR-10 images that ships with the package: how it is made and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import DataError
from ...io.atomic_files import atomic_write, atomic_write_text
from .fingerprint import Arrays, Fingerprint, verify

FOLDER = Path(__file__).parent / "sample"
PER_CLASS = {"train": 200, "test": 50}
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


def sample_indices() -> tuple[np.ndarray, np.ndarray]:
    """Return where the sample's training and test images stand in the full sets (int64)."""
    index = _index()
    return tuple(np.array(index[split]["indices"], np.int64) for split in ("train", "test"))


def make_sample(full: Arrays, folder: Path = FOLDER) -> None:
    """Write the sample's files: of each class the first 200 training and the first 50 test images.

    They stay in the order of the full set. No random numbers are involved, so that anyone who has
    the full set gets the same sample.

    Args:
        full: The verified full set.
        folder: Where ``train.png``, ``test.png`` and ``sample.json`` go.
    """
    index = {}
    for split, images, labels in (
        ("train", full.train_images, full.train_labels),
        ("test", full.test_images, full.test_labels),
    ):
        first = [np.flatnonzero(labels == label)[: PER_CLASS[split]] for label in range(10)]
        chosen = np.sort(np.concatenate(first))
        index[split] = {"indices": chosen.tolist(), "labels": labels[chosen].tolist()}
        with atomic_write(folder / f"{split}.png") as file:
            Image.fromarray(_to_mosaic(images[chosen])).save(file, "PNG", optimize=True)
    atomic_write_text(folder / "sample.json", json.dumps(index, separators=(",", ":")) + "\n")


def _index() -> dict:
    return json.loads((FOLDER / "sample.json").read_text(encoding="utf-8"))


def _to_mosaic(images: np.ndarray) -> np.ndarray:
    """Lay [N, 3, 32, 32] out as one image, row by row: [N / COLUMNS * 32, COLUMNS * 32, 3]."""
    tiles = images.reshape(-1, COLUMNS, 3, 32, 32).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(tiles).reshape(-1, COLUMNS * 32, 3)


def _from_mosaic(path: Path) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as image:
        tiles = np.asarray(image).reshape(-1, 32, COLUMNS, 32, 3)
    return np.ascontiguousarray(tiles.transpose(0, 2, 4, 1, 3)).reshape(-1, 3, 32, 32)
