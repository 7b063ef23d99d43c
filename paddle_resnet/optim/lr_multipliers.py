"""Which parameters learn, and at what share of the learning rate each does."""

from __future__ import annotations

from paddle import Tensor, nn

from ..errors import ConfigError, did_you_mean


def trainable(network: nn.Layer) -> list[Tensor]:
    """Return the parameters that gradients move, in the network's order.

    Running statistics are parameters too in Paddle's sense; ``stop_gradient`` tells them apart.
    """
    return [parameter for parameter in network.parameters() if not parameter.stop_gradient]


class LrMultipliers:
    """Factors of the learning rate, parameter by parameter.

    Args:
        network: the network.
        layer_decay (float): the head learns at the full rate, the last block at ``layer_decay``
            times the rate, the block before at its square, ...; see ``Network.param_groups``.
        parts (dict): a factor for all parameters whose names begin so, in whole components:
            ``{"layer1": 0.1}`` is ``layer1.0.conv1.weight`` and its like; or, with a dot in
            front, end so: ``{".bias": 2}``. It multiplies the one of ``layer_decay``; the longest
            name that fits counts.

    Raises:
        ConfigError: the network has no such part, or no depth to decay along.
    """

    def __init__(self, network: nn.Layer, layer_decay: float, parts: dict[str, float]) -> None:
        self._factors: dict[str, float] = {}
        if layer_decay != 1.0:
            if not hasattr(network, "param_groups"):
                raise ConfigError(
                    f"optimizer.layer_decay is {layer_decay:g}, but a {type(network).__name__} "
                    "does not say how deep its layers are: leave it at 1."
                )
            for group in network.param_groups(layer_decay=layer_decay):
                for parameter in group["params"]:
                    self._factors[parameter.name] = group["learning_rate"]
        names = dict(network.named_parameters())
        for part in parts:
            if not any(_fits(name, part) for name in names):
                known = list(dict.fromkeys(name.partition(".")[0] for name in names))
                raise ConfigError(
                    f"optimizer.lr_multipliers names '{part}', but names of weights begin with "
                    f"{', '.join(known)}.{did_you_mean(part, known)}"
                )
        for name, parameter in names.items():
            fitting = [part for part in parts if _fits(name, part)]
            if fitting:
                own = parts[max(fitting, key=len)]
                self._factors[parameter.name] = own * self._factors.get(parameter.name, 1.0)

    def of(self, parameter: Tensor) -> float:
        """Return a parameter's factor."""
        return self._factors.get(parameter.name, 1.0)


def _fits(name: str, part: str) -> bool:
    if part.startswith("."):
        return name.endswith(part)
    return name == part or name.startswith(part + ".")
