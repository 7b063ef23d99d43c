"""Networks by name. A network is an entry: a function that fills in the one class's options."""

from __future__ import annotations

import fnmatch
import inspect
from typing import Callable

from paddle import nn

from ..errors import ModelError, nearest
from .resnet import ResNet

_BUILDERS: dict[str, Callable[..., nn.Layer]] = {}


def register(builder: Callable[..., nn.Layer]) -> Callable[..., nn.Layer]:
    """Add a function to the registry, under its own name (a decorator)."""
    _BUILDERS[builder.__name__] = builder
    return builder


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all networks that match a shell pattern, by family and depth."""
    names = fnmatch.filter(_BUILDERS, pattern)
    return sorted(names, key=lambda name: [(len(t), t) for t in name.split("_")])


def create_model(name: str, **options: object) -> nn.Layer:
    """Build a network by name; the options are those of its class.

    Args:
        name (str): one of :func:`list_models`.
        **options: for example ``num_classes=10, stem="cifar"``, see :class:`ResNet`.

    Raises:
        ModelError: the name or an option is unknown; says what comes nearest.
    """
    if name not in _BUILDERS:
        raise ModelError(
            f"unknown network '{name}', expected one of {', '.join(list_models())}."
            + nearest(str(name), _BUILDERS)
        )
    known = [p for p in inspect.signature(ResNet.__init__).parameters if p != "self"]
    for option in options:
        if option not in known:
            raise ModelError(
                f"{name} has no option '{option}', expected one of {', '.join(known)}."
                + nearest(option, known)
            )
    return _BUILDERS[name](**options)


@register
def resnet18(num_classes: int = 1000, **options: object) -> ResNet:
    """ResNet-18: 17 convolutions in basic blocks, one linear layer (arXiv:1512.03385)."""
    return ResNet(18, num_classes=num_classes, **options)


@register
def resnet34(num_classes: int = 1000, **options: object) -> ResNet:
    """ResNet-34: 33 convolutions in basic blocks, one linear layer (arXiv:1512.03385)."""
    return ResNet(34, num_classes=num_classes, **options)


@register
def resnet50(num_classes: int = 1000, **options: object) -> ResNet:
    """ResNet-50: 49 convolutions in bottlenecks, one linear layer (arXiv:1512.03385, v1.5)."""
    return ResNet(50, num_classes=num_classes, **options)


@register
def resnet101(num_classes: int = 1000, **options: object) -> ResNet:
    """ResNet-101: 100 convolutions in bottlenecks, one linear layer (arXiv:1512.03385, v1.5)."""
    return ResNet(101, num_classes=num_classes, **options)


@register
def resnet152(num_classes: int = 1000, **options: object) -> ResNet:
    """ResNet-152: 151 convolutions in bottlenecks, one linear layer (arXiv:1512.03385, v1.5)."""
    return ResNet(152, num_classes=num_classes, **options)
