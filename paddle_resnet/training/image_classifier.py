"""`paddle.Model` for image classifiers, with figures that can be trusted."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
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
from ..errors import DataError, TrainingError, UserError, WeightsError, for_display
from ..models import create_model
from ..models.precision import Precision
from ..optim.ema import ExponentialMovingAverage
from ..optim.learning_rate import UpdateScheduler
from ..weights import LoadReport, open_weights, save_weights
from ..weights.matching import assign, match
from .callbacks.plateau import repair_callback
from .callbacks.progress_bar import ProgressBar
from .loop.accumulation import GradientAccumulator
from .loop.epoch_means import EpochMeans, Mean, all_reduce_metrics
from .loop.nan_guard import BatchNormSnapshot
from .loop.progress import Progress, StepPlan
from .paddle_compat.batch_errors import explain, to_tensor
from .paddle_compat.dataset_loader import length, make_loader, refuse_arrays
from .paddle_compat.history import History
from .paddle_compat.loader_errors import raising
from .paddle_compat.one_output import as_metric_takes_it
from .paddle_compat.optimizer_files import planned_optimizer, planned_scaler, without_suffix


class NotFinite(TrainingError):
    """A loss or a running statistic that is NaN or infinite; nothing was changed by it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: this step was left out, and the weights are as they were.")
        self.what = what


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
        network = create_model(network) if isinstance(network, str) else network
        if isinstance(inputs, dict):  # which the base class documents, and then refuses
            names = inspect.signature(network.forward).parameters
            inputs = [inputs[name] for name in names if name in inputs]
        super().__init__(network, inputs, labels)
        # The base class has these from `prepare` on, and `predict` needs no more of it.
        self._metrics: list = []
        self._is_prepared = False
        self._precision = Precision()
        self._scaler = None
        self._statistics = BatchNormSnapshot(self.network)
        #: The names in the last batch, where it was a dict.
        self._entries: list = []
        #: What the last method for a batch returned, its mean loss, and of how many samples.
        self._figures: tuple = (None, 0.0, 0)
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
            amp_configs: as in the base class (None and an empty one are float32), and ``dtype`` in
                the dict: ``float16`` (the default)
                or ``bfloat16``; or a :class:`~paddle_resnet.models.precision.Precision`. On a CPU
                bfloat16 needs the CPU operator, and float16 there is none: a warning says so, and
                float32 is used.

        Raises:
            TrainingError: ``amp_configs`` has an unknown key, level or dtype.
        """
        self._need_dynamic_mode("prepare")
        super().prepare(optimizer, loss, metrics)
        self._is_prepared = True
        self._precision = Precision.parse(amp_configs)
        if self._precision.notice and not isinstance(amp_configs, Precision):
            warnings.warn(self._precision.notice, stacklevel=2)
        self._precision.decorate(self.network, optimizer)
        # Now, so that `load` has where to put a saved one.
        self._scaler = self._precision.make_scaler()

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
            num_iters: train for this many steps, whatever ``epochs`` says; where the number of
                batches is not known, for as many at most.
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
        self._need_dynamic_mode("fit")
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
        refuse_arrays(train_data, "train_data", "fit")
        refuse_arrays(eval_data, "eval_data", "fit")
        loader = make_loader(train_data, train_size, shuffle, drop_last, num_workers)
        eval_loader = make_loader(eval_data, eval_size, None, False, num_workers)
        steps = length(loader)
        shown_steps = steps
        if num_iters is not None and steps:
            epochs = first_epoch + math.ceil(num_iters / steps)
            shown_steps = min(num_iters, steps)
        if pace is None and steps:
            total = (epochs - first_epoch) * steps
            pace = StepPlan(min(total, num_iters) if num_iters else total)
        cbks = self._callbacks(
            callbacks,
            pace,
            verbose,
            log_freq,
            save_dir,
            save_freq,
            epochs=epochs,
            steps=shown_steps,
        )
        if eval_loader is None:
            _warn_of_watchers(cbks)
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
        step, waiting = -1, 0
        for step, data in enumerate(loader, start=progress.steps):
            inputs, labels = self._split(data)
            cbks.on_batch_begin("train", step, dict(logs))
            self._iterations_left -= 1
            # Batches since the last update, this one included.
            waiting += 1
            update = waiting >= self._group.batches or step + 1 == steps
            update = update or self._iterations_left <= 0
            try:
                figures = self.train_batch(inputs, labels, update)
            except NotFinite as error:
                raise TrainingError(
                    f"{error.what} in step {step + 1} of epoch {epoch + 1}: training stopped "
                    "before this step changed the weights. A smaller learning rate or a longer "
                    "warm-up helps most often, unless images hold NaN or infinities."
                ) from None
            waiting = 0 if update else waiting
            loss, size = self._told(figures, int(inputs[0].shape[0]), together=True)
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

    def train_batch(self, inputs: Any, labels: Any = None, update: bool = True) -> Any:
        """Train on one batch; ``fit`` calls it for each, also where a subclass has its own.

        Args:
            inputs, labels (numpy.ndarray | Tensor | list): the batch, or lists of several inputs
                and labels.
            update: whether the optimizer takes its step. Gradients of batches with ``False`` are
                kept for the next one with ``True``: their mean over all samples.

        Returns:
            As the base class: the list of losses, or a pair of it and the list of metrics.

        Raises:
            TrainingError: ``prepare`` was not called with an optimizer and a loss, or the loss
                became NaN or infinite; the weights are left as they were.
            DataError: network or loss cannot take the batch; says why.
        """
        self._need_dynamic_mode("train_batch")
        if self._optimizer is None or self._loss is None:
            raise TrainingError(
                "train_batch needs prepare(optimizer, loss, metrics) to be called first."
            )
        inputs, labels = _tensors(inputs), _tensors(labels)
        losses, metrics, value, size = self._train_step(inputs, labels)
        if update:
            self._update()
        self._note_inputs(inputs)
        return self._remember(losses, metrics, value, size)

    def _train_step(self, inputs: list, labels: list) -> tuple[list, list, float, int]:
        """Do one forward and backward pass; return losses, metrics, mean loss, number of samples.

        The last two are those of all processes.

        Raises:
            NotFinite: the loss or a running statistic is no number. It goes nowhere.
        """
        self._set_mode("train")
        self._statistics.keep()
        own = int(inputs[0].shape[0])
        with self._explained(inputs, labels) as batch:
            with self._precision.autocast():
                batch.outputs = _as_list(self.network(*inputs))
                losses = _as_list(self._training_loss()(*batch.outputs, *labels))
                loss = paddle.add_n([each.mean() for each in losses])
            value, size, broken = float(loss), own, not self._statistics.are_finite()
            if collectives.world_size() > 1:
                value, samples, broken = collectives.total([value * own, own, broken]).tolist()
                value, size = value / samples, int(samples)
            if broken or not math.isfinite(value):
                self._statistics.restore()
                what = "a running statistic became NaN or infinite"
                raise NotFinite(what if math.isfinite(value) else f"the loss became {value}")
            factor = self._group.add(size) * (own / size)
            loss = loss if factor == 1.0 else loss * factor
            (loss if self._scaler is None else self._scaler.scale(loss)).backward()
            with all_reduce_metrics(self._metrics):
                metrics = self._update_metrics(batch.outputs, labels)
        return losses, metrics, value, size

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
            TrainingError: ``prepare`` was not called, or ``num_iters`` is below 1.
            DataError: the data yields no batch, or one that network or loss cannot take.
        """
        self._need_dynamic_mode("evaluate")
        if not self._is_prepared:
            raise TrainingError("evaluate needs prepare(loss=..., metrics=...) to be called first.")
        if num_iters is not None and num_iters < 1:
            raise TrainingError(f"num_iters is {num_iters}, expected 1 or more.")
        refuse_arrays(eval_data, "eval_data", "evaluate")
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
                figures = self.eval_batch(inputs, labels)
                if self._loss is not None:
                    value, size = self._told(figures, size)
                    mean.add(value, size)
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

    @paddle.no_grad()
    def eval_batch(self, inputs: Any, labels: Any = None) -> Any:
        """Evaluate one batch; ``evaluate`` calls it for each.

        Args:
            inputs, labels (numpy.ndarray | Tensor | list): the batch, or lists of several inputs
                and labels.

        Returns:
            As the base class: the list of losses, the list of metrics, or a pair of both.

        Raises:
            TrainingError: ``prepare`` was not called.
            DataError: network or loss cannot take the batch; says why.
        """
        self._need_dynamic_mode("eval_batch")
        if not self._is_prepared:
            raise TrainingError(
                "eval_batch needs prepare(loss=..., metrics=...) to be called first."
            )
        inputs, labels = _tensors(inputs), _tensors(labels)
        self._set_mode("eval")
        losses: list = []
        with self._explained(inputs, labels) as batch:
            with self._precision.autocast():
                batch.outputs = _as_list(self.network(*inputs))
                if self._loss is not None:
                    losses = _as_list(self._loss(*batch.outputs, *labels))
            metrics = self._update_metrics(batch.outputs, labels)
        value = sum(float(each.mean()) for each in losses)
        self._note_inputs(inputs)
        return self._remember(losses, metrics, value, int(inputs[0].shape[0]))

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
        self._need_dynamic_mode("predict")
        own = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        own = [callback for callback in own if callback is not None]
        if verbose and collectives.is_rank0():
            own.insert(0, ProgressBar(verbose=verbose + 1))
        if not isinstance(test_data, Dataset):
            return self._predict(raising(test_data), stack_outputs, own)
        loader = make_loader(test_data, batch_size, None, False, num_workers)
        if collectives.world_size() == 1 or isinstance(test_data, IterableDataset):
            return self._predict(loader, stack_outputs, own)
        count = len(test_data)
        if count < collectives.world_size():  # too few to share
            loader = raising(DataLoader(test_data, batch_size=batch_size))
            return self._predict(loader, stack_outputs, own)
        outputs = [
            collectives.gather_interleaved(np.concatenate(batches), count)
            for batches in self._predict(loader, False, own)
        ]
        if stack_outputs:
            return outputs
        starts = range(0, count, batch_size)
        return [tuple(rows[first : first + batch_size] for first in starts) for rows in outputs]

    def _predict(self, loader: Iterable, stack: bool, callbacks: list) -> list:
        # The base class's own progress writes backspaces: silence it.
        return super().predict(loader, stack_outputs=stack, verbose=0, callbacks=callbacks)

    @paddle.no_grad()
    def predict_batch(self, inputs: Any) -> list[np.ndarray]:
        """Return the network's outputs for one batch; ``predict`` calls it for each.

        Args:
            inputs (numpy.ndarray | Tensor | list): the images, or a list of several inputs.

        Raises:
            DataError: the network cannot take them; says why.
        """
        self._need_dynamic_mode("predict_batch")
        self._set_mode("test")
        inputs = _tensors(inputs)
        with self._explained(inputs, []), self._precision.autocast():
            outputs = _as_list(self.network(*inputs))
        self._note_inputs(inputs)
        return [each.numpy() for each in outputs]

    # -- weights ---------------------------------------------------------------------------

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
            if collectives.is_rank0():
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
            WeightsError: a file that is missing, damaged, unsafe or of another network or
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
            TrainingError: no size is given, and nothing has been run that would tell it.
        """
        self._need_dynamic_mode("summary")
        if input_size is None and self._input_info is None:
            raise TrainingError(
                "summary needs input_size, such as (1, 3, 32, 32): ImageClassifier got no inputs, "
                "and no batch has been seen yet."
            )
        return super().summary(input_size, dtype)

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
        self._entries = sorted(data) if isinstance(data, dict) else []
        tensors = _tensors(data)
        if not tensors or not tensors[0].ndim or not tensors[0].shape[0]:
            raise DataError(
                "a batch holds no images: expected (images, labels), arrays with one row a sample."
            )
        count = len(self._inputs) if self._inputs else 1
        return tensors[:count], tensors[count:]

    def _update_metrics(self, outputs: list, labels: list) -> list:
        results = []
        for metric in self._metrics:  # of several outputs, the first is the classifier's answer
            output, truth = as_metric_takes_it(metric, self._loss, outputs[0], labels)
            computed = _as_list(metric.compute(output, *truth))
            results.append(metric.update(*[each.numpy() for each in computed]))
        return results

    @contextmanager
    def _explained(self, inputs: list, labels: list) -> Iterator[SimpleNamespace]:
        """Turn what Paddle raises about a batch into a sentence, where its reason can be found.

        What is yielded takes ``outputs``, those of the network.
        """
        batch = SimpleNamespace(outputs=None)
        try:
            yield batch
        except UserError:
            raise
        except Exception as error:
            if self.mode == "train":
                self._statistics.restore()  # the failed step has moved them
            reason = explain(self.network, self._loss, inputs, labels, batch.outputs, error)
            if not reason:
                raise
            if self._entries:
                reason += (
                    f"; the entries of a batch are taken in the order of their names, "
                    f"{for_display(', '.join(map(str, self._entries)))}, the images first"
                )
            raise DataError(f"{reason}.") from error

    def _note_inputs(self, inputs: list) -> None:
        """Keep the shape of an input: `save(training=False)` and `summary` ask for it."""
        if self._input_info is None:
            shapes = [[None, *each.shape[1:]] for each in inputs]
            self._adapter._input_info = shapes, [each.dtype for each in inputs]
            self._update_inputs()

    def _remember(self, losses: list, metrics: list, value: float, size: int) -> Any:
        """Return what the base class's methods for a batch return, and keep its exact figures."""
        arrays = [each.numpy() for each in losses]
        figures = (arrays, metrics) if losses and metrics else arrays or metrics
        self._figures = figures, value, size
        return figures

    def _told(self, figures: Any, own: int, together: bool = False) -> tuple[float, int]:
        """Return a batch's loss and number of samples from what a method for a batch returned.

        That may be a subclass's, which knows of its own losses alone.

        Args:
            figures: losses, or losses and metrics.
            own: samples of this process.
            together: whether the figures are those of all processes.
        """
        returned, value, size = self._figures
        if figures is returned:
            return value, size
        losses = figures[0] if self._metrics else figures
        value = sum(float(np.mean(np.asarray(each))) for each in _as_list(losses))
        if together and collectives.world_size() > 1:
            total, samples = collectives.total([value * own, own]).tolist()
            return total / samples, int(samples)
        return value, own

    def _need_dynamic_mode(self, method: str) -> None:
        if not paddle.in_dynamic_mode():
            raise TrainingError(
                f"{method} of ImageClassifier works in dynamic mode, and paddle.enable_static() "
                "was called: call paddle.disable_static() first."
            )

    def _logs(self, mean: Mean, step: int, size: int) -> dict[str, Any]:
        logs: dict[str, Any] = {"loss": [mean.value]} if mean.count else {}
        for metric in self._metrics:
            logs.update(zip(_as_list(metric.name()), _as_list(metric.accumulate())))
        return {**logs, "step": step, "batch_size": size}


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flatten(data: Any) -> Iterator[Any]:
    """Yield what is in a batch in order, of a dict by the names of its entries, as Paddle does."""
    parts = [data[name] for name in sorted(data)] if isinstance(data, dict) else _as_list(data)
    for each in parts:
        if isinstance(each, (list, tuple, dict)):
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


def _tensors(data: Any) -> list:
    """Return the tensors of a batch, or of one side of it; None is nothing."""
    return [] if data is None else [to_tensor(each) for each in _flatten(data)]


def _warn_of_watchers(cbks: CallbackList) -> None:
    """Say of callbacks that watch the evaluation that there will be none."""
    for callback in cbks:
        for kind in (EarlyStopping, paddle.callbacks.ReduceLROnPlateau):
            if isinstance(callback, kind):
                warnings.warn(
                    f"{kind.__name__} needs validation data: without eval_data it does nothing.",
                    stacklevel=3,
                )


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
