"""What an experiment works with: settings, seeds, images, networks, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from tqdm import tqdm

from ..data import Cifar10Data, load_cifar10
from .shared.cifar_subset import Subset, balanced_indices, normalize


class OutOfTime(Exception):
    """The time limit has passed; what was measured is kept."""


class Context:
    """The surroundings of one run of a study.

    Args:
        name: of the study.
        settings: its settings, complete.
        seeds: weight seeds, at least one.
        full: whether paper-like sizes were asked for.
        model: another network to be studied, or None.
        data: where CIFAR-10 is, see :func:`paddle_resnet.data.load_cifar10`.
        max_seconds: wall-clock limit, or None.

    Attributes:
        results: what was measured so far, JSON types.
        data_facts: name, source, sizes of the images that were used.
    """

    def __init__(
        self,
        name: str,
        settings: dict[str, Any],
        seeds: list[int],
        full: bool = False,
        model: Optional[str] = None,
        data: Optional[str] = None,
        max_seconds: Optional[float] = None,
    ) -> None:
        self.name, self.settings, self.seeds = name, settings, seeds
        self.full, self.model = full, model
        self.results: dict[str, Any] = {}
        self.data_facts: dict[str, Any] = {}
        self._root, self._cifar10 = data, None
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds
        self._bar: Optional[tqdm] = None
        self._costs: Iterator[float] = iter(())
        self._current = 0.0

    # Images

    @property
    def cifar10(self) -> Cifar10Data:
        """CIFAR-10, loaded at first use; the bundled sample where the full set cannot be had."""
        if self._cifar10 is None:
            self._cifar10 = load_cifar10(self._root, notify=self.log)
            self.data_facts |= {
                "name": "CIFAR-10",
                "source": self._cifar10.source,
                "is_sample": self._cifar10.is_sample,
                "images": {},
            }
        return self._cifar10

    def images(self, split: str, count: int, seed: int, size: int = 32, **norm: Any) -> Subset:
        """Return a balanced subset, normalized.

        Args:
            split: ``train`` or ``test``.
            count: of images, a multiple of 10; the sample may have fewer.
            seed: of the drawing.
            size: 32 or 16 pixels.
            **norm: ``mean`` and ``std``, where they are not CIFAR-10's.
        """
        data = self.cifar10
        pixels, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
        chosen = balanced_indices(labels, count, seed)
        used = self.data_facts["images"]
        used[split] = max(used.get(split, 0), len(chosen))
        self.data_facts["size"] = size
        self.data_facts["sizes"] = sorted({*self.data_facts.get("sizes", ()), size})
        return Subset(normalize(pixels[chosen], size=size, **norm), labels[chosen])

    # Progress

    def plan(self, costs: Iterable[float]) -> None:
        """Set the cost of each step to come, in any unit; the ETA follows from them."""
        costs = list(costs)
        self._costs = iter(costs)
        self._bar = tqdm(
            total=sum(costs),
            desc=self.name,
            disable=None,  # not on a terminal: no bar
            smoothing=0,  # the ETA is by the mean speed so far
            leave=False,
            file=sys.stderr,
            bar_format="{desc} {percentage:3.0f}% |{bar:20}| {elapsed}, ETA {remaining}{postfix}",
        )

    def step(self, label: str) -> None:
        """Begin the next step of the plan.

        Raises:
            OutOfTime: the time limit has passed.
        """
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise OutOfTime
        if self._bar is not None:
            self._bar.update(self._current)
            self._bar.set_postfix_str(label)
        self._current = next(self._costs, 0.0)

    def close(self) -> None:
        """End the progress bar."""
        if self._bar is not None:
            self._bar.close()

    def log(self, line: str) -> None:
        """Write a line for the user, beside the bar."""
        tqdm.write(line, file=sys.stderr)
