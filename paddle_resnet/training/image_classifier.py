"""`paddle.Model` for image classifiers, with figures that can be trusted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import paddle
from paddle import nn
from paddle.callbacks import (
    Callback,
    EarlyStopping,
    LRScheduler,
    ModelCheckpoint,
    ProgBarLogger,
)
from paddle.hapi.callbacks import CallbackList
from paddle.io import DataLoader, Dataset, IterableDataset
from paddle.optimizer.lr import LRScheduler as Schedule

from ..distributed import collectives
from ..distributed.sync_bn import local_bn_buffers
from ..errors import DataError, TrainingError
from ..models import create_model
from ..models.precision import Precision
from ..optim.ema import ExponentialMovingAverage
from ..optim.learning_rate import UpdateScheduler
from ..optim.optimizer_state import OptimizerState
from ..weights import load_weights, read_state, save_weights
from ..weights.state_dict_file import PADDLE_TABLE
from .callbacks.plateau import repair_callback
from .callbacks.progress_bar import ProgressBar
from .loop.accumulation import GradientAccumulator
from .loop.epoch_means import EpochMeans, Mean, all_reduce_metrics
from .loop.nan_guard import BatchNormSnapshot
from .loop.progress import Progress, StepPlan
from .loop.stateful import restore
from .paddle_compat.dataset_loader import length, make_loader
from .paddle_compat.history import History


class ImageClassifier(paddle.Model):
    """A ``paddle.Model`` with the same methods and signatures, repaired and extended.

    What differs from the base class:

    - every loss is the mean over all samples, in logs, in callbacks and in what ``evaluate``
      returns (the base class gives the last batch's);
    - ``fit`` returns a :class:`~paddle_resnet.training.paddle_compat.history.History`;
    - the last epoch is always evaluated, and ``stop_training`` of an earlier ``fit`` is forgotten;
    - a learning-rate scheduler steps once per epoch unless a ``paddle.callbacks.LRScheduler`` that
      says otherwise is passed;
    - with ``accumulate_grad_batches`` the gradient is the mean over all samples of a group, and a
      group that ends early is divided by what it has; schedulers step once per update;
    - a loss or running statistics that are no numbers stop the training before they reach the
      weights or stay;
    - the order of a shuffled Dataset depends on ``paddle.seed``;
    - mixed precision has a dtype, and holds for the loss and for evaluation too;
    - optimizers with parameter groups work; a network with heads of its own for training
      (``network.training_loss``) trains them; metrics see its main output;
    - progress is a bar on a terminal and plain lines everywhere else;
    - ``load`` gives an optimizer its state back whatever else was made in the process;
    - ``save`` and ``load`` also take ``.safetensors`` files, which hold weights alone.

    Args:
        network (paddle.nn.Layer | str): any classifier that maps images to logits, such as those
            of ``paddle.vision.models``; or a name of ``list_models()``.
        inputs, labels: as in ``paddle.Model``; not needed for training in dynamic mode.

    Example:
        >>> from paddle_resnet import Cifar10, ImageClassifier, resnet50
        >>> import paddle
        >>> from paddle.vision.transforms import ToTensor
        >>> model = ImageClassifier(resnet50(num_classes=10, stem="cifar"))
        >>> model.prepare(
        ...     paddle.optimizer.Momentum(0.01, parameters=model.parameters()),
        ...     paddle.nn.CrossEntropyLoss(),
        ...     paddle.metric.Accuracy(topk=(1, 5)),
        ... )
        >>> history = model.fit(Cifar10(transform=ToTensor()), epochs=1, batch_size=64)
    """

    def __init__(
        self, network: Union[nn.Layer, str], inputs: Any = None, labels: Any = None
    ) -> None:
        if not paddle.in_dynamic_mode():
            raise TrainingError(
                "ImageClassifier works in dynamic mode: call paddle.disable_static() first."
            )
        collectives.begin()
        super().__init__(
            create_model(network) if isinstance(network, str) else network, inputs, labels
        )
        self._precision = Precision()
        self._scaler = None
        self._group = GradientAccumulator()
        self._average: Optional[ExponentialMovingAverage] = None
        self._progress = EpochMeans()

    def prepare(
        self,
        optimizer: Optional[paddle.optimizer.Optimizer] = None,
        loss: Optional[Callable[..., paddle.Tensor]] = None,
        metrics: Any = None,
        amp_configs: Union[str, dict[str, Any], Precision, None] = None,
    ) -> None:
        """Say what to train with, as ``paddle.Model.prepare`` does.

        Args:
            optimizer, loss, metrics: as in the base class.
            amp_configs: as in the base class, and ``dtype`` in the dict: ``float16`` (the default)
                or ``bfloat16``; or a :class:`~paddle_resnet.models.precision.Precision`. On a CPU
                bfloat16 needs the CPU operator, and float16 there is none: a warning says so, and
                float32 is used.

        Raises:
            TrainingError: ``amp_configs`` has an unknown key, level or dtype.
        """
        super().prepare(optimizer, loss, metrics)
        self._precision = Precision.parse(amp_configs)
        if self._precision.notice and not isinstance(amp_configs, Precision):
            warnings.warn(self._precision.notice, stacklevel=2)
        self._precision.decorate(self.network, optimizer)
        # Now, so that `load` has where to put a saved one.
        self._scaler = self._precision.make_scaler()
        # For the base class's train_batch.
        self._adapter._amp_level = self._precision.level if self._precision.is_mixed else "O0"
        self._adapter._amp_custom_lists = {**self._precision.lists, "dtype": self._precision.dtype}

    # -- training --------------------------------------------------------------------------

    def fit(
        self,
        train_data: Union[Dataset, Iterable, None] = None,
        eval_data: Union[Dataset, Iterable, None] = None,
        batch_size: Union[int, Sequence[int]] = 1,
        epochs: int = 1,
        eval_freq: int = 1,
        log_freq: int = 10,
        save_dir: Optional[str] = None,
        save_freq: int = 1,
        verbose: int = 2,
        drop_last: bool = False,
        shuffle: bool = True,
        num_workers: int = 0,
        callbacks: Union[Callback, Sequence[Callback], None] = None,
        accumulate_grad_batches: int = 1,
        num_iters: Optional[int] = None,
        *,
        first_epoch: int = 0,
        pace: Optional[Progress] = None,
        average: Optional[ExponentialMovingAverage] = None,
    ) -> History:
        """Train the network.

        Args:
            train_data, eval_data: a ``paddle.io.Dataset``, a ``DataLoader``, a
                :class:`~paddle_resnet.data.BatchLoader` or any iterable of batches
                ``(images, labels)``.
            batch_size: of a Dataset; a pair gives training and evaluation their own.
            epochs: passes over ``train_data``.
            eval_freq: evaluate every this many epochs, and after the last one.
            log_freq: steps between two lines when ``verbose`` is 2 and the output is no terminal.
            save_dir, save_freq: write ``{save_dir}/{epoch}.pdparams`` every ``save_freq`` epochs.
            verbose: 0 is silent, 1 one line per epoch, 2 with progress within epochs.
            drop_last, shuffle, num_workers: of a Dataset's loader.
            callbacks: ``paddle.callbacks.Callback`` objects, called in this order.
            accumulate_grad_batches: batches whose gradients make one update, the mean over their
                samples.
            num_iters: stop after this many steps.
            first_epoch: number of the first epoch, for a training that goes on. Default: 0.
            pace: measures the progress; made from ``epochs`` and the length of the loader where
                None is given.
            average: follows the weights, and is evaluated in their place. The network keeps its
                own weights; ``average.apply()`` puts the average in for good.

        Returns:
            History: a row per epoch.

        Raises:
            TrainingError: ``prepare`` was not called with an optimizer and a loss, a number is
                below 1, or the loss became NaN or infinite; says in which step.
            DataError: there is no training data, or it yields no batch.
        """
        if train_data is None:
            raise DataError("fit needs train_data: a Dataset or an iterable of batches.")
        for name, value in (
            ("eval_freq", eval_freq),
            ("accumulate_grad_batches", accumulate_grad_batches),
            ("num_iters", 1 if num_iters is None else num_iters),
        ):
            if value < 1:
                raise TrainingError(f"{name} is {value}, expected 1 or more.")
        if self._optimizer is None or self._loss is None:
            raise TrainingError("fit needs prepare(optimizer, loss, metrics) to be called first.")
        sizes = batch_size if isinstance(batch_size, (list, tuple)) else (batch_size, batch_size)
        if len(sizes) != 2:
            raise TrainingError(
                f"batch_size is {batch_size}, expected a number, or two: training, evaluation."
            )
        train_size, eval_size = sizes
        loader = make_loader(train_data, train_size, shuffle, drop_last, num_workers)
        eval_loader = make_loader(eval_data, eval_size, None, False, num_workers)
        steps = length(loader)
        if pace is None and steps:
            total = (epochs - first_epoch) * steps
            pace = StepPlan(min(total, num_iters) if num_iters else total)
        cbks = self._callbacks(
            callbacks, pace, verbose, log_freq, save_dir, save_freq, epochs=epochs, steps=steps
        )
        history = History()
        if not self._progress.resumed:
            self._progress, self.stop_training = EpochMeans(), False
        self._progress.resumed = False
        self._iterations_left = math.inf if num_iters is None else num_iters
        self._group = GradientAccumulator(accumulate_grad_batches)
        self._statistics = BatchNormSnapshot(self.network)
        self._average = average
        self._forget_gradients()  # of a group that a NaN or a Ctrl-C has cut short
        collectives.broadcast_parameters(self.network)
        cbks.on_begin("train")
        logs: dict[str, Any] = {}
        for epoch in range(first_epoch, epochs):
            if self.stop_training:  # decided before the interruption
                break
            cbks.on_epoch_begin(epoch)
            logs = self._train_epoch(loader, cbks, epoch, steps)
            last = epoch + 1 == epochs or self.stop_training or self._iterations_left <= 0
            last = last or (pace is not None and pace.time_is_up)
            if eval_loader is not None and ((epoch + 1) % eval_freq == 0 or last):
                with self.averaged():
                    result = self._evaluate(eval_loader, cbks)
                logs.update({f"val_{name}": value for name, value in result.items()})
            history.rows.append({"epoch": epoch + 1, **_plain(logs)})
            cbks.on_epoch_end(epoch, logs)
            if self.stop_training or last:
                break
        cbks.on_end("train", logs)
        return history

    @property
    def is_between_updates(self) -> bool:
        """Whether no batch waits for the rest of its group: the moment to save or to step."""
        return not self._group.pending

    def averaged(self) -> AbstractContextManager:
        """Return a context in which the network holds the weights that are evaluated and kept."""
        return nullcontext() if self._average is None else self._average.applied()

    def _train_epoch(
        self, loader: Iterable, cbks: CallbackList, epoch: int, steps: Optional[int]
    ) -> dict[str, Any]:
        progress = self._progress
        if not progress.steps:  # else the rest of an epoch that was interrupted
            self._reset_metrics()
        mean = progress.loss
        logs: dict[str, Any] = {}
        step = -1
        for step, data in enumerate(loader, start=progress.steps):
            inputs, labels = self._split(data)
            cbks.on_batch_begin("train", step, dict(logs))
            self._iterations_left -= 1
            loss, size, trouble = self._train_step(inputs, labels)
            if trouble:
                raise TrainingError(
                    f"{trouble} in step {step + 1} of epoch {epoch + 1}: training stopped before "
                    "this step changed the weights. A smaller learning rate or a longer warm-up "
                    "helps most often, unless images hold NaN or infinities."
                )
            if self._group.is_full or step + 1 == steps or self._iterations_left <= 0:
                self._update()
            mean.add(loss, size)
            progress.steps = step + 1
            logs = self._logs(mean, step, size)
            cbks.on_batch_end("train", step, dict(logs))
            if self._iterations_left <= 0:
                break
        self._progress = EpochMeans()
        if step < 0:
            raise DataError("the training data yielded no batch: is it larger than one batch?")
        if not self.is_between_updates:  # a loader of unknown length ended within a group
            self._update()
        return logs

    def _train_step(self, inputs: list, labels: list) -> tuple[float, int, str]:
        """Do one forward and backward pass; return the loss, and of how many samples it is.

        Both are those of all processes. Last comes what is wrong with them, empty if nothing is:
        what is no number goes nowhere.
        """
        self._set_mode("train")
        self._statistics.keep()
        own = int(inputs[0].shape[0])
        with self._precision.autocast():
            outputs = _as_list(self.network(*inputs))
            losses = _as_list(self._training_loss()(*outputs, *labels))
            loss = paddle.add_n([each.mean() for each in losses])
        value, size, broken = float(loss), own, not self._statistics.are_finite()
        if collectives.world_size() > 1:
            value, samples, broken = collectives.total([value * own, own, broken]).tolist()
            value, size = value / samples, int(samples)
        if broken or not math.isfinite(value):
            self._statistics.restore()
            what = "a running statistic became NaN or infinite"
            return value, size, what if math.isfinite(value) else f"the loss became {value}"
        factor = self._group.add(size) * (own / size)
        loss = loss if factor == 1.0 else loss * factor
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()
        with all_reduce_metrics(self._metrics):
            self._update_metrics(outputs, labels)
        return value, size, ""

    def _training_loss(self) -> Callable[..., paddle.Tensor]:
        """Return the loss with what the network adds to it, such as that of auxiliary heads."""
        adapt = getattr(self.network, "training_loss", None)
        return self._loss if adapt is None else adapt(self._loss)

    def _update(self) -> None:
        """Turn the gradients of the group into a step of the optimizer."""
        collectives.all_reduce_gradients(self.network.parameters())
        collectives.average(local_bn_buffers(self.network))
        self._group.finish(self.network.parameters())
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        self._forget_gradients()
        if self._average is not None:
            self._average.update()

    def _forget_gradients(self) -> None:
        self._optimizer.clear_grad()
        self.network.clear_gradients()  # those that the optimizer does not have, too

    # -- evaluation ------------------------------------------------------------------------

    def evaluate(
        self,
        eval_data: Union[Dataset, Iterable],
        batch_size: int = 1,
        log_freq: int = 10,
        verbose: int = 2,
        num_workers: int = 0,
        callbacks: Union[Callback, Sequence[Callback], None] = None,
        num_iters: Optional[int] = None,
    ) -> dict[str, Any]:
        """Return the mean loss and the metrics over all samples.

        Args:
            eval_data, batch_size, log_freq, verbose, num_workers, callbacks: as in :meth:`fit`.
            num_iters: stop after this many batches.

        Returns:
            dict: ``{"loss": [mean], "acc": ...}``, as the base class has it.

        Raises:
            DataError: the data yields no batch.
        """
        loader = make_loader(eval_data, batch_size, None, False, num_workers)
        cbks = self._callbacks(callbacks, None, verbose, log_freq, None, 1)
        return self._evaluate(loader, cbks, num_iters)

    def _evaluate(
        self, loader: Iterable, cbks: CallbackList, num_iters: Optional[int] = None
    ) -> dict[str, Any]:
        cbks.on_begin("eval", {"steps": length(loader), "metrics": self._metrics_name()})
        self._reset_metrics()
        self._set_mode("eval")
        mean = Mean()
        logs: dict[str, Any] = {}
        step = size = 0
        with all_reduce_metrics(self._metrics):
            for step, data in enumerate(loader):
                inputs, labels = self._split(data)
                size = int(inputs[0].shape[0])
                cbks.on_batch_begin("eval", step, dict(logs))
                with paddle.no_grad(), self._precision.autocast():
                    outputs = _as_list(self.network(*inputs))
                    if self._loss is not None:
                        losses = _as_list(self._loss(*outputs, *labels))
                        mean.add(sum(float(each.mean()) for each in losses), size)
                self._update_metrics(outputs, labels)
                # The other processes have done about as many: the pace is that of all.
                logs = self._logs(mean, step, size * collectives.world_size())
                cbks.on_batch_end("eval", step, dict(logs))
                if num_iters is not None and step + 1 >= num_iters:
                    break
        if not collectives.any_rank(bool(logs)):
            raise DataError("the evaluation data yielded no batch.")
        if collectives.world_size() > 1:
            mean.total, mean.count = collectives.total([mean.total, mean.count]).tolist()
            logs = self._logs(mean, step, size)
        cbks.on_end("eval", dict(logs))
        return {name: logs[name] for name in self._metrics_name() if name in logs}

    def predict(
        self,
        test_data: Union[Dataset, Iterable],
        batch_size: int = 1,
        num_workers: int = 0,
        stack_outputs: bool = False,
        verbose: int = 1,
        callbacks: Union[Callback, Sequence[Callback], None] = None,
    ) -> list:
        """Return the network's outputs for all samples; see ``paddle.Model.predict``.

        Several processes share the samples of a Dataset, and each gets the outputs for all.
        """
        own = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        own = [callback for callback in own if callback is not None]
        if verbose and collectives.is_rank0():
            own.insert(0, ProgressBar(verbose=verbose + 1))
        shared = collectives.world_size() > 1 and isinstance(test_data, Dataset)
        if not shared or isinstance(test_data, IterableDataset):
            return self._predict(test_data, batch_size, num_workers, stack_outputs, own)
        count = len(test_data)
        if count < collectives.world_size():  # too few to share
            loader = DataLoader(test_data, batch_size=batch_size)
            return self._predict(loader, batch_size, num_workers, stack_outputs, own)
        loader = make_loader(test_data, batch_size, None, False, num_workers)
        outputs = [
            collectives.gather_interleaved(np.concatenate(batches), count)
            for batches in self._predict(loader, batch_size, num_workers, False, own)
        ]
        if stack_outputs:
            return outputs
        starts = range(0, count, batch_size)
        return [tuple(rows[first : first + batch_size] for first in starts) for rows in outputs]

    def _predict(
        self, data: Any, batch_size: int, workers: int, stack: bool, callbacks: list
    ) -> list:
        # The base class's own progress writes backspaces: silence it. It gathers batches on GPUs,
        # repeated samples included: what is gathered is our matter.
        processes, self._adapter._nranks = self._adapter._nranks, 1
        try:
            with self._precision.autocast():
                return super().predict(data, batch_size, workers, stack, 0, callbacks)
        finally:
            self._adapter._nranks = processes

    # -- weights ---------------------------------------------------------------------------

    def save(self, path: str, training: bool = True) -> None:
        """Save as the base class does, or weights alone where ``path`` ends in ``.safetensors``."""
        if str(path).endswith(".safetensors"):
            if collectives.is_rank0():
                save_weights(self.network, path)
        else:
            super().save(path, training)

    def load(self, path: str, skip_mismatch: bool = False, reset_optimizer: bool = False) -> None:
        """Load what :meth:`save` or the base class wrote; nothing in the files is run.

        Args:
            path: a ``.safetensors`` file, or ``X`` for ``X.pdparams`` and, beside it,
                ``X.pdopt`` and ``X.pdscaler``.
            skip_mismatch: leave parameters alone that the file lacks or has in another shape.
            reset_optimizer: leave the optimizer as it is.

        Raises:
            WeightsError: a file that is missing, damaged, unsafe or of another network.
        """
        if str(path).endswith(".safetensors"):
            load_weights(self.network, path, strict=not skip_mismatch)
            return
        base = Path(path).with_suffix("") if Path(path).suffix in _SUFFIXES else Path(path)
        load_weights(self.network, f"{base}.pdparams", strict=not skip_mismatch)
        if reset_optimizer:
            return
        file = Path(f"{base}.pdopt")
        if self._optimizer is not None and file.is_file():
            names = read_state(f"{base}.pdparams").get(PADDLE_TABLE)
            names = names if isinstance(names, dict) else None
            restore(
                {"optimizer": _PaddleState(self.network, self._optimizer, names)},
                {"optimizer": read_state(file)},
                f"'{file}'",
            )
        file = Path(f"{base}.pdscaler")
        if self._scaler is not None and file.is_file():
            restore({"scaler": _Scaler(self._scaler)}, {"scaler": read_state(file)}, f"'{file}'")

    # -- going on --------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a later process needs beside network and optimizer to go on with ``fit``.

        Within an epoch that is what its means are made of, so that the epoch's row is about all
        of it. Arrays are NumPy's, all else JSON types.
        """
        return {
            **self._progress.state(self._metrics),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "stop_training": bool(getattr(self, "stop_training", False)),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Let the next ``fit`` go on from :meth:`state`; ``prepare`` must have been called."""
        self._progress = EpochMeans()
        self._progress.load_state(state, self._metrics)
        self.stop_training = bool(state["stop_training"])
        if self._scaler is not None and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])

    # -- helpers ---------------------------------------------------------------------------

    def _callbacks(
        self,
        callbacks: Union[Callback, Sequence[Callback], None],
        pace: Optional[Progress],
        verbose: int,
        log_freq: int,
        save_dir: Optional[str],
        save_freq: int,
        **params: Any,
    ) -> CallbackList:
        own = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        own = [
            UpdateScheduler()
            if type(callback) is LRScheduler and callback.by_step
            else repair_callback(callback)
            for callback in own
            if callback is not None
        ]
        if isinstance(getattr(self._optimizer, "_learning_rate", None), Schedule) and not any(
            isinstance(callback, LRScheduler) for callback in own
        ):
            own.append(LRScheduler(by_step=False, by_epoch=True))
        for callback in own:
            if isinstance(callback, EarlyStopping):
                callback.save_dir = save_dir
        if save_dir and not any(isinstance(callback, ModelCheckpoint) for callback in own):
            own.append(ModelCheckpoint(save_freq, save_dir))
        verbose = verbose if collectives.is_rank0() else 0
        if verbose and not any(isinstance(each, (ProgBarLogger, ProgressBar)) for each in own):
            own.insert(0, ProgressBar(pace, verbose=verbose, log_freq=log_freq))
        if pace is not None and pace not in own:
            own.insert(0, pace)  # the others read it
        cbks = CallbackList(own)
        cbks.set_model(self)
        cbks.set_params(
            {"batch_size": None, "verbose": verbose, "metrics": self._metrics_name(), **params}
        )
        return cbks

    def _set_mode(self, mode: str) -> None:
        """Put network and loss into ``train`` or ``eval`` mode; a loss may depend on it, too."""
        self.mode = mode
        for layer in (self.network, self._loss):
            if isinstance(layer, nn.Layer):
                layer.train() if mode == "train" else layer.eval()

    def _split(self, data: Any) -> tuple[list, list]:
        """Turn what a loader yields into lists of input and label tensors."""
        tensors = [
            each if isinstance(each, paddle.Tensor) else paddle.to_tensor(each)
            for each in _flatten(data)
        ]
        count = len(self._inputs) if self._inputs else 1
        return tensors[:count], tensors[count:]

    def _update_metrics(self, outputs: list, labels: list) -> None:
        for metric in self._metrics:  # of several outputs, the first is the classifier's answer
            computed = _as_list(metric.compute(outputs[0], *labels))
            metric.update(*[each.numpy() for each in computed])

    def _logs(self, mean: Mean, step: int, size: int) -> dict[str, Any]:
        logs: dict[str, Any] = {"loss": [mean.value]} if mean.count else {}
        for metric in self._metrics:
            logs.update(zip(_as_list(metric.name()), _as_list(metric.accumulate())))
        return {**logs, "step": step, "batch_size": size}


_SUFFIXES = (".pdparams", ".pdopt", ".pdscaler")


class _PaddleState:
    """An optimizer, set from the content of a ``.pdopt`` file."""

    def __init__(self, network: nn.Layer, optimizer: Any, names: Optional[dict]) -> None:
        self.optimizer_state = OptimizerState(network, optimizer)
        self.names = names

    def load_state(self, state: dict[str, Any]) -> None:
        self.optimizer_state.load_paddle(state, self.names)


class _Scaler:
    """A gradient scaler, set from the content of a ``.pdscaler`` file."""

    def __init__(self, scaler: Any) -> None:
        self.scaler = scaler

    def load_state(self, state: dict[str, Any]) -> None:
        state.pop(PADDLE_TABLE, None)
        self.scaler.load_state_dict(state)


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flatten(data: Any) -> Iterator[Any]:
    for each in _as_list(data):
        if isinstance(each, (list, tuple)):
            yield from _flatten(each)
        else:
            yield each


def _plain(logs: dict[str, Any]) -> dict[str, float]:
    """Return the figures alone, as floats."""
    plain = {
        name: float(value[0] if isinstance(value, list) else value) for name, value in logs.items()
    }
    plain.pop("step", None)
    plain.pop("batch_size", None)
    return plain
