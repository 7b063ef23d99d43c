"""The two sides of a comparison: networks of ours, of ``paddle.vision``, or from weights files."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from pathlib import Path

import paddle
from paddle import nn

from ..data import CIFAR10_MEAN, CIFAR10_STD
from ..errors import ModelError, did_you_mean
from ..models import create_model, list_models, load_trained, model_info
from ..models.find_weights import find_weights_file
from ..weights import key_names, load_weights, open_weights, read_weights

VISION = "paddle.vision:"


@dataclass(frozen=True)
class ModelSpec:
    """A network by name, and how it is built; plain values, so that another process can do it."""

    #: As the user wrote it.
    name: str
    #: ``ours``, ``vision`` or ``file``.
    kind: str
    #: Name of the network, in ``list_models()`` or in ``paddle.vision.models``.
    model: str
    #: None: the network's default.
    stem: str | None = None
    num_classes: int = 10
    #: Of the images that it is usually counted on.
    input_size: int = 224
    #: Of the images, per channel, for pixels in [0, 1]; None: pixels as they are.
    mean: tuple[float, ...] | None = CIFAR10_MEAN
    std: tuple[float, ...] | None = CIFAR10_STD
    #: A file that does not say what network it belongs to; None where it does, or without one.
    weights: str | None = None


def vision_models() -> list[str]:
    """Return the names of the functions of ``paddle.vision.models`` that build a classifier."""
    models = paddle.vision.models
    return sorted(name for name in models.__all__ if inspect.isfunction(getattr(models, name)))


def resolve(name: str, stem: str | None = None, num_classes: int | None = None) -> ModelSpec:
    """Return the network that a name stands for.

    Args:
        name: one of ``list_models()``; ``paddle.vision:`` and one of its classifiers; the path of a
            run folder or of a weights file that a run wrote; or ``NAME:FILE``, one of
            ``list_models()`` with the weights of any file that :func:`load_weights` reads.
        stem: ``imagenet`` or ``cifar``. Default: the network's own.
        num_classes: outputs. Default: those of a weights file, else 10.

    Raises:
        ModelError: the name is none of these; says what comes nearest.
        WeightsError: a file that cannot be used.
    """
    if name.startswith(VISION):
        model, known = name[len(VISION) :], vision_models()
        if model not in known:
            raise ModelError(
                f"paddle.vision has no classifier '{model}', expected one of {', '.join(known)}."
                + did_you_mean(model, known)
            )
        return ModelSpec(name, "vision", model, stem, num_classes or 10, _input_size(stem))
    if name in list_models():
        size = _input_size(stem, model_info(name).input_size)
        return ModelSpec(name, "ours", name, stem, num_classes or 10, size)
    model, _, path = name.partition(":")
    if path and model in list_models():
        classes = _classes_in(path, model)
        if num_classes not in (None, classes):
            raise ModelError(f"{num_classes} classes were asked for, but '{path}' knows {classes}.")
        size = _input_size(stem, model_info(model).input_size)
        return ModelSpec(name, "file", model, stem, classes, size, weights=path)
    if not Path(name).exists():
        names = [*list_models(), *(VISION + model for model in vision_models())]
        raise ModelError(
            f"'{name}' is no network of `paddle-resnet models`, no '{VISION}NAME', no run folder "
            "or weights file, and no NAME:FILE." + did_you_mean(name, names)
        )
    return _trained(name, stem, num_classes)


def resolve_both(
    a: str, b: str | None = None, stem: str | None = None, num_classes: int | None = None
) -> tuple[ModelSpec, ModelSpec]:
    """Resolve two names; what a weights file says about itself holds for the other side too.

    Args:
        a, b: see :func:`resolve`. Default of ``b``: the network of ``paddle.vision`` of A's name.
        stem, num_classes: see :func:`resolve`.

    Raises:
        ModelError, WeightsError: a name that is none, or a pair that does not go together.
    """
    first = resolve(a, stem, num_classes)
    if b is None:
        return first, _partner(first)
    second = resolve(b, stem, num_classes)
    if first.kind == "file" != second.kind:
        second = _like(second, first)
    elif second.kind == "file" != first.kind:
        first = _like(first, second)
    return first, second


def _like(side: ModelSpec, file: ModelSpec) -> ModelSpec:
    # The networks of paddle.vision have no stem of their own choice; those of ours may.
    stem = file.stem if side.kind == "vision" else side.stem
    return replace(
        side, stem=stem, num_classes=file.num_classes, input_size=_input_size(stem, side.input_size)
    )


def _partner(side: ModelSpec) -> ModelSpec:
    if side.kind == "vision" or side.model not in vision_models():
        raise ModelError(
            f"what should '{side.name}' be compared with? "
            + ("" if side.kind == "vision" else f"paddle.vision has no '{side.model}'. ")
            + f"Name a second network, such as {VISION}resnet18."
        )
    return replace(side, name=VISION + side.model, kind="vision")


def build(side: ModelSpec, seed: int = 0) -> nn.Layer:
    """Build the network of a side, in training mode.

    Args:
        side: what :func:`resolve` found.
        seed: decides the initial weights.

    Raises:
        ModelError: the network cannot have the stem that is asked for.
        WeightsError: a file that cannot be used.
    """
    paddle.seed(seed)
    if side.kind == "file" and side.weights is None:
        network = load_trained(side.name).network
        network.train()
        return network
    if side.kind != "vision":
        options = {} if side.stem is None else {"stem": side.stem}
        network = create_model(side.model, num_classes=side.num_classes, **options)
        if side.weights is not None:
            load_weights(network, side.weights)
        return network
    network = getattr(paddle.vision.models, side.model)(num_classes=side.num_classes)
    if side.stem == "cifar":
        if not isinstance(network, paddle.vision.models.ResNet):
            raise ModelError(f"{side.name} has no stem that could become a CIFAR stem.")
        network.conv1 = nn.Conv2D(3, 64, 3, padding=1, bias_attr=False)
        network.maxpool = nn.Identity()
    return network


def _input_size(stem: str | None, usual: int = 224) -> int:
    return 32 if stem == "cifar" else usual


def _classes_in(path: str, model: str) -> int:
    """Return how many classes the weights of a network know; 10 where they hold no such layer."""
    with paddle.LazyGuard():
        own = create_model(model).state_dict()
    for name, array in open_weights(path).arrays.items():
        if key_names.to_own_name(name, own) == f"{key_names.head_of(own)}.bias":
            return len(array)
    return 10


def _trained(name: str, stem: str | None, num_classes: int | None) -> ModelSpec:
    metadata = read_weights(find_weights_file(name))[1]
    if "model" not in metadata:
        load_trained(name)  # raises the sentence about what the file lacks
    has_stem = (metadata.get("options") or {}).get("stem")
    classes = len(metadata.get("classes") or ()) or 10
    if stem not in (None, has_stem):
        own = f"the stem '{has_stem}'" if has_stem else "its own stem"
        raise ModelError(f"the stem '{stem}' was asked for, but '{name}' was trained with {own}.")
    if num_classes not in (None, classes):
        raise ModelError(f"{num_classes} classes were asked for, but '{name}' knows {classes}.")
    mean, std = metadata.get("mean"), metadata.get("std")
    return ModelSpec(
        name,
        "file",
        str(metadata["model"]),
        has_stem,
        classes,
        (metadata.get("input_shape") or [32])[-1],
        tuple(mean) if mean else None,
        tuple(std) if std else None,
    )
