"""``paddle.Model`` for image classifiers, with trustworthy metrics, over our training loop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Optional, Union

import numpy as np
from paddle import nn
from paddle.hapi.callbacks import CallbackList
from paddle.io import DataLoader, Dataset, IterableDataset

from ..distributed.collectives import any_rank, gather_interleaved, is_rank0, world_size
from ..distributed.gradients import broadcast_parameters, broadcast_tensors
from ..errors import DataError, TrainingError
from ..evaluation.evaluate import evaluate
from ..evaluation.meters import LossMeter
from ..evaluation.paddle_metrics import all_reduce_metrics, metric_values
from ..optim.ema import ExponentialMovingAverage
from .callbacks.progress_bar import ProgressBar
from .loop.accumulation import GradientAccumulator
from .loop.nan_guard import step_of_epoch
from .loop.progress import Progress, StepPlan
from .loop.speed import SpeedMonitor
from .loop.step import clear_gradients
from .loop.train_state import StepResult, TrainState
from .loop.training_loop import train
from .paddle_compat.batches import LoaderBatches
from .paddle_compat.callback_adapter import (
    CallbackAdapter,
    PaddleCallbacks,
    PaddleProgressBar,
    as_logs,
    has_progress,
    make_callback_list,
    user_callbacks,
    warn_without_evaluation,
)
from .paddle_compat.dataset_loader import length, make_loader, refuse_arrays
from .paddle_compat.file_methods import FileMethods
from .paddle_compat.history import History
from .paddle_compat.loader_errors import raising


class ImageClassifier(FileMethods):
    """A ``paddle.Model`` with the same methods and signatures, repaired and extended.

    What differs from the base class:

    - every loss is the mean over all samples, in logs, in callbacks and in what ``evaluate``
      returns (the base class gives the last batch's);
    - ``fit`` returns a :class:`~paddle_resnet.training.paddle_compat.history.History`;
    - the last epoch is always evaluated, and ``stop_training`` of an earlier ``fit`` is forgotten;
    - a learning-rate scheduler steps once per epoch unless a ``paddle.callbacks.LRScheduler`` that
      says otherwise is passed;
    - with ``accumulate_grad_batches`` the gradient is the mean over all samples of an update, also
      if the epoch ends before the last of its batches; schedulers step once per update;
    - a loss or BN statistic that is not finite stops the training, and is taken back;
    - the order of a shuffled Dataset depends on ``paddle.seed``;
    - mixed precision has a dtype, and holds for the loss and for evaluation too;
    - optimizers with parameter groups work; a network with heads of its own for training
      (``network.training_loss``) trains them; metrics see its main output;
    - progress is a bar on a terminal and plain lines everywhere else;
    - ``load`` gives an optimizer its state back whatever else was made in the process;
    - ``save`` and ``load`` also take ``.safetensors`` files, which hold weights alone.

    Args:
        network (paddle.nn.Layer | str): any classifier of images that returns logits, such as those
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
        callbacks: PaddleCallbacks = None,
        accumulate_grad_batches: int = 1,
        num_iters: Optional[int] = None,
        *,
        first_epoch: int = 0,
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
            log_freq: steps between two lines if ``verbose`` is 2 and the output is no terminal.
            save_dir, save_freq: write ``{save_dir}/{epoch}.pdparams`` every ``save_freq`` epochs.
            verbose: 0 is silent, 1 one line per epoch, 2 with progress within epochs.
            drop_last, shuffle, num_workers: of a Dataset's loader.
            callbacks: ``paddle.callbacks.Callback`` objects, called in this order.
            accumulate_grad_batches: batches whose gradients make one update, the mean over their
                samples.
            num_iters: train for this many steps, whatever ``epochs`` says; if the number of
                batches is not known, for as many at most.
            first_epoch: number of the first epoch, for a training that continues. Default: 0.
            average: follows the weights, and is evaluated in their place. The network keeps its
                own weights; ``average.copy_to()`` puts the average in for good.

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
        refuse_arrays(train_data, "train_data", "fit")
        refuse_arrays(eval_data, "eval_data", "fit")
        loader = make_loader(train_data, sizes[0], shuffle, drop_last, num_workers)
        eval_loader = make_loader(eval_data, sizes[1], None, False, num_workers)
        batches = LoaderBatches(loader, self._split)
        steps = shown_steps = batches.epoch_length
        if steps and num_iters is not None:
            epochs = first_epoch + math.ceil(num_iters / steps)
            shown_steps = min(num_iters, steps)
        total = num_iters or (epochs - first_epoch) * (steps or 0) or None
        speed = SpeedMonitor()
        progress = Progress(StepPlan(epochs, total, speed=speed))
        progress.epoch = first_epoch
        broadcast_parameters(self.network)
        if average is not None:
            broadcast_tensors(average.tensors)
        state = self._state = self._new_state(
            batches=batches,
            progress=progress,
            speed=speed,
            accumulator=GradientAccumulator(accumulate_grad_batches),
            ema=average,
        )
        clear_gradients(state)  # of an update that a NaN or a Ctrl-C has cut short
        own = user_callbacks(callbacks)
        verbose = verbose if is_rank0() else 0
        shown = []
        if verbose and not has_progress(own):
            bar = ProgressBar(verbose=verbose, log_freq=log_freq)
            shown = [bar]
            own.insert(0, PaddleProgressBar(bar, in_fit=True))
        cbks = make_callback_list(
            self,
            own,
            save_dir,
            save_freq,
            verbose=verbose,
            metrics=self._metrics_name(),
            epochs=epochs,
            steps=shown_steps,
        )
        if eval_loader is None:
            warn_without_evaluation(cbks)
        self.stop_training = False
        adapter = CallbackAdapter(self, cbks, History())

        def validate(network: nn.Layer) -> dict[str, Any]:
            epoch = progress.epoch + 1
            last = epoch == epochs or state.stop_reason or progress.plan.is_over(progress)
            if epoch % eval_freq and not last:
                return {}
            result = self._evaluate(eval_loader, cbks)
            adapter.read_stop(state)
            return {f"val_{name}": value for name, value in result.items()}

        train(
            state,
            validate if eval_loader is not None else None,
            [*shown, adapter],
            step=_Step(self),
        )
        return adapter.history

    # -- evaluation ------------------------------------------------------------------------

    def evaluate(
        self,
        eval_data: Union[Dataset, Iterable],
        batch_size: int = 1,
        log_freq: int = 10,
        verbose: int = 2,
        num_workers: int = 0,
        callbacks: PaddleCallbacks = None,
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
        own = user_callbacks(callbacks)
        verbose = verbose if is_rank0() else 0
        if verbose and not has_progress(own):
            own.insert(0, PaddleProgressBar(ProgressBar(verbose=verbose, log_freq=log_freq)))
        cbks = make_callback_list(self, own, verbose=verbose, metrics=self._metrics_name())
        return as_logs(self._evaluate(loader, cbks, num_iters))

    def _evaluate(
        self, loader: Iterable, cbks: CallbackList, num_iters: Optional[int] = None
    ) -> dict[str, Any]:
        """Return loss and metrics by their names, and call Paddle's callbacks on the way."""
        cbks.on_begin("eval", {"steps": length(loader), "metrics": self._metrics_name()})
        self._reset_metrics()
        loss, logs = _ReturnedLoss(), {}

        def batches() -> Iterator[tuple]:
            for step, data in enumerate(islice(loader, num_iters)):
                batch = self._split(data)
                cbks.on_batch_begin("eval", step, dict(logs))
                yield batch

        def forward(batch: tuple[list, list]) -> tuple[list, list]:
            inputs, labels = batch
            returned = self.eval_batch(inputs, labels)
            own = int(inputs[0].shape[0])
            return [(*self._loss_of(returned, own), own)], labels

        def values() -> dict[str, Any]:
            mean = loss.mean
            means = {"loss": mean.value} if mean.count and self._loss is not None else {}
            return {**means, **metric_values(self._metrics)}

        def on_batch(done: int) -> None:
            # Other ranks have done about as many samples.
            size = loss.last * world_size()
            logs.update({**as_logs(values()), "step": done - 1, "batch_size": size})
            cbks.on_batch_end("eval", done - 1, dict(logs))

        with all_reduce_metrics(self._metrics):
            evaluate(self.network, batches(), [loss], on_batch=on_batch, forward=forward)
        self._set_mode("eval")
        if not any_rank(bool(logs)):
            raise DataError("the evaluation data yielded no batch.")
        logs.update(as_logs(values()))
        cbks.on_end("eval", dict(logs))
        found = values()
        return {name: found[name] for name in self._metrics_name() if name in found}

    def predict(
        self,
        test_data: Union[Dataset, Iterable],
        batch_size: int = 1,
        num_workers: int = 0,
        stack_outputs: bool = False,
        verbose: int = 1,
        callbacks: PaddleCallbacks = None,
    ) -> list:
        """Return the network's outputs for all samples; see ``paddle.Model.predict``.

        Several processes share the samples of a Dataset, and each gets the outputs for all.
        """
        self._need_dynamic_mode("predict")
        own = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        own = [callback for callback in own if callback is not None]
        if verbose and is_rank0():
            own.insert(0, PaddleProgressBar(ProgressBar(verbose=verbose + 1)))
        if not isinstance(test_data, Dataset):
            return self._predict(raising(test_data), stack_outputs, own)
        loader = make_loader(test_data, batch_size, None, False, num_workers)
        if world_size() == 1 or isinstance(test_data, IterableDataset):
            return self._predict(loader, stack_outputs, own)
        count = len(test_data)
        if count < world_size():  # too few to share
            loader = raising(DataLoader(test_data, batch_size=batch_size))
            return self._predict(loader, stack_outputs, own)
        outputs = [
            gather_interleaved(np.concatenate(batches), count)
            for batches in self._predict(loader, False, own)
        ]
        if stack_outputs:
            return outputs
        starts = range(0, count, batch_size)
        return [tuple(rows[first : first + batch_size] for first in starts) for rows in outputs]

    def _predict(self, loader: Iterable, stack: bool, callbacks: list) -> list:
        # The base class's own progress writes backspaces: silence it.
        return super().predict(loader, stack_outputs=stack, verbose=0, callbacks=callbacks)


class _Step:
    """Trains on one batch by the model's ``train_batch``, which may be a subclass's own."""

    def __init__(self, model: ImageClassifier) -> None:
        self.model = model
        #: Batches since the last update; the accumulator does not see those of a subclass.
        self.waiting = 0

    def __call__(self, state: TrainState, batch: tuple[list, list]) -> StepResult:
        inputs, labels = batch
        self.waiting = self.waiting + 1 if state.epoch_means.steps else 1
        update = self.waiting >= state.accumulator.batches or state.is_last_batch
        with step_of_epoch(state.epoch_means.steps + 1, state.progress.epoch + 1):
            returned = self.model.train_batch(inputs, labels, update)
        self.waiting = 0 if update else self.waiting
        loss, images = self.model._loss_of(returned, int(inputs[0].shape[0]), all_ranks=True)
        return StepResult(loss, images, inputs)


class _ReturnedLoss(LossMeter):
    """The mean of the losses that ``eval_batch`` returned."""

    def __init__(self) -> None:
        super().__init__()
        #: Samples of the last batch.
        self.last = 0

    def update(self, outputs: list, labels: list) -> None:
        """Add a batch: its loss, of how many samples it is, and how many it has."""
        ((value, size, self.last),) = outputs
        self.mean.add(value, size)
