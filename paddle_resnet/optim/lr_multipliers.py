"""The parameters that are trained, and the multiplier of the learning rate of each."""

from __future__ import annotations

from paddle import Tensor, nn

from ..errors import ConfigError, did_you_mean


def trainable(network: nn.Layer) -> list[Tensor]:
    """Return the parameters that have gradients, in the network's order.

    In Paddle BN statistics are parameters too; ``stop_gradient`` distinguishes them.
    """
    return [parameter for parameter in network.parameters() if not parameter.stop_gradient]


class LrMultipliers:
    """Multipliers of the learning rate, one per parameter.

    Args:
        network: the network.
        layer_decay (float): the head learns at the full rate, the last block at ``layer_decay``
            times the rate, the block before at its square, ...; see ``Network.param_groups``.
        given (dict): a multiplier for all parameters whose names begin with the key, in whole
            components: ``{"layer1": 0.1}`` is that of ``layer1.0.conv1.weight``; or, with a dot in
            front, end with it: ``{".bias": 2}``. It is multiplied by that of ``layer_decay``; the
            longest key that fits counts.

    Raises:
        ConfigError: no parameter has such a name, or the network does not define depths.
    """

    def __init__(self, network: nn.Layer, layer_decay: float, given: dict[str, float]) -> None:
        self._multipliers: dict[str, float] = {}
        if layer_decay != 1.0:
            if not hasattr(network, "param_groups"):
                raise ConfigError(
                    f"optimizer.layer_decay is {layer_decay:g}, but a {type(network).__name__} "
                    "does not define the depth of its layers: leave it at 1."
                )
            for group in network.param_groups(layer_decay=layer_decay):
                for parameter in group["params"]:
                    self._multipliers[parameter.name] = group["learning_rate"]
        names = dict(network.named_parameters())
        for key in given:
            if not any(_fits(name, key) for name in names):
                known = list(dict.fromkeys(name.partition(".")[0] for name in names))
                raise ConfigError(
                    f"optimizer.lr_multipliers names '{key}', but names of weights begin with "
                    f"{', '.join(known)}.{did_you_mean(key, known)}"
                )
        for name, parameter in names.items():
            fitting = [key for key in given if _fits(name, key)]
            if fitting:
                own = given[max(fitting, key=len)]
                self._multipliers[parameter.name] = own * self._multipliers.get(parameter.name, 1.0)

    def of(self, parameter: Tensor) -> float:
        """Return the multiplier of a parameter."""
        return self._multipliers.get(parameter.name, 1.0)


def _fits(name: str, key: str) -> bool:
    if key.startswith("."):
        return name.endswith(key)
    return name == key or name.startswith(key + ".")
