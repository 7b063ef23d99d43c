"""Each augmentation against a closed form or another's work, and all of them against time."""

import itertools

import numpy as np
import pytest
from PIL import Image

from paddle_resnet.data import Augment, BatchLoader
from paddle_resnet.data.augment import random_erasing, random_resized_crop, rng, trivial_augment
from paddle_resnet.data.augment.mixup import mix
from paddle_resnet.data.augment.resize import resize_batch
from paddle_resnet.errors import DataError

EVERYTHING = {
    "resized_crop": Augment(random_resized_crop=0.3),
    "trivial": Augment(trivial_augment=True),
    "erase": Augment(random_erasing=0.5),
    "cutout": Augment(cutout=8),
    "mixup": Augment(mixup=0.2),
    "cutmix": Augment(cutmix=1.0),
    "alternate_flip": Augment(alternate_flip=True),
    "all": Augment(0.3, True, True, 0.5, 8, 0.2, 1.0),
}


def loader(sample, augment, **changes):
    options = {"shuffle": True, "seed": 3, "flip": True, **changes}
    return BatchLoader(
        sample.train_images[:300], sample.train_labels[:300], 64, augment=augment, **options
    )


def equal(one, other):
    one, other = list(one), list(other)
    return len(one) == len(other) and all(
        len(a) == len(b) and all(map(np.array_equal, a, b)) for a, b in zip(one, other)
    )


# -- a pure function of seed, epoch and position ---------------------------------------------


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_epoch_can_go_on_at_any_batch_to_the_last_bit(sample, name):
    whole = list(loader(sample, EVERYTHING[name]).batches(4))
    assert len(whole) == 5
    for start in (1, 3, 5):
        fresh = loader(sample, EVERYTHING[name])
        next(iter(fresh))
        np.random.seed(start)
        assert equal(fresh.batches(4, start), whole[start:])


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing(sample, name, workers):
    whole = list(loader(sample, EVERYTHING[name], crop_padding=0).batches(1))
    assert equal(loader(sample, EVERYTHING[name], workers=workers).batches(1), whole)


def test_threads_change_nothing_about_padded_crops(sample):
    one = loader(sample, Augment(), crop_padding=4)
    assert equal(loader(sample, Augment(), crop_padding=4, workers=3).batches(2), one.batches(2))


@pytest.mark.parametrize("name", EVERYTHING)
def test_epochs_and_seeds_differ_and_the_images_given_stay(sample, name):
    before = sample.train_images[:300].copy()
    first = next(loader(sample, EVERYTHING[name]).batches(0))[0]
    assert not np.array_equal(first, next(loader(sample, EVERYTHING[name]).batches(1))[0])
    assert not np.array_equal(first, next(loader(sample, EVERYTHING[name], seed=4).batches(0))[0])
    assert np.array_equal(sample.train_images[:300], before)


def test_a_loader_left_early_ends_its_threads(sample):
    import threading

    for _ in itertools.islice(loader(sample, Augment(), workers=2), 1):
        pass
    assert not [t for t in threading.enumerate() if t.name.startswith("paddle_resnet_data")]


# -- chance ----------------------------------------------------------------------------------


def test_words_of_a_position_do_not_depend_on_where_one_begins():
    whole = rng.random_words(1, 2, rng.CROP, 0, 50, 4)
    assert np.array_equal(rng.random_words(1, 2, rng.CROP, 17, 5, 4), whole[17:22])
    assert not np.array_equal(rng.random_words(1, 2, rng.ERASE, 0, 50, 4), whole)


