"""ImageClassifier against paddle.Model and against figures computed by hand."""

import inspect
import pickle
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.errors import DataError, TrainingError, WeightsError
from paddle_resnet.training import ImageClassifier
from paddle_resnet.training.loop.step import training_loss


def prepared(network, lr=0.01, metrics=True, **kwargs):
    model = ImageClassifier(network)
    model.prepare(
        paddle.optimizer.Momentum(lr, parameters=network.parameters(), **kwargs),
        nn.CrossEntropyLoss(),
        paddle.metric.Accuracy(topk=(1, 5)) if metrics else None,
    )
    return model


def by_hand(network, batches):
    """Mean loss and accuracy over samples, in eval mode."""
    network.eval()
    losses, hits = [], []
    with paddle.no_grad():
        for images, labels in batches:
            logits = network(paddle.to_tensor(images))
            losses += (
                nn.functional.cross_entropy(logits, paddle.to_tensor(labels), reduction="none")
                .numpy()
                .ravel()
                .tolist()
            )
            hits += (logits.numpy().argmax(1) == labels).tolist()
    return np.mean(losses), np.mean(hits)


@pytest.mark.parametrize(
    "name", ["prepare", "fit", "evaluate", "predict", "predict_batch", "save", "load"]
)
def test_signatures_begin_with_the_base_class(name):
    ours = list(inspect.signature(getattr(ImageClassifier, name)).parameters.values())
    base = list(inspect.signature(getattr(paddle.Model, name)).parameters.values())
    assert [p.name for p in ours[: len(base)]] == [p.name for p in base]
    assert [p.default for p in ours[: len(base)]] == [p.default for p in base]


def test_evaluate_is_a_mean_over_samples(tiny, batches):
    expected_loss, expected_accuracy = by_hand(tiny, batches)
    result = prepared(tiny).evaluate(batches, verbose=0)
    assert result["loss"][0] == pytest.approx(expected_loss, rel=1e-5)
    assert result["acc_top1"] == pytest.approx(expected_accuracy)


def test_the_base_class_reports_the_last_batch(tiny, batches):
    """The fault that the test above shows repaired."""
    base = paddle.Model(tiny)
    base.prepare(loss=nn.CrossEntropyLoss(), metrics=paddle.metric.Accuracy(topk=(1, 5)))
    result = base.evaluate(batches, verbose=0)
    assert result["loss"][0] == pytest.approx(by_hand(tiny, batches[-1:])[0], rel=1e-5)


def test_fit_returns_a_history_of_means(tiny, batches):
    model = prepared(tiny, lr=1e-12)  # weights stand still, so that the means can be checked
    history = model.fit(batches, batches, epochs=2, verbose=0)
    assert len(history) == 2
    assert history["epoch"] == [1, 2]
    tiny.train()
    losses = [
        (float(nn.functional.cross_entropy(tiny(paddle.to_tensor(x)), paddle.to_tensor(y))), len(y))
        for x, y in batches
    ]
    expected = sum(loss * n for loss, n in losses) / 50
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)
    assert {"val_loss", "val_acc_top1", "acc_top1"} <= set(history.rows[0])
    with pytest.raises(KeyError, match="expected one of"):
        history["nonsense"]


def test_one_step_equals_the_base_class(sample, batches):
    from paddle_resnet.layers import BasicBlock
    from paddle_resnet.models import ResNet

    def network():
        paddle.seed(3)
        return ResNet((1, 1), BasicBlock, 10, widths=(8, 16), stem="cifar")

    ours, theirs = network(), network()
    theirs.set_state_dict(ours.state_dict())
    prepared(ours).fit(batches, epochs=1, verbose=0)
    base = paddle.Model(theirs)
    base.prepare(
        paddle.optimizer.Momentum(0.01, parameters=theirs.parameters()), nn.CrossEntropyLoss()
    )
    base.fit(batches, epochs=1, verbose=0)
    for name, tensor in ours.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), theirs.state_dict()[name].numpy(), name)


