"""What is exported: a network with its facts, and images for proof and calibration."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import paddle
from paddle import nn

from ..config import Config
from ..data import train_validation_split
from ..errors import DataError, DeployError, UserError, for_display
from ..evaluation.eval_dataset import eval_loader
from ..models import TrainedModel, load_trained
from ..models.find_weights import published_name
from ..runs.run_folder import RunFolder
from ..version import __version__
from .manifest import Manifest

Log = Callable[[str], None]


@dataclass
class Source:
    """A trained network, ready to be exported."""

    trained: TrainedModel
    #: Of the exported files.
    name: str
    options: dict[str, Any]
    #: Of the weights file; empty for a network in memory.
    sha256: str = ""
    #: The recipe of the run, which says where its data are.
    config: Optional[Config] = None

    def manifest(self, precision: str, **provenance: Any) -> Manifest:
        """Return the facts for an exported file."""
        trained = self.trained
        if self.sha256:
            provenance = {"source_sha256": self.sha256, **provenance}
        facts = {
            "model": trained.model,
            "options": self.options,
            "classes": list(trained.classes),
            "mean": trained.mean and list(trained.mean),
            "std": trained.std and list(trained.std),
            "input_shape": list(trained.input_shape),
            "centre": trained.centre,
            "value_range": self.value_range(),
            "precision": precision,
            "paddle_resnet": __version__,
            "provenance": provenance,
        }
        return Manifest.from_facts(facts, self.name)

    def value_range(self) -> Optional[list[float]]:
        """Return black and white of images of more than 8 bits, where the network knows such."""
        found = self.trained.value_range
        if found is None and self.config is not None:
            found = self.config.data.value_range
        return None if found is None else list(found)

    def normalized(self, images: np.ndarray) -> np.ndarray:
        """Return uint8 ``[N, C, H, W]`` as the network takes it: float32, in its own layout."""
        scale, shift = self._affine
        x = images.astype(np.float32) * scale + shift
        if getattr(self.trained.network, "data_format", "NCHW") == "NHWC":
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        return x

    @cached_property
    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        return self.manifest("float32").affine()

    def logits(self, images: np.ndarray, batch_size: int = 50) -> np.ndarray:
        """Return the network's own answers, float32, to uint8 ``[N, C, H, W]``."""
        answers = []
        with paddle.no_grad():
            for start in range(0, len(images), batch_size):
                x = self.normalized(images[start : start + batch_size])
                outputs = self.trained.network(paddle.to_tensor(x))
                outputs = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
                answers.append(outputs.astype("float32").numpy())
        return np.concatenate(answers)


def open_source(source: Union[str, Path, TrainedModel, nn.Layer], **facts: Any) -> Source:
    """Return what a user names.

    Args:
        source: a run folder; a weights file of ours; the name of a network with weights in the
            package or published by Paddle, or ``pretrained:`` and such a name; a `TrainedModel`;
            or a network, with its facts.
        **facts: of a network alone: ``classes`` and ``input_shape``, and where they are not the
            defaults ``mean``, ``std`` (None), ``centre`` (1.0) and ``model``.

    Raises:
        WeightsError: no such source, or a corrupt one.
        DeployError: facts that are missing, or that belong to a source which has its own.
    """
    if isinstance(source, nn.Layer):
        return _of_network(source, facts)
    if facts:
        raise DeployError(f"{', '.join(facts)} belong to a network; this source has its own.")
    if isinstance(source, TrainedModel):
        return Source(source, source.path.stem, source.options, source.sha256)
    trained = load_trained(source)
    name = published_name(source)
    if name is not None:
        return Source(trained, name, {}, _sha256(trained.path))
    run_folder = RunFolder(source)
    config = run_folder.read_config() if run_folder.config.is_file() else None
    path = trained.path
    run_name = path.stem in ("best", "last") and path.parent.resolve().name
    return Source(trained, run_name or path.stem, trained.options, trained.sha256, config)


def _of_network(network: nn.Layer, facts: dict[str, Any]) -> Source:
    missing = [name for name in ("classes", "input_shape") if name not in facts]
    if missing:
        raise DeployError(f"a network alone does not say its {' and '.join(missing)}: give them.")
    model = facts.pop("model", type(network).__name__)
    defaults = {"mean": None, "std": None, "centre": 1.0}
    try:
        trained = TrainedModel(network=network, model=model, path=Path(), **{**defaults, **facts})
    except TypeError as error:
        raise DeployError(f"unknown fact: {error}.") from None
    network.eval()
    return Source(trained, model, {})


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    if path.is_file():
        with open(path, "rb") as file:
            while part := file.read(2**20):
                digest.update(part)
        return digest.hexdigest()
    return ""


@dataclass
class ProofImages:
    """Images that an exported file answers beside its network."""

    #: uint8 ``[N, C, H, W]``.
    images: np.ndarray
    #: int64 ``[N]``; None for random images.
    labels: Optional[np.ndarray]
    #: Such as ``test images``, for people.
    kind: str


def held_out_images(source: Source, data: Optional[str], most: int, log: Log) -> ProofImages:
    """Return up to ``most`` test images, by class in equal parts, or random ones without data."""
    try:
        loader, is_sample = eval_loader(
            source.trained, "test", 250, config=source.config, root=data, notify=log
        )
    except DataError as error:
        if data is not None:
            raise
        log(f"Notice: {error} The export is checked with random images.")
        return ProofImages(
            random_images(source.trained.input_shape, min(most, 100)), None, "random"
        )
    kind = "test images of the bundled sample" if is_sample else "test images"
    return ProofImages(*_some(loader, most, seed=0), kind)


def calibration_images(
    source: Source, data: Optional[str], count: int, seed: int, log: Log
) -> np.ndarray:
    """Return ``count`` training images, by class in equal parts, without augmentation.

    Raises:
        UserError: there are no data. Random images would give wrong ranges.
    """
    try:
        loader, _ = eval_loader(
            source.trained, "train", 250, config=source.config, root=data, notify=log
        )
    except DataError as error:
        raise UserError(f"int8 is calibrated with training images: {error}") from None
    return _some(loader, count, seed)[0]


def _some(loader: Any, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.arange(len(loader.labels))
    if most < len(chosen):
        _, chosen = train_validation_split(loader.labels, most, seed=seed)
    return np.asarray(loader.images[chosen]), loader.labels[chosen]


def random_images(shape: list[int], count: int, seed: int = 0) -> np.ndarray:
    """Return coarse random patches with noise: uint8 ``[count, C, H, W]``."""
    rng = np.random.RandomState(seed)
    channels, height, width = shape
    coarse = rng.randint(0, 256, (count, channels, 4, 4))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    smooth = coarse[:, :, rows][..., columns]
    return np.clip(smooth + rng.randint(-30, 31, smooth.shape), 0, 255).astype(np.uint8)


def file_name(source: Source) -> str:
    """Return the source's name as it can be part of a file's name."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in source.name)[:100].strip(".")
    if not name:
        raise DeployError(f"'{for_display(source.name)}' gives no name for a file.")
    return name
