import hashlib
import itertools

import numpy as np
import paddle
import pytest

from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, BatchLoader
from paddle_resnet.errors import DataError


def everything(sample, **changes):
    options = {
        "batch_size": 128,
        "shuffle": True,
        "seed": 7,
        "crop_padding": 4,
        "flip": True,
        "mean": CIFAR10_MEAN,
        "std": CIFAR10_STD,
        **changes,
    }
    return BatchLoader(sample.train_images, sample.train_labels, **options)


def equal(one, other):
    one, other = list(one), list(other)
    return len(one) == len(other) and all(
        np.array_equal(a, b) for pair in zip(one, other) for a, b in zip(*pair)
    )


def reference(images, labels, seed, epoch, padding, mean, std):
    """One image at a time, as plainly as it can be said."""
    words = [int(w) for w in np.random.PCG64([seed, epoch]).random_raw(2 * len(images))]
    order = sorted(range(len(images)), key=lambda i: words[i])
    for place, index in enumerate(order):
        word = words[len(images) + place]
        row = (word % 2**32) % (2 * padding + 1)
        column = (word // 2**32 % 2**31) % (2 * padding + 1)
        canvas = np.zeros((3, 32 + 2 * padding, 32 + 2 * padding))
        canvas[:, padding : padding + 32, padding : padding + 32] = images[index]
        image = canvas[:, row : row + 32, column : column + 32]
        if word >= 2**63:
            image = image[:, :, ::-1]
        image = (image / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
        yield image, labels[index]


def test_batches_equal_the_plain_way_image_by_image(sample):
    images, labels = sample.train_images[:300], sample.train_labels[:300]
    loader = BatchLoader(
        images,
        labels,
        64,
        shuffle=True,
        seed=5,
        crop_padding=4,
        flip=True,
        mean=CIFAR10_MEAN,
        std=CIFAR10_STD,
    )
    expected = reference(images, labels, 5, 2, 4, CIFAR10_MEAN, CIFAR10_STD)
    seen = 0
    for batch, batch_labels in loader.batches(2):
        assert batch.dtype == np.float32
        assert batch_labels.dtype == np.int64
        assert batch.flags.c_contiguous
        for image, label in zip(batch, batch_labels):
            wanted, wanted_label = next(expected)
            np.testing.assert_allclose(image, wanted, rtol=0, atol=1e-6)
            assert label == wanted_label
            seen += 1
    assert seen == 300


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_the_switches_are_independent(sample, shuffle, flip, padding):
    """Switching one kind of chance off leaves the others as they were."""
    images, labels = sample.train_images[:100], sample.train_labels[:100]
    before = images.copy()
    loader = BatchLoader(images, labels, 33, shuffle=shuffle, flip=flip, crop_padding=padding)
    words = np.random.PCG64([0, 0]).random_raw(200)
    order = np.argsort(words[:100]) if shuffle else np.arange(100)
    pixels = np.concatenate([batch for batch, _ in loader]) * 255
    for place, index in enumerate(order):
        word = int(words[100 + place])
        row, column = (word % 2**32) % (2 * padding + 1), (word >> 32) % 2**31 % (2 * padding + 1)
        padded = np.pad(images[index], ((0, 0), (padding, padding), (padding, padding)))
        image = padded[:, row : row + 32, column : column + 32]
        image = image[:, :, ::-1] if flip and word >> 63 else image
        np.testing.assert_allclose(pixels[place], image, rtol=0, atol=1e-4)
    assert np.array_equal(images, before)


def test_an_epoch_is_the_same_to_the_last_bit_whatever_came_before(sample):
    fresh = list(everything(sample).batches(3))
    used = everything(sample)
    next(iter(used))
    list(itertools.islice(used, 5))
    np.random.seed(0)
    assert equal(used.batches(3), fresh)


def test_batches_are_the_same_in_every_version_of_numpy(sample):
    digest = hashlib.sha256()
    for images, labels in everything(sample).batches(1):
        digest.update(images.astype("<f4").tobytes() + labels.astype("<i8").tobytes())
    assert digest.hexdigest() == "6acf38992eee2c310b36cc169366152ef79dbc79dce99b72d0e36447f1f1a8f7"


def test_an_epoch_can_go_on_at_any_batch(sample):
    loader = everything(sample)
    whole = list(loader.batches(4))
    assert len(whole) == len(loader) == 16
    for start in (0, 1, 9, 15, 16):
        assert equal(loader.batches(4, start), whole[start:])


def test_iter_counts_the_epochs_even_when_one_is_left_early(sample):
    loader = everything(sample)
    next(iter(loader))
    assert equal(loader, loader.batches(1))
    loader.set_epoch(9)
    assert equal(loader, loader.batches(9))
    assert loader.epoch == 10


def test_epochs_and_seeds_differ(sample):
    first = next(everything(sample).batches(0))[0]
    assert not np.array_equal(first, next(everything(sample).batches(1))[0])
    assert not np.array_equal(first, next(everything(sample, seed=8).batches(0))[0])


def test_an_epoch_holds_each_image_once(sample):
    labels = np.arange(2000)
    loader = BatchLoader(sample.train_images, labels, 64, shuffle=True)
    seen = np.concatenate([batch_labels for _, batch_labels in loader])
    assert np.array_equal(np.sort(seen), labels)
    assert not np.array_equal(seen, labels)


def test_crops_and_flips_are_uniform(sample):
    # Each image is its own position: black but for one pixel per row and column.
    images = np.zeros((20_000, 1, 2, 2), np.uint8)
    images[:, 0, 0, 0] = 255
    loader = BatchLoader(images, np.zeros(20_000, np.int64), 20_000, crop_padding=1, flip=True)
    batch = next(iter(loader))[0][:, 0]
    # The bright pixel stays visible when the crop starts at row 0 or 1 of 0..2, column likewise.
    assert batch.max(axis=(1, 2)).mean() == pytest.approx(4 / 9, abs=0.015)
    places = [batch[:, row, column].mean() for row in (0, 1) for column in (0, 1)]
    assert places == pytest.approx([1 / 9] * 4, abs=0.01)


def test_without_mean_and_std_pixels_go_from_0_to_1_as_with_totensor(sample):
    images, labels = next(iter(BatchLoader(sample.test_images, sample.test_labels, 500)))
    to_tensor = paddle.vision.transforms.ToTensor()
    expected = [to_tensor(image.transpose(1, 2, 0)).numpy() for image in sample.test_images[:20]]
    np.testing.assert_allclose(images[:20], expected, rtol=0, atol=1e-7)
    assert images.min() == 0
    assert images.max() == pytest.approx(1)
    assert np.array_equal(labels, sample.test_labels)


def test_only_mean_or_only_std(sample):
    plain = next(iter(BatchLoader(sample.test_images, sample.test_labels, 10)))[0]
    mean = next(iter(BatchLoader(sample.test_images, sample.test_labels, 10, mean=[0.5] * 3)))[0]
    std = next(iter(BatchLoader(sample.test_images, sample.test_labels, 10, std=[0.5] * 3)))[0]
    np.testing.assert_allclose(mean, plain - 0.5, rtol=0, atol=1e-6)
    np.testing.assert_allclose(std, plain * 2, rtol=0, atol=1e-6)


def test_the_last_batch(sample):
    images, labels = sample.test_images, sample.test_labels
    kept = BatchLoader(images, labels, 128, crop_padding=4, flip=True)
    assert [len(batch) for _, batch in kept] == [128, 128, 128, 116]
    dropped = BatchLoader(images, labels, 128, drop_last=True)
    assert [len(batch) for _, batch in dropped] == [128] * 3
    assert len(kept) == 4
    assert len(dropped) == 3
    assert [len(batch) for _, batch in BatchLoader(images, labels, 1000)] == [500]
    with pytest.raises(DataError, match="batch_size 501 is larger than the data set of 500"):
        BatchLoader(images, labels, 501, drop_last=True)


def test_a_batch_may_be_kept_and_changed(sample):
    loader = BatchLoader(sample.test_images, sample.test_labels, 100, flip=True)
    whole = [(images.copy(), labels.copy()) for images, labels in loader.batches(0)]
    kept = []
    for images, labels in loader.batches(0):
        kept.append((images.copy(), labels.copy()))
        images[:] = np.nan
        labels[:] = -1
    assert equal(kept, whole)
    assert equal(loader.batches(0), whole)
    assert equal(list(loader.batches(0)), whole)


def test_other_shapes_of_image():
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 5, 9), dtype=np.uint8)
    loader = BatchLoader(images, [0] * 7, 3, shuffle=True, crop_padding=2, flip=True, mean=[0.5])
    assert [batch.shape for batch, _ in loader] == [(3, 1, 5, 9), (3, 1, 5, 9), (1, 1, 5, 9)]


