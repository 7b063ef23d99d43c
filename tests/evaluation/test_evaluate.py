"""One pass over labelled images, against figures computed another way."""

import json
import math

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet.cli import main
from paddle_resnet.data import BatchLoader
from paddle_resnet.evaluation.evaluate import evaluate, evaluate_loader
from paddle_resnet.evaluation.meters import LossMeter, ProbabilityMeter, TopKMeter, label_ranks


@pytest.fixture
def loader(sample):
    return BatchLoader(sample.test_images[:50], sample.test_labels[:50], 16)


def logits_of(network, loader):
    network.eval()
    with paddle.no_grad():
        return np.concatenate([network(paddle.to_tensor(images)).numpy() for images, _ in loader])


# -- ranks of labels -----------------------------------------------------------------------------


def test_ranks_are_those_of_a_stable_sort():
    random = np.random.RandomState(0)
    logits = random.randint(0, 4, [200, 7]).astype(np.float32)  # many are equal
    labels = random.randint(0, 7, 200)
    order = np.argsort(-logits, axis=1, kind="stable")  # equal logits: lower class first
    expected = [int(np.flatnonzero(row == label)[0]) for row, label in zip(order, labels)]
    assert label_ranks(logits, labels).tolist() == expected


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_is_wrong_wherever_it_stands(place):
    logits = np.float32([[3, 2, 1]])
    assert label_ranks(logits, np.array([0])) == [0]
    logits[0, place] = np.nan
    assert label_ranks(logits, np.array([0])) == [3]
    meter = TopKMeter((1, 5))
    meter.update([paddle.to_tensor(logits)], [paddle.to_tensor([0])])
    assert (meter.accuracy(1), meter.accuracy(5)) == (0, 0)


@pytest.mark.parametrize(("logit", "rank"), [(np.inf, 0), (-np.inf, 2)])
def test_infinite_logits_are_large_and_small_ones(logit, rank):
    assert label_ranks(np.float32([[logit, 2, 1]]), np.array([0])) == [rank]


def test_top_5_of_three_classes_is_always_right():
    meter = TopKMeter((1, 5))
    meter.update([paddle.to_tensor(np.float32([[1, 2, 3]]))], [paddle.to_tensor([0])])
    assert (meter.accuracy(1), meter.accuracy(5)) == (0, 1)


# -- a pass --------------------------------------------------------------------------------------


def test_figures_are_means_over_samples(tiny, loader, sample):
    logits, labels = logits_of(tiny, loader).astype(np.float64), sample.test_labels[:50]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    evaluation = evaluate_loader(tiny, loader)
    own = probabilities[np.arange(50), labels]
    assert evaluation.loss == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert evaluation.acc_top1 == (probabilities.argmax(1) == labels).mean()
    assert evaluation.acc_top5 == ((probabilities > own[:, None]).sum(1) < 5).mean()
    np.testing.assert_allclose(evaluation.probabilities, probabilities, atol=1e-6)
    np.testing.assert_array_equal(evaluation.labels, labels)
    assert evaluation.summary()["images"] == 50


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_the_mode_is_restored_and_no_gradient_is_kept(tiny, loader, tta):
    for training in (True, False):
        tiny.train() if training else tiny.eval()
        statistics = [tensor.numpy() for tensor in tiny.buffers()]
        evaluate(tiny, loader, [LossMeter()], tta=tta)
        assert tiny.training == training
        for tensor, before in zip(tiny.buffers(), statistics):
            np.testing.assert_array_equal(tensor.numpy(), before)
    assert all(parameter.grad is None for parameter in tiny.parameters())


def test_the_mode_is_restored_after_an_error(tiny, loader):
    tiny.train()
    with pytest.raises(RuntimeError, match="stop"):
        evaluate(
            tiny, loader, [], on_batch=lambda done: (_ for _ in ()).throw(RuntimeError("stop"))
        )
    assert tiny.training


