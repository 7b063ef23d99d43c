"""Max-pooling, local and global, and what follows it."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from ..kernels.max_pool import LARGEST_WINDOW, max_pool, supports


class MaxPool2D(nn.MaxPool2D):
    """``paddle.nn.MaxPool2D``; on CPUs by the operator of :mod:`paddle_resnet.kernels`.

    Same arguments, shapes and values. Paddle's own pooling wants NCHW memory, into which it would
    bring the channels-last activations of conv-BN layers, and back for the next one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest value of each window."""
        pooled = max_pool(self, x, self._reference)
        return self._reference(x) if pooled is None else pooled

    @property
    def supports_bfloat16(self) -> bool:
        """Whether the CPU operator knows this layer, for bfloat16 activations."""
        return supports(self)

    def _reference(self, x: Tensor) -> Tensor:
        return nn.MaxPool2D.forward(self, x)  # no super(): Paddle 2.6 cannot export it


class Flatten(nn.Flatten):
    """Pooled features as rows: ``[N, C, H, W]`` to ``[N, C * H * W]``.

    As a reshape: Paddle 3's own ``flatten`` has no second derivative.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return one row for each image."""
        return paddle.reshape(x, [0, -1])  # 0: as many as there are


class GlobalMaxPool(nn.Layer):
    """The largest value of each channel: ``[N, C, H, W]`` to ``[N, C, 1, 1]``, or NHWC.

    Args:
        data_format (str): ``NCHW`` or ``NHWC``. Default: ``NCHW``.
    """

    def __init__(self, data_format: str = "NCHW") -> None:
        super().__init__()
        self.data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest values."""
        # As a window, since Paddle's gradient of a maximum over axes takes longer than the three
        # convolutions in front of it.
        window = _window(x, self.data_format)
        if window:
            return MaxPool2D(window, data_format=self.data_format)(x)
        axes = [self.data_format.index(side) for side in "HW"]
        return x.max(axis=axes, keepdim=True)


@paddle.jit.not_to_static  # an exported graph takes any size
def _window(x: Tensor, data_format: str) -> int:
    """Return the side of a window over all positions; 0 if they are no square, or too many."""
    if not paddle.in_dynamic_mode():
        return 0
    height, width = (x.shape[data_format.index(side)] for side in "HW")
    return height if height == width <= LARGEST_WINDOW else 0
