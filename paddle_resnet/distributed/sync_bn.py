"""Batch normalization over the batch of all ranks, on every device.

Paddle's own ``SyncBatchNorm`` has no kernel for CPUs and assumes shards of equal size.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn
from paddle.autograd import PyLayer

from .collectives import all_reduce_sum, world_size


class _Total(PyLayer):
    """The sum over all ranks. Each rank's term is in it once, and so is its gradient."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Add up the values."""
        y = x.clone()
        all_reduce_sum(y)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        """Add up the gradients."""
        gradient = gradient.clone()
        all_reduce_sum(gradient)
        return gradient


class SyncBatchNorm2D(nn.BatchNorm2D):
    """A ``BatchNorm2D`` whose batch statistics are those of all ranks together.

    Mean and variance are computed one after the other, in float32, as exact as those of one
    process; shards may be of unequal sizes. In eval mode it is the base class.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x, [N, C, H, W] or [N, H, W, C]."""
        if not self.training or self._use_global_stats or world_size() == 1:
            return super().forward(x)
        channel = 1 if self._data_format == "NCHW" else 3
        axes = [axis for axis in range(4) if axis != channel]
        shape = [1] * 4
        shape[channel] = -1
        values = x.astype("float32")
        count = paddle.full([1], float(x.size // x.shape[channel]))
        together = _Total.apply(paddle.concat([values.sum(axes), count]))
        count = together[-1]
        mean = together[:-1] / count
        centered = values - mean.reshape(shape)
        variance = _Total.apply((centered * centered).sum(axes)) / count
        y = centered * paddle.rsqrt(variance + self._epsilon).reshape(shape)
        if self.weight is not None:
            y = y * self.weight.reshape(shape)
        if self.bias is not None:
            y = y + self.bias.reshape(shape)
        with paddle.no_grad():
            for kept, now in ((self._mean, mean), (self._variance, variance)):
                kept.set_value(kept * self._momentum + now.detach() * (1 - self._momentum))
        return y.astype(x.dtype)


def convert_sync_bn(network: nn.Layer) -> int:
    """Let the batch norms of a network use the batch of all ranks; return their number.

    They stay the same objects, with their parameters and names.
    """
    layers = [layer for layer in network.sublayers() if type(layer) is nn.BatchNorm2D]
    for layer in layers:
        layer.__class__ = SyncBatchNorm2D
    return len(layers)


def local_bn_buffers(network: nn.Layer) -> list[Tensor]:
    """Return the BN statistics that each rank updates from its own shard."""
    return [
        tensor
        for layer in network.sublayers(include_self=True)
        if isinstance(layer, nn.layer.norm._BatchNormBase)
        and not isinstance(layer, (SyncBatchNorm2D, nn.SyncBatchNorm))
        and layer.training
        and not layer._use_global_stats
        for tensor in (layer._mean, layer._variance)
    ]
