"""Blocks put at the end of every stage of a trained network, without a change of shape."""

from __future__ import annotations

import copy

import numpy as np
import paddle
from paddle import nn

from ...errors import ModelError
from ...layers import ResidualBlock, Style
from ...models import Network
from .block_walk import blocks, layers_of, residual_function, stem
from .cifar_subset import Subset

SETTLE_BATCH = 64


def with_added_blocks(
    network: Network, count: int, kind: str, seed: int
) -> tuple[Network, list[ResidualBlock]]:
    """Return a copy of a network with ``count`` more blocks in each stage, in eval mode.

    Args:
        network: is left as it is.
        count: blocks per stage.
        kind: ``zero-gamma`` (residual, F = 0 at first), ``residual`` or ``plain`` (fresh weights
            by He), ``dirac`` (plain, convolutions that copy their input), ``no BN`` (residual,
            convolutions alone).
        seed: of fresh weights.

    Returns:
        The copy and the added blocks, in order.

    Raises:
        ModelError: a ``dirac`` block where the network's blocks are not two 3x3 convolutions, or a
            network without blocks.
    """
    paddle.seed(seed)
    longer, added = copy.deepcopy(network), []
    last_of_stage = {name.split(".")[0]: block for name, block in blocks(longer)}
    for stage, block in last_of_stage.items():
        residual_function(block, _zeros_for(block))  # raises for blocks of another kind
        for _ in range(count):
            new = _make(type(block), layers_of(block)[-1].conv._out_channels, kind)
            stages = getattr(longer, stage)
            stages.add_sublayer(str(len(stages)), new)
            added.append(new)
    longer.eval()
    return longer, added


def _make(block: type, channels: int, kind: str) -> ResidualBlock:
    style = Style(norm_layer=None) if kind == "no BN" else Style()
    residual = kind not in ("plain", "dirac")
    new = block(channels, channels // block.expansion, shortcut="A", style=style, residual=residual)
    if kind == "zero-gamma":
        new.zero_init()
    if kind == "dirac":
        if block.kernels != (3, 3):
            raise ModelError("Dirac kernels are shown in blocks of two 3x3 convolutions only.")
        for layer in layers_of(new):
            weight = np.zeros(layer.conv.weight.shape, np.float32)
            weight[np.arange(channels), np.arange(channels), 1, 1] = 1
            layer.conv.weight.set_value(weight)
    return new


def _zeros_for(block: ResidualBlock) -> paddle.Tensor:
    return paddle.zeros([1, layers_of(block)[0].conv._in_channels, 4, 4])


def settle_added(network: Network, added: list[ResidualBlock], subset: Subset) -> None:
    """Bring the running statistics of the added blocks alone to those of the images.

    The rest of the network stays in eval mode: in train mode all its statistics would move too.
    The first batch replaces the statistics, so that nothing of the old ones remains.
    """
    norms = [n for block in added for n in block.sublayers() if isinstance(n, nn.BatchNorm2D)]
    momentum = [norm._momentum for norm in norms]
    for block in added:
        block.train()
    with paddle.no_grad():
        for start in range(0, len(subset.labels) - SETTLE_BATCH + 1, SETTLE_BATCH):
            for norm, value in zip(norms, momentum):
                norm._momentum = value if start else 0.0
            network(paddle.to_tensor(subset.images[start : start + SETTLE_BATCH]))
    for block in added:
        block.eval()
    for norm, value in zip(norms, momentum):
        norm._momentum = value


def branch_ratios(network: Network, added: list[ResidualBlock], images: np.ndarray) -> list[float]:
    """Return for every added block the mean over images of ||F(x)|| / ||x||."""
    wanted, found = {id(block) for block in added}, []
    with paddle.no_grad():
        x = stem(network, paddle.to_tensor(images))
        for _, block in blocks(network):
            if id(block) in wanted:
                found.append(_mean_ratio(residual_function(block, x), x))
            x = block(x)
    return found


def _mean_ratio(f: paddle.Tensor, x: paddle.Tensor) -> float:
    of_f, of_x = (np.linalg.norm(t.flatten(1).numpy().astype(np.float64), axis=1) for t in (f, x))
    return float((of_f / of_x).mean())


def scale_norms(added: list[ResidualBlock], factor: float) -> None:
    """Multiply gamma and beta of all norms of the added blocks."""
    for block in added:
        for layer in block.sublayers():
            if isinstance(layer, nn.BatchNorm2D):
                layer.weight.set_value(layer.weight * factor)
                layer.bias.set_value(layer.bias * factor)


def logits(network: nn.Layer, images: np.ndarray, batch: int = 250) -> np.ndarray:
    """Return the logits of images: float32 [N, classes]."""
    with paddle.no_grad():
        parts = [
            network(paddle.to_tensor(images[start : start + batch])).numpy()
            for start in range(0, len(images), batch)
        ]
    return np.concatenate(parts)
