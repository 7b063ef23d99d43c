"""Shows more of a run in VisualDL than its curves."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Optional, Union

import numpy as np
import paddle
from paddle.callbacks import Callback

from ...config import Config, config_to_dict
from ...data.splits import DataSplits
from ...runs.run_writer import RunWriter
from .image_grid import grid, pixels
from .visualdl_file import VisualDLFile

#: Of a larger layer, so many weights are looked at.
SAMPLE = 1 << 14
#: Figures of the test that hyper-parameters are held against.
RESULTS = ("loss", "acc_top1", "acc_top5")


class VisualDLLogger(Callback):
    """Writes training images, weights, the recipe and, on wish, the network's graph.

    What belongs to the beginning is written into an empty log only. Nothing here draws random
    numbers or changes what is trained.

    Args:
        session (RunWriter): the run.
        log (VisualDLFile): of the run; Record remembers its length.
        config (Config): the recipe.
        parts (DataSplits): says how images were normalised.
    """

    def __init__(
        self, session: RunWriter, log: VisualDLFile, config: Config, parts: DataSplits
    ) -> None:
        super().__init__()
        self.session = session
        self.log = log
        self.config = config
        self.parts = parts

    def on_train_begin(self, logs: Optional[dict] = None) -> None:
        """Write the recipe, and see to it that the first batch is shown."""
        if self.session.folder.is_deleted():
            return
        begins = self.log.is_empty
        if self.config.run.graph:
            self.log.add_graph(self.model.network, self.parts.input_shape)
        if begins:
            splits = ["validation"] if self.parts.validation is not None else []
            tags = [f"epoch/{name}/{split}" for split in splits for name in ("loss", "acc_top1")]
            tags += [f"result/{name}/test" for name in RESULTS]
            self.log.add_hparams(hyper_parameters(self.config), tags)
            self._show_next_batch()

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Write the distribution of each layer's weights."""
        if self.session.folder.is_deleted():
            return
        for name, weights in self.model.network.named_parameters():
            if weights.ndim > 1:
                self.log.add_histogram(f"weights/{name}", sample(weights), epoch + 1)

    def conclude(self, figures: dict[str, Any]) -> None:
        """Write the figures of the test, and the mistakes that were kept."""
        folder, step = self.session.folder, self.session.pace.steps
        if folder.is_deleted():
            return
        for name in RESULTS:
            self.log.add_scalar(f"result/{name}/test", figures[name], step)
        with contextlib.suppress(OSError):  # told already
            with np.load(folder.predictions) as kept:
                images = kept["mistake_images"]
            if len(images):
                self.log.add_image("test/most confident mistakes", grid(images), step)
        self.log.close()

    def _show_next_batch(self) -> None:
        stream = self.session.stream
        change = stream.change

        def show(batch: tuple) -> tuple:
            stream.change = change
            batch = change(batch)
            images = pixels(batch[0][:64], self.parts.mean, self.parts.std)
            self.log.add_image("train/first batch", grid(images), self.session.pace.steps)
            return batch

        stream.change = show


def sample(weights: paddle.Tensor) -> np.ndarray:
    """Return a layer's weights, float32 [N], or `SAMPLE` of them: the same ones each time."""
    if weights.dtype != paddle.float32:  # NumPy has no bfloat16
        weights = weights.astype("float32")
    values = weights.detach().numpy().reshape(-1)
    if len(values) <= SAMPLE:
        return values
    return values[np.random.PCG64(0).random_raw(SAMPLE) % np.uint64(len(values))]


#: Shown of each recipe, beside whatever it sets to something else than the default.
_MAIN = {
    *("model.name", "data.name", "train.epochs", "train.budget", "train.batch_size", "train.seed"),
    *("optimizer.name", "optimizer.lr", "optimizer.weight_decay", "schedule.name"),
}
#: Where things are, and how often something is said, has no part in the result.
_PLACES = (
    *("run.", "data.root", "data.download", "data.workers", "data.memory"),
    *("train.resume", "train.save_every", "train.keep_checkpoints"),
)


def hyper_parameters(config: Config) -> dict[str, Union[str, int, float]]:
    """Return what of a recipe may explain its result, as values that VisualDL takes.

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
