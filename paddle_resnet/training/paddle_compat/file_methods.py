"""The part of ``paddle.Model`` that works on files, in formats of Paddle's and in safetensors."""

from __future__ import annotations

import os
import warnings
from typing import Any

from ...distributed.collectives import is_rank0
from ...errors import TrainingError, WeightsError, for_display
from ...weights import LoadReport, open_weights, save_weights
from ...weights.matching import assign, match
from .batch_methods import BatchMethods
from .optimizer_files import planned_optimizer, planned_scaler, without_suffix


class FileMethods(BatchMethods):
    """``save``, ``load`` and ``summary``; see
    :class:`~paddle_resnet.training.image_classifier.ImageClassifier`.
    """

    def save(self, path: str, training: bool = True) -> None:
        """Save as the base class does, or weights alone where ``path`` ends in ``.safetensors``.

        Args:
            path: the files' common beginning.
            training: False writes the network for Paddle Inference and ``paddle.jit.load``, for
                images of the size of ``inputs`` or of the first batch seen, any number of them.

        Raises:
            WeightsError: ``path`` is a folder or empty.
            TrainingError: ``training=False`` before any batch, without ``inputs``.
        """
        self._need_dynamic_mode("save")
        path = os.fspath(path)
        if not os.path.basename(path):
            raise WeightsError(
                f"save needs the beginning of a file name, not '{for_display(path)}'."
            )
        if path.endswith(".safetensors"):
            if is_rank0():
                save_weights(self.network, path)
            return
        if not training and self._input_info is None:
            raise TrainingError(
                "save(training=False) needs the size of the images: give ImageClassifier inputs, "
                "such as paddle.static.InputSpec([None, 3, 32, 32], 'float32', 'image'), or run "
                "fit, evaluate or predict first."
            )
        super().save(path, training)

    def load(self, path: str, skip_mismatch: bool = False, reset_optimizer: bool = False) -> None:
        """Load what :meth:`save` or the base class wrote; nothing in the files is run.

        All files are read and checked before anything is replaced.

        Args:
            path: a ``.safetensors`` file, or ``X`` for ``X.pdparams`` and, beside it,
                ``X.pdopt`` and ``X.pdscaler``. A suffix of theirs, or ``.pdmodel``, is taken off.
            skip_mismatch: leave parameters alone that the file lacks or has in another shape, with
                a warning that names them. The optimizer then stays as it is, too.
            reset_optimizer: leave the optimizer as it is.

        Raises:
            WeightsError: a file that is missing, corrupt, unsafe or of another network or
                optimizer.
        """
        self._need_dynamic_mode("load")
        weights_alone = os.fspath(path).endswith(".safetensors")
        base = without_suffix(path)
        source = os.fspath(path) if weights_alone else f"{base}.pdparams"
        advice = "" if skip_mismatch else " To load the rest, say skip_mismatch=True."
        values, report = match(
            self.network, open_weights(source), source, strict=not skip_mismatch, advice=advice
        )
        steps = []
        if report.missing:
            reset_optimizer = True
            warnings.warn(_skipped(report, self._optimizer is not None), stacklevel=2)
        if not weights_alone and not reset_optimizer:
            steps.append(planned_optimizer(self.network, self._optimizer, base))
            steps.append(planned_scaler(self._scaler, base))
        assign(self.network, values)
        for step in steps:
            step()

    def summary(self, input_size: Any = None, dtype: Any = None) -> dict[str, int]:
        """Print the network's layers; see ``paddle.Model.summary``.

        Args:
            input_size: as in the base class. Default: that of ``inputs``, or of the first batch of
                ``fit``, ``evaluate`` or ``predict``, for one image.
            dtype: of the input. Default: float32.

        Returns:
            dict: ``total_params`` and ``trainable_params``.

        Raises:
            TrainingError: no size is given, and nothing has been run that would show it.
        """
        self._need_dynamic_mode("summary")
        if input_size is None and self._input_info is None:
            raise TrainingError(
                "summary needs input_size, such as (1, 3, 32, 32): ImageClassifier got no inputs, "
                "and no batch has been seen yet."
            )
        return super().summary(input_size, dtype)


def _skipped(report: LoadReport, has_optimizer: bool) -> str:
    """Return the warning of what `load` left alone."""
    names, theirs = report.missing, report.skipped
    listed = [f"'{name}'" + (f" {theirs[name]}" if name in theirs else "") for name in names[:3]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    optimizer = " The optimizer's state was not loaded." if has_optimizer else ""
    return (
        f"{len(names)} of the network's {len(names) + len(report.matched)} arrays keep their "
        f"values: {'; '.join(listed)}{more}.{optimizer}"
    )
