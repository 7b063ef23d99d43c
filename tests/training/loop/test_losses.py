"""Loss and accuracy of mixed images, the views of test time, and images that grow."""

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.data import Augment, BatchLoader
from paddle_resnet.evaluation.evaluate import evaluate_loader
from paddle_resnet.evaluation.tta import TTA_VIEWS, tta_views
from paddle_resnet.training.image_classifier import ImageClassifier
from paddle_resnet.training.loop.batch_stream import BatchStream
from paddle_resnet.training.loop.losses import MixupAccuracy, MixupCrossEntropy
from paddle_resnet.training.loop.progress import Progress, StepPlan
from paddle_resnet.training.loop.progressive_resizing import ProgressiveResizing, image_size_at


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(6, 5)).astype(np.float32),
        rng.integers(0, 5, 6),
        rng.integers(0, 5, 6),
        rng.random(6).astype(np.float32),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_mixed_batch_is_that_of_its_soft_labels(batch, smoothing):
    logits, labels, others, share = batch
    soft = share[:, None] * np.eye(5)[labels] + (1 - share[:, None]) * np.eye(5)[others]
    soft = soft * (1 - smoothing) + smoothing / 5
    logarithms = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = MixupCrossEntropy(smoothing)(*map(paddle.to_tensor, batch))
    assert float(loss) == pytest.approx(-(soft * logarithms).sum(1).mean(), rel=1e-5)


def test_the_loss_of_any_other_batch_is_paddles(batch):
    logits, labels = map(paddle.to_tensor, batch[:2])
    for smoothing in (0.0, 0.1):
        expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        assert float(MixupCrossEntropy(smoothing)(logits, labels)) == float(expected)


def test_evaluation_knows_no_smoothing(batch):
    logits, labels = batch[0], batch[1]
    network = paddle.nn.Linear(5, 5)
    loss = MixupCrossEntropy(0.2)
    model = ImageClassifier(network)
    model.prepare(paddle.optimizer.SGD(1e-9, parameters=network.parameters()), loss)
    history = model.fit([(logits, labels)], [(logits, labels)], epochs=1, verbose=0)
    answers = network(paddle.to_tensor(logits))
    for name, smoothing in (("loss", 0.2), ("val_loss", 0.0)):
        expected = F.cross_entropy(answers, paddle.to_tensor(labels), label_smoothing=smoothing)
        assert history[name] == pytest.approx([float(expected)], rel=1e-5)


def test_the_gradient_pulls_towards_both_labels_by_their_shares(batch):
    values, labels, others, share = batch
    logits = paddle.to_tensor(values, stop_gradient=False)
    MixupCrossEntropy()(logits, *map(paddle.to_tensor, (labels, others, share))).backward()
    soft = share[:, None] * np.eye(5)[labels] + (1 - share[:, None]) * np.eye(5)[others]
    probabilities = np.exp(values) / np.exp(values).sum(1, keepdims=True)
    np.testing.assert_allclose(logits.grad.numpy(), (probabilities - soft) / 6, atol=1e-6)


def test_accuracy_is_against_the_label_with_the_larger_share():
    metric = MixupAccuracy(topk=(1, 2))
    answers = paddle.to_tensor([[3.0, 2, 1], [3, 2, 1], [3, 2, 1], [3, 2, 1]])
    labels, others = paddle.to_tensor([0, 0, 2, 2]), paddle.to_tensor([1, 1, 0, 0])
    share = paddle.to_tensor([0.9, 0.4, 0.5, 0.49])
    metric.update(metric.compute(answers, labels, others, share).numpy())
    assert metric.accumulate() == [0.5, 0.75]  # right, second, third (a tie), right
    metric.reset()
    metric.update(metric.compute(answers, labels).numpy())
    assert metric.accumulate() == [0.5, 0.5]


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_network_learns_from_mixed_batches_and_tells_an_honest_accuracy(sample, tiny, kind):
    """A linear task: the mean colour. Labels that mixing had torn off could not be learnt."""
    colours = np.random.default_rng(0).integers(0, 2, (400, 3))
    images = np.broadcast_to(colours[:, :, None, None] * 200, (400, 3, 8, 8)).astype(np.uint8)
    labels = colours @ [4, 2, 1]
    train = BatchLoader(
        images.copy(), labels, 40, shuffle=True, augment=Augment(**{kind: 1.0}), mean=[0.4] * 3
    )
    paddle.seed(0)
    network = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(192, 8))
    model = ImageClassifier(network)
    optimizer = paddle.optimizer.Adam(0.03, parameters=network.parameters())
    model.prepare(optimizer, MixupCrossEntropy(), MixupAccuracy())
    history = model.fit(train, epochs=12, verbose=0)
    assert history["acc"][-1] > 0.7
    plain = BatchLoader(images.copy(), labels, 40, mean=[0.4] * 3)
    result = model.evaluate(plain, verbose=0)
    assert result["acc"] == 1.0
    assert result["loss"][0] < history["loss"][-1]