def test_uniform_numbers_reach_from_0_to_just_below_1():
    assert rng.uniform(np.array([0, 2**64 - 1], np.uint64)).tolist() == [0.0, 1 - 2**-53]


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0, 4.0])
def test_beta_has_the_moments_and_the_quantiles_it_should(alpha):
    drawn = np.array([rng.beta(alpha, 0, 0, 1, batch) for batch in range(4000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert drawn.mean() == pytest.approx(0.5, abs=4 * np.sqrt(variance / 4000))
    assert drawn.var() == pytest.approx(variance, rel=0.1)
    if alpha in (0.5, 1.0):  # the arcsine and the uniform distribution have closed forms
        at = np.linspace(0.1, 0.9, 9)
        expected = at if alpha == 1 else 2 / np.pi * np.arcsin(np.sqrt(at))
        assert (drawn[:, None] < at).mean(0) == pytest.approx(expected, abs=0.04)


# -- crops -----------------------------------------------------------------------------------


def test_the_centre_crop_is_torchvisions_resize_and_centre_crop():
    # Resize(256), CenterCrop(224) in two steps of Pillow; 7/8 of 512 makes all numbers whole.
    pixels = np.random.default_rng(0).integers(0, 256, (512, 768, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(pixels).resize((96, 64)).resize((768, 512)))
    image = Image.fromarray(pixels)
    steps = np.asarray(image.resize((384, 256), Image.Resampling.BILINEAR))[16:240, 80:304]
    once = random_resized_crop.cut(
        image, random_resized_crop.center_crop_box(768, 512, 0.875), 224
    ).transpose(1, 2, 0)
    assert np.abs(once.astype(int) - steps).max() <= 1


def test_random_crops_have_the_area_and_ratio_they_should_and_stay_inside():
    boxes = np.array(
        [
            random_resized_crop.random_crop_box(300, 200, chances, 0.2)
            for chances in rng.uniform(
                rng.random_words(0, 0, rng.CROP, 0, 5000, random_resized_crop.WORDS)
            )
        ]
    )
    left, top, right, bottom = boxes.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= 300).all()
    assert (bottom <= 200).all()
    area, ratio = (right - left) * (bottom - top) / 60_000, (right - left) / (bottom - top)
    assert ratio.min() >= 3 / 4 - 1e-9
    assert ratio.max() <= 4 / 3 + 1e-9
    assert area.min() >= 0.2 - 1e-9
    # Below half of the area every ratio fits, so the areas are uniform there.
    assert (area < 0.36).mean() == pytest.approx(0.16 / 0.8, abs=0.02)
    # Where there is room, all places are equally likely.
    assert (left / (300 - right + left)).mean() == pytest.approx(0.5, abs=0.02)


def test_a_crop_that_would_stick_out_keeps_its_ratio():
    left, top, right, bottom = random_resized_crop.random_crop_box(
        1000, 100, np.array([1.0, 0.5, 0, 0]), 0.5
    )
    assert (right - left) / (bottom - top) == pytest.approx(1)
    assert bottom - top == pytest.approx(100)


def test_a_resized_crop_of_a_flat_image_stays_flat_and_one_of_a_ramp_is_a_ramp():
    ramp = np.tile(np.arange(32, dtype=np.uint8) * 8, (40, 1, 32, 1))
    ramp[:20] = 77
    batches = BatchLoader(ramp, np.zeros(40, int), 40, augment=Augment(random_resized_crop=0.25))
    images = next(iter(batches))[0] * 255
    np.testing.assert_allclose(images[:20], 77, atol=1e-4)
    slopes = np.diff(images[20:, 0, 16, 4:28]).mean(1)
    assert (slopes > 8 * 0.43).all()  # a part of the width, at least sqrt(0.25 * 3/4) of it ...
    assert (slopes <= 8 * 1.001).all()  # ... at most all of it
    assert slopes.std() > 0.5


def test_two_ways_to_crop_are_refused(sample):
    with pytest.raises(DataError, match="two ways to crop"):
        loader(sample, Augment(random_resized_crop=0.3), crop_padding=4)


def test_switches_without_effect_are_refused(sample):
    with pytest.raises(DataError, match="alternate_flip says how to flip"):
        loader(sample, Augment(alternate_flip=True), flip=False)
    with pytest.raises(DataError, match="random_resized_crop needs square images"):
        BatchLoader(
            np.zeros((4, 3, 8, 9), np.uint8), [0] * 4, 2, augment=Augment(random_resized_crop=0.3)
        )


# -- erasing ---------------------------------------------------------------------------------


def test_erasing_leaves_one_rectangle_of_zeros_in_the_right_share_of_images():
    images = np.ones((2000, 2, 32, 24), np.float32)
    random_erasing.random_erasing(
        images, rng.random_words(0, 0, rng.ERASE, 0, 2000, random_erasing.ERASE_WORDS), 0.25
    )
    erased = images[:, 0] == 0
    assert np.array_equal(images[:, 1] == 0, erased)
    hit = erased.any((1, 2))
    assert hit.mean() == pytest.approx(0.25, abs=0.03)
    rows, columns = erased.any(2).sum(1)[hit], erased.any(1).sum(1)[hit]
    assert np.array_equal(rows * columns, erased.sum((1, 2))[hit])  # a full rectangle
    area, ratio = rows * columns / 768, rows / columns
    assert area.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.015)
    assert area.max() < 0.36
    assert np.median(np.log(ratio)) == pytest.approx(0, abs=0.2)


def test_erasing_can_hit_every_pixel_and_hits_the_middle_more_often_than_a_corner():
    images = np.ones((3000, 1, 12, 12), np.float32)
    random_erasing.random_erasing(
        images, rng.random_words(0, 0, rng.ERASE, 0, 3000, random_erasing.ERASE_WORDS), 1.0
    )
    share = (images[:, 0] == 0).mean(0)
    assert share.min() > 0
    assert share[6, 6] > 2 * share[0, 0]


def test_cutout_is_a_square_that_the_border_may_cut():
    images = np.ones((3000, 1, 16, 16), np.float32)
    words = rng.random_words(0, 0, rng.CUTOUT, 0, 3000, random_erasing.CUTOUT_WORDS)
    random_erasing.cutout(images, words, 6)
    erased = images[:, 0] == 0
    rows, columns = erased.any(2).sum(1), erased.any(1).sum(1)
    assert np.array_equal(rows * columns, erased.sum((1, 2)))
    assert set(rows) == set(columns) == {3, 4, 5, 6}
    # A pixel is hit by the centres near it: 6 x 6 of 16 x 16 in the middle, 4 x 4 at one corner.
    assert erased[:, 8, 8].mean() == pytest.approx(36 / 256, abs=0.02)
    assert erased[:, 0, 0].mean() == pytest.approx(16 / 256, abs=0.02)


def test_a_square_larger_than_the_image_erases_all_or_most():
    images = np.ones((50, 1, 8, 8), np.float32)
    random_erasing.cutout(images, rng.random_words(0, 0, rng.CUTOUT, 0, 50, 2), 100)
    assert (images == 0).all()


# -- mixing ----------------------------------------------------------------------------------


def mixed(images, labels, batch=0, **kinds):
    return mix(
        images.copy(), labels, **{"mixup": 0, "cutmix": 0, **kinds}, seed=0, epoch=0, batch=batch
    )


def test_the_weight_of_the_first_batch_has_nothing_to_do_with_the_other_choices():
    draws = np.array(
        [
            (
                rng.beta(1.0, seed, 0, rng.MIX_WEIGHT, 0),
                *rng.uniform(rng.random_words(seed, 0, rng.MIX, 0, 1, 3)[0]),
            )
            for seed in range(400)
        ]
    )
    assert abs(np.corrcoef(draws.T)[0, 1:]).max() < 0.15  # three standard deviations


def test_mixup_is_the_weighted_sum_of_two_images():
    images = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)
    labels = np.arange(5)
    for batch in range(20):
        result = mixed(images, labels, batch, mixup=1.0)
        share = result.lam[0]
        assert (result.lam == share).all()
        assert share == pytest.approx(rng.beta(1.0, 0, 0, rng.MIX_WEIGHT, batch))
        expected = share * images + (1 - share) * images[::-1]
        np.testing.assert_allclose(result.images, expected, rtol=0, atol=1e-6)
        assert np.array_equal(result.labels_b, labels[::-1])
        assert np.array_equal(result.labels, labels)


def test_in_cutmix_the_share_is_the_area_that_is_left():
    # Image i is all i, so that each pixel says whose it is.
    images = np.tile(np.arange(6, dtype=np.float32)[:, None, None, None], (1, 3, 60, 80))
    shares = []
    for batch in range(300):
        result = mixed(images, np.arange(6), batch, cutmix=1.0)
        for pixels, own, other, share in zip(*result):
            assert set(np.unique(pixels)) <= {own, other}
            assert (pixels == own).mean() == pytest.approx(share, abs=1e-6)
            assert np.array_equal(pixels[0], pixels[2])
        shares.append(result.lam[0])
    # 1 - E[(r - r^2 / 4)^2] with r^2 uniform: what the border leaves of the rectangles.
    assert np.mean(shares) == pytest.approx(0.679, abs=0.05)
    assert np.std(shares) > 0.15


def test_with_both_kinds_on_each_batch_is_of_one():
    images = np.zeros((2, 1, 16, 16), np.float32)
    images[1] = 1
    kinds = []
    for batch in range(400):
        values = np.unique(mixed(images, np.arange(2), batch, mixup=1.0, cutmix=1.0).images)
        kinds.append(set(values.tolist()) <= {0.0, 1.0})
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.08)


