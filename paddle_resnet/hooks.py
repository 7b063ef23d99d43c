"""What a lower floor may ask of a higher one; the package's ``__init__`` connects it.

There is one such wish: ``resnet50(pretrained=True)`` is how everyone spells it, but reading weight
files stands two floors above building networks.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

#: Loads the published weights of ``name`` into ``network``: ``(network, name) -> report``.
load_pretrained: Optional[Callable[[Any, str], Any]] = None
