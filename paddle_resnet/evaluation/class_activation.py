"""Class activation: which places of an image the score of a class depends on.

- Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, section 3): ReLU of the sum of channels, each
  weighted by its gradient's mean over all places.
- LayerCAM (Jiang et al. 2021, IEEE Transactions on Image Processing 30): ReLU of the sum of
  channels, each weighted place by place by the positive part of its gradient. It can be used at
  earlier, finer stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ..errors import ModelError, did_you_mean, for_display
from ..models import Network

METHODS = ("grad_cam", "layer_cam")
#: The last stage with fewer places than that, 4x4, says nothing about where.
_LEAST_SIDE = 4


def heatmap(
    network: Network,
    images: Union[np.ndarray, Tensor],
    *,
    method: str = "grad_cam",
    stage: Optional[str] = None,
    target: Union[int, Sequence[int], None] = None,
) -> np.ndarray:
    """Return a heat map of the size of each image, 0 where the class does not depend on the image.

    Args:
        network: any network of this package; mode, weights and gradients stay as they are. It
            computes in eval mode.
        images: float ``[N, C, H, W]`` (``[N, H, W, C]`` for NHWC networks), finite, normalized as
            the network takes them; computed in float32.
        method: ``grad_cam`` or ``layer_cam``. Default: ``grad_cam``.
        stage: a name of ``network.feature_info``. Default: the last one of at least 4x4 places.
        target: class, or class of each image. Default: the predicted ones.

    Returns:
        float32 ``[N, H, W]``, each scaled to a maximum of 1; all zeros if no place speaks
        for the class.

    Raises:
        ModelError: an unknown method or stage, no such class, a network without classes, or images
            of another shape or dtype.
    """
    x = _checked(network, images, method)
    raw = _class_activation(network, x, method, stage, target)
    size = x.shape[1:3] if network.data_format == "NHWC" else x.shape[2:]
    tensor = paddle.to_tensor(raw[:, None])
    larger = F.interpolate(tensor, size, mode="bilinear", align_corners=False).numpy()[:, 0]
    peaks = larger.max(axis=(1, 2), keepdims=True)
    return np.divide(larger, peaks, out=np.zeros_like(larger), where=peaks > 0)


def class_activation(
    network: Network,
    images: Union[np.ndarray, Tensor],
    *,
    method: str = "grad_cam",
    stage: Optional[str] = None,
    target: Union[int, Sequence[int], None] = None,
) -> np.ndarray:
    """Return unscaled heat maps at the stage's resolution: float32 ``[N, h, w]``, at least 0.

    Arguments and errors are those of :func:`heatmap`.
    """
    return _class_activation(network, _checked(network, images, method), method, stage, target)


def _class_activation(
    network: Network,
    x: Tensor,
    method: str,
    stage: Optional[str],
    target: Union[int, Sequence[int], None],
) -> np.ndarray:
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    network.eval()
    try:
        activation, logits = _forward(network, x, stage)
        chosen = _targets(logits, target)
        score = logits.take_along_axis(paddle.to_tensor(chosen[:, None]), 1).sum()
        (gradient,) = paddle.grad(score, [activation])
    finally:
        for layer, training in modes:
            layer.training = training
    a, g = (t.numpy().astype(np.float32) for t in (activation, gradient))
    if network.data_format == "NHWC":
        a, g = (array.transpose(0, 3, 1, 2) for array in (a, g))
    with np.errstate(over="ignore", invalid="ignore"):  # of a network that diverged
        if method == "grad_cam":
            found = (g.mean(axis=(2, 3), keepdims=True) * a).sum(axis=1)
        else:
            found = (np.maximum(g, 0) * a).sum(axis=1)
        return np.maximum(found, 0)


def _checked(network: Network, images: Union[np.ndarray, Tensor], method: str) -> Tensor:
    """Return images as float32; raise ModelError for what heat maps cannot be made with."""
    if method not in METHODS:
        raise ModelError(
            f"unknown method '{for_display(method)}', expected {' or '.join(METHODS)}."
            + did_you_mean(str(method), METHODS)
        )
    if not isinstance(network, Network) or not network.num_classes:
        raise ModelError(
            f"{type(network).__name__} has no class scores: heat maps need one of this package's "
            "networks with num_classes of at least 1."
        )
    return _as_batch(network, images)


def _as_batch(network: Network, images: Union[np.ndarray, Tensor]) -> Tensor:
    """Return images as float32; raise ModelError for those that the network cannot take."""
    convolution = next(layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D))
    channels = convolution.weight.shape[1]
    shape = f"[N, H, W, {channels}]" if network.data_format == "NHWC" else f"[N, {channels}, H, W]"
    expected = f"expected floats {shape}, normalized as the network was trained"
    if not isinstance(images, Tensor):
        try:
            array = np.asarray(images)
        except ValueError:  # images of several sizes
            array = np.asarray(None)
        if array.dtype.kind != "f":
            what = for_display(repr(images)) if array.dtype.kind in "OU" else f"of {array.dtype}"
            raise ModelError(f"images is {what}, {expected}.")
        images = paddle.to_tensor(array.astype(np.float32))
    elif not images.is_floating_point():
        raise ModelError(f"images is of {str(images.dtype).split('.')[-1]}, {expected}.")
    axis = 3 if network.data_format == "NHWC" else 1
    if images.ndim != 4 or images.shape[axis] != channels or 0 in images.shape:
        raise ModelError(f"images has the shape {list(images.shape)}, {expected}.")
    images = images.astype("float32")
    if not bool(images.isfinite().all()):
        raise ModelError(f"images has NaN or infinite values, {expected}.")
    return images


def _forward(network: Network, x: Tensor, stage: Optional[str]) -> tuple[Tensor, Tensor]:
    """Return the stage's output, from which a gradient can be asked, and the logits."""
    names = [info.name for info in network.feature_info]
    if stage is not None and stage not in names:
        raise ModelError(
            f"no stage '{for_display(stage)}', expected one of {', '.join(names)}."
            + did_you_mean(stage, names)
        )
    with paddle.no_grad():
        outputs = {}
        for name in network.stages:
            x = network.run_stage(name, x)
            if name in names:
                outputs[name] = x
            if name == stage:
                break
    chosen = stage or _last_with_places(network, outputs)
    # Detached: the gradient is the activation's, whatever of the network is frozen.
    activation = outputs[chosen].astype("float32").detach()
    activation.stop_gradient = False
    y = activation
    for name in network.stages[network.stages.index(chosen) + 1 :]:
        y = network.run_stage(name, y)
    return activation, network.forward_head(y)


def _last_with_places(network: Network, outputs: dict[str, Tensor]) -> str:
    axis = 1 if network.data_format == "NHWC" else 2
    large = [name for name, y in outputs.items() if min(y.shape[axis : axis + 2]) >= _LEAST_SIDE]
    return (large or list(outputs))[-1]


def _targets(logits: Tensor, target: Union[int, Sequence[int], None]) -> np.ndarray:
    count, classes = logits.shape
    if target is None:
        return logits.numpy().argmax(axis=1)
    chosen = np.broadcast_to(np.asarray(target), (count,)) if np.ndim(target) == 0 else target
    chosen = np.asarray(chosen)
    whole = chosen.shape == (count,) and np.issubdtype(chosen.dtype, np.integer)
    if not whole or (chosen < 0).any() or (chosen >= classes).any():
        raise ModelError(
            f"target must be a class from 0 to {classes - 1}, or one for each of {count} images, "
            f"got {for_display(target)}."
        )
    return chosen.astype(np.int64)
