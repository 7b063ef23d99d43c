"""Exported files answer images in a process of their own: `python -m ...proof_worker TASK.json`.

TASK.json: ``files`` (paths), ``images`` (.npy, uint8 ``[N, C, H, W]``), ``answers`` (.npz to
write: ``logits0`` ..., ``seconds0`` ... ``[2]`` for a batch of 1 and of 16).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from ...errors import UserError
from ..predictor import Predictor

BATCHES = (1, 16)
#: Rounds of timing, and seconds after which no further one begins.
_ROUNDS, _SECONDS = 15, 4.0


def main(task: str) -> int:
    """Answer and time."""
    given = json.loads(Path(task).read_text(encoding="utf-8"))
    images = np.load(given["images"], allow_pickle=False)
    try:
        predictors = [Predictor(path) for path in given["files"]]
        answers = {f"logits{i}": each.logits(images) for i, each in enumerate(predictors)}
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    for index, seconds in enumerate(_time(predictors, images)):
        answers[f"seconds{index}"] = np.array(seconds)
        answers[f"runtime{index}"] = np.array(predictors[index].runtime.name)
    np.savez(given["answers"], **answers)
    return 0


def _time(predictors: list[Predictor], images: np.ndarray) -> list[list[float]]:
    """Return the median seconds of a batch of each size, the files in turn."""
    result: list[list[float]] = [[] for _ in predictors]
    for size in BATCHES:
        batch = images[np.arange(size) % len(images)]
        seconds: list[list[float]] = [[] for _ in predictors]
        end = time.perf_counter() + _SECONDS
        for _ in range(_ROUNDS + 1):
            for predictor, times in zip(predictors, seconds):
                began = time.perf_counter()
                predictor.logits(batch)
                times.append(time.perf_counter() - began)
            if time.perf_counter() > end:
                break
        for times, medians in zip(seconds, result):
            medians.append(statistics.median(times[1:] or times))
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
