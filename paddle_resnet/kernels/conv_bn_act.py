"""Conv (+ pooling) + BN (+ residual) (+ activation function) by the operator, or None."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Optional

import paddle
from paddle import Tensor, nn
from paddle.base import core
from paddle.base.framework import _dygraph_tracer

from . import build, mode
from .activations import TO_NCHW, cast, channels_last

#: Activation functions of the operator, by csrc/activation_functions.h's number. GELU is the exact
#: one, as Paddle's is without ``approximate``.
ACTS = (None, "relu", "gelu", "silu")

#: Reasons of fallbacks to plain Paddle, and how often each occurred in this process.
fallback_counts: Counter[str] = Counter()
#: Calls of the operator in this process, and those in bfloat16.
fused_calls = 0
bfloat16_calls = 0


@paddle.jit.not_to_static  # an exported graph holds plain operators
def conv_bn_act(
    conv: nn.Layer,
    bn: Optional[nn.Layer],
    act: Any,
    x: Tensor,
    residual: Optional[Tensor],
    plain: Callable[[Tensor, Optional[Tensor]], Tensor],
    pool: Optional[nn.Layer] = None,
) -> Optional[Tensor]:
    """Return ``act(bn(pool(conv(x))) + residual)``, or None if the caller has to compute it.

    The operator works on [N, H, W, C]. Between fused layers an NCHW tensor is a view of such
    memory, as in other frameworks' "channels last" format: no data moves, and all other code sees
    an ordinary NCHW tensor.

    The output has the dtype of ``x``, float32 or bfloat16. Weights, statistics and sums are always
    float32. Plain Paddle has no bfloat16 convolution on a CPU: if the operator does not support the
    layer, a bfloat16 input is cast to float32, computed by ``plain`` and cast back.

    Args:
        conv, bn, pool: the layers; ``pool`` stands between the other two.
        act: one of :data:`ACTS`; anything else is a fallback.
        x, residual: in the layout of ``conv``; both of one dtype.
        plain: computes ``(x, residual)`` by plain Paddle.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if not paddle.in_dynamic_mode():
        return None
    y = None if mode() == "off" else _fused(conv, bn, act, x, residual, pool)
    if y is None and _is_mixed_bfloat16(x, conv):
        residual = None if residual is None else cast(residual, "float32")
        return cast(plain(cast(x, "float32"), residual), "bfloat16")
    return y


def _is_mixed_bfloat16(x: Tensor, conv: nn.Layer) -> bool:
    """Return whether a bfloat16 activation on a CPU meets float32 weights, without AMP."""
    return (
        x.dtype == paddle.bfloat16
        and x.place.is_cpu_place()
        and conv.weight.dtype == paddle.float32
        and _dygraph_tracer()._amp_level == core.AmpLevel.O0
    )


def _fused(
    conv: nn.Layer,
    bn: Optional[nn.Layer],
    act: Any,
    x: Tensor,
    residual: Optional[Tensor],
    pool: Optional[nn.Layer],
) -> Optional[Tensor]:
    """Return the operator's output, or None if it does not support the layer or its input."""
    reason = unsupported_layers(conv, bn, act, pool) or unsupported_inputs(
        conv, bn, x, residual, pool is not None
    )
    if reason:
        fallback_counts[reason] += 1
        return None
    library = build.library()
    if library is None:
        return None
    bfloat16 = x.dtype == paddle.bfloat16
    if bfloat16 and not library.paddle_resnet_can_bfloat16():
        fallback_counts["bfloat16 without AVX-512"] += 1
        return None
    global fused_calls, bfloat16_calls
    fused_calls += 1
    bfloat16_calls += bfloat16
    nchw = conv._data_format == "NCHW"
    activations = [x] if residual is None else [x, residual]
    if nchw:
        activations = [channels_last(tensor) for tensor in activations]
    weights = [conv.weight, bn.weight, bn.bias, bn._mean, bn._variance]
    inputs = [activations[0], *weights, *activations[1:]]
    name = "paddle_resnet_conv_bn"
    if residual is not None:
        name += "_add" if act in (None, "relu") else "_add_smooth"
    y = core.eager._run_custom_op(
        name,
        *inputs,
        conv._stride[0],
        _padding(conv),
        conv._dilation[0],
        conv._groups,
        float(bn._epsilon),
        float(bn._momentum),
        _uses_batch_statistics(bn),
        ACTS.index(act),
        pool is not None,
        # Whether a backward pass can follow, and which gradients it has to compute.
        paddle.is_grad_enabled() and not all(tensor.stop_gradient for tensor in inputs),
        not x.stop_gradient,
        not conv.weight.stop_gradient,
    )[0]
    return y.transpose(TO_NCHW) if nchw else y


