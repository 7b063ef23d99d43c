"""Batches are the same to the last bit on every machine: a seed keeps its meaning."""

import pytest
from fingerprint import batch_fingerprints

# Recorded at commit 4a6b6cd; equal with NumPy 1.26 and 2.4, Pillow 9.3 to 13.0.
# Those with mixup or CutMix are later: their weight got a stream of its own.
EXPECTED = {
    "batch_plain": "f906cbf8386c23ee",
    "batch_normalized": "23947a68542a809b",
    "batch_shuffled": "1e151093174dc5de",
    "batch_padded_crops_flips": "c6ce4e7e782189c2",
    "batch_flips_alone": "89357e4b3fde46fe",
    "batch_drop_last": "736c2ecc153f0be7",
    "batch_alternate_flips": "89f9470815a3c044",
    "batch_resized_crops": "2f4a724f82610a07",
    "batch_trivial_augment": "d1f6fc76b4e261b0",
    "batch_erasing": "0647f761e717a133",
    "batch_cutout": "2d2808a1571a398d",
    "batch_mixup": "7359ce9a85848abc",
    "batch_cutmix": "9dafa21ac938efb2",
    "batch_all_at_once": "419f1a927504ae7d",
}


@pytest.fixture(scope="module")
def found():
    return batch_fingerprints()


@pytest.mark.parametrize("name", EXPECTED)
def test_batches_keep_their_bits(found, name):
    assert found[name] == EXPECTED[name]


def test_every_augmentation_has_a_fingerprint(found):
    assert list(found) == list(EXPECTED)
    assert len(set(found.values())) == len(found)
