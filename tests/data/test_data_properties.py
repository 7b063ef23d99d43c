"""Properties of order, splits, parts and boxes, for whatever hypothesis can think of."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from paddle_resnet.data import Augment, BatchLoader, train_validation_split
from paddle_resnet.data.augment import rng
from paddle_resnet.data.augment.mixup import mix
from paddle_resnet.data.augment.random_erasing import cutout, random_erasing
from paddle_resnet.data.augment.random_resized_crop import RATIOS, center_crop_box, random_crop_box
from paddle_resnet.training.loop.progressive_resizing import image_size_at

seeds = st.integers(0, 2**31 - 1)
epochs = st.integers(0, 2**31 - 1)


@given(
    images=st.integers(1, 40),
    batch=st.integers(1, 45),
    seed=seeds,
    epoch=epochs,
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    start=st.floats(0, 1),
)
def test_an_epoch_holds_each_image_at_most_once_and_may_begin_anywhere(
    images, batch, seed, epoch, shuffle, drop_last, start
):
    if drop_last and batch > images:
        return
    # Each image is its own number, which is its label too.
    pixels = np.arange(images, dtype=np.uint8).reshape(-1, 1, 1, 1)
    loader = BatchLoader(
        pixels, np.arange(images), batch, shuffle=shuffle, drop_last=drop_last, seed=seed
    )
    batches = list(loader.batches(epoch))
    assert len(batches) == len(loader)
    labels = np.concatenate([names for _, names in batches])
    assert len(set(labels.tolist())) == len(labels)
    assert len(labels) == (images // batch * batch if drop_last else images)
    values = np.concatenate([each for each, _ in batches]).ravel()
    np.testing.assert_allclose(values * 255, labels, atol=1e-3)
    if not shuffle:
        assert labels.tolist() == list(range(len(labels)))
    first = int(start * len(loader))
    rest = [names for _, names in loader.batches(epoch, first)]
    assert all(map(np.array_equal, rest, [names for _, names in batches[first:]]))


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    share=st.floats(0, 1),
    seed=seeds,
    order=st.randoms(use_true_random=False),
)
def test_a_split_takes_from_each_class_its_share_to_the_nearest_whole(counts, share, seed, order):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    order.shuffle(labels)
    total = len(labels)
    wanted = 1 + int(share * (total - 2))
    if not 0 < wanted < total:
        return
    train, held = train_validation_split(np.array(labels), wanted, seed)
    assert sorted([*train, *held]) == list(range(total))
    assert len(held) == wanted
    assert (np.diff(train) > 0).all()
    for label, count in enumerate(counts):
        taken = sum(labels[i] == label for i in held)
        assert abs(taken - count * wanted / total) < 1
    again = train_validation_split(np.array(labels), wanted, seed)
    assert np.array_equal(held, again[1])


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    chances=st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
    least=st.floats(0.01, 1),
)
def test_a_random_box_lies_inside_and_is_no_line(width, height, chances, least):
    left, top, right, bottom = random_crop_box(width, height, np.array(chances), least)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    ratio = (right - left) / (bottom - top)
    assert RATIOS[0] * (1 - 1e-6) <= ratio <= RATIOS[1] * (1 + 1e-6)
    assert (right - left) * (bottom - top) <= width * height * (1 + 1e-9)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.01, 1))
def test_a_centre_box_is_a_square_in_the_middle(width, height, share):
    left, top, right, bottom = center_crop_box(width, height, share)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert np.isclose(right - left, bottom - top)
    assert np.isclose(left + right, width)
    assert np.isclose(top + bottom, height)


@settings(max_examples=50)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    seed=seeds,
    probability=st.floats(0, 1),
    side=st.integers(0, 30),
)
def test_erasing_takes_whole_rectangles_and_nothing_else(height, width, seed, probability, side):
    for change in (
        lambda images: random_erasing(
            images, rng.random_words(seed, 0, rng.ERASE, 0, 6, 5), probability
        ),
        lambda images: cutout(images, rng.random_words(seed, 0, rng.CUTOUT, 0, 6, 2), side),
    ):
        images = np.ones((6, 2, height, width), np.float32)
        change(images)
        assert set(np.unique(images)) <= {0.0, 1.0}
        gone = images[:, 0] == 0
        assert np.array_equal(images[:, 1] == 0, gone)
        assert np.array_equal(gone, gone.any(2)[:, :, None] & gone.any(1)[:, None, :])


@settings(max_examples=50)
@given(
    size=st.integers(1, 9),
    mixup=st.sampled_from([0.0, 0.05, 0.2, 1.0, 4.0]),
    cutmix=st.sampled_from([0.0, 0.05, 1.0, 4.0]),
    seed=seeds,
    batch=st.integers(0, 10**6),
)
def test_mixing_keeps_the_mean_answer_right(size, mixup, cutmix, seed, batch):
    """An image of its label's value alone mixes to the value of its soft label."""
    if mixup == cutmix == 0:
        return
    labels = np.arange(size)
    images = np.tile(labels.astype(np.float32)[:, None, None, None], (1, 1, 7, 5))
    result = mix(images, labels, mixup=mixup, cutmix=cutmix, seed=seed, epoch=1, batch=batch)
    expected = result.lam * labels + (1 - result.lam) * result.labels_b
    np.testing.assert_allclose(result.images.mean((1, 2, 3)), expected, atol=1e-4)
    assert ((result.lam >= 0) & (result.lam <= 1)).all()


@settings(max_examples=30)
@given(seed=seeds, epoch=epochs, workers=st.integers(0, 3), start=st.integers(0, 3))
def test_everything_on_in_any_number_of_threads_is_a_function_of_seed_epoch_and_place(
    seed, epoch, workers, start
):
    pixels = np.random.default_rng(0).integers(0, 256, (13, 3, 6, 6), dtype=np.uint8)
    everything = Augment(0.2, True, True, 0.5, 2, 0.2, 1.0)

    def loader(workers):
        return BatchLoader(
            pixels, np.arange(13), 4, shuffle=True, seed=seed, flip=True,
            augment=everything, workers=workers,
        )  # fmt: skip

    whole = list(loader(0).batches(epoch))
    for one, other in zip(loader(workers).batches(epoch, start), whole[start:]):
        assert all(map(np.array_equal, one, other))


@given(
    progress=st.floats(0, 1),
    more=st.floats(0, 1),
    full=st.integers(1, 512),
    size_from=st.floats(0.25, 1),
    until=st.floats(0.01, 1),
)
def test_sizes_never_shrink_and_end_at_the_full_one(progress, more, full, size_from, until):
    early, late = sorted((progress, more))
    one, other = (image_size_at(p, full, size_from, until) for p in (early, late))
    assert 1 <= one <= other <= full
    assert image_size_at(until, full, size_from, until) == full
