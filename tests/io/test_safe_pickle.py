"""Limits of the reader of pickles that no file of weights comes near."""

import io
import pickle

import pytest

from paddle_resnet.io.safe_pickle import PickleError, read


def read_back(value):
    return read(io.BytesIO(pickle.dumps(value)), {})


@pytest.mark.parametrize("key", [0, -7, 2**59, "name", b"name", True, None])
def test_usual_keys_of_a_dict(key):
    assert read_back({key: 1}) == {key: 1}


@pytest.mark.parametrize("key", [2**61 - 1, 2**60, -(2**60), 2**4000])
def test_integers_that_could_be_chosen_to_collide_are_no_keys(key):
    """Multiples of 2**61 - 1 have one hash: a dict of many would take hours."""
    with pytest.raises(PickleError, match="a dict with a key of type int"):
        read_back({key: 1})


@pytest.mark.parametrize("key", [1.5, (1, 2), frozenset({1}), 1j])
def test_other_keys_are_refused(key):
    with pytest.raises(PickleError):
        read_back({key: 1})
