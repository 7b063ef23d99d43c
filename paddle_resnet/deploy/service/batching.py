"""Requests of a few images, computed together by one thread."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Callable

import numpy as np


class QueueFull(Exception):
    """There is no room for further images, or the batcher is closed."""


#: Of uint8 ``[N, C, H, W]`` to an array ``[N, ...]``.
Compute = Callable[[np.ndarray], np.ndarray]


@dataclass
class _Request:
    run: Compute
    images: np.ndarray
    future: Future = field(default_factory=Future)


class Batcher:
    """Run what waits in one batch as soon as the batch before is done.

    Nothing waits for a batch to fill: a single request on an idle machine is computed at once.
    Only one thread runs the network, so it need not be safe for threads.

    Args:
        max_batch: images of a batch. A request with more has a batch of its own.
        max_waiting: images that may wait, beside those that are computed.
        observe: is called with the number of images of each batch.
    """

    def __init__(
        self,
        max_batch: int = 32,
        max_waiting: int = 256,
        observe: Callable[[int], None] = lambda images: None,
    ) -> None:
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._observe = observe
        self._waiting: deque[_Request] = deque()
        self._images = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Images that wait."""
        return self._images

    def submit(self, run: Compute, images: np.ndarray) -> Future:
        """Queue images; the future has their rows of what ``run`` returns, or its exception.

        Only requests of one ``run`` share a batch. A future that is cancelled before its turn is
        not computed.

        Raises:
            QueueFull: too many images wait, or the batcher is closed.
        """
        request = _Request(run, images)
        with self._changed:
            if self._closed:
                raise QueueFull("the service is stopping")
            if self._waiting and self._images + len(images) > self._max_waiting:
                raise QueueFull(f"{self._images} images are waiting already")
            self._waiting.append(request)
            self._images += len(images)
            self._changed.notify()
        return request.future

    def close(self) -> None:
        """Compute what waits, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            live = [each for each in batch if each.future.set_running_or_notify_cancel()]
            if live:
                self._compute(live)

    def _next(self) -> list[_Request]:
        """Wait for requests and return those of one batch; none at the end."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
            batch, size = [], 0
            while self._waiting:
                first, more = self._waiting[0], len(self._waiting[0].images)
                if batch and (size + more > self._max_batch or first.run != batch[0].run):
                    break
                batch.append(self._waiting.popleft())
                size += more
                self._images -= more
            return batch

    def _compute(self, batch: list[_Request]) -> None:
        sizes = [len(each.images) for each in batch]
        try:
            images = batch[0].images
            if len(batch) > 1:
                images = np.concatenate([each.images for each in batch])
            rows = batch[0].run(images)
            if len(rows) != sum(sizes):
                raise RuntimeError(f"{len(rows)} answers to {sum(sizes)} images")
        except BaseException as error:
            for each in batch:
                each.future.set_exception(error)
            return
        self._observe(sum(sizes))
        ends = np.cumsum(sizes)
        for each, end, size in zip(batch, ends, sizes):
            each.future.set_result(rows[end - size : end])