def test_paddle_model_takes_it_for_fit_evaluate_and_predict(sample, capsys):
    paddle.seed(0)
    model = paddle.Model(paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(3072, 10)))
    model.prepare(
        paddle.optimizer.SGD(1e-3, parameters=model.parameters()),
        paddle.nn.CrossEntropyLoss(),
        paddle.metric.Accuracy(),
    )
    train = BatchLoader(sample.train_images, sample.train_labels, 500, shuffle=True)
    test = BatchLoader(sample.test_images, sample.test_labels, 200)
    model.fit(train, test, epochs=2, verbose=0)
    assert train.epoch == 2
    assert 0 < model.evaluate(test, verbose=0)["acc"] < 1
    outputs = model.predict(test, stack_outputs=True, verbose=0)
    assert outputs[0].shape == (500, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((4, 3, 8, 8), np.float32)}, r"images must be uint8 .* are float32"),
        ({"images": np.zeros((4, 8, 8), np.uint8)}, r"images must be uint8 \[N, C, H, W\]"),
        ({"images": np.zeros((0, 3, 8, 8), np.uint8)}, r"images must be uint8 \[N, C, H, W\]"),
        ({"images": [1, 2]}, "are a list"),
        ({"labels": [1, 2]}, r"labels must be integers \[4\], one for each image"),
        ({"labels": [0.5] * 4}, "labels must be integers"),
        ({"batch_size": 0}, "batch_size must be an integer of 1 or more, not 0"),
        ({"batch_size": 2.0}, "batch_size must be an integer of 1 or more, not 2.0"),
        ({"batch_size": True}, "batch_size must be an integer"),
        ({"seed": -1}, "seed must be an integer of 0 or more, not -1"),
        ({"crop_padding": -1}, "crop_padding must be an integer of 0 or more"),
        ({"mean": [0.5]}, "mean must be 3 numbers, one a channel"),
        ({"mean": ["a"] * 3}, "mean must be 3 numbers"),
        ({"mean": [np.nan] * 3}, "mean must be 3 numbers"),
        ({"std": [1, 0, 1]}, "std must be above 0"),
    ],
)
def test_wrong_arguments_are_told(changes, message):
    arguments = {
        "images": np.zeros((4, 3, 8, 8), np.uint8),
        "labels": [0, 1, 2, 3],
        "batch_size": 2,
        **changes,
    }
    with pytest.raises(DataError, match=message):
        BatchLoader(**arguments)


def test_wrong_places_to_start_are_told_at_once(sample):
    loader = everything(sample)
    with pytest.raises(DataError, match="start is 17, but an epoch has only 16 batches"):
        loader.batches(0, 17)
    with pytest.raises(DataError, match="start must be an integer of 0 or more"):
        loader.batches(0, -1)
    with pytest.raises(DataError, match="epoch must be an integer of 0 or more"):
        loader.set_epoch(-1)
