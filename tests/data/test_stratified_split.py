import hashlib
from fractions import Fraction

import numpy as np
import pytest

from paddle_resnet.data import train_validation_split
from paddle_resnet.errors import DataError


def test_each_class_gives_its_share(sample):
    train, validation = train_validation_split(sample.train_labels, 500)
    assert np.bincount(sample.train_labels[validation]).tolist() == [50] * 10
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(2000))
    assert train.dtype == validation.dtype == np.int64
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_sizes_that_do_not_divide_evenly_come_out_exact():
    labels = np.repeat([0, 1, 2], [10, 20, 71])
    for size in range(1, 101):
        _, validation = train_validation_split(labels, size)
        assert len(validation) == size
        share = np.bincount(labels[validation], minlength=3)
        assert (abs(share - np.array([10, 20, 71]) * size / 101) < 1).all()


def test_only_the_seed_and_the_labels_matter(sample):
    np.random.seed(1)
    first = train_validation_split(sample.train_labels, 500, seed=3)[1]
    np.random.seed(2)
    assert np.array_equal(first, train_validation_split(sample.train_labels, 500, seed=3)[1])
    other = train_validation_split(sample.train_labels, 500, seed=4)[1]
    assert 80 < len(np.intersect1d(first, other)) < 170  # of 500, by chance 125


def test_the_choice_is_the_same_in_every_version_of_numpy(sample):
    _, validation = train_validation_split(sample.train_labels, 500)
    digest = hashlib.sha256(validation.astype("<i8").tobytes()).hexdigest()
    assert digest == "5c07c49a4552a2e3fc910b74db03f0ca1d9cbf1dafb8abae46dd4a2bc6c9a584"


@pytest.mark.full
def test_the_split_of_the_full_set_is_the_known_one(full):
    train, validation = train_validation_split(full.train_labels)
    assert len(train) == 45_000
    assert np.bincount(full.train_labels[validation]).tolist() == [500] * 10
    digest = hashlib.sha256(validation.astype("<i8").tobytes()).hexdigest()
    assert digest == "2bbc812a705b7bc6518de28b6fe6f079d7c44d292317270cc54854570bac42ed"


@pytest.mark.parametrize("size", [0, -1, 2000, 5000, 2.5, "500", True, None])
def test_sizes_that_leave_nothing_are_refused(sample, size):
    with pytest.raises(DataError, match="validation"):
        train_validation_split(sample.train_labels, size)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None])
def test_bad_seeds_are_refused(sample, seed):
    with pytest.raises(DataError, match="seed must be an integer of 0 or more"):
        train_validation_split(sample.train_labels, 500, seed)


@pytest.mark.parametrize("labels", [[0.5, 1.0], [[1], [2]], [], 3, ["a", "b"]])
def test_other_labels_are_refused(labels):
    with pytest.raises(DataError, match=r"Labels must be|cannot be set aside"):
        train_validation_split(labels, 1)


@pytest.mark.parametrize(
    ("counts", "validation"), [((5, 3, 3), 4), ((3, 5, 3), 4), ((7, 7, 7), 4), ((9, 1, 5), 7)]
)
def test_the_remainder_goes_to_the_classes_that_lack_most(counts, validation):
    """Hare's quota in fractions: the largest remainders first, of equal ones the lower class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    quotas = [Fraction(count * validation, sum(counts)) for count in counts]
    expected = [int(quota) for quota in quotas]
    order = sorted(range(len(counts)), key=lambda k: (expected[k] - quotas[k], k))
    for k in order[: validation - sum(expected)]:
        expected[k] += 1
    _, chosen = train_validation_split(labels, validation)
    assert np.bincount(labels[chosen], minlength=len(counts)).tolist() == expected
