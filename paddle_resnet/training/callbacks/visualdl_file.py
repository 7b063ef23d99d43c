"""VisualDL's log as one file, which a resumed run continues."""

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
    """Writes VisualDL's log; what the installed version cannot do is left out, with one warning.

    Args:
        folder: for ``vdlrecords.*.log`` and ``vdlgraph.*.log``.
        warn: takes a sentence about what does not work.
    """

    #: The same in all launches of a run: VisualDL shows only one file of a folder.
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
        """Whether nothing was written yet, in earlier launches of the run either."""
        return self._writer is None and not (self.path.is_file() and self.path.stat().st_size)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Add a point."""
        self._do(
            lambda writer: writer.add_scalar(tag=tag, step=step, value=float(value)), "scalars"
        )

    def add_image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Add an image, uint8 [H, W, 3]."""
        self._do(lambda writer: writer.add_image(tag=tag, img=pixels, step=step), "images")

    def add_histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Add the distribution of values, in 32 equal bins of their range."""
        self._do(
            lambda writer: writer.add_histogram(tag=tag, values=values, step=step, buckets=32),
            "histograms",
        )

    def add_hparams(
        self, values: Mapping[str, Union[str, int, float]], metrics: Sequence[str]
    ) -> None:
        """Add the hyper-parameters, once a run, and the tags of the scalars to show beside them.

        VisualDL takes no bools.
        """
        self._do(lambda writer: writer.add_hparams(dict(values), list(metrics)), "hyper-parameters")

    def add_graph(self, network: nn.Layer, input_shape: Sequence[int]) -> None:
        """Write the network's graph in eval mode, unless it was written.

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
        """Flush everything to the disk."""
        if self._writer is not None:
            self._do(lambda writer: writer.close())
            self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """Return the present length of the file."""
        if self._writer is not None:
            self._do(lambda writer: writer._get_file_writer().flush())
        return {"size": sync(self.path) if self.path.parent.is_dir() else 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the file to that length: what came later will be written again."""
        if self.path.is_file():
            cut(self.path, int(state["size"]))

    def _do(self, action: Callable[[Any], Any], feature: Optional[str] = None) -> None:
        """Use the writer. What fails must not stop a training."""
        if not self.working or feature in self._left_out:
            return
        try:
            writer = self._open()
        except Exception as error:
            self._give_up(error)
            return
        try:
            action(writer)
        except Exception as error:
            if feature is None or isinstance(error, OSError):
                self._give_up(error)
                return
            self._left_out.add(feature)
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            self.warn(f"notice: this VisualDL has no {feature}: they are left out ({reason}).")

    def _open(self) -> Any:
        if self._writer is None:
            from visualdl import LogWriter

            # It prints that it will append to the file, which is intended.
            with contextlib.redirect_stdout(io.StringIO()):
                self._writer = LogWriter(logdir=str(self.path.parent), file_name=self.NAME)
        return self._writer

    def _give_up(self, error: Exception) -> None:
        self.working, self._writer = False, None
        reason = getattr(error, "strerror", None) or error
        self.warn(
            f"warning: VisualDL's log cannot be written ({reason}); the JSON lines hold the "
            "same metrics."
        )


def _graph(network: nn.Layer, input_shape: Sequence[int]) -> str:
    from visualdl.component.graph import translate_graph

    network = copy.deepcopy(network)  # the translation changes it
    network.eval()
    image = paddle.static.InputSpec([None, *input_shape], "float32")
    with _old_graphs(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # about options that VisualDL sets
        return translate_graph(network, [image], verbose=False)


@contextlib.contextmanager
def _old_graphs() -> Iterator[None]:
    """Let Paddle 3 write graphs in Paddle 2's format, the only one that VisualDL reads."""
    guard = getattr(getattr(paddle, "pir_utils", None), "OldIrGuard", contextlib.nullcontext)
    with guard():
        yield
