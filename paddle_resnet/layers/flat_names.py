"""Names of inner layers as torchvision has them: ``conv1`` and ``bn1``, not ``conv1.conv``.

Paddle builds every name from the path of attributes. The two methods that all others go through
(``state_dict``, ``set_state_dict``, ``paddle.save``, ``jit.save``, ``named_parameters``,
``named_buffers``) are overridden here, so that the names are right at whatever depth the layer
sits.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Optional

from paddle import nn


class LayerPath(str):
    """The path of attributes to a layer, whose parameters have another prefix in the state dict.

    Paddle names a parameter ``path + "." + name``. That sum starts from the prefix:

    >>> LayerPath("layer1.0.conv2.bn", "layer1.0.bn2") + "." + "weight"
    'layer1.0.bn2.weight'
    """

    #: What the names of the layer's parameters begin with.
    prefix: str

    def __new__(cls, path: str, prefix: str) -> LayerPath:
        """Make a path; equal and hashed as the text that it is."""
        made = super().__new__(cls, path)
        made.prefix = prefix
        return made

    def __getnewargs__(self) -> tuple[str, str]:
        """Return what a copy is made from."""
        return str(self), self.prefix

    def __add__(self, other: str) -> str:
        """Return the beginning of a parameter's name."""
        return self.prefix + other


class FlatNames:
    """For a layer that holds ``conv`` and ``bn``; stands in front of ``nn.Layer`` among its bases.

    In state dicts a layer named ``conv2`` names them ``conv2`` and ``bn2`` beside itself, any other
    ``X`` leaves ``X.conv`` and ``X.bn``, and ``names`` sets both.
    """

    #: What conv and bn are called, next to the layer's own name; None: by the rule above.
    names: Optional[tuple[str, str]] = None

    def _state_dict_impl(
        self, destination=None, include_sublayers=True, structured_name_prefix="", *args, **kwargs
    ):
        own = super()._state_dict_impl(None, include_sublayers, "", *args, **kwargs)
        destination = OrderedDict() if destination is None else destination
        for name, value in own.items():
            destination[self._public_name(structured_name_prefix, name)] = value
        return destination

    def named_sublayers(
        self, prefix: str = "", *args: Any, **kwargs: Any
    ) -> Iterator[tuple[str, nn.Layer]]:
        """Yield ``(path, layer)`` pairs, as every layer does; paths are :class:`LayerPath`."""
        start = prefix + "." if prefix else ""
        for path, layer in super().named_sublayers(prefix, *args, **kwargs):
            name = path[len(start) :]
            yield LayerPath(path, self._public_name(start, name)) if name else path, layer

    def _public_name(self, prefix: str, name: str) -> str:
        """Turn ``("layer1.0.conv2.", "bn.weight")`` into ``"layer1.0.bn2.weight"``."""
        head, dot, layer = prefix[:-1].rpartition(".")
        inner, _, rest = name.partition(".")
        names = self.names
        if names is None and re.fullmatch(r"conv\d+", layer):
            names = (layer, layer.replace("conv", "bn"))
        if names is None or inner not in ("conv", "bn"):
            return prefix + name
        return head + dot + names[inner == "bn"] + ("." + rest if rest else "")
