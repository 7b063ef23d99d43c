"""Building blocks: nn.Layers and nothing else."""

from .blocks import BasicBlock, BottleneckBlock
from .conv_bn import ConvBNLayer

__all__ = ["BasicBlock", "BottleneckBlock", "ConvBNLayer"]
