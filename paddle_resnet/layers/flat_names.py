"""Names of inner layers as torchvision has them: ``conv1`` and ``bn1``, not ``conv1.conv``.

Paddle builds every name from the path of attributes. The two methods that all others go through
(``state_dict``, ``set_state_dict``, ``paddle.save``, ``jit.save``, ``named_parameters``) are
overridden here, so that the names are right at whatever depth the layer sits.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Optional

from paddle import nn


class FlatNames:
    """For a layer that holds ``conv`` and ``bn``; stands in front of ``nn.Layer`` among its bases.

    A layer named ``conv2`` names them ``conv2`` and ``bn2`` beside itself, any other ``X`` leaves
    ``X.conv`` and ``X.bn``, and ``names`` sets both.
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
        self, prefix: str = "", include_self: bool = False, *args, **kwargs
    ) -> Iterator[tuple[str, nn.Layer]]:
        """Yield ``(name, layer)`` pairs under the public names: ``conv2`` and ``bn2``."""
        if include_self:
            yield prefix, self
        for name, layer in super().named_sublayers("", False, *args, **kwargs):
            yield self._public_name(prefix + "." if prefix else "", name), layer

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