def test_a_mixed_batch_of_one_image_is_that_image():
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    for kind in ("mixup", "cutmix"):
        result = mixed(image, np.array([3]), **{kind: 1.0})
        np.testing.assert_allclose(result.images, image, atol=1e-6)
        assert result.labels_b.tolist() == [3]


# -- flips -----------------------------------------------------------------------------------


def test_alternate_flips_show_each_image_from_both_sides_in_turn(sample):
    """Two epochs in a row hold each image once as it is and once mirrored."""
    labels = np.arange(300)
    batches = BatchLoader(
        sample.train_images[:300],
        labels,
        64,
        shuffle=True,
        flip=True,
        augment=Augment(alternate_flip=True),
    )
    seen = []
    for epoch in range(4):
        images, names = (np.concatenate(each) for each in zip(*batches.batches(epoch)))
        seen.append(images[np.argsort(names)])
    assert np.array_equal(seen[0], seen[2])
    assert np.array_equal(seen[1], seen[3])
    assert np.array_equal(seen[0][..., ::-1], seen[1])
    plain = sample.train_images[:300].astype(np.float32) * np.float32(1 / 255)
    as_it_is = (seen[0] == plain).all((1, 2, 3))
    assert as_it_is.mean() == pytest.approx(0.5, abs=0.1)