def test_accumulated_gradients_are_a_mean(tiny, sample):
    """Two accumulated batches update like one batch of both (without BN, which sees batches)."""
    images = (sample.train_images[:16] / 255).astype(np.float32)
    labels = sample.train_labels[:16]

    def trained(batches, accumulate):
        paddle.seed(5)
        net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
        start = {k: v.numpy() for k, v in net.state_dict().items()}
        prepared(net, metrics=False).fit(
            batches, epochs=1, verbose=0, accumulate_grad_batches=accumulate
        )
        return start, {k: v.numpy() for k, v in net.state_dict().items()}

    start, whole = trained([(images, labels)], 1)
    _, halves = trained([(images[:8], labels[:8]), (images[8:], labels[8:])], 2)
    for name in whole:
        assert np.abs(whole[name] - start[name]).max() > 1e-4
        np.testing.assert_allclose(halves[name], whole[name], atol=1e-6)


def test_the_last_epoch_is_evaluated(tiny, batches):
    history = prepared(tiny).fit(batches, batches, epochs=3, eval_freq=2, verbose=0)
    assert ["val_loss" in row for row in history.rows] == [False, True, True]


def test_stop_training_is_forgotten_by_the_next_fit(tiny, batches):
    model = prepared(tiny)

    class Stop(paddle.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    assert len(model.fit(batches, epochs=3, verbose=0, callbacks=Stop())) == 1
    assert len(model.fit(batches, epochs=3, verbose=0)) == 3


def test_num_iters_stops_training_and_not_evaluation(tiny, batches):
    seen = []

    class Count(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            seen.append("train")

        def on_eval_batch_end(self, step, logs=None):
            seen.append("eval")

    prepared(tiny).fit(batches, batches, epochs=5, num_iters=4, verbose=0, callbacks=[Count()])
    assert (seen.count("train"), seen.count("eval")) == (4, 6)


def test_schedulers_step_once_per_epoch(tiny, batches):
    rate = paddle.optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    model = ImageClassifier(tiny)
    model.prepare(
        paddle.optimizer.Momentum(rate, parameters=tiny.parameters()), nn.CrossEntropyLoss()
    )
    model.fit(batches, epochs=2, verbose=0)
    assert rate() == pytest.approx(0.025)


def test_callbacks_of_users_see_fresh_logs_and_true_means(tiny, batches):
    kept = []

    class Spoil(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            kept.append(logs)
            logs["loss"] = "spoiled"

        def on_eval_end(self, logs=None):
            kept.append(("eval", logs))

    model = prepared(tiny)
    history = model.fit(batches, batches, epochs=1, verbose=0, callbacks=[Spoil()])
    assert isinstance(history["loss"][0], float)
    assert len({id(logs) for logs in kept}) == len(kept)
    assert kept[-1][1]["loss"][0] == pytest.approx(history["val_loss"][0])


def test_a_nan_loss_stops_before_it_reaches_the_weights(tiny, batches):
    class Diverging(nn.Layer):
        calls = 0

        def forward(self, logits, labels):
            self.calls += 1
            loss = nn.functional.cross_entropy(logits, labels)
            return loss * float("nan") if self.calls == 2 else loss

    model = ImageClassifier(tiny)
    optimizer = paddle.optimizer.Momentum(0.01, parameters=tiny.parameters())
    model.prepare(optimizer, Diverging())
    with pytest.raises(TrainingError, match="nan in step 2 of epoch 1"):
        model.fit(batches, epochs=1, verbose=0)
    assert all(np.isfinite(p.numpy()).all() for p in tiny.parameters() if not p.stop_gradient)


def test_what_is_missing_is_named(tiny, batches):
    with pytest.raises(TrainingError, match="prepare"):
        ImageClassifier(tiny).fit(batches)
    with pytest.raises(DataError, match="train_data"):
        prepared(tiny).fit()
    with pytest.raises(DataError, match="no batch"):
        prepared(tiny).fit([], verbose=0)
    with pytest.raises(DataError, match="no batch"):
        prepared(tiny).evaluate([], verbose=0)


def test_a_dataset_works_as_in_the_base_class(tiny, sample):
    from paddle.vision.transforms import ToTensor

    from paddle_resnet import Cifar10

    model = prepared(tiny)
    data = Cifar10("sample", mode="test", transform=ToTensor())
    result = model.evaluate(data, batch_size=100, verbose=0)
    assert 0 <= result["acc_top1"] <= 1
    (outputs,) = model.predict(data, batch_size=100, stack_outputs=True, verbose=0)
    assert outputs.shape == (500, 10)


def test_a_network_of_paddle_vision_trains(batches):
    net = paddle.vision.models.resnet18(num_classes=10)
    history = prepared(net).fit(batches[:2], epochs=1, verbose=0)
    assert np.isfinite(history["loss"][0])


def test_a_name_makes_a_network():
    assert ImageClassifier("resnet18").network.num_classes == 1000


def test_it_learns(tiny, batches):
    """32 images by heart: the whole of training works, or this fails."""
    history = prepared(tiny, lr=0.1).fit(batches[:1], epochs=80, verbose=0)
    assert history["acc_top1"][-1] > 0.9
    assert history["loss"][-1] < history["loss"][0] / 2


def test_weights_in_safetensors(tiny, batches, tmp_path):
    model = prepared(tiny)
    model.fit(batches, epochs=1, verbose=0)
    before = model.evaluate(batches, verbose=0)
    path = str(tmp_path / "w.safetensors")
    model.save(path)
    for parameter in tiny.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    model.load(path)
    assert model.evaluate(batches, verbose=0) == before
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError):
        model.load(path)


@pytest.mark.parametrize("writer", [ImageClassifier, paddle.Model])
def test_files_of_the_base_class_move_both_ways(tiny, batches, tmp_path, writer):
    path = str(tmp_path / "m")
    model = prepared(tiny)
    model.fit(batches, epochs=1, verbose=0)
    writer.save(model, path)
    before = model.evaluate(batches, verbose=0)
    moments = {k: v.numpy() for k, v in model._optimizer.state_dict().items()}
    model.fit(batches, epochs=1, verbose=0)
    for reader, name in ((ImageClassifier, path), (ImageClassifier, path + ".pdparams")):
        reader.load(model, name)
        assert model.evaluate(batches, verbose=0) == before
        for key, moment in model._optimizer.state_dict().items():
            np.testing.assert_array_equal(moment.numpy(), moments[key])
    paddle.Model.load(model, path)
    assert model.evaluate(batches, verbose=0) == before


@pytest.mark.parametrize("suffix", ["pdparams", "pdopt"])
def test_nothing_in_a_file_is_run(tiny, batches, tmp_path, suffix):
    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    model = prepared(tiny)
    model.fit(batches[:1], epochs=1, verbose=0)
    model.save(str(tmp_path / "m"))
    (tmp_path / f"m.{suffix}").write_bytes(pickle.dumps({"a": Payload()}))
    with pytest.raises(WeightsError, match=suffix):
        model.load(str(tmp_path / "m"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("level", ["O1"])
def test_mixed_precision_settings_are_accepted(tiny, batches, level):
    model = ImageClassifier(tiny)
    model.prepare(
        paddle.optimizer.Momentum(0.01, parameters=tiny.parameters()),
        nn.CrossEntropyLoss(),
        amp_configs=level,
    )
    assert np.isfinite(model.fit(batches[:1], epochs=1, verbose=0)["loss"][0])


@pytest.fixture
def googlenet():
    paddle.seed(0)
    from paddle_resnet.models import create_model

    return create_model("googlenet", num_classes=10, aux_heads=True, dropout=0.0)


def test_auxiliary_heads_learn(googlenet, batches):
    before = {name: tensor.numpy() for name, tensor in googlenet.named_parameters()}
    model = prepared(googlenet)
    history = model.fit([(batches[0][0][:4], batches[0][1][:4])], epochs=1, verbose=0)
    still = [
        name
        for name, tensor in googlenet.named_parameters()
        if name.startswith("aux") and np.array_equal(tensor.numpy(), before[name])
    ]
    assert not still
    # The heads' losses are in what is trained on: about (1 + 0.3 + 0.3) log(10).
    assert history["loss"][0] > 1.3 * np.log(10)
    assert history["acc_top1"][0] <= 1  # of the main head, and not an error


def test_a_loss_that_asks_for_the_auxiliary_heads_counts_them_once(googlenet, batches):
    images, labels = (paddle.to_tensor(each[:4]) for each in batches[0])
    googlenet.train()
    for layer in googlenet.sublayers():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    values = []
    for loss in (nn.CrossEntropyLoss(), googlenet.training_loss(nn.CrossEntropyLoss())):
        values.append(float(training_loss(googlenet, loss)(googlenet(images), labels)))
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_nan_loss_leaves_the_running_statistics_alone(tiny, batches):
    class Diverging(nn.Layer):
        def forward(self, logits, labels):
            return nn.functional.cross_entropy(logits, labels) * float("nan")

    model = prepared(tiny)
    model.fit(batches[:1], epochs=1, verbose=0)
    before = {name: tensor.numpy() for name, tensor in tiny.state_dict().items()}
    model._loss = Diverging()
    with pytest.raises(TrainingError, match="stopped before"):
        model.fit(batches[1:], epochs=1, verbose=0)
    for name, tensor in tiny.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name], name)


def test_callbacks_of_users_are_called_as_the_base_class_calls_them(tiny, batches):
    """Names, order and parameters; but an epoch's end comes after its evaluation."""

    def calls_of(base):
        calls = []

        class Note(paddle.callbacks.Callback):
            def __getattribute__(self, name):
                if name.startswith("on_"):
                    return lambda *args: calls.append((name, *args[:-1]))
                return super().__getattribute__(name)

        note = Note()
        model = prepared(tiny) if base is ImageClassifier else paddle.Model(tiny)
        if base is paddle.Model:
            optimizer = paddle.optimizer.SGD(0.01, tiny.parameters())
            model.prepare(optimizer, nn.CrossEntropyLoss(), paddle.metric.Accuracy(topk=(1, 5)))
        model.fit(batches[:1], batches[:1], epochs=1, verbose=0, callbacks=[note])
        return calls, note.params, note.model is model

    ours, base = calls_of(ImageClassifier), calls_of(paddle.Model)
    assert sorted(ours[0]) == sorted(base[0])
    assert [name for name in ours[0] if "epoch" not in name[0]] == [
        name for name in base[0] if "epoch" not in name[0]
    ]
    assert set(base[1]) <= set(ours[1])
    assert ours[2]
    assert ours[1]["metrics"] == base[1]["metrics"] == ["loss", "acc_top1", "acc_top5"]


def test_callbacks_of_paddle_work(tiny, batches, tmp_path):
    callbacks = [
        paddle.callbacks.VisualDL(str(tmp_path / "vdl")),
        paddle.callbacks.ModelCheckpoint(1, str(tmp_path / "saved")),
        paddle.callbacks.EarlyStopping(patience=5, verbose=0),
        paddle.callbacks.LRScheduler(by_step=True),
    ]
    prepared(tiny).fit(
        batches, batches, epochs=2, verbose=0, callbacks=callbacks, save_dir=str(tmp_path / "best")
    )
    assert (tmp_path / "saved" / "final.pdparams").is_file()
    assert (tmp_path / "best" / "best_model.pdparams").is_file()
    assert any((tmp_path / "vdl").iterdir())


@pytest.mark.parametrize("workers", [0, 2])
def test_every_sample_of_a_shuffled_dataset_is_seen_once_in_an_epoch(workers):
    class Numbers(paddle.io.Dataset):
        def __len__(self):
            return 45

        def __getitem__(self, index):
            return np.full([1], index, np.float32), np.int64(index % 10)

    def flat(lists):
        return [each for some in lists for each in some]

    seen = []

    class See(nn.Layer):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 10)

        def forward(self, x):
            seen.append(x[:, 0].numpy().astype(int).tolist())
            return self.fc(x)

    model = prepared(See())
    paddle.seed(3)
    model.fit(Numbers(), epochs=2, batch_size=10, verbose=0, num_workers=workers)
    assert [len(batch) for batch in seen] == [10, 10, 10, 10, 5] * 2
    first, second = flat(seen[:5]), flat(seen[5:])
    assert sorted(first) == sorted(second) == list(range(45))
    assert first != second
    seen.clear()
    paddle.seed(3)
    model.fit(Numbers(), epochs=1, batch_size=10, verbose=0, drop_last=True)
    assert [len(batch) for batch in seen] == [10] * 4
    assert flat(seen) == first[:40]


def test_batch_by_batch_as_in_the_base_class(tiny, batches):
    model = prepared(tiny, lr=0.0)
    (loss,), _ = model.train_batch([batches[0][0]], [batches[0][1]])
    (again,), _ = model.train_batch([batches[0][0]], [batches[0][1]])
    assert float(loss) == pytest.approx(float(again), rel=1e-6)
    model.eval_batch([batches[0][0]], [batches[0][1]])
    assert model.predict_batch([batches[0][0]])[0].shape == (32, 10)