def unsupported_layers(
    conv: nn.Layer, bn: Optional[nn.Layer], act: Any, pool: Optional[nn.Layer] = None
) -> str:
    """Return why the operator does not support these layers, or an empty string."""
    if type(conv) is not nn.Conv2D or type(bn) is not nn.BatchNorm2D:
        return "not a Conv2D followed by a BatchNorm2D"
    if conv.bias is not None or bn.weight is None or bn.bias is None:
        return "a convolution with bias, or a norm without weights"
    if act not in ACTS:
        return "an activation function other than ReLU, GELU and SiLU"
    if any(_is_observed(layer) for layer in (conv, bn, pool) if layer is not None):
        return "hooks on the convolution, the pooling or the norm"
    if pool is not None and not _is_max_of_2x2(pool):
        return "a pooling other than 2x2 max-pooling"
    square = len(set(conv._stride)) == len(set(conv._dilation)) == 1
    if not square or conv._padding_mode != "zeros" or _padding(conv) is None:
        return "an unusual padding or stride"
    return ""


def _is_max_of_2x2(pool: nn.Layer) -> bool:
    """Return whether it is max-pooling with 2x2 windows and stride 2."""
    return (
        isinstance(pool, nn.MaxPool2D)
        and (pool.ksize, pool.padding, pool.stride) in ((2, 0, None), (2, 0, 2))
        and not (pool.ceil_mode or pool.return_mask)
    )


def unsupported_inputs(
    conv: nn.Layer, bn: nn.Layer, x: Tensor, residual: Optional[Tensor], pooled: bool
) -> str:
    """Return why the operator does not support these tensors, or an empty string."""
    if _dygraph_tracer()._amp_level != core.AmpLevel.O0:
        return "automatic mixed precision"
    axis = conv._data_format.index("C")
    activations = [x] if residual is None else [x, residual]
    weights = [conv.weight, bn.weight, bn.bias, bn._mean, bn._variance]
    if any(not tensor.place.is_cpu_place() for tensor in (*activations, *weights)):
        return "not on a CPU"
    if any(tensor.dtype != paddle.float32 for tensor in weights):
        return "weights that are not float32"
    if x.dtype not in (paddle.float32, paddle.bfloat16) or activations[-1].dtype != x.dtype:
        return "an input neither float32 nor bfloat16, or a residual of another dtype"
    shape = x.shape
    if len(shape) != 4 or shape[axis] != conv._in_channels or 0 in shape:
        return "an unusual shape"  # plain Paddle's own error is the right one
    sides = [n for i, n in enumerate(shape) if i not in (0, axis)]
    out = [_output_size(conv, n, i) // (2 if pooled else 1) for i, n in enumerate(sides)]
    if min(out) < 1:
        return "an unusual shape"
    # One value per channel has no variance: Paddle's BN then returns its input.
    if shape[0] * out[0] * out[1] < 2 and _uses_batch_statistics(bn):
        return "a single value per channel"
    out.insert(axis - 1, conv._out_channels)
    if residual is not None and residual.shape != [shape[0], *out]:
        return "an unusual shape"
    return ""


def _uses_batch_statistics(bn: nn.Layer) -> bool:
    """Return whether BN uses the batch's statistics: the condition of Paddle's own function."""
    given = bn._use_global_stats
    return bn.training if given is None else not given


def _is_observed(layer: nn.Layer) -> bool:
    """Return whether a hook or a replaced forward needs the layer to be called."""
    hooks = layer._forward_pre_hooks or layer._forward_post_hooks
    return bool(hooks) or "forward" in vars(layer)


def _padding(conv: nn.Layer) -> Optional[int]:
    """Return the zeros on each side, or None if the sides differ."""
    padding = conv._updated_padding
    sides = set(padding) if isinstance(padding, (list, tuple)) else {padding}
    (first, *others) = sides
    return None if others or not isinstance(first, int) else first


def _output_size(conv: nn.Layer, size: int, axis: int) -> int:
    extent = conv._dilation[axis] * (conv._kernel_size[axis] - 1) + 1
    return (size + 2 * _padding(conv) - extent) // conv._stride[axis] + 1
