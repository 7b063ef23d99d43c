"""What an optimizer remembers, under the structured names of its parameters.

Paddle names parameters and moments by counters of everything ever made in the process
(``conv2d_53.w_0_velocity_1``), so that a process which built another network, or another optimizer,
before cannot load them: some are refused, others silently left at zero.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle import nn
from paddle.base.layer_helper import LayerHelper

from ..errors import WeightsError, for_display

_MASTER = "master"


class OptimizerState:
    """Reads and sets the state of an optimizer of a network's parameters.

    Args:
        network: knows the structured names.
        optimizer: any ``paddle.optimizer.Optimizer`` of its parameters.
    """

    def __init__(self, network: nn.Layer, optimizer: paddle.optimizer.Optimizer) -> None:
        self.network = network
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """Return ``kind``, ``schedule`` and ``tensors`` (``{name}|{moment}``: array)."""
        schedule = self._scheduler()
        masters = getattr(self.optimizer, "_master_weights", {})
        tensors: dict[str, np.ndarray] = {}
        for name, parameter in self._parameters().items():
            master = masters.get(parameter.name)
            if master is not None:
                tensors[f"{name}|{_MASTER}"] = master.numpy()
            for moment, by_name in self.optimizer._accumulators.items():
                tensor = by_name.get(parameter.name if master is None else master.name)
                if tensor is not None:
                    tensors[f"{name}|{moment}"] = tensor.numpy()
        return {
            "kind": type(self.optimizer).__name__,
            "schedule": _plain(schedule.state_dict()) if schedule else None,
            "tensors": tensors,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set what :meth:`state` returned, all of it or nothing.

        Raises:
            WeightsError: it is of another optimizer or another network.
        """
        self.planned(state)()

    def planned(self, state: dict[str, Any]) -> Callable[[], None]:
        """Check what :meth:`state` returned; the function that is returned sets it.

        Raises:
            WeightsError: it is of another optimizer or another network. Nothing was changed.
        """
        kind = type(self.optimizer).__name__
        if state["kind"] != kind:
            raise WeightsError(
                f"the checkpoint was made with the optimizer {for_display(state['kind'])}, and the "
                f"recipe now has {kind}."
            )
        moments: dict[str, dict[str, np.ndarray]] = {}
        for key, array in state["tensors"].items():
            name, _, moment = key.rpartition("|")
            moments.setdefault(name, {})[moment] = array
        parameters = self._parameters()
        pairs: list[tuple[paddle.Tensor, np.ndarray]] = []
        for name, arrays in moments.items():
            if name not in parameters:
                raise WeightsError(
                    f"the checkpoint was made with another optimizer: it has moments of '{name}', "
                    "which is no parameter of this network."
                )
            pairs += self._pairs(name, parameters[name], arrays)
        schedule = self._scheduler()

        def apply() -> None:
            if schedule is not None and state["schedule"]:
                schedule.set_state_dict(state["schedule"])
            self.optimizer._accumulators_holder = {}
            for tensor, array in pairs:
                tensor.set_value(array)

        return apply

    def planned_paddle(
        self, state: dict[str, Any], names: Optional[dict[str, str]]
    ) -> Callable[[], None]:
        """Check what Paddle's ``optimizer.state_dict()`` was; the returned function sets it.

        Args:
            state: the content of a ``.pdopt`` file, of this process or another, written in dynamic
                or in static graph mode.
            names: structured name to Paddle's name of each parameter when it was saved, as
                ``.pdparams`` files have it; None: the file has no such table.

        Raises:
            WeightsError: it is of another optimizer or another network. Nothing was changed.
        """
        own = {name: parameter.name for name, parameter in self._parameters().items()}
        # In static graph mode the rate is a variable, too; it is the optimizer's own here.
        left = {
            key
            for key, value in state.items()
            if isinstance(value, np.ndarray) and not _RATE.fullmatch(str(key))
        }
        saved = names or aligned(own, left)
        masters = state.get("master_weights") or {}
        tensors: dict[str, np.ndarray] = {}
        # Longest names first: `conv2d_1` is the beginning of `conv2d_11` too.
        for name, old in sorted(saved.items(), key=lambda item: -len(item[1])):
            if old in masters:
                tensors[f"{name}|{_MASTER}"] = _array(masters[old])
            for key in [key for key in left if key.startswith(f"{old}_")]:
                left.discard(key)
                moment = key[len(old) + 1 :].removeprefix("fp32_master_0_")
                # Paddle counts the moments of a name: velocity_0, velocity_1, ...
                tensors[f"{name}|{moment.rpartition('_')[0]}"] = state[key]
        if left:
            raise WeightsError(
                f"the optimizer's state has '{for_display(sorted(left)[0])}', and no parameter of "
                "this network was called so when it was saved: keep the .pdparams file of the same "
                "training beside the .pdopt file."
            )
        schedule = state.get("LR_Scheduler")
        kind = type(self.optimizer).__name__
        return self.planned({"kind": kind, "schedule": schedule, "tensors": tensors})

    def _parameters(self) -> dict[str, paddle.Tensor]:
        return {
            name: tensor
            for name, tensor in self.network.state_dict().items()
            if not name.endswith(("._mean", "._variance"))
        }

    def _scheduler(self) -> Optional[paddle.optimizer.lr.LRScheduler]:
        schedule = self.optimizer._learning_rate
        return schedule if isinstance(schedule, paddle.optimizer.lr.LRScheduler) else None

    def _pairs(
        self, name: str, parameter: paddle.Tensor, arrays: dict[str, np.ndarray]
    ) -> list[tuple[paddle.Tensor, np.ndarray]]:
        """Return the optimizer's tensors for a parameter, and what belongs into them."""
        optimizer = self.optimizer
        # Made now, as the first step would, for Paddle's own way of setting them later goes by
        # the names of this process.
        if getattr(optimizer, "helper", None) is None:
            optimizer.helper = LayerHelper(type(optimizer).__name__)
        waiting, optimizer._accumulators_holder = optimizer._accumulators_holder, {}
        block = paddle.static.default_main_program().global_block()
        with paddle.no_grad():
            optimizer._create_accumulators(block, [parameter])
        optimizer._accumulators_holder = waiting
        master = getattr(optimizer, "_master_weights", {}).get(parameter.name)
        pairs = []
        for moment, array in arrays.items():
            if moment == _MASTER:
                tensor = master
            else:
                by_name = optimizer._accumulators.get(self._own_moment(moment), {})
                tensor = by_name.get(parameter.name if master is None else master.name)
            if tensor is None or list(tensor.shape) != list(array.shape):
                raise WeightsError(
                    "the checkpoint was made with another optimizer: its "
                    f"'{for_display(moment)}' of '{for_display(name)}' has shape "
                    f"{list(array.shape)}, and this one has "
                    + ("none." if tensor is None else f"{list(tensor.shape)}.")
                )
            pairs.append((tensor, array.astype(tensor.numpy().dtype, copy=False)))
        return pairs

    def _own_moment(self, moment: str) -> str:
        """Return the name that a moment has here: of an optimizer with a name, it begins with it.

        ``Adam(name="a")`` has ``a_moment1`` where another has ``moment1``.
        """
        own = self.optimizer._accumulators
        if moment in own:
            return moment
        plain = {name.removeprefix(f"{self.optimizer._name}_"): name for name in own}
        alike = [name for name in plain if moment == name or moment.endswith(f"_{name}")]
        return plain[max(alike, key=len)] if alike else moment


