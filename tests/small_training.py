"""A training of a few batches by the loop itself, without a recipe or a folder."""

import paddle
from paddle import nn

from paddle_resnet.training.loop.callback import Callback
from paddle_resnet.training.loop.epoch_means import EpochMeans
from paddle_resnet.training.loop.progress import Progress, StepPlan
from paddle_resnet.training.loop.speed import SpeedMonitor
from paddle_resnet.training.loop.train_state import TrainState


class ListBatches:
    """The same batches in every epoch."""

    def __init__(self, batches):
        self.batches = batches
        self.epoch_length = len(batches)
        self.position = 0

    @property
    def at_end(self):
        return self.position == len(self.batches)

    def rest_of_epoch(self):
        if self.at_end:
            self.position = 0
        while not self.at_end:
            self.position += 1
            yield self.batches[self.position - 1]


def small_state(network, optimizer, batches, epochs=1, loss=None, metrics=(), **changes):
    """Return the state of a training that has not begun."""
    speed = SpeedMonitor()
    return TrainState(
        network=network,
        optimizer=optimizer,
        loss=loss or nn.CrossEntropyLoss(),
        batches=ListBatches(batches),
        progress=Progress(StepPlan(epochs, epochs * len(batches), speed=speed)),
        speed=speed,
        epoch_means=EpochMeans(metrics),
        **changes,
    )


class Weights(Callback):
    """Keeps a copy of all weights and statistics before the first step and after each."""

    def __init__(self):
        self.states = []

    def on_fit_start(self, state):
        self.states.append({k: v.numpy().copy() for k, v in state.network.state_dict().items()})

    def on_step_end(self, state, result):
        self.on_fit_start(state)


def sgd(network, lr=0.01):
    """Return the plainest optimizer."""
    return paddle.optimizer.SGD(lr, parameters=network.parameters())
