"""Layers, parameters and multiplications of a network, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable, Optional

import paddle
from paddle import Tensor, nn

from ..layers.activation_functions import AddAct
from ..layers.conv_bn import ConvBNLayer
from .network import STATISTICS


@dataclass
class Row:
    """One layer, or one operation without parameters."""

    name: str
    #: ``conv``, ``projection`` (a convolution on a shortcut), ``gate`` (one of
    #: squeeze-and-excitation), ``linear``, ``norm``, or what else it does: ``add``, ``relu``, ...
    kind: str
    #: Of the output, batch included.
    shape: list[int]
    #: Trainable ones.
    parameters: int = 0
    #: Running statistics, which Paddle lists among the parameters too.
    statistics: int = 0
    #: Multiply-accumulates: one each for a multiplication and the addition behind it.
    macs: int = 0


@dataclass
class Count:
    """The rows of a network in the order they run, and their sums."""

    rows: list[Row] = field(default_factory=list)

    def total(self, column: str) -> int:
        """Return the sum over ``parameters``, ``statistics`` or ``macs``."""
        return sum(getattr(row, column) for row in self.rows)

    def layers(self, kind: str) -> int:
        """Return how many layers are of a kind."""
        return sum(row.kind == kind for row in self.rows)


def count(network: nn.Layer, input_shape: Sequence[int] = (3, 224, 224)) -> Count:
    """Count what each layer of a network is and does for one image.

    Biases, normalisations, activations and pooling are not counted as multiplications, as is usual.
    Operations without a layer of their own are seen where they belong to one of our layers.
    Parameters are counted where they are first used, and the auxiliary heads of a network, which
    are idle in eval mode, not at all. Convolutions and linear layers are not computed, only the
    shapes of what they give: it takes a moment, and weights need not be there yet (LazyGuard).

    Args:
        network: any Paddle network of one input; its mode and weights stay as they are.
        input_shape: of one image, without the batch. Default: (3, 224, 224).

    Returns:
        Count: a row per layer and operation, in the order they run.
    """
    result, seen = Count(), set()
    ours = (ConvBNLayer, AddAct)
    inside = {
        id(part)
        for unit in network.sublayers()
        if isinstance(unit, ours)
        for part in unit.sublayers()
    }
    watched = {
        name: layer
        for name, layer in network.named_sublayers(include_self=True)
        if id(layer) not in inside and (isinstance(layer, ours) or not list(layer.children()))
    }

    def watch(name: str) -> Callable[[nn.Layer, tuple, Tensor], None]:
        return lambda layer, inputs, y: result.rows.extend(_rows(name, layer, inputs, y, seen))

    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    hooks = [layer.register_forward_post_hook(watch(name)) for name, layer in watched.items()]
    replaced = []
    try:
        for layer in watched.values():
            forward = _shapes_only(layer)
            if forward is not None and "forward" not in vars(layer):
                object.__setattr__(layer, "forward", forward)
                replaced.append(layer)
        network.eval()
        with paddle.no_grad():
            network(paddle.zeros([1, *input_shape]))
    finally:
        for hook in hooks:
            hook.remove()
        for layer in replaced:
            object.__delattr__(layer, "forward")
        for layer, training in modes:
            layer.training = training
    return result


def _shapes_only(layer: nn.Layer) -> Optional[Callable[..., Tensor]]:
    """Return a stand-in for a layer's ``forward`` which gives zeros of the right shape, or None."""
    if isinstance(layer, ConvBNLayer):
        inner = _shapes_only(layer.conv)
        pool = layer.pool or nn.Identity()
        return inner and (lambda x, residual=None: pool(inner(x)))
    if isinstance(layer, nn.Linear):
        return lambda x: paddle.zeros([*x.shape[:-1], layer.weight.shape[1]])
    if _kind("", layer) == "norm":
        return lambda x: x
    if not isinstance(layer, nn.Conv2D) or layer._padding_mode != "zeros":
        return None
    padding, size, last = layer._padding, layer._kernel_size, layer._data_format == "NHWC"
    if not isinstance(padding, int) and padding != "same":
        return None

    def convolve(x: Tensor) -> Tensor:
        sides = []
        for n, k, s, d in zip(
            x.shape[1:3] if last else x.shape[2:], size, layer._stride, layer._dilation
        ):
            sides.append(
                -(-n // s) if padding == "same" else (n + 2 * padding - d * (k - 1) - 1) // s + 1
            )
        channels = [layer._out_channels]
        return paddle.zeros([x.shape[0], *(sides + channels if last else channels + sides)])

    return convolve


def _rows(name: str, layer: nn.Layer, inputs: tuple, output: Tensor, seen: set) -> list[Row]:
    if not isinstance(layer, (ConvBNLayer, AddAct)):
        return [_row(name, layer, output, seen)] if not isinstance(layer, nn.Identity) else []
    rows = []
    if isinstance(layer, ConvBNLayer):
        prefix = name + "." if name else ""
        convolved = output
        if layer.pool is not None:
            convolved = (_shapes_only(layer.conv) or layer.conv)(inputs[0])
        for part, y in (("conv", convolved), ("pool", output), ("bn", output)):
            inner = getattr(layer, part)
            if inner is not None:
                rows.append(_row(layer._public_name(prefix, part), inner, y, seen))
    if len(inputs) > 1 and inputs[1] is not None:
        rows.append(Row(name, "add", output.shape))
    if isinstance(layer.act, nn.Layer):
        rows.append(_row(name, layer.act, output, seen))  # it may have parameters, as PReLU has
    elif layer.act is not None:
        act = layer.act if isinstance(layer.act, str) else getattr(layer.act, "__name__", "act")
        rows.append(Row(name, act, output.shape))
    return rows


def _row(name: str, layer: nn.Layer, output: Tensor, seen: set) -> Row:
    row = Row(name, _kind(name, layer), list(output.shape))
    for key, parameter in layer._parameters.items():
        if parameter is None or id(parameter) in seen:
            continue
        seen.add(id(parameter))
        if key in STATISTICS:
            row.statistics += parameter.size
        else:
            row.parameters += parameter.size
    if isinstance(layer, nn.Linear):
        row.macs = layer.weight.size * math.prod(row.shape[1:-1])
    elif isinstance(layer, nn.Conv2D):
        height, width = row.shape[1:3] if layer._data_format == "NHWC" else row.shape[2:]
        row.macs = layer.weight.size * height * width
    return row


def _kind(name: str, layer: nn.Layer) -> str:
    if isinstance(layer, nn.Conv2D):
        place = name.split(".")
        return "projection" if "downsample" in place else "gate" if "se" in place else "conv"
    if isinstance(layer, nn.Linear):
        return "linear"
    return "norm" if "Norm" in type(layer).__name__ else type(layer).__name__.lower()