def aligned(own: dict[str, str], keys: Collection[str]) -> dict[str, str]:
    """Return which name each parameter had in another process, from the keys of its moments.

    Paddle counts layers of each kind: ``conv2d_0.w_0``, ``conv2d_1.w_0``. A network made by the
    same code has as many of each kind in the same order, wherever the counters stood.

    Args:
        own: structured name to Paddle's name, here.
        keys: names of moments, such as ``conv2d_0.w_0_velocity_0``.

    Returns:
        dict: structured name to Paddle's name there; ``own`` where the counts differ.
    """
    there = [_LAYER.match(key) for key in keys]
    here = {name: _LAYER.match(f"{paddle_name}_") for name, paddle_name in own.items()}
    if None in there or None in here.values():
        return own
    numbers: dict[str, set[int]] = {}
    ours: dict[str, set[int]] = {}
    for found, table in ((there, numbers), (here.values(), ours)):
        for match in found:
            table.setdefault(match["kind"], set()).add(int(match["number"]))
    if {kind: len(of) for kind, of in numbers.items()} != {k: len(of) for k, of in ours.items()}:
        return own
    moved = {
        (kind, mine): theirs
        for kind, of in ours.items()
        for mine, theirs in zip(sorted(of), sorted(numbers[kind]))
    }
    return {
        name: f"{m['kind']}_{moved[m['kind'], int(m['number'])]}.{m['rest']}"
        for name, m in here.items()
    }


#: A layer's kind and number, and its parameter: `conv2d_0.w_0`, then what an optimizer adds.
_LAYER = re.compile(r"(?P<kind>\w+)_(?P<number>\d+)\.(?P<rest>[a-z]+_\d+)_")
#: The learning rate and the counter of steps, as static graph mode saves them.
_RATE = re.compile(r"learning_rate_\d+|@LR_DECAY_COUNTER@|global_step")


def _array(value: Any) -> np.ndarray:
    """Return what Paddle pickled within a nested dictionary: an array, or (name, array)."""
    value = value[1] if isinstance(value, tuple) else value
    return value if isinstance(value, np.ndarray) else value.to_numpy()


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule's numbers alone, as JSON has them."""
    return {
        key: float(value) if isinstance(value, (float, np.floating)) else value
        for key, value in state.items()
        if isinstance(value, (bool, int, float, str, np.floating))
    }
