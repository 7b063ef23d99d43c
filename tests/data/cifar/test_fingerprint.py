import numpy as np
import pytest

from paddle_resnet.data.cifar.fingerprint import verify
from paddle_resnet.data.cifar.sample import SAMPLE
from paddle_resnet.errors import DataError


def test_the_right_arrays_pass(sample):
    verify(sample, SAMPLE)


def test_one_changed_bit_is_found_and_named(sample):
    images = sample.test_images.copy()
    images[3, 1, 4, 1] ^= 1
    with pytest.raises(DataError, match="test_images is corrupt or was changed: its sha256 is"):
        verify(sample._replace(test_images=images), SAMPLE)


def test_another_number_of_images_is_told_by_shape(sample):
    with pytest.raises(DataError, match=r"train_images is uint8 \[2000, .*expected uint8 \[50000"):
        verify(sample)


def test_another_type_is_told(sample):
    labels = sample.train_labels.astype(np.int64)
    with pytest.raises(DataError, match="train_labels is int64"):
        verify(sample._replace(train_labels=labels), SAMPLE)


def test_a_view_in_another_order_of_memory_counts_by_its_values(sample):
    verify(sample._replace(test_images=np.asfortranarray(sample.test_images)), SAMPLE)
