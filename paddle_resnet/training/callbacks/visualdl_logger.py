"""Shows more of a run in VisualDL than its curves."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Union

import numpy as np
import paddle

from ...config import Config, config_to_dict
from ...data.splits import DataSplits
from ...runs.run_writer import RunWriter
from ..loop.callback import Callback
from ..loop.train_state import StepResult, TrainState
from .image_grid import grid, pixels
from .visualdl_file import VisualDLFile

#: Of a larger layer, the distribution of so many weights is written.
SAMPLE = 1 << 14
#: Metrics of the final test beside the hyper-parameters.
RESULTS = ("loss", "acc_top1", "acc_top5")


class VisualDLLogger(Callback):
    """Writes training images, weights, the recipe and, if asked for, the network's graph.

    What belongs to the beginning of a run is written into an empty file only. Nothing here draws
    random numbers or changes what is trained.

    Args:
        writer (RunWriter): knows the run's folder.
        file (VisualDLFile): of the run; the metric logger remembers its length.
        config (Config): the recipe.
        splits (DataSplits): knows how images were normalized.
    """

    def __init__(
        self, writer: RunWriter, file: VisualDLFile, config: Config, splits: DataSplits
    ) -> None:
        self.writer = writer
        self.file = file
        self.config = config
        self.splits = splits
        self._shows_next_batch = False

    def on_fit_start(self, state: TrainState) -> None:
        """Write the recipe and the graph, unless they were written."""
        if self.writer.folder.is_deleted():
            return
        is_new = self.file.is_empty
        if self.config.run.graph:
            self.file.add_graph(state.network, self.splits.input_shape)
        if is_new:
            validated = ["validation"] if self.splits.validation is not None else []
            tags = [f"epoch/{name}/{split}" for split in validated for name in ("loss", "acc_top1")]
            tags += [f"result/{name}/test" for name in RESULTS]
            self.file.add_hparams(hyper_parameters(self.config), tags)
            self._shows_next_batch = True

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Write the images of the run's first batch."""
        if self._shows_next_batch:
            self._shows_next_batch = False
            images = result.inputs[0][:64].numpy()
            shown = grid(pixels(images, self.splits.mean, self.splits.std))
            self.file.add_image("train/first batch", shown, state.progress.step - 1)

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Write the distribution of each layer's weights."""
        if self.writer.folder.is_deleted():
            return
        for name, weights in state.network.named_parameters():
            if weights.ndim > 1:
                self.file.add_histogram(f"weights/{name}", sample(weights), state.progress.epoch)

    def write_test(self, metrics: dict[str, Any], step: int) -> None:
        """Write the metrics of the final test, and the mistakes that were kept.

        Args:
            metrics: those of result.json.
            step: number of training steps.
        """
        folder = self.writer.folder
        if folder.is_deleted():
            return
        for name in RESULTS:
            if metrics[name] is not None:  # a loss that is not finite is None
                self.file.add_scalar(f"result/{name}/test", metrics[name], step)
        with contextlib.suppress(OSError):  # reported when it was written
            with np.load(folder.predictions) as kept:
                images = kept["mistake_images"]
            if len(images):
                self.file.add_image("test/most confident mistakes", grid(images), step)
        self.file.close()


def sample(weights: paddle.Tensor) -> np.ndarray:
    """Return a layer's weights, float32 [N], or `SAMPLE` of them, always the same ones."""
    if weights.dtype != paddle.float32:  # NumPy has no bfloat16
        weights = weights.astype("float32")
    values = weights.detach().numpy().reshape(-1)
    if len(values) <= SAMPLE:
        return values
    return values[np.random.PCG64(0).random_raw(SAMPLE) % np.uint64(len(values))]


#: Shown of each recipe, beside all keys whose values are not the defaults.
_MAIN = {
    *("model.name", "data.name", "train.epochs", "train.budget", "train.batch_size", "train.seed"),
    *("optimizer.name", "optimizer.lr", "optimizer.weight_decay", "schedule.name"),
}
#: Places and intervals do not change the result.
_PLACES = (
    *("run.", "data.root", "data.download", "data.workers", "data.cache_mb"),
    *("train.resume", "train.checkpoint_interval", "train.keep_checkpoints"),
)


def hyper_parameters(config: Config) -> dict[str, Union[str, int, float]]:
    """Return the keys of a recipe that may explain its result, as values that VisualDL takes.

    Names are those of the recipe's keys. What is null is left out; bools, lists and options are
    JSON texts.
    """
    values, defaults = _flat(config_to_dict(config)), _flat(config_to_dict(Config()))
    return {
        key: value if type(value) in (str, int, float) else json.dumps(value)
        for key, value in values.items()
        if value is not None
        and (key in _MAIN or value != defaults[key])
        and not key.startswith(_PLACES)
    }


def _flat(sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, values in sections.items()
        for key, value in values.items()
    }