# -- TrivialAugment --------------------------------------------------------------------------

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
FLAT = Image.fromarray(np.stack([GREY, GREY[::-1], GREY.T], -1))


def apply(name, strength):
    return np.asarray(trivial_augment.OPERATIONS[name](FLAT, strength)).astype(int)


PIXELS = np.asarray(FLAT).astype(int)


def test_solarize_posterize_and_brightness_are_what_they_say_pixel_by_pixel():
    assert np.array_equal(apply("solarize", 0.5), np.where(PIXELS < 128, PIXELS, 255 - PIXELS))
    assert np.array_equal(apply("solarize", 0), np.where(PIXELS < 255, PIXELS, 0))
    assert np.array_equal(apply("posterize", -0.5), PIXELS & 0b11111000)
    assert np.array_equal(apply("posterize", 0), PIXELS)
    assert np.abs(apply("brightness", 0.5) - np.minimum(PIXELS * 1.495, 255)).max() <= 1
    assert np.abs(apply("brightness", -1) - PIXELS * 0.01).max() <= 1


def test_color_contrast_and_sharpness_of_strength_0_change_nothing_and_blend_otherwise():
    for name in ("color", "contrast", "brightness", "sharpness", "rotate", "shear_x", "shear_y"):
        assert np.array_equal(apply(name, 0), PIXELS), name
    grey = np.asarray(FLAT.convert("L")).astype(int)
    assert np.abs(apply("color", -1) - (0.99 * grey[..., None] + 0.01 * PIXELS)).max() <= 1
    mean = round(grey.mean())
    assert np.abs(apply("contrast", -1) - (0.99 * mean + 0.01 * PIXELS)).max() <= 1


