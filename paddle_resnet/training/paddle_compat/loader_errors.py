"""Errors while samples are read or put together, raised where the batches are used.

With ``num_workers=0`` Paddle's DataLoader reads in a thread of its own. An exception there ends
that thread and nothing else, so whoever waits for the next batch waits for ever. With worker
processes it raises a SystemError about a queue.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

import numpy as np
from paddle import Tensor
from paddle.io import DataLoader, Dataset, IterableDataset
from paddle.io.dataloader.collate import default_collate_fn

from ...errors import DataError, for_display


class RaisingLoader:
    """The batches of a DataLoader, and then the exception that ended them, if one did.

    Args:
        loader (DataLoader): any; it is not changed.

    Raises:
        DataError: while iterating: samples cannot be put together, or a worker process failed.
            With ``num_workers=0``, what the Dataset raises comes as it is.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        """Return the number of batches; raises what the DataLoader's own ``len`` raises."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return self._in_workers() if self.loader.num_workers else self._in_this_process()

    def _in_workers(self) -> Iterator[Any]:
        try:
            yield from self.loader
        except SystemError as error:
            raise DataError(
                "a worker process could not read a batch: its traceback stands above this one "
                "(with num_workers=0 the error itself is raised)."
            ) from error

    def _in_this_process(self) -> Iterator[Any]:
        caught = _Caught()
        loader = copy.copy(self.loader)
        data = self.loader.dataset
        iterable = isinstance(data, IterableDataset)
        loader.dataset = (_Samples if iterable else _IndexedSamples)(data, caught)
        if not iterable and loader.batch_sampler is not None:
            loader.batch_sampler = _Indices(loader.batch_sampler, caught)
        # `None` stands for the default; without automatic batches it only converts one sample.
        batches = loader.batch_sampler is not None
        own = loader.collate_fn or (collate if batches else None)
        if own is not None:
            own = collate if own is default_collate_fn else own
            loader.collate_fn = caught.guarded(own, "putting a batch together", after=_no_text)
        try:
            yield from loader
        except Exception:
            if caught.error is None:
                raise
        if caught.error is not None:
            raise caught.error


def raising(loader: Any) -> Any:
    """Return a DataLoader whose errors are raised; whatever else yields batches stays as it is."""
    # A subclass with an `__iter__` of its own may do anything there: it is left alone.
    plain = isinstance(loader, DataLoader) and type(loader).__iter__ is DataLoader.__iter__
    return RaisingLoader(loader) if plain else loader


def collate(samples: Sequence[Any]) -> Any:
    """Put samples into one batch as Paddle does by default.

    Raises:
        DataError: they differ in shape or number of parts, or hold what is no array; says what.
    """
    try:
        return default_collate_fn(samples)
    except Exception as error:
        raise DataError(
            f"the samples of a batch cannot be put together: {_difference(samples) or error}."
        ) from error


class _Caught:
    """The first exception of a reading thread."""

    def __init__(self) -> None:
        self.error: Optional[BaseException] = None

    def guarded(
        self,
        call: Callable[..., Any],
        doing: str = "",
        ends: bool = False,
        after: Callable[[Any], Any] = lambda value: value,
    ) -> Callable[..., Any]:
        """Return a function that keeps an exception, and ends the thread in an orderly way.

        Args:
            call: what may raise.
            doing: a note for the exception's traceback (Python 3.11 and later show it), formatted
                with the arguments.
            ends: whether StopIteration of ``call`` means the end, and not an error.
            after: checks the value.
        """

        def guarded(*args: Any) -> Any:
            if self.error is not None:
                raise StopIteration
            try:
                return after(call(*args))
            except BaseException as error:
                if not (ends and isinstance(error, StopIteration)):
                    # Within a generator Python would turn StopIteration into another error.
                    stop = isinstance(error, StopIteration)
                    self.error = RuntimeError("a Dataset raised StopIteration") if stop else error
                    if doing and hasattr(error, "add_note"):
                        self.error.add_note(f"while {doing.format(*args)}")
                raise StopIteration from None  # which Paddle's thread takes for the end of the data

        return guarded


class _IndexedSamples(Dataset):
    def __init__(self, data: Dataset, caught: _Caught) -> None:
        self.data = data
        self.get = caught.guarded(lambda index: data[index], "reading sample {}")

    def __getitem__(self, index: Any) -> Any:
        return self.get(index)

    def __len__(self) -> int:
        return len(self.data)


class _Samples(IterableDataset):
    def __init__(self, data: IterableDataset, caught: _Caught) -> None:
        self.data, self.caught = data, caught

    def __iter__(self) -> Iterator[Any]:
        return _Guarded(iter(self.data), self.caught)


class _Indices:
    def __init__(self, sampler: Any, caught: _Caught) -> None:
        self.sampler, self.caught = sampler, caught

    def __iter__(self) -> Iterator[Any]:
        return _Guarded(iter(self.sampler), self.caught)

    def __len__(self) -> int:
        return len(self.sampler)


class _Guarded:
    """An iterator that keeps what the other one raises."""

    def __init__(self, inner: Iterator[Any], caught: _Caught) -> None:
        self.next = caught.guarded(lambda: next(inner), ends=True)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.next()


def _no_text(batch: Any) -> Any:
    """Return a batch that Paddle can make tensors of; its thread ends without a word otherwise."""
    parts = batch.values() if isinstance(batch, dict) else batch
    for value in parts if isinstance(batch, (dict, list, tuple)) else [batch]:
        if isinstance(value, np.ndarray) and value.dtype.kind in "OUSM":
            text = value.dtype.kind in "US"
            advice = (
                ", such as the positions of the labels in a list of the classes" if text else ""
            )
            raise DataError(
                f"a batch holds {value.dtype} ({for_display(value.ravel()[:3].tolist())}): "
                f"expected numbers{advice}."
            )
    return batch


def _difference(samples: Sequence[Any]) -> str:
    """Return in which way samples differ from each other, or are no arrays; empty if unknown."""
    rows = [list(s) if isinstance(s, (list, tuple)) else [s] for s in samples]
    sizes = sorted({len(row) for row in rows})
    if len(sizes) > 1:
        return f"they have {' and '.join(map(str, sizes))} parts"
    for place, values in enumerate(zip(*rows)):
        part = f"part {place + 1} of a sample" if sizes[0] > 1 else "a sample"
        for value in values:
            if not isinstance(value, (np.ndarray, Tensor, int, float, np.generic, str, dict)):
                made = " (paddle.vision.transforms.ToTensor makes one)" if value else ""
                return f"{part} is {_kind(value)}, expected an array{made}"
        shapes = list(dict.fromkeys(str(list(np.shape(value))) for value in values))
        if len(shapes) > 1:
            return (
                f"{part} has shape {' and '.join(shapes[:3])}: bring all to one size "
                "(paddle.vision.transforms.Resize), or give a DataLoader with a collate_fn"
            )
    return ""


def _kind(value: Any) -> str:
    return "None" if value is None else f"{type(value).__module__}.{type(value).__name__}"
