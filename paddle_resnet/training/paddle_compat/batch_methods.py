"""The part of ``paddle.Model`` that works on single batches, over the steps of our loop."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, Union

import numpy as np
import paddle
from paddle import nn

from ...distributed.collectives import all_reduce_array, init_distributed, world_size
from ...errors import DataError, TrainingError, UserError, for_display
from ...evaluation.paddle_metrics import all_reduce_metrics
from ...models import create_model
from ...models.precision import Precision
from ..loop.epoch_means import EpochMeans
from ..loop.progress import Progress, StepPlan
from ..loop.speed import SpeedMonitor
from ..loop.step import as_list, forward_backward, set_mode, update
from ..loop.train_state import TrainState
from .batch_errors import explain
from .batches import LoaderBatches, tensors
from .one_output import as_metric_takes_it


class BatchMethods(paddle.Model):
    """``prepare`` and the methods for one batch; see
    :class:`~paddle_resnet.training.image_classifier.ImageClassifier`.
    """

    def __init__(
        self, network: Union[nn.Layer, str], inputs: Any = None, labels: Any = None
    ) -> None:
        if not paddle.in_dynamic_mode():
            raise TrainingError(
                "ImageClassifier works in dynamic mode: call paddle.disable_static() first."
            )
        init_distributed()
        network = create_model(network) if isinstance(network, str) else network
        if isinstance(inputs, dict):  # which the base class documents, and then refuses
            names = inspect.signature(network.forward).parameters
            inputs = [inputs[name] for name in names if name in inputs]
        super().__init__(network, inputs, labels)
        # The base class has it from `prepare` on, and `predict` needs no more of it.
        self._metrics: list = []
        self._is_prepared = False
        self._precision = Precision()
        self._scaler = None
        #: The training under way, or one of single batches.
        self._state = self._new_state()
        #: The names in the last batch, if it was a dict.
        self._entries: list = []
        #: What the last method for a batch returned, its mean loss, and its number of samples.
        self._returned: tuple = (None, 0.0, 0)

    def prepare(
        self,
        optimizer: Optional[paddle.optimizer.Optimizer] = None,
        loss: Optional[Callable[..., paddle.Tensor]] = None,
        metrics: Any = None,
        amp_configs: Union[str, dict[str, Any], Precision, None] = None,
    ) -> None:
        """Set what to train with, as ``paddle.Model.prepare`` does.

        Args:
            optimizer, loss, metrics: as in the base class.
            amp_configs: as in the base class (None and an empty one are float32), and ``dtype`` in
                the dict: ``float16`` (the default) or ``bfloat16``; or a
                :class:`~paddle_resnet.models.precision.Precision`. On a CPU bfloat16 needs the CPU
                operator, and there is no float16: a warning says so, and float32 is used.

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
        self._scaler = self._precision.make_scaler()  # now: `load` may restore one
        self._state = self._new_state()

    def _new_state(self, **changes: Any) -> TrainState:
        speed = SpeedMonitor()
        parts = {
            "network": self.network,
            "optimizer": self._optimizer,
            "loss": self._loss,
            "batches": LoaderBatches((), self._split),
            "progress": Progress(StepPlan(1)),
            "speed": speed,
            "epoch_means": EpochMeans(self._metrics),
            "precision": self._precision,
            "scaler": self._scaler,
        }
        return TrainState(**{**parts, **changes})

    @property
    def is_between_updates(self) -> bool:
        """Whether no batch waits for others of its update: the moment to save or to step."""
        return self._state.is_between_updates

    # -- one batch -------------------------------------------------------------------------

    def train_batch(self, inputs: Any, labels: Any = None, update: bool = True) -> Any:
        """Train on one batch; ``fit`` calls it for each, also if a subclass has its own.

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
        inputs, labels, outputs = tensors(inputs), tensors(labels), []
        self.mode, state = "train", self._state
        state.loss = self._loss
        with self._explained(inputs, labels, outputs):
            result, losses = forward_backward(state, inputs, labels, outputs)
            with all_reduce_metrics(self._metrics):
                metrics = self._update_metrics(outputs, labels)
        if update:
            _update(state)
        self._note_inputs(inputs)
        return self._remember(losses, metrics, result.loss, result.images)

    @paddle.no_grad()
    def eval_batch(self, inputs: Any, labels: Any = None) -> Any:
        """Evaluate one batch; ``evaluate`` calls it for each, also if a subclass has its own.

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
        inputs, labels, outputs = tensors(inputs), tensors(labels), []
        self._set_mode("eval")
        losses: list = []
        with self._explained(inputs, labels, outputs):
            with self._precision.autocast():
                outputs.extend(as_list(self.network(*inputs)))
                if self._loss is not None:
                    losses = as_list(self._loss(*outputs, *labels))
            metrics = self._update_metrics(outputs, labels)
        value = sum(float(each.mean()) for each in losses)
        self._note_inputs(inputs)
        return self._remember(losses, metrics, value, int(inputs[0].shape[0]))

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
        inputs = tensors(inputs)
        with self._explained(inputs, [], []), self._precision.autocast():
            outputs = as_list(self.network(*inputs))
        self._note_inputs(inputs)
        return [each.numpy() for each in outputs]

    # -- helpers ---------------------------------------------------------------------------

    def _set_mode(self, mode: str) -> None:
        self.mode = mode
        set_mode(self.network, self._loss, training=mode == "train")

    def _split(self, data: Any) -> tuple[list, list]:
        """Return the input and the label tensors of what a loader yields."""
        self._entries = sorted(data) if isinstance(data, dict) else []
        parts = tensors(data)
        if not parts or not parts[0].ndim or not parts[0].shape[0]:
            raise DataError(
                "a batch holds no images: expected (images, labels), arrays with one row a sample."
            )
        count = len(self._inputs) if self._inputs else 1
        return parts[:count], parts[count:]

    def _update_metrics(self, outputs: list, labels: list) -> list:
        results = []
        for metric in self._metrics:  # of several outputs, the first is the classifier's answer
            output, truth = as_metric_takes_it(metric, self._loss, outputs[0], labels)
            computed = as_list(metric.compute(output, *truth))
            results.append(metric.update(*[each.numpy() for each in computed]))
        return results

    @contextmanager
    def _explained(self, inputs: list, labels: list, outputs: list) -> Iterator[None]:
        """Turn what Paddle raises about a batch into a sentence, if its reason can be found.

        Args:
            inputs, labels: the batch.
            outputs: the network's, once it has computed them.
        """
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if self.mode == "train":
                self._state.bn_snapshot.restore()  # the failed step has moved the statistics
            reason = explain(self.network, self._loss, inputs, labels, outputs or None, error)
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
        """Return what the base class's methods for a batch return, and keep its exact mean."""
        arrays = [each.numpy() for each in losses]
        returned = (arrays, metrics) if losses and metrics else arrays or metrics
        self._returned = returned, value, size
        return returned

    def _loss_of(self, returned: Any, own: int, all_ranks: bool = False) -> tuple[float, int]:
        """Return a batch's loss and number of samples from what a method for a batch returned.

        That may be a subclass's, which knows of its own losses alone.

        Args:
            returned: losses, or losses and metrics.
            own: samples of this rank.
            all_ranks: whether the loss is that of all ranks.
        """
        known, value, size = self._returned
        if returned is known:
            return value, size
        losses = returned[0] if self._metrics else returned
        value = sum(float(np.mean(np.asarray(each))) for each in as_list(losses))
        if all_ranks and world_size() > 1:
            total, samples = all_reduce_array([value * own, own]).tolist()
            return total / samples, int(samples)
        return value, own

    def _need_dynamic_mode(self, method: str) -> None:
        if not paddle.in_dynamic_mode():
            raise TrainingError(
                f"{method} of ImageClassifier works in dynamic mode, and paddle.enable_static() "
                "was called: call paddle.disable_static() first."
            )


_update = update  # `update` is an argument of train_batch
