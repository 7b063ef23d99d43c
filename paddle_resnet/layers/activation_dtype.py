"""The numbers of the maps between a network's blocks: float32, or bfloat16 where all can take it.

Paddle has next to no bfloat16 operators on a CPU. The fused operator of
:mod:`paddle_resnet.kernels` has what conv + BN units need, so that blocks made of units alone can
have bfloat16 maps, and so can max-pooling and shortcut A; other poolings, gates and heads get
float32.
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
    """Let the networks that run in the block have maps of these numbers wherever they can.

    >>> with activation_dtype("bfloat16"):
    ...     loss = cross_entropy(network(images), labels)

    It is for float32 networks on a CPU, as mixed precision on a GPU is: weights, their gradients,
    statistics and logits stay float32; images are rounded in front of the first unit.

    Args:
        dtype: ``float32`` or ``bfloat16``.

    Raises:
        ModelError: other numbers.
    """
    if dtype not in DTYPES:
        raise ModelError(
            f"maps can be in {' or '.join(DTYPES)}, not in {for_display(repr(dtype))}."
        )
    with _state(dtype, False):
        yield


def capture_mode() -> Callable[[], contextlib.AbstractContextManager]:
    """Return what makes a context with what holds now, for work that is done later."""
    return functools.partial(_state, *_mode.get())


@paddle.jit.not_to_static  # an exported graph is in float32
def is_float32() -> bool:
    """Return whether there is nothing to do: all maps are what their makers make of them."""
    return _mode.get().wanted == "float32" or not paddle.in_dynamic_mode()


def run_stage(part: nn.Layer, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
    """Run a part of a network on its input in the numbers that the part takes."""
    by_block = _chooses(part)
    with _state(_mode.get().wanted, by_block):
        return run(x if by_block else _given(_taken(part), x))


@paddle.jit.not_to_static
def for_block(block: nn.Layer, x: Tensor) -> Tensor:
    """Return the input of a block, which may be one of a part's, in the numbers that it takes."""
    return _given(_taken(block), x) if _mode.get().by_block and not is_float32() else x


@paddle.jit.not_to_static
def for_shortcut(shortcut: nn.Layer, x: Tensor) -> Tensor:
    """Return a block's input as it is, unless the shortcut takes float32 alone."""
    return _given("float32", x) if not is_float32() and _taken(shortcut) == "float32" else x


@paddle.jit.not_to_static
def like(y: Tensor, x: Tensor) -> Tensor:
    """Return a map in the numbers of another one, which it is to be added to."""
    return x if is_float32() else _given("bfloat16" if y.dtype == paddle.bfloat16 else "float32", x)


@paddle.jit.not_to_static
def to_float32(x: Tensor) -> Tensor:
    """Return a map in float32, for whatever is outside of the parts."""
    return x if is_float32() else _given("float32", x)


@contextlib.contextmanager
def _state(wanted: str, by_block: bool) -> Iterator[None]:
    token = _mode.set(_Mode(wanted, by_block))
    try:
        yield
    finally:
        _mode.reset(token)


def _chooses(part: nn.Layer) -> bool:
    """Return whether a part is a row of blocks, each of which sees to its own input."""
    return type(part) is nn.Sequential and all(hasattr(block, "sees_to_input") for block in part)


def _taken(layer: nn.Layer) -> Optional[str]:
    """Return the numbers that a layer takes; None for any."""
    if isinstance(layer, (nn.Identity, nn.MaxPool2D)) and _takes_bfloat16(layer):
        return None
    layers = layer if type(layer) is nn.Sequential else [layer]
    return "bfloat16" if all(map(_takes_bfloat16, layers)) else "float32"


def _takes_bfloat16(layer: nn.Layer) -> bool:
    return getattr(layer, "supports_bfloat16", type(layer) is nn.Identity)


def _given(dtype: Optional[str], x: Tensor) -> Tensor:
    known = x.dtype in (paddle.float32, paddle.bfloat16) and x.place.is_cpu_place()
    return activations.cast(x, dtype) if dtype and known else x
