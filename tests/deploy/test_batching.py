"""Requests that are computed together get their own answers."""

import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest

from paddle_resnet.deploy.service.batching import Batcher, QueueFull


def images(*values):
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1)


def sums(batch):
    return batch.reshape(len(batch), -1).sum(axis=1)


class Gate:
    """A network that waits until it is told to compute, and remembers its batches."""

    def __init__(self):
        self.open, self.began, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, batch):
        self.began.set()
        assert self.open.wait(20)
        self.batches.append(batch.ravel().tolist())
        return sums(batch)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def busy(gate):
    """A batcher whose network is busy with the image 99."""
    seen = []
    batcher = Batcher(max_batch=4, max_waiting=8, observe=seen.append)
    first = batcher.submit(gate, images(99))
    assert gate.began.wait(20)
    yield batcher, seen
    gate.open.set()
    assert first.result(20).tolist() == [99]
    batcher.close()


def test_what_waits_is_computed_together_and_each_gets_its_own_rows(gate, busy):
    batcher, seen = busy
    futures = [batcher.submit(gate, images(*values)) for values in [(1, 2), (3,), (4, 5), (6,)]]
    assert batcher.waiting == 6
    gate.open.set()
    assert [f.result(20).tolist() for f in futures] == [[1, 2], [3], [4, 5], [6]]
    # The third would have made a batch of 5.
    assert gate.batches == [[99], [1, 2, 3], [4, 5, 6]]
    batcher.close()
    assert seen == [1, 3, 3]


def test_a_request_above_the_largest_batch_is_computed_alone(gate, busy):
    batcher, _ = busy
    large, small = batcher.submit(gate, images(*range(6))), batcher.submit(gate, images(7))
    gate.open.set()
    assert large.result(20).tolist() == list(range(6))
    assert small.result(20).tolist() == [7]
    assert gate.batches == [[99], list(range(6)), [7]]


def test_different_networks_do_not_share_a_batch(gate, busy):
    batcher, _ = busy
    first = batcher.submit(gate, images(1))
    other = batcher.submit(lambda batch: -sums(batch).astype(int), images(1))
    gate.open.set()
    assert first.result(20).tolist() == [1]
    assert other.result(20).tolist() == [-1]


def test_a_full_queue_refuses(gate, busy):
    batcher, _ = busy
    batcher.submit(gate, images(*range(8)))
    with pytest.raises(QueueFull, match="8 images"):
        batcher.submit(gate, images(1))


def test_a_request_that_was_cancelled_is_not_computed(gate, busy):
    batcher, _ = busy
    gone, kept = batcher.submit(gate, images(1)), batcher.submit(gate, images(2))
    assert gone.cancel()
    gate.open.set()
    assert kept.result(20).tolist() == [2]
    assert gate.batches == [[99], [2]]
    with pytest.raises(CancelledError):
        gone.result()


def test_an_error_reaches_its_batch_and_the_next_one_is_computed():
    batcher = Batcher()

    def broken(batch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        batcher.submit(broken, images(1)).result(20)
    with pytest.raises(RuntimeError, match="1 answers to 2 images"):
        batcher.submit(lambda batch: sums(batch)[:1], images(1, 2)).result(20)
    assert batcher.submit(sums, images(3)).result(20).tolist() == [3]
    batcher.close()


def test_closing_computes_what_waits_and_refuses_the_rest(gate, busy):
    batcher, _ = busy
    waiting = batcher.submit(gate, images(1))
    closing = threading.Thread(target=batcher.close)
    closing.start()
    gate.open.set()
    closing.join(20)
    assert not closing.is_alive()
    assert waiting.result(0).tolist() == [1]
    with pytest.raises(QueueFull, match="stopping"):
        batcher.submit(gate, images(2))


def test_many_threads_get_their_own_answers():
    batcher, wrong = Batcher(max_batch=16), []

    def client(number):
        rng = np.random.RandomState(number)
        for _ in range(50):
            values = rng.randint(0, 256, rng.randint(1, 5)).tolist()
            answer = batcher.submit(sums, images(*values)).result(20).tolist()
            if answer != values:
                wrong.append((values, answer))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    batcher.close()
    assert wrong == []
