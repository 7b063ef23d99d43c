"""What an exported file says about its network, so that it can be used on its own."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

import numpy as np

from ..errors import DeployError, for_display

#: Bounds for files from anyone: no network here is near them.
MAX_IMAGE_SIZE = 4096
MAX_CLASSES = 100_000
MAX_TEXT = 8 * 2**20

PRECISIONS = ("float32", "int8")


@dataclass(frozen=True)
class Manifest:
    """The facts that are needed to feed an exported network and to read its answers."""

    #: Name and options of the network, as `create_model` takes them; for people.
    model: str
    options: dict[str, Any]
    classes: list[str]
    #: Per channel, of pixels in [0, 1]; None: not subtracted, or not divided by.
    mean: Optional[list[float]]
    std: Optional[list[float]]
    #: ``[C, H, W]`` of one image.
    input_shape: list[int]
    #: Fraction of an image's shorter side that the network sees, in the middle.
    centre: float = 1.0
    #: Black and white of images of more than 8 bits, where it was trained on such.
    value_range: Optional[list[float]] = None
    precision: str = "float32"
    #: Version of paddle_resnet that wrote the file.
    paddle_resnet: str = ""
    #: How the file came about: the source's SHA-256, calibration images and their seed.
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_strings(self) -> dict[str, str]:
        """Return the facts as JSON texts by name: what ONNX metadata can hold."""
        facts = dataclasses.asdict(self)
        return {name: json.dumps(facts[name], ensure_ascii=False) for name in facts}

    @classmethod
    def from_strings(cls, texts: Mapping[str, str], path: object) -> Manifest:
        """Read what `to_strings` returned; the texts may come from anyone.

        Args:
            texts: JSON by name. Unknown names are ignored.
            path: of the file, for the sentence of an error.

        Raises:
            DeployError: a fact is missing, is not JSON or is invalid.
        """
        facts = {}
        for name in _CHECKS:
            text = texts.get(name)
            if text is None:
                continue
            try:
                if len(text) > MAX_TEXT:
                    raise ValueError
                facts[name] = json.loads(text)
            # RecursionError: a million brackets.
            except (ValueError, RecursionError):
                raise DeployError(
                    f"'{for_display(path)}' has metadata that are not JSON ({name})."
                ) from None
        return cls.from_facts(facts, path)

    @classmethod
    def from_facts(cls, facts: object, path: object) -> Manifest:
        """Check facts that were read from a file.

        Raises:
            DeployError: a fact is missing or invalid.
        """
        if not isinstance(facts, dict):
            facts = {}
        missing = [name for name in _REQUIRED if name not in facts]
        if missing:
            raise DeployError(
                f"'{for_display(path)}' does not say what network it holds (no "
                f"{', '.join(missing)} in its metadata): only files that `paddle-resnet export` "
                "wrote can be used."
            )
        known = {name: facts[name] for name in _CHECKS if name in facts}
        invalid = [name for name, value in known.items() if not _CHECKS[name](value)]
        if not invalid:
            channels = known["input_shape"][0]
            invalid = [n for n in ("mean", "std") if known[n] and len(known[n]) != channels]
        if invalid:
            raise DeployError(f"'{for_display(path)}' has invalid metadata: {', '.join(invalid)}.")
        return cls(**known)

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return scale and shift, float32 ``[C, 1, 1]``, of ``pixel * scale + shift``.

        These are the very numbers of `BatchLoader`, which the network was trained with.
        """
        shape = (self.input_shape[0], 1, 1)
        std = np.ones(shape[0]) if self.std is None else np.array(self.std, np.float64)
        mean = np.zeros(shape[0]) if self.mean is None else np.array(self.mean, np.float64)
        scale = (1 / (255 * std)).astype(np.float32)
        return scale.reshape(shape), (-mean / std).astype(np.float32).reshape(shape)

    def check_images(self, images: np.ndarray) -> None:
        """Refuse an array that the network cannot take.

        Raises:
            DeployError: it is not uint8 ``[N, C, H, W]`` of the network's size.
        """
        shape = tuple(self.input_shape)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape:
            raise DeployError(
                f"the network takes uint8 images {['N', *shape]}, "
                f"got {images.dtype} {list(images.shape)}."
            )


def top_classes(
    probabilities: np.ndarray, classes: list[str], top: int = 5
) -> list[dict[str, Any]]:
    """Return the most probable classes of one image, the most probable first.

    Args:
        probabilities: float32 ``[classes]``.
        classes: their names.
        top: how many; at most one per class.

    Returns:
        list: ``{"class": name, "probability": float}``.
    """
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [{"class": classes[i], "probability": float(probabilities[i])} for i in order]


def _printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 1000


def _numbers(value: Any) -> bool:
    return value is None or (
        isinstance(value, list)
        and len(value) <= 16
        and all(type(n) in (int, float) and math.isfinite(n) and abs(n) < 1e6 for n in value)
    )


def _classes(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_CLASSES and all(map(_printable, value))


def _shape(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(n) is int and 0 < n <= MAX_IMAGE_SIZE for n in value)
        and value[0] <= 16
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "model": _printable,
    "options": lambda it: isinstance(it, dict) and all(map(_printable, it)),
    "classes": _classes,
    "mean": _numbers,
    "std": lambda it: _numbers(it) and all(n > 1e-6 for n in it or ()),
    "input_shape": _shape,
    "centre": lambda it: type(it) in (int, float) and 0 < it <= 1,
    "value_range": lambda it: _numbers(it) and (not it or (len(it) == 2 and it[0] < it[1])),
    "precision": lambda it: it in PRECISIONS,
    "paddle_resnet": lambda it: isinstance(it, str) and it.isprintable() and len(it) < 100,
    "provenance": lambda it: isinstance(it, dict),
}
_REQUIRED = ("model", "options", "classes", "mean", "std", "input_shape")