# -- views -----------------------------------------------------------------------------------


def test_views_are_what_they_say():
    images = np.random.default_rng(0).normal(size=(2, 3, 32, 48)).astype(np.float32)
    for kind, number in TTA_VIEWS.items():
        found = [view for _, view in tta_views(images, kind)]
        assert len(found) == number
        assert all(view.shape == images.shape for view in found)
        assert np.array_equal(found[0], images)
        assert len({view.tobytes() for view in found}) == number
    assert np.array_equal(list(tta_views(images, "flip"))[1][1], images[..., ::-1])
    _, (_, first), _, _, (_, last) = tta_views(images, "crops")
    # The first shows what is above and left: the image has moved down and right.
    assert np.array_equal(first[:, :, 2:, 3:], images[:, :, :-2, :-3])
    assert np.array_equal(last[:, :, :-2, :-3], images[:, :, 2:, 3:])
    assert np.array_equal(first[:, :, 0], first[:, :, 4])  # the border is mirrored
    weights, found = zip(*tta_views(images, "shifts_flip"))
    assert weights == (1, 1, 0.5, 0.5, 0.5, 0.5)
    assert np.array_equal(found[2][:, :, 1:, 1:], images[:, :, :-1, :-1])
    assert np.array_equal(found[4][:, :, :-1, :-1], images[:, :, 1:, 1:])
    assert np.array_equal(found[5], found[4][..., ::-1])


@pytest.mark.parametrize("kind", TTA_VIEWS)
def test_evaluation_averages_the_probabilities_of_the_views(sample, tiny, kind):
    tiny.eval()
    images, labels = sample.test_images[:30], sample.test_labels[:30]
    loader = BatchLoader(images, labels, 8)
    evaluation = evaluate_loader(tiny, loader, tta=kind)
    with paddle.no_grad():
        answers = [
            (weight, F.softmax(tiny(paddle.to_tensor(view))).numpy())
            for weight, view in tta_views((images / 255).astype(np.float32), kind)
        ]
    weights = sum(weight for weight, _ in answers)
    expected = sum(weight * answer for weight, answer in answers) / weights
    np.testing.assert_allclose(evaluation.probabilities, expected, atol=1e-5)
    assert evaluation.loss == pytest.approx(
        -np.log(expected[np.arange(30), labels]).mean(), rel=1e-4
    )
    np.testing.assert_allclose(evaluation.probabilities.sum(1), 1, atol=1e-5)


def test_with_flips_an_image_and_its_mirror_image_get_the_same_answer(sample, tiny):
    images, labels = sample.test_images[:8], sample.test_labels[:8]
    both = [
        evaluate_loader(tiny, BatchLoader(each, labels, 8), tta="flip").probabilities
        for each in (images, images[..., ::-1].copy())
    ]
    np.testing.assert_allclose(*both, atol=1e-6)


# -- images that grow ------------------------------------------------------------------------


def test_sizes_grow_from_the_first_to_the_full_one_in_steps_of_an_eighth():
    sides = [image_size_at(p, 32, 0.5, 0.8) for p in np.linspace(0, 1, 1001)]
    assert sides[0] == 16
    assert (np.diff(sides) >= 0).all()
    assert set(sides) == {16, 20, 24, 28, 32}
    assert image_size_at(0.8, 32, 0.5, 0.8) == 32
    assert image_size_at(0.79, 32, 0.5, 0.8) == 28
    assert image_size_at(0.4, 224, 0.5, 0.8) == 168
    assert image_size_at(0.0, 32, 1.0, 0.8) == 32
    assert image_size_at(0.0, 8, 0.25, 1.0) == 2


def test_a_stream_hands_out_growing_images_and_resumes_with_the_same(sample):
    loader = BatchLoader(sample.train_images[:64], sample.train_labels[:64], 16, shuffle=True)

    def stream(steps):
        progress = Progress(StepPlan(3, 12))
        progress.step = steps
        result = BatchStream(loader, transform=ProgressiveResizing(progress, 0.5, 1.0))
        result.load_state_dict(
            {"epoch": steps // 4, "batch": steps % 4, "loader": loader.state_dict()}
        )
        return progress, result

    progress, whole = stream(0)
    batches = []
    for _ in range(3):
        for batch in whole.rest_of_epoch():
            batches.append(batch)
            progress.step += 1
    sizes = [images.shape[2] for images, _ in batches]
    assert sizes == [16] * 3 + [20] * 3 + [24] * 3 + [28] * 3
    _, late = stream(6)
    assert np.array_equal(next(late.rest_of_epoch())[0], batches[6][0])


def test_the_views_that_can_be_asked_for_are_those_that_there_are(capsys):
    for kind in TTA_VIEWS:
        assert load_config(overrides=[f"test.tta={kind}"]).test.tta == kind
    for command in ("evaluate", "predict"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"--tta {{{','.join(TTA_VIEWS)}}}" in capsys.readouterr().out
