"""Dtype of the activations between blocks: float32, or bfloat16 if every layer supports it.

Paddle has next to no bfloat16 operators on a CPU. The fused operator of
:mod:`paddle_resnet.kernels` has what conv-BN layers need. Blocks of such layers alone, max-pooling
and shortcut A can have bfloat16 activations; other poolings, gates and heads get float32.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Callable, NamedTuple, Optional

import paddle
from paddle import Tensor, nn

from ..errors import ModelError, for_display
from ..kernels import activations

DTYPES = ("float32", "bfloat16")


class _Mode(NamedTuple):
    wanted: str
    #: Whether blocks choose for themselves, because all that is around them are blocks.
    by_block: bool


_FLOAT32 = _Mode("float32", False)
#: Each thread has its own.
_mode: ContextVar[_Mode] = ContextVar("activation_dtype", default=_FLOAT32)


@contextlib.contextmanager
def activation_dtype(dtype: str) -> Iterator[None]:
    """Let the networks that run in the block have activations of this dtype wherever they can.

    >>> with activation_dtype("bfloat16"):
    ...     loss = cross_entropy(network(images), labels)

    It is for float32 networks on a CPU, as mixed precision on a GPU is: weights, their gradients,
    statistics and logits stay float32; images are rounded in front of the first unit.

    Args:
        dtype: ``float32`` or ``bfloat16``.

    Raises:
        ModelError: another dtype.
    """
    if dtype not in DTYPES:
        raise ModelError(
            f"activations can be in {' or '.join(DTYPES)}, not in {for_display(repr(dtype))}."
        )
    with _state(dtype, False):
        yield


def capture_mode() -> Callable[[], contextlib.AbstractContextManager]:
    """Return what makes a context with what holds now, for work that is done later."""
    return functools.partial(_state, *_mode.get())


@paddle.jit.not_to_static  # an exported graph is in float32
def is_float32() -> bool:
    """Return whether activations keep the dtype of the layers that compute them."""
    return _mode.get().wanted == "float32" or not paddle.in_dynamic_mode()


def run_stage(stage: nn.Layer, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
    """Run a stage of a network on its input in the dtype that the stage takes."""
    by_block = _chooses(stage)
    with _state(_mode.get().wanted, by_block):
        return run(x if by_block else _given(_taken(stage), x))


@paddle.jit.not_to_static
def for_block(block: nn.Layer, x: Tensor) -> Tensor:
    """Return the input of a block, which may be one of a stage's, in the dtype that it takes."""
    return _given(_taken(block), x) if _mode.get().by_block and not is_float32() else x


@paddle.jit.not_to_static
def for_shortcut(shortcut: nn.Layer, x: Tensor) -> Tensor:
    """Return a block's input as it is, unless the shortcut takes float32 alone."""
    return _given("float32", x) if not is_float32() and _taken(shortcut) == "float32" else x


@paddle.jit.not_to_static
def like(y: Tensor, x: Tensor) -> Tensor:
    """Return an activation in the dtype of another one, which it is to be added to."""
    return x if is_float32() else _given("bfloat16" if y.dtype == paddle.bfloat16 else "float32", x)


@paddle.jit.not_to_static
def to_float32(x: Tensor) -> Tensor:
    """Return an activation in float32, for whatever is outside of the stages."""
    return x if is_float32() else _given("float32", x)


@contextlib.contextmanager
def _state(wanted: str, by_block: bool) -> Iterator[None]:
    token = _mode.set(_Mode(wanted, by_block))
    try:
        yield
    finally:
        _mode.reset(token)


def _chooses(stage: nn.Layer) -> bool:
    """Return whether a stage is a sequence of blocks, each of which converts its own input."""
    return type(stage) is nn.Sequential and all(hasattr(block, "sees_to_input") for block in stage)


def _taken(layer: nn.Layer) -> Optional[str]:
    """Return the dtype that a layer takes; None for any."""
    if isinstance(layer, (nn.Identity, nn.MaxPool2D)) and _takes_bfloat16(layer):
        return None
    layers = layer if type(layer) is nn.Sequential else [layer]
    return "bfloat16" if all(map(_takes_bfloat16, layers)) else "float32"


def _takes_bfloat16(layer: nn.Layer) -> bool:
    return getattr(layer, "supports_bfloat16", type(layer) is nn.Identity)


def _given(dtype: Optional[str], x: Tensor) -> Tensor:
    known = x.dtype in (paddle.float32, paddle.bfloat16) and x.place.is_cpu_place()
    return activations.cast(x, dtype) if dtype and known else x
