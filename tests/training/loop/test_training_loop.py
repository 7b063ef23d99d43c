"""The order in which everything happens, and what callbacks may rely on."""

import itertools

import numpy as np
import paddle
import pytest
from paddle import nn
from small_training import ListBatches, Weights, sgd, small_state

from paddle_resnet.errors import DataError
from paddle_resnet.optim.ema import ExponentialMovingAverage
from paddle_resnet.optim.learning_rate import LearningRate
from paddle_resnet.training.callbacks.early_stopping import EarlyStopping
from paddle_resnet.training.callbacks.freezing import Freezing
from paddle_resnet.training.callbacks.plateau import ReduceOnPlateau
from paddle_resnet.training.callbacks.progress_bar import ProgressBar
from paddle_resnet.training.loop.accumulation import GradientAccumulator
from paddle_resnet.training.loop.callback import Callback
from paddle_resnet.training.loop.nan_guard import NonFiniteStep
from paddle_resnet.training.loop.progress import StepPlan
from paddle_resnet.training.loop.training_loop import train


class Note(Callback):
    """Writes down each event, and what a checkpointer is asked."""

    def __init__(self):
        self.events = []

    def __getattribute__(self, name):
        if name.startswith(("on_", "after_")):
            return lambda state, *more: self.events.append(
                (name.removeprefix("on_"), state.progress.step, state.progress.epoch)
            )
        return super().__getattribute__(name)


def linear(seed=0):
    paddle.seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))


def weights(network):
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


def same(one, other):
    return set(one) == set(other) and all(np.array_equal(one[n], other[n]) for n in one)


def test_events_in_order(batches):
    network, note = linear(), Note()
    state = small_state(network, sgd(network), batches[:2], epochs=2)

    def validate(network):
        note.events.append(("validate", state.progress.step, state.progress.epoch))
        return {}

    train(state, validate, [note], note)
    epochs = [
        [
            ("epoch_start", step, epoch),
            ("step_start", step, epoch),
            ("step_end", step + 1, epoch),
            ("after_step", step + 1, epoch),
            ("step_start", step + 1, epoch),
            ("step_end", step + 2, epoch),
            # The last batch belongs to the epoch's end: no checkpoint before its evaluation.
            ("validate", step + 2, epoch),
            ("epoch_end", step + 2, epoch + 1),
            ("after_epoch", step + 2, epoch + 1),
        ]
        for step, epoch in ((0, 0), (2, 1))
    ]
    assert note.events == [("fit_start", 0, 0), *epochs[0], *epochs[1], ("fit_end", 4, 2)]


@pytest.mark.parametrize("moment", ["step_end", "epoch_end"])
def test_a_reason_to_stop_ends_the_training_after_its_epoch(batches, moment):
    class Stop(Callback):
        def on_step_end(self, state, result):
            if moment == "step_end":
                state.stop_reason = "enough"

        def on_epoch_end(self, state, metrics):
            state.stop_reason = "enough"

    network, note = linear(), Note()
    state = small_state(network, sgd(network), batches, epochs=3)
    train(state, lambda network: {"val_loss": 1.0}, [Stop(), note], note)
    assert (state.progress.step, state.progress.epoch) == (3, 1)
    assert note.events[-2:] == [("after_epoch", 3, 1), ("fit_end", 3, 1)]
    again = note.events.copy()
    train(state, None, [note], note)  # as after a resume: it stays decided
    assert note.events[len(again) :] == [("fit_start", 3, 1), ("fit_end", 3, 1)]


def test_an_accumulation_that_the_epoch_cuts_short_is_applied_before_the_evaluation(batches):
    network = linear()
    state = small_state(
        network, sgd(network), batches, epochs=1, accumulator=GradientAccumulator(2)
    )
    kept, seen = Weights(), []
    train(state, lambda network: seen.append(weights(network)) or {}, [kept])
    start, first, second, third = kept.states
    assert same(start, first)
    assert not same(first, second)
    assert not same(second, third)
    assert same(seen[0], third)


