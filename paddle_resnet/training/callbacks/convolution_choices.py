"""The algorithms of a run's convolutions, part of its checkpoints: they decide the last bits."""

from __future__ import annotations

import ctypes
from collections import Counter
from typing import Any, Callable, Optional

from ...kernels import build, mode
from ...kernels.algorithm_choice import VARIABLE, notes_from, wanted_algorithm
from ..loop.callback import Callback
from ..loop.train_state import TrainState


class ConvolutionChoices(Callback):
    """Notes which algorithms the CPU operator has chosen, and takes them again on resume.

    The choices of this machine are kept in the cache folder. A run must not depend on that: the
    folder may be emptied, or the run may continue on another machine.

    Args:
        log: takes lines.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self.log = log
        self.notes: list[str] = []
        library = self._loaded()
        if library is not None:
            library.paddle_resnet_begin_notes()

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Log the choices when they are new."""
        before = self.notes
        if self.state_dict()["choices"] != before:
            counts = Counter(line.split(" ", 1)[0] for line in self.notes)
            text = ", ".join(f"{count} {name}" for name, count in counts.most_common())
            self.log(f"algorithms of convolutions by shape and direction: {text}")

    def state_dict(self) -> dict[str, Any]:
        """Return the choices that the run has used, a line each."""
        library = self._loaded()
        if library is not None:
            self.notes = library.paddle_resnet_notes().decode().splitlines()
        return {"choices": self.notes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Use the choices of :meth:`state_dict`; log a warning where this machine has others."""
        notes = "\n".join(state["choices"])
        self.notes = notes.splitlines()
        library = build.library() if self.notes and mode() != "off" else None
        if library is None:
            return
        overruled, otherwise = notes_from(library, notes)
        if overruled:
            self.log(
                f"warning: {VARIABLE}={wanted_algorithm()} overrules the algorithms of {overruled} "
                f"of the run's {len(self.notes)} convolutions (by shape and direction): it may "
                "differ in the last bits from one that was not interrupted."
            )
        elif otherwise:
            self.log(
                f"warning: the run keeps its algorithms for {otherwise} convolutions (by shape and "
                "direction) where this machine measured another one to be faster."
            )

    def _loaded(self) -> Optional[ctypes.CDLL]:
        """Return the operator's library if something has loaded it already."""
        if mode() == "off" or not build.library.cache_info().currsize:
            return None
        return build.library()
