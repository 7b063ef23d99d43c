"""How the bundled CIFAR-10 sample was made from the full set."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from paddle_resnet.data.cifar.fingerprint import Arrays
from paddle_resnet.data.cifar.sample import COLUMNS, FOLDER

PER_CLASS = {"train": 200, "test": 50}


def sample_indices() -> tuple[np.ndarray, np.ndarray]:
    """Return where the sample's training and test images stand in the full sets (int64)."""
    index = json.loads((FOLDER / "sample.json").read_text(encoding="utf-8"))
    return tuple(np.array(index[split]["indices"], np.int64) for split in ("train", "test"))


def make_sample(full: Arrays, folder: Path) -> None:
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
        mosaic = Image.fromarray(_to_mosaic(images[chosen]))
        mosaic.save(folder / f"{split}.png", optimize=True)
    text = json.dumps(index, separators=(",", ":")) + "\n"
    (folder / "sample.json").write_text(text, encoding="utf-8")


def _to_mosaic(images: np.ndarray) -> np.ndarray:
    """Lay [N, 3, 32, 32] out as one image, row by row: [N / COLUMNS * 32, COLUMNS * 32, 3]."""
    tiles = images.reshape(-1, COLUMNS, 3, 32, 32).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(tiles).reshape(-1, COLUMNS * 32, 3)
