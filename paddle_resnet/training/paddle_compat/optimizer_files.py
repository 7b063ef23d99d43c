"""The files beside ``.pdparams``: ``.pdopt`` and ``.pdscaler``, checked before they are set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Optional, Union

import paddle
from paddle import nn

from ...errors import UserError, WeightsError
from ...optim.optimizer_state import OptimizerState
from ...weights import read_state
from ...weights.state_dict_file import PADDLE_TABLE

#: What :meth:`ImageClassifier.load` takes off the end of a path, as ``paddle.Model.load`` does.
SUFFIXES = (".pdparams", ".pdopt", ".pdscaler", ".pdmodel")
#: What reading a state of another kind raises; RuntimeError is Paddle's schedulers'.
_UNUSABLE = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(ArithmeticError, AssertionError, RuntimeError),
)


def without_suffix(path: Union[str, os.PathLike]) -> str:
    """Return the common beginning of the files' paths."""
    base, suffix = os.path.splitext(os.fspath(path))
    return base if suffix in SUFFIXES else os.fspath(path)


def planned_optimizer(
    network: nn.Layer, optimizer: Optional[paddle.optimizer.Optimizer], base: str
) -> Callable[[], None]:
    """Check ``{base}.pdopt``; the returned function gives the optimizer its state.

    Raises:
        WeightsError: it is corrupt, unsafe, of another optimizer or of another network. Nothing
            was changed.
    """
    file = Path(f"{base}.pdopt")
    if optimizer is None or not file.is_file():
        return _nothing
    names = read_state(f"{base}.pdparams").get(PADDLE_TABLE)
    names = names if isinstance(names, dict) else None
    try:
        return OptimizerState(network, optimizer).planned_paddle(read_state(file), names)
    except UserError as error:
        raise WeightsError(
            f"'{file}' cannot be used: {error} Nothing was loaded; reset_optimizer=True loads the "
            "weights alone."
        ) from None
    except _UNUSABLE as error:
        raise _unusable(file, error) from None


def planned_scaler(scaler: Optional[paddle.amp.GradScaler], base: str) -> Callable[[], None]:
    """Check ``{base}.pdscaler``; the returned function gives the gradient scaler its state.

    Raises:
        WeightsError: it is corrupt or unsafe.
    """
    file = Path(f"{base}.pdscaler")
    if scaler is None or not file.is_file():
        return _nothing
    state: dict[str, Any] = read_state(file)
    state.pop(PADDLE_TABLE, None)

    def apply() -> None:
        try:
            scaler.load_state_dict(state)
        except _UNUSABLE as error:
            raise _unusable(file, error) from None

    return apply


def _unusable(file: Path, error: Exception) -> WeightsError:
    reason = " ".join(str(error).split())[:100]
    return WeightsError(
        f"'{file}' holds a state that cannot be used ({reason}): reset_optimizer=True loads the "
        "weights alone."
    )


def _nothing() -> None:
    """Set nothing: there is no file, or nothing that could take its content."""
