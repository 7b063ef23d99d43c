"""Networks by name. A network is a row: a class, its options, and where it comes from."""

from __future__ import annotations

import fnmatch
import functools
import inspect
from dataclasses import dataclass
from typing import Any, Callable, Optional

import paddle

from ..errors import ModelError, did_you_mean, for_display
from ..weights import load_pretrained
from .counting import count
from .network import Network


@dataclass(frozen=True)
class Entry:
    """One line of the table of networks."""

    network: type
    source: str
    input_size: int
    options: dict[str, Any]


@dataclass(frozen=True)
class ModelInfo:
    """What a network is, in numbers, with the options of its entry."""

    name: str
    #: Trainable ones; running statistics are counted apart.
    parameters: int
    statistics: int
    #: Multiply-accumulates for one image of ``input_size`` x ``input_size``.
    macs: int
    #: Convolutions on the main path; those on shortcuts; linear layers.
    convolutions: int
    projections: int
    linears: int
    input_size: int
    num_classes: int
    source: str


_TABLE: dict[str, Entry] = {}
#: What recipes and weights files may give for an option, by its annotation.
_KINDS: dict[str, tuple[str, Any]] = {
    "int": ("a whole number", int),
    "float": ("a number", (int, float)),
    "bool": ("true or false", bool),
}


def add(
    name: str, network: type, source: str, input_size: int = 224, **options: object
) -> Callable[..., Network]:
    """Add a row to the table and return the function that builds its network."""
    _TABLE[name] = Entry(network, source, input_size, options)

    def build(num_classes: Optional[int] = None, **options: object) -> Network:
        given = {} if num_classes is None else {"num_classes": num_classes}
        return create_model(name, **given, **options)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = (
        f"Build {name}; options as of :class:`{network.__name__}`, num_classes first.\n\n"
        f"    Source: {source}."
    )
    return build


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all networks that match a shell pattern, by family and depth."""
    return fnmatch.filter(_TABLE, pattern)


def create_model(name: str, *, pretrained: bool = False, **options: object) -> Network:
    """Build a network by name; the options are those of its class and win over those of its entry.

    Args:
        name (str): one of :func:`list_models`.
        pretrained (bool): load trained weights: of resnet20 those for CIFAR-10 inside the package,
            else the ImageNet weights that Paddle publishes. Another ``num_classes`` keeps its new
            head, another ``in_channels`` adapts the first convolution. Default: False.
        **options: for example ``num_classes=10, stem="cifar"``, see :class:`ResNet`.

    Raises:
        ModelError: the name or an option is unknown; says what comes nearest.
        WeightsError: there are no weights of the network, or they cannot be had.
    """
    entry = _entry(name)
    _check(name, entry.network, options)
    network = entry.network(**{**entry.options, **options})
    if pretrained:
        load_pretrained(network, name)
    return network


@functools.cache
def model_info(name: str) -> ModelInfo:
    """Return the counts and the source of a network, as its row of the table defines it.

    Raises:
        ModelError: the name is unknown.
    """
    entry = _entry(name)
    with paddle.LazyGuard():  # shapes are enough: no weights are drawn
        network = create_model(name)
    table = count(network, (3, entry.input_size, entry.input_size))
    return ModelInfo(
        name=name,
        parameters=table.total("parameters"),
        statistics=table.total("statistics"),
        macs=table.total("macs"),
        convolutions=table.layers("conv"),
        projections=table.layers("projection"),
        linears=table.layers("linear"),
        input_size=entry.input_size,
        num_classes=network.num_classes,
        source=entry.source,
    )


def option_names(name: str) -> list[str]:
    """Return the options that a network has, in the order of its class.

    Raises:
        ModelError: the name is unknown.
    """
    return list(_kinds(_entry(name).network))


def _kinds(network: type) -> dict[str, Any]:
    kinds = {p.name: p.annotation for p in inspect.signature(network.__init__).parameters.values()}
    del kinds["self"]
    return kinds


def _check(name: str, network: type, options: dict[str, Any]) -> None:
    """Refuse options that the class has not, and of another type than its signature says."""
    kinds = _kinds(network)
    for option, value in options.items():
        if option not in kinds:
            raise ModelError(
                f"{name} has no option '{option}', expected one of {', '.join(kinds)}."
                + did_you_mean(option, kinds)
            )
        what, types = _KINDS.get(kinds[option], ("", object))
        if not isinstance(value, types) or (what.endswith("number") and isinstance(value, bool)):
            raise ModelError(f"{option} must be {what}, got {for_display(repr(value))}.")


def _entry(name: str) -> Entry:
    if name not in _TABLE:
        raise ModelError(
            f"unknown network '{name}': list_models(), or `paddle-resnet models`, names all."
            + did_you_mean(str(name), _TABLE)
        )
    return _TABLE[name]
