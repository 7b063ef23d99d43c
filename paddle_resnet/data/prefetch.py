"""Compute the next few items in threads while the caller uses the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Callable, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def prefetch(
    make: Callable[[Given], Made], items: Iterable[Given], workers: int, spare: int = 1
) -> Iterator[Made]:
    """Yield ``make(item)`` for each item, in order, while threads compute the following ones.

    Threads, not processes: decoding and scaling release the interpreter lock, nothing is copied,
    and Paddle does not survive a fork. An error is raised in place of its item.

    Args:
        make: called in a thread.
        items: what to call it with.
        workers: threads.
        spare: how many more than ``workers`` may be ready or under way.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="paddle_resnet_data")
    try:
        rest = iter(items)
        waiting = deque(pool.submit(make, item) for item in islice(rest, workers + spare))
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, item) for item in islice(rest, 1))
            yield made
    finally:
        # Also if the caller stops early: the remaining items are not needed.
        pool.shutdown(wait=True, cancel_futures=True)
