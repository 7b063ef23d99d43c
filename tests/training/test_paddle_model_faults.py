"""Every fault of `paddle.Model` that docs/paddle_model.md lists: the base class's, and ours.

A test's docstring is the fault. Where it is cheap, the same lines show the base class wrong; the
table of the page is checked against these tests.
"""

import contextlib
import inspect
import io
import pickle
import re
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.errors import TrainingError
from paddle_resnet.training import ImageClassifier
from paddle_resnet.training.loop.losses import MixupAccuracy, MixupCrossEntropy

PAGE = Path(__file__).parents[2] / "docs" / "paddle_model.md"
BOTH = pytest.mark.parametrize("base", [paddle.Model, ImageClassifier])


def linear(seed=0):
    paddle.seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))


def prepared(base, network, optimizer=None, **kwargs):
    model = base(network)
    model.prepare(
        optimizer or paddle.optimizer.SGD(0.01, network.parameters()),
        nn.CrossEntropyLoss(),
        paddle.metric.Accuracy(),
        **kwargs,
    )
    return model


class Logs(paddle.callbacks.Callback):
    """Keeps what callbacks are given, and when."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_batch_begin(self, step, logs=None):
        self.calls.append(("train begin", step, dict(logs or {})))

    def on_train_batch_end(self, step, logs=None):
        self.calls.append(("train", step, dict(logs or {})))

    def on_eval_batch_begin(self, step, logs=None):
        self.calls.append(("eval begin", step, dict(logs or {})))

    def on_eval_batch_end(self, step, logs=None):
        self.calls.append(("eval", step, dict(logs or {})))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch", epoch, dict(logs or {})))

    def on_eval_end(self, logs=None):
        self.calls.append(("evaluated", None, dict(logs or {})))

    def of(self, kind):
        return [(step, logs) for each, step, logs in self.calls if each == kind]


def loss_of(network, batches):
    """The mean over samples, by hand."""
    with paddle.no_grad():
        return np.concatenate(
            [
                nn.functional.cross_entropy(
                    network(paddle.to_tensor(x)), paddle.to_tensor(y), reduction="none"
                )
                .numpy()
                .ravel()
                for x, y in batches
            ]
        ).mean()


@BOTH
def test_loss_is_the_last_batchs(base, batches):
    """The loss that is logged, returned and watched is the last batch's."""
    network = linear()
    last, mean = loss_of(network, batches[-1:]), loss_of(network, batches)
    assert abs(last - mean) > 0.01
    logs = Logs()
    result = prepared(base, network).evaluate(batches, verbose=0, callbacks=[logs])
    expected = mean if base is ImageClassifier else last
    assert result["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert logs.of("evaluated")[0][1]["loss"][0] == pytest.approx(expected, rel=1e-5)


@BOTH
def test_logs_are_shared(base, batches):
    """One dict of logs is shared by training, evaluation and all models of the process."""
    logs = Logs()
    other = prepared(base, linear())
    other.fit(batches, epochs=1, verbose=0)
    model = prepared(base, linear(1))
    model.fit(batches, batches, epochs=1, verbose=0, callbacks=[logs])
    first = logs.of("train begin")[0][1], logs.of("eval begin")[0][1]
    if base is ImageClassifier:
        assert first == ({}, {})
    else:
        assert all("loss" in each for each in first), "another model's figures, before any step"


@BOTH
def test_early_stopping_patience_0(base, batches):
    """EarlyStopping(patience=0) stops after the first evaluation, though it improved."""
    stopping = paddle.callbacks.EarlyStopping(patience=0, verbose=0, save_best_model=False)
    logs = Logs()
    prepared(base, linear()).fit(
        batches[:1], batches[:1], epochs=3, verbose=0, callbacks=[stopping, logs]
    )
    losses = [each["loss"][0] for _, each in logs.of("evaluated")]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == (3 if base is ImageClassifier else 1)


@BOTH
def test_stop_training_stays_set(base, batches):
    """`stop_training` is never taken back: the next `fit` stops after one epoch."""

    class Stop(paddle.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model, logs = prepared(base, linear()), Logs()
    model.fit(batches, epochs=3, verbose=0, callbacks=[Stop()])
    model.fit(batches, epochs=3, verbose=0, callbacks=[logs])
    assert len(logs.of("epoch")) == (3 if base is ImageClassifier else 1)


@BOTH
def test_num_iters_leaks(base, batches):
    """`num_iters` of `fit` is used up by the evaluation too, which ends early."""
    logs = Logs()
    prepared(base, linear()).fit(
        batches, batches, epochs=2, num_iters=4, verbose=0, callbacks=[logs]
    )
    whole = len(logs.of("eval")) % len(batches) == 0
    if base is ImageClassifier:
        assert (len(logs.of("train")), whole) == (4, True)
    else:
        assert (len(logs.of("train")), whole) == (3, False)


class Rates(paddle.callbacks.Callback):
    """Sees the rate that a step really took: what a bias moved by, over its gradient of 1/2."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, step, logs=None):
        self.before = self.model.network.bias.numpy().copy()

    def on_train_batch_end(self, step, logs=None):
        self.seen.append(2 * float((self.before - self.model.network.bias.numpy())[0]))


@BOTH
@pytest.mark.parametrize("kind", ["number", "scheduler"])
def test_reduce_lr_on_plateau(base, kind):
    """ReduceLROnPlateau sets an attribute that no step reads, and refuses schedulers."""
    network = nn.Linear(3, 2)
    rate = 0.5 if kind == "number" else paddle.optimizer.lr.StepDecay(0.5, 100)
    model = base(network)
    optimizer = paddle.optimizer.SGD(rate, network.parameters())
    model.prepare(optimizer, lambda outputs, labels: outputs.mean())
    plateau = paddle.callbacks.ReduceLROnPlateau(patience=1, verbose=0, min_delta=1e6)
    rates = Rates()
    data = [(np.ones([2, 3], np.float32), np.zeros([2], np.int64))]
    model.fit(data, data, epochs=3, verbose=0, callbacks=[rates, plateau])
    dropped = base is ImageClassifier
    expected = [0.5, 0.5, 0.05] if dropped else [0.5] * 3
    assert rates.seen == pytest.approx(expected, rel=1e-3)


@BOTH
def test_accumulation(base, batches):
    """accumulate_grad_batches sums gradients, steps schedulers per batch, needs `len(loader)`."""

    def trained(data, accumulate):
        network = linear()
        start = network[1].weight.numpy().copy()
        rate = paddle.optimizer.lr.StepDecay(0.01, 100)
        optimizer = paddle.optimizer.SGD(rate, network.parameters())
        by_step = paddle.callbacks.LRScheduler(by_step=True)
        prepared(base, network, optimizer).fit(
            data, epochs=1, verbose=0, accumulate_grad_batches=accumulate, callbacks=[by_step]
        )
        return network[1].weight.numpy() - start, rate.last_epoch

    (x, y), _, _ = batches
    halves = [(x[:16], y[:16]), (x[16:], y[16:])]
    (whole, _), (sum_or_mean, steps) = trained(batches[:1], 1), trained(halves, 2)
    factor = 1 if base is ImageClassifier else 2
    np.testing.assert_allclose(sum_or_mean, factor * whole, atol=1e-6)
    assert steps == factor
    if base is ImageClassifier:
        np.testing.assert_allclose(trained(iter(halves), 2)[0], whole, atol=1e-6)
    else:
        with pytest.raises(TypeError):
            trained(iter(halves), 2)


@BOTH
def test_schedulers_step_per_batch(base, batches):
    """Schedulers step with every batch unless told otherwise: epoch schedules decay too fast."""
    network = linear()
    rate = paddle.optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    optimizer = paddle.optimizer.SGD(rate, network.parameters())
    prepared(base, network, optimizer).fit(batches, epochs=2, verbose=0)
    steps = 2 if base is ImageClassifier else 2 * len(batches)
    assert rate() == pytest.approx(0.1 * 0.5**steps)


@BOTH
def test_last_epoch_is_not_evaluated(base, batches):
    """With `eval_freq`, the first epoch is evaluated, and maybe not the last."""
    logs = Logs()
    prepared(base, linear()).fit(
        batches, batches, epochs=4, eval_freq=2, verbose=0, callbacks=[logs]
    )
    kinds = [kind for kind, _, _ in logs.calls if kind in ("train", "evaluated")]
    steps = [kinds[:place].count("train") for place, k in enumerate(kinds) if k == "evaluated"]
    assert steps == ([6, 12] if base is ImageClassifier else [3, 9])


@BOTH
def test_files_are_saved_before_the_evaluation(base, batches, tmp_path):
    """ModelCheckpoint runs before the evaluation, so nobody can keep the best."""
    order = []

    class Order(paddle.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            order.append(("end", "val_loss" in (logs or {})))

        def on_eval_end(self, logs=None):
            order.append("evaluated")

    prepared(base, linear()).fit(batches, batches, epochs=1, verbose=0, callbacks=[Order()])
    ours = ["evaluated", ("end", True)]
    assert order == (ours if base is ImageClassifier else [("end", False), "evaluated"])


@BOTH
def test_amp_has_no_dtype(base, recwarn):
    """Mixed precision knows no dtype but float16."""
    configs = {"level": "O1", "dtype": "bfloat16"}
    if base is ImageClassifier:
        prepared(base, linear(), amp_configs=configs)
    else:
        with pytest.raises(ValueError, match="dtype"):
            prepared(base, linear(), amp_configs=configs)


@BOTH
def test_amp_leaves_out_loss_and_evaluation(base, batches, monkeypatch, recwarn):
    """Under mixed precision, the loss and the evaluation are computed outside of it."""
    depth, inside = [0], []

    @contextmanager
    def auto_cast(enable=True, **kwargs):
        depth[0] += enable
        yield
        depth[0] -= enable

    class Loss(nn.Layer):
        def forward(self, logits, labels):
            inside.append(("loss", depth[0]))
            return nn.functional.cross_entropy(logits, labels)

    class Network(nn.Layer):
        def __init__(self):
            super().__init__()
            self.inner = linear()

        def forward(self, x):
            inside.append(("forward", depth[0]))
            return self.inner(x)

    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    if base is ImageClassifier:  # which would see that there is no GPU
        monkeypatch.setattr(paddle.device, "get_device", lambda: "gpu:0")
    network = Network()
    model = base(network)
    optimizer = paddle.optimizer.SGD(0.01, network.parameters())
    model.prepare(optimizer, Loss(), amp_configs="O1")
    model.fit(batches[:1], batches[:1], epochs=1, verbose=0)
    expected = [1, 1, 1, 1] if base is ImageClassifier else [1, 0, 0, 0]
    assert inside == list(zip(["forward", "loss"] * 2, expected))


@BOTH
def test_optimizer_state_goes_by_generated_names(base, batches, tmp_path):
    """A network that is not the process's first cannot load its optimizer's state."""

    def momentum(network):
        return paddle.optimizer.Momentum(0.01, parameters=network.parameters())

    network = linear()
    first = prepared(base, network, momentum(network))
    first.fit(batches, epochs=1, verbose=0)
    first.save(str(tmp_path / "m"))
    first.fit(batches, epochs=1, verbose=0)
    network = linear(1)
    second = prepared(base, network, momentum(network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            second.load(str(tmp_path / "m"))
            second.fit(batches, epochs=1, verbose=0)
        except AssertionError:  # the base class: "Optimizer set error, ... should in state dict"
            assert base is paddle.Model
            return
    same = all(
        np.allclose(a.numpy(), b.numpy(), atol=1e-6)
        for a, b in zip(first.network.parameters(), second.network.parameters())
    )
    assert same == (base is ImageClassifier)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@BOTH
@pytest.mark.parametrize("suffix", ["pdparams", "pdopt", "pdscaler"])
def test_load_runs_what_is_in_the_file(base, batches, tmp_path, suffix):
    """`load` unpickles whatever stands in the file."""
    network = linear()
    model = prepared(base, network, paddle.optimizer.Momentum(0.01, 0.9, network.parameters()))
    model.fit(batches[:1], epochs=1, verbose=0)
    model.save(str(tmp_path / "m"))
    model._scaler = paddle.amp.GradScaler(enable=False)
    (tmp_path / f"m.{suffix}").write_bytes(pickle.dumps({"a": Payload(tmp_path / "trace")}))
    with contextlib.suppress(Exception):
        model.load(str(tmp_path / "m"))
    assert (tmp_path / "trace").exists() == (base is paddle.Model)


@BOTH
def test_scaler_is_lost(base, batches, tmp_path, monkeypatch, recwarn):
    """What is in `.pdscaler` is lost where `load` comes before the first step of `fit`."""
    loaded = []

    class Scaler(paddle.amp.GradScaler):
        """On a CPU Paddle's own is switched off, and has no state."""

        def load_state_dict(self, state):
            loaded.append({name: np.asarray(value).item() for name, value in state.items()})

    monkeypatch.setattr(paddle.amp, "GradScaler", Scaler)
    monkeypatch.setattr(paddle.device, "get_device", lambda: "gpu:0")
    network = linear()
    prepared(base, network).save(str(tmp_path / "m"))
    paddle.save({"scale": np.float32([64.0])}, str(tmp_path / "m.pdscaler"))
    model = prepared(base, network, amp_configs="O1")
    model.load(str(tmp_path / "m"))
    model.fit(batches[:1], epochs=1, verbose=0)
    assert loaded == ([{"scale": 64.0}] if base is ImageClassifier else [])


class Numbers(paddle.io.Dataset):
    """Samples whose first pixel is their number."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return np.full([3, 32, 32], index, np.float32), np.int64(index % 10)


@BOTH
def test_paddle_seed_does_not_change_the_order(base):
    """The order of a shuffled Dataset depends on the epoch alone."""

    def order(seed):
        seen = []

        class See(nn.Layer):
            def __init__(self):
                super().__init__()
                self.inner = linear()

            def forward(self, x):
                seen.extend(x[:, 0, 0, 0].numpy().astype(int).tolist())
                return self.inner(x / 40)

        model = prepared(base, See())
        paddle.seed(seed)
        model.fit(Numbers(), epochs=2, batch_size=8, verbose=0)
        return seen

    first = order(1)
    assert sorted(first[:40]) == sorted(first[40:]) == list(range(40))
    assert first[:40] != first[40:]
    assert first == order(1)
    assert (first == order(2)) == (base is paddle.Model)


@BOTH
def test_accuracy_of_mixed_images(base):
    """Accuracy takes the largest entry of a soft label, and the smaller number of two equals."""
    network = nn.Linear(2, 10)
    with paddle.no_grad():  # always class 7
        network.weight.set_value(paddle.zeros([2, 10]))
        network.bias.set_value(paddle.eye(10)[7])
    images = np.zeros([4, 2], np.float32)
    own, others = np.full([4], 7), np.full([4], 2)
    share = np.float32([0.9, 0.5, 0.5, 0.1])  # of its own label in each image
    model = base(network)
    if base is ImageClassifier:
        model.prepare(loss=MixupCrossEntropy(), metrics=MixupAccuracy())
        batch = (images, own, others, share)
    else:
        model.prepare(loss=nn.CrossEntropyLoss(soft_label=True), metrics=paddle.metric.Accuracy())
        soft = np.zeros([4, 10], np.float32)
        soft[:, 7], soft[:, 2] = share, 1 - share
        batch = (images, soft)
    result = model.evaluate([batch], verbose=0)
    assert result["acc"] == (0.75 if base is ImageClassifier else 0.25)
    right = np.log(np.exp(1) + 9) - 0.5 * 1  # on average, half of the label is class 7
    assert result["loss"][0] == pytest.approx(right, rel=1e-5)


@BOTH
def test_parameter_groups_are_refused(base, batches):
    """Optimizers with parameter groups raise in the first step."""
    network = linear()
    groups = [{"params": [p], "learning_rate": 0.5} for p in network.parameters()]
    model = prepared(base, network, paddle.optimizer.Momentum(0.01, 0.9, groups))
    if base is ImageClassifier:
        model.fit(batches[:1], epochs=1, verbose=0)
    else:
        with pytest.raises((TypeError, ValueError), match="must be list of Tensor, but got dict"):
            model.fit(batches[:1], epochs=1, verbose=0)


@BOTH
def test_several_outputs(base, batches):
    """A network with auxiliary outputs cannot have an accuracy."""

    class Two(nn.Layer):
        def __init__(self):
            super().__init__()
            self.main, self.side = linear(), linear(1)

        def forward(self, x):
            return self.main(x), self.side(x)

    network = Two()
    model = base(network)
    model.prepare(
        paddle.optimizer.SGD(1e-9, network.parameters()),
        lambda main, side, labels: nn.functional.cross_entropy(main, labels),
        paddle.metric.Accuracy(),
    )
    hits = [(network.main(paddle.to_tensor(x)).numpy().argmax(1) == y) for x, y in batches]
    expected = np.concatenate(hits).mean()
    if base is ImageClassifier:
        assert model.evaluate(batches, verbose=0)["acc"] == pytest.approx(expected)
    else:
        try:
            wrong = model.evaluate(batches, verbose=0)["acc"]
        except (ValueError, TypeError, IndexError):
            return
        assert wrong != pytest.approx(expected)


@BOTH
def test_a_loss_that_is_no_number_reaches_the_weights(base, batches):
    """After a loss of NaN, weights and running statistics are NaN, and training goes on."""
    network = nn.Sequential(
        nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Flatten(), nn.Linear(3600, 10)
    )
    bad = batches[0][0].copy()
    bad[0, 0, 0, 0] = np.nan
    model = prepared(base, network)
    try:
        model.fit([batches[0], (bad, batches[0][1])], epochs=1, verbose=0)
    except TrainingError:
        assert base is ImageClassifier
    sound = all(np.isfinite(t.numpy()).all() for t in network.state_dict().values())
    assert sound == (base is ImageClassifier)


@BOTH
@pytest.mark.parametrize("pixel", [np.inf, -np.inf, np.nan, 1e30])
def test_a_pixel_that_is_no_number_spoils_the_statistics(base, batches, pixel):
    """On a CPU, ReLU makes 0 of NaN: the loss stays a number, statistics and weights do not."""
    paddle.seed(0)
    network = nn.Sequential(
        nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 10)
    )
    bad = batches[0][0].copy()
    bad[0, 0, 5, 5] = pixel
    model = prepared(base, network)
    model.fit(batches[:1], epochs=1, verbose=0)
    before = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    if base is ImageClassifier:
        with pytest.raises(TrainingError, match="a running statistic became NaN or infinite in st"):
            model.fit([(bad, batches[0][1])], epochs=1, verbose=0)
        for name, tensor in network.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), before[name], name)
    else:
        logs = Logs()
        model.fit([(bad, batches[0][1])], epochs=1, verbose=0, callbacks=[logs])
        assert np.isfinite(logs.of("train")[-1][1]["loss"][0])
        assert not all(np.isfinite(t.numpy()).all() for t in network.state_dict().values())


@BOTH
def test_backspaces_and_no_history(base, batches):
    """The progress bar writes control characters into log files, and `fit` returns nothing."""
    text = io.StringIO()
    with redirect_stdout(text):
        history = prepared(base, linear()).fit(batches, epochs=1, verbose=1, log_freq=1)
    control = [c for c in text.getvalue() if not (c == "\n" or c.isprintable())]
    if base is ImageClassifier:
        assert (control, len(history)) == ([], 1)
    else:
        assert (history, "\b" in control) == (None, True)


def test_the_page_lists_these_tests_and_no_others():
    """Every row of the page names a test of this file, and every fault here has a row."""
    tests = {
        name
        for name, test in globals().items()
        if name.startswith("test_") and "base" in inspect.signature(test).parameters
    }
    rows = re.findall(r"^\|.*`(test_\w+)` *\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert tests <= set(rows)


def test_the_page_names_tests_that_exist_and_every_failing_case():
    """Whatever conformance case the base class fails has a row, and no row is made up."""
    page = PAGE.read_text(encoding="utf-8")
    files = {path: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")}
    names = set(re.findall(r"^def (test_\w+)", "\n".join(files.values()), re.MULTILINE))
    assert set(re.findall(r"`(test_\w+)`", page)) <= names
    failing = {
        name
        for path, text in files.items()
        if path.name.startswith("test_conformance_")
        for name in re.findall(r'^@conforms\n(?:@.*\n)*def (test_\w+)\(.*\):\n    """', text, re.M)
    }
    assert len(failing) == 15
    assert failing <= set(re.findall(r"`(test_\w+)` \|$", page, re.MULTILINE))
