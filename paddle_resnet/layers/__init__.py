"""Building blocks: nn.Layers and nothing else."""

from .activation_dtype import activation_dtype
from .activation_functions import ACTIVATIONS, AddAct
from .blocks import (
    BLOCKS,
    BasicBlock,
    BottleneckBlock,
    PreActBasicBlock,
    PreActBottleneckBlock,
    ResidualBlock,
)
from .conv_bn import ConvBNLayer
from .inception import Inception
from .shortcuts import SHORTCUTS
from .squeeze_excitation import SqueezeExcitation
from .stems import STEMS, adapt_first_conv
from .stochastic_depth import StochasticDepth
from .style import Style

__all__ = [
    "ACTIVATIONS",
    "BLOCKS",
    "SHORTCUTS",
    "STEMS",
    "AddAct",
    "BasicBlock",
    "BottleneckBlock",
    "ConvBNLayer",
    "Inception",
    "PreActBasicBlock",
    "PreActBottleneckBlock",
    "ResidualBlock",
    "SqueezeExcitation",
    "StochasticDepth",
    "Style",
    "activation_dtype",
    "adapt_first_conv",
]