def test_also_where_nobody_knows_which_batch_is_the_last(batches):
    """A stream has no length: the epoch's end is seen when it has come."""

    class Stream(ListBatches):
        at_end = False

        def rest_of_epoch(self):
            yield from self.batches

    def end(stream):
        network = linear()
        state = small_state(network, sgd(network), batches, accumulator=GradientAccumulator(2))
        if stream:
            state.batches = Stream(batches)
            state.progress.plan = StepPlan(1, None, speed=state.speed)
        kept, seen = Weights(), []
        train(state, lambda network: seen.append(weights(network)) or {}, [kept])
        return kept.states[-1], seen[0]

    third_step, evaluated = end(stream=True)
    assert not same(third_step, evaluated)
    assert same(evaluated, end(stream=False)[1])


def test_checkpoints_are_not_asked_for_after_the_last_batch_but_within_accumulations(batches):
    """The checkpointer decides by `is_between_updates`."""
    asked = []

    class Ask:
        def after_step(self, state):
            asked.append((state.progress.step, state.is_between_updates))

        def after_epoch(self, state, metrics):
            asked.append("epoch")

    network = linear()
    state = small_state(
        network, sgd(network), batches * 2, epochs=1, accumulator=GradientAccumulator(4)
    )
    train(state, checkpointer=Ask())
    assert asked == [(1, False), (2, False), (3, False), (4, True), (5, False), "epoch"]


def test_the_evaluated_weights_are_the_average_and_the_trained_ones_come_back(batches):
    network = linear()
    ema = ExponentialMovingAverage(network, 0.5, warmup=False)
    state = small_state(network, sgd(network, 0.1), batches, epochs=2, ema=ema)
    kept, seen = Weights(), []
    train(state, lambda network: seen.append(weights(network)) or {}, [kept])
    average, expected = kept.states[0], []
    for step, now in enumerate(kept.states[1:], start=1):
        average = {name: average[name] + 0.5 * (now[name] - average[name]) for name in now}
        if step % 3 == 0:
            expected.append(average)
    for ours, theirs in zip(seen, expected):
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-7)
    assert same(weights(network), kept.states[-1])


def test_the_rate_is_that_of_the_fraction_and_one_for_all_batches_of_an_update(batches):
    class Rates(Callback):
        def __init__(self):
            self.seen = []

        def on_step_end(self, state, result):
            self.seen.append(state.optimizer.get_lr())

    network, rates = linear(), Rates()
    optimizer = sgd(network)
    state = small_state(
        network,
        optimizer,
        batches * 2,
        epochs=1,
        accumulator=GradientAccumulator(2),
        learning_rate=LearningRate(optimizer, 0.5, lambda fraction: 1 - fraction),
    )
    train(state, callbacks=[rates])
    assert rates.seen == pytest.approx([0.5, 0.5, 0.5 * 4 / 6, 0.5 * 4 / 6, 0.5 / 3, 0.5 / 3])


@pytest.mark.parametrize("seed", [None, 3])
def test_what_a_step_draws_depends_on_the_seed_and_the_step(batches, seed):
    def trained(before):
        network = nn.Sequential(linear(), nn.Dropout(0.5))
        state = small_state(network, sgd(network, 0.1), batches, epochs=2, seed=seed)
        paddle.seed(before)
        train(state)
        return weights(network)

    assert same(trained(1), trained(2)) == (seed is not None)


def test_an_epoch_without_batches_is_a_sentence():
    network = linear()
    state = small_state(
        network, sgd(network), [(np.zeros([2, 3, 32, 32], "f4"), np.zeros(2, "i8"))]
    )
    state.batches = ListBatches([])
    with pytest.raises(DataError, match="no batch"):
        train(state)


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_loss_that_is_not_finite_names_its_step_and_leaves_the_weights(batches, epoch):
    network = linear()
    calls = itertools.count(1)

    def loss(logits, labels):
        value = nn.functional.cross_entropy(logits, labels)
        return value * float("nan") if next(calls) == 3 * epoch + 2 else value

    kept = Weights()
    state = small_state(network, sgd(network), batches, epochs=3, loss=loss)
    with pytest.raises(NonFiniteStep) as error:
        train(state, callbacks=[kept])
    assert (error.value.step, error.value.epoch) == (2, epoch + 1)
    assert f"the loss became nan in step 2 of epoch {epoch + 1}" in str(error.value)
    assert same(weights(network), kept.states[-1])
    assert state.progress.step == 3 * epoch + 1


