"""A gate on the channels at the end of a residual function."""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ..errors import ModelError
from .style import PLAIN, Style


class SqueezeExcitation(nn.Layer):
    """Scale each channel by a number in (0, 1) computed from all channels' means.

    Hu et al. 2017 (arXiv:1709.01507), equations (2) to (4) and figure 3. The two linear layers are
    1x1 convolutions with bias, under timm's names ``fc1`` and ``fc2``.

    Args:
        channels (int): of the activation, which keeps its shape.
        reduction (int): by how much the hidden layer is narrower. The paper's: 16.

    Raises:
        ModelError: a reduction below 1.
    """

    def __init__(self, channels: int, reduction: int = 16, style: Style = PLAIN) -> None:
        super().__init__()
        if reduction < 1:
            raise ModelError(f"se_reduction must be at least 1, or 0 for no gate, got {reduction}.")
        hidden, layout = max(1, channels // reduction), style.data_format
        self.pool = nn.AdaptiveAvgPool2D(1, data_format=layout)
        self.fc1 = nn.Conv2D(channels, hidden, 1, data_format=layout)
        self.fc2 = nn.Conv2D(hidden, channels, 1, data_format=layout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x * sigmoid(fc2(relu(fc1(mean(x)))))``."""
        return x * F.sigmoid(self.fc2(F.relu(self.fc1(self.pool(x)))))
