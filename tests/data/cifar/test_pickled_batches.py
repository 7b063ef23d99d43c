import os
import pickle

import numpy as np
import pytest

from paddle_resnet.data.cifar import pickled_batches
from paddle_resnet.errors import DataError
from paddle_resnet.io import pickled_arrays


def test_a_batch_reads_as_pickle_itself_reads_it(batches):
    expected = pickle.loads(batches["test_batch"], encoding="bytes")
    images, labels = pickled_batches.read_batch(batches["test_batch"])
    assert np.array_equal(images.reshape(-1, 3072), expected[b"data"])
    assert labels.tolist() == expected[b"labels"]
    assert images.dtype == labels.dtype == np.uint8


# What Python 2 and its numpy write, opcode for opcode: `str` where Python 3 has bytes.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85q\x05U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x01M\x00\x0c\x86q\tcnumpy\ndtype\nq\n"
    b"U\x02u1q\x0bK\x00K\x01\x87q\x0cRq\r(K\x03U\x01|q\x0eNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK"
    b"\x00tq\x0fb\x89T\x00\x0c\x00\x00%sq\x10tq\x11bU\x06labelsq\x12]q\x13K\x07aU\x0bbatch_label"
    b"q\x14U\x15testing batch 1 of 1 q\x15u."
)


def test_a_python_2_pickle_reads():
    pixels = bytes(range(256)) * 12
    images, labels = pickled_batches.read_batch(PYTHON_2.replace(b"%s", pixels))
    assert images.tobytes() == pixels
    assert labels.tolist() == [7]


def test_a_pickle_that_python_3_rewrote_with_text_keys_and_in_fortran_order_reads(sample):
    images = np.asfortranarray(sample.test_images[:5].reshape(5, -1))
    content = pickle.dumps({"data": images, "labels": [1, 2, 3, 4, 5]}, protocol=4)
    assert np.array_equal(pickled_batches.read_batch(content)[0], sample.test_images[:5])


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"), [(os.system, "(posix|nt).system"), (eval, "_?_?builtins?_?_?.eval")]
)
def test_a_pickle_that_asks_to_run_something_is_refused_and_runs_nothing(
    tmp_path, protocol, function, name
):
    trace = tmp_path / "trace"
    command = f"touch {trace}" if function is os.system else f"open({str(trace)!r}, 'w')"
    content = pickle.dumps({"data": Malicious(function, command)}, protocol=protocol)
    with pytest.raises(DataError, match=f"asks for {name}, .*nothing was run"):
        pickled_batches.read_batch(content)
    assert not trace.exists()
    pickle.loads(content)  # the same bytes do act where they are trusted
    assert trace.exists()


def test_a_pickle_cannot_change_what_the_reader_is_made_of():
    # BUILD on the class itself, with a state that would replace its method.
    content = b"\x80\x02cnumpy\nndarray\n}q\x00X\x08\x00\x00\x00to_numpyK\x01s\x86b."
    before = vars(pickled_arrays.Array).copy()
    with pytest.raises(DataError):
        pickled_batches.read_batch(content)
    assert dict(vars(pickled_arrays.Array)) == before


def test_every_truncation_is_an_error_of_ours():
    content = PYTHON_2.replace(b"%s", bytes(3072))
    for length in [*range(0, 300), len(content) - 30, len(content) - 1]:
        with pytest.raises(DataError):
            pickled_batches.read_batch(content[:length])


@pytest.mark.parametrize(
    "batch",
    [
        [],
        {b"data": 1, b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8)},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [True]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": ["1"]},
        {b"data": np.zeros((1, 3072), np.float32), b"labels": [1]},
        {b"data": np.array([[object] * 3072]), b"labels": [1]},
    ],
    ids=str,
)
def test_other_pickles_are_refused(batch):
    with pytest.raises(DataError):
        pickled_batches.read_batch(pickle.dumps(batch, protocol=3))
