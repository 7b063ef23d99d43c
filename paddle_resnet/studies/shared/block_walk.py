"""A residual network taken apart: its blocks in order, and the two terms of each block's sum.

No hooks: the activations are held while blocks are called one by one, and ``paddle.grad`` gives
the gradients at them. Hooks on inner layers would also switch the CPU operator off.
"""

from __future__ import annotations

from typing import NamedTuple

from paddle import Tensor, nn

from ...errors import ModelError
from ...layers import ConvBNLayer, ResidualBlock
from ...models import Network


class NamedBlock(NamedTuple):
    """A block and its name, such as ``layer1.0``."""

    name: str
    layer: ResidualBlock


def blocks(network: nn.Layer) -> list[NamedBlock]:
    """Return the blocks of a residual or plain network in the order they run.

    Raises:
        ModelError: the network is none of ours, or has no stages of residual blocks.
    """
    found = []
    for stage in _stages(network):
        layer = getattr(network, stage)
        if type(layer) is nn.Sequential and all(isinstance(b, ResidualBlock) for b in layer):
            found += [NamedBlock(f"{stage}.{i}", block) for i, block in enumerate(layer)]
    if not found:
        raise ModelError(
            f"{type(network).__name__} cannot be taken apart into residual blocks, expected a "
            "ResNet of this package, such as resnet20 or plain20."
        )
    return found


def stem(network: Network, images: Tensor) -> Tensor:
    """Return what the first block gets: ``[N, C, H, W]``."""
    first = blocks(network)[0].name.split(".")[0]
    x = images
    for name in _stages(network):
        if name == first:
            return x
        x = network.run_stage(name, x)
    return x


def head(network: Network, x: Tensor) -> Tensor:
    """Return the logits for the last block's output (pre-activation networks: BN and ReLU too)."""
    names = _stages(network)
    last = blocks(network)[-1].name.split(".")[0]
    for name in names[names.index(last) + 1 :]:
        x = network.run_stage(name, x)
    return network.forward_head(x)


def activations(network: Network, images: Tensor) -> list[Tensor]:
    """Return the stem's output and the output of every block, in order."""
    x = stem(network, images)
    found = [x]
    for _, block in blocks(network):
        x = block(x)
        found.append(x)
    return found


def layers_of(block: ResidualBlock) -> list[ConvBNLayer]:
    """Return the conv-BN layers of a block's main path, in order."""
    return [getattr(block, f"conv{i + 1}") for i in range(len(block.kernels))]


def check_sum(block: ResidualBlock) -> None:
    """Raise an error for a block whose output is not ReLU(F(x) + shortcut(x)), or ReLU(F(x)).

    Raises:
        ModelError: the block has a gate, stochastic depth, early ReLU or pre-activation.
    """
    if block.pre_activation or block.sum is not None:
        raise ModelError(
            "this study needs blocks that compute ReLU(F(x) + shortcut(x)); the network's blocks "
            "have pre-activation, early ReLU, gates or stochastic depth."
        )


def residual_function(block: ResidualBlock, x: Tensor) -> Tensor:
    """Return F(x): the main path of a post-activation block up to the sum, without its ReLU.

    Raises:
        ModelError: the block has a gate, stochastic depth, early ReLU or pre-activation, whose sum
            has other terms.
    """
    check_sum(block)
    *inner, last = layers_of(block)
    for layer in inner:
        x = layer(x)
    x = last.conv(x)
    return x if last.bn is None else last.bn(x)


def shortcut(block: ResidualBlock, x: Tensor) -> Tensor:
    """Return s(x): the other term of the sum, ``x`` itself in identity blocks.

    Raises:
        ModelError: the block is plain.
    """
    if not block.residual:
        raise ModelError("this study needs residual blocks; the network's blocks are plain.")
    return x if block.downsample is None else block.downsample(x)


def changes_shape(block: ResidualBlock) -> bool:
    """Return whether the block's output has another shape than its input."""
    convolutions = [layer.conv for layer in layers_of(block)]
    strides = [conv._stride[0] for conv in convolutions]
    return max(strides) > 1 or convolutions[0]._in_channels != convolutions[-1]._out_channels


def _stages(network: nn.Layer) -> list[str]:
    return network.stages if isinstance(network, Network) else []
