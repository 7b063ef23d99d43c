"""One training step: forward, backward and, at the end of an accumulation, the update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

import paddle
from paddle import Tensor, nn

from ...distributed.collectives import all_reduce_array, world_size
from ...distributed.gradients import all_reduce_gradients, all_reduce_mean
from ...distributed.sync_bn import local_bn_buffers
from .nan_guard import NonFiniteStep, step_of_epoch
from .train_state import StepResult, TrainState


def train_step(state: TrainState, batch: Sequence[Any]) -> StepResult:
    """Train on one batch; update the weights if it completes an accumulation or ends the epoch.

    Args:
        state: the training.
        batch: ``(images, labels)``, or with the second labels and weights of mixup: arrays.

    Returns:
        StepResult: the mean loss and the number of images, of all ranks.

    Raises:
        NonFiniteStep: the loss or a BN statistic became NaN or infinite on some rank. Weights and
            BN statistics are as they were before the step.
    """
    images, *labels = (paddle.to_tensor(each) for each in batch)
    with step_of_epoch(state.epoch_means.steps + 1, state.progress.epoch + 1):
        outputs: list[Tensor] = []
        result, _ = forward_backward(state, [images], labels, outputs)
    state.epoch_means.update_metrics(outputs, labels)
    if state.accumulator.is_full or state.is_last_batch:
        update(state)
    return result


def forward_backward(
    state: TrainState, inputs: list[Tensor], labels: list[Tensor], outputs: list[Tensor]
) -> tuple[StepResult, list[Tensor]]:
    """Add the gradients of one batch to those of its accumulation.

    Args:
        state: the training.
        inputs, labels: the batch.
        outputs: gets the network's outputs, also if the loss then fails.

    Returns:
        tuple: the result, and the losses that were added up.

    Raises:
        NonFiniteStep: see :func:`train_step`.
    """
    set_mode(state.network, state.loss, training=True)
    state.bn_snapshot.take()
    own = int(inputs[0].shape[0])
    with state.precision.autocast():
        outputs.extend(as_list(state.network(*inputs)))
        losses = as_list(training_loss(state.network, state.loss)(*outputs, *labels))
        loss = paddle.add_n([each.mean() for each in losses])
    value, images, broken = float(loss), own, not state.bn_snapshot.is_finite()
    if world_size() > 1:
        value, samples, broken = all_reduce_array([value * own, own, broken]).tolist()
        value, images = value / samples, int(samples)
    if broken or not math.isfinite(value):
        state.bn_snapshot.restore()
        what = "a running statistic became NaN or infinite"
        raise NonFiniteStep(what if math.isfinite(value) else f"the loss became {value}")
    # This rank's part of the mean over all images of the update.
    factor = state.accumulator.add(images) * (own / images)
    loss = loss if factor == 1.0 else loss * factor
    (loss if state.scaler is None else state.scaler.scale(loss)).backward()
    return StepResult(value, images, inputs), losses


def update(state: TrainState) -> None:
    """Turn the accumulated gradients into a step of the optimizer; do nothing if there are none."""
    if state.is_between_updates:
        return
    parameters = state.network.parameters()
    all_reduce_gradients(parameters)
    all_reduce_mean(local_bn_buffers(state.network))
    state.accumulator.finish(parameters)
    if state.scaler is None:
        state.optimizer.step()
    else:
        state.scaler.step(state.optimizer)
        state.scaler.update()
    clear_gradients(state)
    if state.ema is not None:
        state.ema.update(getattr(state.optimizer, "_master_weights", None))


def clear_gradients(state: TrainState) -> None:
    """Clear all gradients, also of parameters that the optimizer does not have."""
    state.optimizer.clear_grad()
    state.network.clear_gradients()


def training_loss(network: nn.Layer, loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return the loss together with those of auxiliary heads, if the network has some."""
    adapt = getattr(network, "training_loss", None)
    return loss if adapt is None else adapt(loss)


def set_mode(network: nn.Layer, loss: Any, training: bool) -> None:
    """Put network and loss into training or eval mode; a loss may depend on it, too."""
    for layer in (network, loss):
        if isinstance(layer, nn.Layer):
            layer.train() if training else layer.eval()


def as_list(value: Any) -> list:
    """Return a list or tuple as a list, and anything else in a list of its own."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