def test_moves_move_by_whole_pixels_and_leave_black():
    moved = apply("translate_x", 0.25)  # a quarter of 12 pixels
    assert np.array_equal(moved[:, :13], PIXELS[:, 3:])
    assert (moved[:, 13:] == 0).all()
    moved = apply("translate_y", -0.25)
    assert np.array_equal(moved[3:], PIXELS[:13])
    # A shear of 0.99 moves row y by 0.99 y, to the nearest pixel.
    sheared = apply("shear_x", 1)
    for row in range(16):
        by = int(0.99 * (row + 0.5) + 0.5)
        assert np.array_equal(sheared[row, : 16 - by], PIXELS[row, by:])


def test_a_quarter_turn_is_a_quarter_turn():
    assert np.array_equal(apply("rotate", 90 / 135), np.rot90(PIXELS))


def test_each_operation_and_strength_is_equally_likely(monkeypatch):
    seen = []
    table = [
        lambda image, strength, number=number: seen.append((number, strength)) or image
        for number in range(len(trivial_augment.OPERATIONS))
    ]
    monkeypatch.setattr(trivial_augment, "_TABLE", table)
    images = np.zeros((14_000, 1, 1, 1), np.uint8)
    trivial_augment.trivial_augment(
        images, rng.random_words(0, 0, rng.POLICY, 0, 14_000, trivial_augment.WORDS)
    )
    counts = np.bincount([number for number, _ in seen], minlength=14)
    assert (abs(counts - 1000) < 150).all()
    steps = np.array([round(strength * 30) for _, strength in seen])
    assert set(steps) == set(range(-30, 31))
    assert (steps > 0).mean() == pytest.approx(30 / 62, abs=0.02)
    assert (steps == 0).mean() == pytest.approx(1 / 31, abs=0.01)


def test_trivial_augment_takes_grey_and_coloured_images_of_any_size():
    for shape in ((3, 1, 5, 9), (3, 3, 1, 1), (3, 3, 40, 20)):
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for first in range(0, 300, 3):
            words = rng.random_words(0, 0, rng.POLICY, first, 3, trivial_augment.WORDS)
            assert trivial_augment.trivial_augment(images, words).shape == shape


# -- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [31, 24, 20, 16, 8])
def test_scaling_batches_agrees_with_pillow(side):
    images = np.random.default_rng(0).random((2, 3, 32, 40), dtype=np.float32)
    expected = [
        [
            np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR))
            for plane in image
        ]
        for image in images
    ]
    np.testing.assert_allclose(resize_batch(images, side), expected, rtol=0, atol=1e-6)


def test_scaling_to_the_same_size_gives_the_same_array_and_up_is_refused():
    images = np.zeros((1, 3, 8, 8), np.float32)
    assert resize_batch(images, 8) is images
    with pytest.raises(DataError, match="cannot be scaled down to 9"):
        resize_batch(images, 9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"random_erasing": 1.5}, "random_erasing must be 0 or from 0 to 1, not 1.5"),
        ({"mixup": 0.01}, "mixup must be 0 or from 0.05 to 4, not 0.01"),
        ({"cutmix": -1}, "cutmix must be 0 or from 0.05"),
        ({"random_resized_crop": 2}, "random_resized_crop must be 0 or from 0 to 1"),
        ({"cutout": -1}, "cutout must be 0 or more pixels"),
        ({"random_erasing": float("nan")}, "random_erasing must be"),
    ],
)
def test_switches_out_of_range_are_told(wrong, message):
    with pytest.raises(DataError, match=message):
        Augment(**wrong)
