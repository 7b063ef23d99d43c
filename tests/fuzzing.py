"""What every fuzzer here does: feed many odd inputs, and count what came of them."""

from __future__ import annotations

import argparse
import random
import resource
import signal
import tempfile
from pathlib import Path
from typing import Any, Callable

from paddle_resnet.errors import UserError


def count(inputs: int, seconds: int, feed: Callable[[int], Any]) -> dict[str, int]:
    """Call ``feed(number)`` for each input.

    It may return, which accepts the input, or raise a `UserError` of one sentence; everything else,
    and more than ``seconds``, counts among the others and is printed.
    """
    counts = {"typed errors": 0, "accepted": 0, "others": 0}

    def too_long(number: int, frame: Any) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for number in range(inputs):
            signal.alarm(seconds)
            try:
                feed(number)
                counts["accepted"] += 1
            except UserError as error:
                text = str(error)
                if set("\n\x1b\x00") & set(text) or len(text) > 2000:
                    counts["others"] += 1
                    print(f"input {number}: no sentence: {text[:200]!r}")
                else:
                    counts["typed errors"] += 1
            except Exception as error:
                counts["others"] += 1
                print(f"input {number}: {type(error).__name__}: {str(error)[:500]}")
            finally:
                signal.alarm(0)
    finally:
        signal.signal(signal.SIGALRM, before)
    return counts


def main(
    description: str, inputs: int, fuzz: Callable[[int, random.Random, Path], dict[str, int]]
) -> int:
    """Run ``fuzz(inputs, chance, place)`` from the command line, and print its counts."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=inputs)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as place:
        counts = fuzz(arguments.inputs, random.Random(arguments.seed), Path(place))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began
    print(
        f"inputs: {arguments.inputs}, typed errors: {counts['typed errors']}, accepted (the change "
        f"means something): {counts['accepted']}, others: {counts['others']}; "
        f"memory grew by {grown / 1024:.0f} MiB"
    )
    return 1 if counts["others"] else 0
