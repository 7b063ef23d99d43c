"""The same network out of layers that converters and runtimes compute rightly."""

from __future__ import annotations

import copy

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

#: Slope below zero of `leaky_relu` by name, Paddle's default.
_SLOPE = 0.01


class LeakyReLUFromReLU(nn.Layer):
    """LeakyReLU as two ReLUs.

    paddle2onnx 2.1 writes another slope, and oneDNN's convolution fused with it ends the process
    of Paddle Inference 3.3.1.
    """

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Return ``max(x, 0) + slope * min(x, 0)``."""
        return F.relu(x) - self.slope * F.relu(-x)


class GroupNormFromMeans(nn.Layer):
    """GroupNorm as means over groups of channels; paddle2onnx 2.1 loses the groups.

    Args:
        norm: whose parameters are used; its input is NCHW.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.epsilon = norm._num_groups, norm._epsilon
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 ``[N, C, H, W]``."""
        _, channels, height, width = x.shape
        groups = paddle.reshape(x, [0, self.groups, -1])
        groups = groups - paddle.mean(groups, 2, keepdim=True)
        variance = paddle.mean(groups * groups, 2, keepdim=True)
        y = paddle.reshape(
            groups / paddle.sqrt(variance + self.epsilon), [0, channels, height, width]
        )
        if self.weight is not None:
            y = y * paddle.reshape(self.weight, [1, channels, 1, 1])
        return y if self.bias is None else y + paddle.reshape(self.bias, [1, channels, 1, 1])


def with_plain_layers(network: nn.Layer) -> nn.Layer:
    """Return the network, or a copy of NCHW images without LeakyReLU and GroupNorm.

    Layers with the attribute ``data_format`` (Paddle's: ``_data_format``) are turned to NCHW, which
    is the layout of all exported files and the only one that the converter knows.

    Args:
        network: is not changed.
    """
    if not any(_is_to_change(layer) for layer in network.sublayers(include_self=True)):
        return network
    network = copy.deepcopy(network)
    for layer in network.sublayers(include_self=True):
        _to_nchw(layer)
        if _has_leaky_relu(layer):
            layer.act = LeakyReLUFromReLU(_SLOPE)
        for name, child in list(layer.named_children()):
            if isinstance(child, nn.GroupNorm):
                layer.add_sublayer(name, GroupNormFromMeans(child))
            elif isinstance(child, nn.LeakyReLU):
                layer.add_sublayer(name, LeakyReLUFromReLU(child._negative_slope))
    return network


def _is_to_change(layer: nn.Layer) -> bool:
    return (
        isinstance(layer, (nn.GroupNorm, nn.LeakyReLU))
        or _has_leaky_relu(layer)
        or "NHWC" in (getattr(layer, "data_format", ""), getattr(layer, "_data_format", ""))
    )


def _has_leaky_relu(layer: nn.Layer) -> bool:
    act = getattr(layer, "act", None)
    return act is F.leaky_relu or (isinstance(act, str) and act == "leaky_relu")


def _to_nchw(layer: nn.Layer) -> None:
    for name in ("data_format", "_data_format"):
        if getattr(layer, name, None) == "NHWC":
            setattr(layer, name, "NCHW")
            if hasattr(layer, "_channel_dim"):  # of convolutions
                layer._channel_dim = 1
