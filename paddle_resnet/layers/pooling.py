"""Max-pooling, local and global."""

from __future__ import annotations

from paddle import Tensor, nn

from ..kernels.pool import knows, max_pool


class MaxPool2D(nn.MaxPool2D):
    """``paddle.nn.MaxPool2D``; on CPUs by the operator of :mod:`paddle_resnet.kernels`.

    Same arguments, shapes and values. Paddle's own pooling wants NCHW memory, into which it would
    bring the channels-last maps of our units, and back for the next one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest value of each window."""
        pooled = max_pool(self, x, self._plain)
        return self._plain(x) if pooled is None else pooled

    @property
    def takes_bfloat16(self) -> bool:
        """Whether the CPU operator knows this layer, so that it can have bfloat16 maps."""
        return knows(self)

    def _plain(self, x: Tensor) -> Tensor:
        return nn.MaxPool2D.forward(self, x)  # no super(): Paddle 2.6 cannot export it


class GlobalMaxPool(nn.Layer):
    """The largest value of each channel: ``[N, C, H, W]`` to ``[N, C, 1, 1]``, or NHWC.

    Args:
        data_format (str): ``NCHW`` or ``NHWC``. Default: ``NCHW``.
    """

    def __init__(self, data_format: str = "NCHW") -> None:
        super().__init__()
        self._sides = [data_format.index(side) for side in "HW"]

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest values."""
        return x.max(axis=self._sides, keepdim=True)
