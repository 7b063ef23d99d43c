"""What an optimizer remembers, under the structured names of its parameters.

Paddle names parameters and moments by counters of everything ever made in the process
(``conv2d_53.w_0_velocity_1``), so that a process which built another network, or another optimizer,
before cannot load them: some are refused, others silently left at zero.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import paddle
from paddle import nn
from paddle.base.layer_helper import LayerHelper

from ..errors import WeightsError

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

    def state(self) -> dict[str, Any]:
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

    def load_state(self, state: dict[str, Any]) -> None:
        """Set what :meth:`state` returned.

        Raises:
            WeightsError: it is of another optimizer or another network.
        """
        kind = type(self.optimizer).__name__
        if state["kind"] != kind:
            raise WeightsError(
                f"the checkpoint was made with the optimizer {state['kind']}, and the recipe now "
                f"has {kind}."
            )
        schedule = self._scheduler()
        if schedule is not None and state["schedule"]:
            schedule.set_state_dict(state["schedule"])
        moments: dict[str, dict[str, np.ndarray]] = {}
        for key, array in state["tensors"].items():
            name, _, moment = key.rpartition("|")
            moments.setdefault(name, {})[moment] = array
        parameters = self._parameters()
        for name, arrays in moments.items():
            if name not in parameters:
                raise WeightsError(
                    f"the checkpoint was made with another optimizer: it has moments of '{name}', "
                    "which is no parameter of this network."
                )
            self._set(name, parameters[name], arrays)

    def load_paddle(self, state: dict[str, Any], names: Optional[dict[str, str]]) -> None:
        """Set what Paddle's ``optimizer.state_dict()`` was in another process, or in this one.

        Args:
            state: the content of a ``.pdopt`` file.
            names: structured name to Paddle's name of each parameter when it was saved, as
                ``.pdparams`` files have it; None: the names of the present process.

        Raises:
            WeightsError: it is of another optimizer or another network.
        """
        own = self._parameters()
        saved = names or {name: parameter.name for name, parameter in own.items()}
        masters = state.get("master_weights") or {}
        tensors: dict[str, np.ndarray] = {}
        left = {key for key, value in state.items() if isinstance(value, np.ndarray)}
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
                f"the optimizer's state has '{sorted(left)[0]}', and no parameter of this network "
                "was called so when it was saved: keep the .pdparams file of the same training "
                "beside the .pdopt file."
            )
        schedule = state.get("LR_Scheduler")
        kind = type(self.optimizer).__name__
        self.load_state({"kind": kind, "schedule": schedule, "tensors": tensors})

    def _parameters(self) -> dict[str, paddle.Tensor]:
        return {
            name: tensor
            for name, tensor in self.network.state_dict().items()
            if not name.endswith(("._mean", "._variance"))
        }

    def _scheduler(self) -> Optional[paddle.optimizer.lr.LRScheduler]:
        schedule = self.optimizer._learning_rate
        return schedule if isinstance(schedule, paddle.optimizer.lr.LRScheduler) else None

    def _set(self, name: str, parameter: paddle.Tensor, arrays: dict[str, np.ndarray]) -> None:
        optimizer = self.optimizer
        # Made now, as the first step would, for Paddle's own way of setting them later goes by
        # the names of this process.
        if getattr(optimizer, "helper", None) is None:
            optimizer.helper = LayerHelper(type(optimizer).__name__)
        optimizer._accumulators_holder = {}
        block = paddle.static.default_main_program().global_block()
        with paddle.no_grad():
            optimizer._create_accumulators(block, [parameter])
        master = getattr(optimizer, "_master_weights", {}).get(parameter.name)
        for moment, array in arrays.items():
            if moment == _MASTER:
                tensor = master
            else:
                by_name = optimizer._accumulators.get(moment, {})
                tensor = by_name.get(parameter.name if master is None else master.name)
            if tensor is None or list(tensor.shape) != list(array.shape):
                raise WeightsError(
                    f"the checkpoint was made with another optimizer: its '{moment}' of '{name}' "
                    f"has shape {list(array.shape)}, and this one has "
                    + ("none." if tensor is None else f"{list(tensor.shape)}.")
                )
            tensor.set_value(array.astype(tensor.numpy().dtype, copy=False))


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