def test_batches_are_counted(tiny, loader):
    seen = []
    evaluate(tiny, loader, [LossMeter()], on_batch=seen.append)
    assert seen == [1, 2, 3, 4]


def test_probabilities_of_views_are_those_that_were_averaged(tiny, loader):
    """Their logarithms pass through float64: not a bit is lost on the way."""
    from paddle_resnet.evaluation.evaluate import mean_probabilities

    meter = ProbabilityMeter(loader, normalized=True)
    evaluate(tiny, loader, [meter], tta="crops")
    tiny.eval()
    with paddle.no_grad():
        expected = [mean_probabilities(tiny, images, "crops") for images, _ in loader]
    np.testing.assert_array_equal(meter.probabilities, np.concatenate(expected))


def test_a_loss_of_several_outputs(loader):
    class Two(nn.Layer):
        def __init__(self):
            super().__init__()
            self.main, self.side = nn.Linear(3072, 10), nn.Linear(3072, 10)

        def forward(self, x):
            x = x.flatten(1)
            return self.main(x), self.side(x)

    paddle.seed(1)
    network = Two()
    both = LossMeter(lambda a, b, y: [F.cross_entropy(a, y), F.cross_entropy(b, y)])
    top = TopKMeter((1,))
    evaluate(network, loader, [both, top])
    alone = []
    for head in (network.main, network.side):
        meter = LossMeter()
        evaluate(nn.Sequential(nn.Flatten(), head), loader, [meter])
        alone.append(meter.value)
    assert both.value == pytest.approx(sum(alone), rel=1e-6)
    assert (
        top.accuracy(1)
        == evaluate_loader(nn.Sequential(nn.Flatten(), network.main), loader).acc_top1
    )


# -- a loss that is not finite -------------------------------------------------------------------


def test_a_loss_that_is_not_finite_is_null(tiny, loader):
    class Infinite(nn.Layer):
        def forward(self, x):
            return tiny(x) * float("inf")

    for tta in ("none", "flip"):
        evaluation = evaluate_loader(Infinite(), loader, tta=tta)
        assert not math.isfinite(evaluation.loss)
        assert evaluation.summary()["loss"] is None
        json.dumps(evaluation.summary(), allow_nan=False)
        assert "loss nan" in evaluation.sentence()


def test_a_run_whose_test_loss_is_not_finite_ends_with_a_result(tmp_path, capsys):
    line = ["train", "-c", "resnet20_cifar10_paper", "-o", f"run.dir={tmp_path}"]
    for override in (
        *("run.name=run", "data.root=sample", "optimizer.lr=1e18", "train.epochs=1"),
        *(
            "data.max_train_images=64",
            "train.batch_size=64",
            "data.validation=0",
            "test.weights=last",
            "model.options.widths=[4,8,8]",
            "train.precision=float32",
        ),
        *("schedule.name=constant", "schedule.milestones=null"),
    ):
        line += ["-o", override]
    assert main(line) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["test"]["loss"] is None
    assert 0 <= result["test"]["acc_top1"] <= 1
    assert "loss nan" in capsys.readouterr().out
    assert (tmp_path / "run" / "report.html").is_file()


def test_seeds_whose_test_losses_are_not_finite_are_summed_up(tmp_path):
    from paddle_resnet.training.multi_seed import lines_of, summarize

    for seed, loss in ((0, None), (1, 2.5)):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        test = {"weights": "last", "images": 10, "loss": loss, "acc_top1": 0.5, "acc_top5": 0.5}
        result = {"status": "finished", "test": test, "training": {"seconds": 1.0}}
        (folder / "result.json").write_text(json.dumps(result))
    summary = summarize(tmp_path, [0, 1])
    assert summary["mean"]["loss"] == 2.5
    assert "loss not finite" in lines_of(summary)[0]
    assert "loss 2.5000" in lines_of(summary)[-1]
    summary = summarize(tmp_path, [0])
    assert summary["mean"]["loss"] is None
    assert "loss" not in lines_of(summary)[-1]