def network_with_stages():
    from paddle_resnet.layers import BasicBlock
    from paddle_resnet.models import ResNet

    paddle.seed(4)
    return ResNet((1, 1), BasicBlock, 10, widths=(4, 8), stem="cifar")


def test_callbacks_may_stand_in_any_order(batches):
    """Each permutation of all callbacks of a recipe trains to the same bits and metrics."""
    found = []
    for order in itertools.permutations(range(4)):
        network = network_with_stages()
        optimizer = sgd(network)
        lines = []
        made = [
            Freezing(network, {"conv1": 1.0, "layer1": 0.5}),
            ReduceOnPlateau(lines.append, "val_loss", factor=0.5, patience=1),
            EarlyStopping(lines.append, "val_loss", 3),
            ProgressBar(write=lambda line: None, terminal=False),
        ]
        state = small_state(
            network,
            optimizer,
            batches[:2],
            epochs=6,
            seed=1,
            learning_rate=LearningRate(optimizer, 0.1, lambda fraction: 1.0),
        )
        values = iter([3.0, 2.0, 2.5, 2.5, 2.5, 2.5])
        train(
            state,
            lambda network, values=values: {"val_loss": next(values)},
            [made[i] for i in order],
        )
        found.append((weights(network), state.progress.step, state.stop_reason, sorted(lines)))
    first = found[0]
    assert first[1] == 10  # early stopping has ended it after 5 of 6 epochs
    for each in found[1:]:
        assert each[1:] == first[1:]
        assert same(each[0], first[0])


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_restored_state_continues_to_the_same_bits(batches, steps):
    """At every step of two epochs, also within an accumulation's update and at an epoch's end."""

    class Snapshot(Exception):
        pass

    class Keep:
        def __init__(self, at):
            self.at, self.state = at, None

        def after_step(self, state):
            if state.is_between_updates and state.progress.step >= self.at and not self.state:
                self.state = state.state_dict()
                raise Snapshot

        def after_epoch(self, state, metrics):
            if state.progress.step >= self.at and not self.state:
                self.state = state.state_dict()
                raise Snapshot

    class PositionedBatches(ListBatches):
        def state_dict(self):
            return {"position": 0 if self.at_end else self.position}

        def load_state_dict(self, state):
            self.position = state["position"]

    def made():
        network = network_with_stages()
        optimizer = paddle.optimizer.Momentum(0.05, parameters=network.parameters())
        state = small_state(
            network,
            optimizer,
            batches * 2,
            epochs=2,
            seed=1,
            metrics=[paddle.metric.Accuracy()],
            accumulator=GradientAccumulator(2),
            ema=ExponentialMovingAverage(network, 0.9),
            learning_rate=LearningRate(optimizer, 0.1, lambda fraction: 1 - fraction),
        )
        state.batches = PositionedBatches(batches * 2)
        state.callbacks = [ReduceOnPlateau(lambda line: None, "acc", factor=0.5, patience=1)]
        return network, state

    class Rows(Callback):
        def __init__(self):
            self.rows = []

        def on_epoch_end(self, state, metrics):
            self.rows.append(metrics)

    _, whole = made()
    rows = Rows()
    train(whole, callbacks=[*whole.callbacks, rows])
    expected = whole.state_dict()

    _, first = made()
    keep, early = Keep(steps), Rows()
    with pytest.raises(Snapshot):
        train(first, callbacks=[*first.callbacks, early], checkpointer=keep)
    paddle.seed(99)  # another process has drawn something else
    _, second = made()
    for tensor in second.network.state_dict().values():
        tensor.set_value(paddle.ones_like(tensor))
    second.load_state_dict(keep.state)
    late = Rows()
    train(second, callbacks=[*second.callbacks, late])
    assert early.rows + late.rows == rows.rows
    ended = second.state_dict()
    for name, value in expected["network"].items():
        np.testing.assert_array_equal(value, ended["network"][name], name)
    for name, value in expected["ema"]["average"].items():
        np.testing.assert_array_equal(value, ended["ema"]["average"][name], name)
    for name, value in expected["optimizer"]["tensors"].items():
        np.testing.assert_array_equal(value, ended["optimizer"]["tensors"][name], name)
    for key in ("batches", "learning_rate", "callbacks", "epoch_means"):
        assert ended[key] == expected[key], key
