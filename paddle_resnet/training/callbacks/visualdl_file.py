"""VisualDL's log as one file that an interrupted run goes on with."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import paddle
from paddle import nn

from ...io.atomic_files import atomic_write_text, cut, sync


class VisualDLFile:
    """Writes for VisualDL; leaves out what the installed one cannot do, which it says once.

    Args:
        folder: for ``vdlrecords.*.log`` and ``vdlgraph.*.log``.
        warn: takes a sentence about what does not work; training goes on.
    """

    #: One name for all processes of a run: VisualDL shows one file of a folder only.
    NAME = "vdlrecords.run.log"
    GRAPH = "vdlgraph.run.log"

    def __init__(self, folder: Path, warn: Callable[[str], None] = print) -> None:
        self.path = folder / self.NAME
        self.graph = folder / self.GRAPH
        self.warn = warn
        self.working = True
        self._left_out: set[str] = set()
        self._writer: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet, by an earlier process of the run either."""
        return self._writer is None and not (self.path.is_file() and self.path.stat().st_size)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Add a point."""
        self._do(
            lambda writer: writer.add_scalar(tag=tag, step=step, value=float(value)), "scalars"
        )

    def add_image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Add a picture, uint8 [H, W, 3]."""
        self._do(lambda writer: writer.add_image(tag=tag, img=pixels, step=step), "images")

    def add_histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Add the distribution of values, in 32 equal parts of their range."""
        self._do(
            lambda writer: writer.add_histogram(tag=tag, values=values, step=step, buckets=32),
            "histograms",
        )

    def add_hparams(
        self, values: Mapping[str, Union[str, int, float]], metrics: Sequence[str]
    ) -> None:
        """Add the hyper-parameters, once a run, and the tags of scalars that they are held against.

        VisualDL takes no bools.
        """
        self._do(lambda writer: writer.add_hparams(dict(values), list(metrics)), "hyper-parameters")

    def add_graph(self, network: nn.Layer, input_shape: Sequence[int]) -> None:
        """Write the network's graph, as it is in evaluation, unless it is there already.

        ResNet-50's takes some 12 s. The network itself is not touched.

        Args:
            network: of one input.
            input_shape: of one image.
        """
        if not self.graph.is_file():
            self._do(
                lambda writer: atomic_write_text(self.graph, _graph(network, input_shape)), "graphs"
            )

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._writer is not None:
            self._do(lambda writer: writer.close())
            self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """Return how long the file is now."""
        if self._writer is not None:
            self._do(lambda writer: writer._get_file_writer().flush())
        return {"size": sync(self.path) if self.path.parent.is_dir() else 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at that length: what came later will be written again."""
        if self.path.is_file():
            cut(self.path, int(state["size"]))

    def _do(self, action: Callable[[Any], Any], part: Optional[str] = None) -> None:
        """Do something with the writer. What cannot be done must not stop a training."""
        if not self.working or part in self._left_out:
            return
        try:
            writer = self._open()
        except Exception as error:
            self._give_up(error)
            return
        try:
            action(writer)
        except Exception as error:
            if part is None or isinstance(error, OSError):
                self._give_up(error)
                return
            self._left_out.add(part)
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            self.warn(f"notice: this VisualDL can do no {part}: they are left out ({reason}).")

    def _open(self) -> Any:
        if self._writer is None:
            from visualdl import LogWriter

            # It says that it will add to the file: what is wanted.
            with contextlib.redirect_stdout(io.StringIO()):
                self._writer = LogWriter(logdir=str(self.path.parent), file_name=self.NAME)
        return self._writer

    def _give_up(self, error: Exception) -> None:
        self.working, self._writer = False, None
        reason = getattr(error, "strerror", None) or error
        self.warn(
            f"warning: VisualDL's log cannot be written ({reason}); the JSON lines hold the "
            "same figures."
        )


def _graph(network: nn.Layer, input_shape: Sequence[int]) -> str:
    from visualdl.component.graph import translate_graph

    network = copy.deepcopy(network)  # it is marked all over
    network.eval()
    image = paddle.static.InputSpec([None, *input_shape], "float32")
    with _old_graphs(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # about options that are VisualDL's
        return translate_graph(network, [image], verbose=False)


@contextlib.contextmanager
def _old_graphs() -> Iterator[None]:
    """VisualDL reads the format that Paddle 2 wrote, and 3 can still write."""
    guard = getattr(getattr(paddle, "pir_utils", None), "OldIrGuard", contextlib.nullcontext)
    with guard():
        yield
