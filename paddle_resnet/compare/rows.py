"""Results of a comparison as rows of text, for the terminal and the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from .. import formatting
from ..formatting import SPACE, count, counted, decimal, number, rate
from .worker import DECAY, MOMENTUM, NOISE, RATE

SAME = "same"
#: With fewer, other load decides which side is faster.
FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """A value of both sides and their difference."""

    label: str
    a: str
    b: str
    between: str = ""


@dataclass(frozen=True)
class Section:
    """Rows about one matter."""

    id: str
    title: str
    rows: list[Row]
    note: str = ""
    #: Heads of the three columns, if they are not A, B and the difference.
    columns: tuple[str, str, str] | None = None


def sections(found: dict[str, Any]) -> list[Section]:
    """Return all that :func:`paddle_resnet.compare.comparison.compare` found."""
    parts = [_counts(found), _agreement(found), _curve(found), _speed(found)]
    return [*parts, _training(found)] if found["training"] else parts


def headline(found: dict[str, Any]) -> str:
    """Return the outcome in two or three sentences."""
    names, agreement = found["setting"]["names"], found["agreement"]
    if agreement is None:
        sentences = ["Two different networks: the names or shapes of their weights do not agree."]
    else:
        sentences = [_in_words(found)]
    ratio = found["speed"]["training"]["ratio"]
    if found["setting"]["rounds"] < FEWEST_ROUNDS:
        sentences.append("Too few rounds were timed to say which trains faster.")
    elif ratio["min"] <= 1 <= ratio["max"]:
        sentences.append("In training, neither was faster in every round.")
    else:
        faster, slower = ("a", "b") if ratio["median"] > 1 else ("b", "a")
        times = max(ratio["median"], 1 / ratio["median"])
        sentences.append(f"{names[faster]} trains {times:.2f} times as fast as {names[slower]}.")
    training = found["training"]
    if training:
        accuracy = [formatting.percent(training[key]["test"]["acc_top1"]) for key in ("a", "b")]
        sentences.append(
            f"After {formatting.duration(training['budget'])} of training each: "
            f"{accuracy[0]} and {accuracy[1]} of the test images."
        )
    return " ".join(sentences)


def _in_words(found: dict[str, Any]) -> str:
    """Return how far the two are apart with equal weights."""
    agreement = found["agreement"]
    plain, operator, noise = agreement["plain"], agreement["operator"], agreement["noise"]
    reference = found["setting"]["names"][agreement["reference"]]
    if _equal(plain):
        words = "With equal weights and plain Paddle both compute the same, to the last bit"
        if operator is None or _equal(operator):
            return words + "."
        kind, apart = "with the CPU operator", operator
        words += "; "
    else:
        kind, apart, words = "by plain Paddle", plain, "With equal weights, "
    logits, gradients = apart["logits_eval"], apart["gradients"]["relative"]
    return (
        f"{words}{kind} the logits differ by up to {_apart(logits)} and the gradients by "
        f"{difference(gradients)} of their length, where rounding alone moves those of "
        f"{reference} by {difference(noise['logits_eval']['max_abs'])} and "
        f"{difference(noise['gradients']['relative'])}."
    )


def setting(found: dict[str, Any]) -> list[str]:
    """Return the facts that hold for both sides."""
    said, machine = found["setting"], found["environment"]
    size, classes = said["image_size"], said["num_classes"]
    stem = {"cifar": "CIFAR stem", "imagenet": "ImageNet stem", None: "stem as it comes"}
    outputs = " and ".join(str(n) for n in dict.fromkeys(classes.values()))
    return [
        f"{outputs} classes",
        stem[said["stem"]],
        f"batches of {said['batch_size']} images, 3×{size}×{size}",
        said["data"]["name"] + (" (sample)" if said["data"]["is_sample"] else ""),
        f"Paddle {machine['paddle']}",
        f"{counted(machine['threads'], 'thread')} of {machine['cpu']}",
    ]


def megabytes(size: float) -> str:
    """Write bytes as ``491 MB``."""
    return f"{count(size / 1e6)}{SPACE}MB"


def _counts(found: dict[str, Any]) -> Section:
    a, b = found["counts"]["a"], found["counts"]["b"]
    columns = {
        "parameters": "trainable parameters",
        "statistics": "BN running statistics",
        "convolutions": "convolutions on the main path",
        "projections": "projections on shortcuts",
        "linears": "linear layers",
        "gates": "convolutions in gates",
    }
    rows = [
        _count_row(label, a[key], b[key])
        for key, label in columns.items()
        if key != "gates" or a[key] or b[key]
    ]
    rows[2:2] = [
        _count_row(f"MACs of an image, 3×{size}×{size}", a["macs"][size], b["macs"][size])
        for size in a["macs"]
    ]
    keys = found["keys"]
    rows.append(Row("names in the state dict", count(keys["a"]), count(keys["b"]), _keys(keys)))
    note = "A MAC is a multiplication and the addition behind it; biases, BN, pooling not counted."
    return Section("counts", "What they are", rows, note)


def _count_row(label: str, a: int, b: int) -> Row:
    return Row(label, count(a), count(b), SAME if a == b else f"{a - b:+,}".replace("-", "−"))


def _keys(keys: dict[str, Any]) -> str:
    if keys["agree"]:
        return "agree, shapes too"
    differences = [
        f"{len(keys[kind])} {words} ({keys[kind][0]}{', …' if len(keys[kind]) > 1 else ''})"
        for kind, words in (
            ("only_a", "only in the first"),
            ("only_b", "only in the second"),
            ("shapes", "of other shape"),
        )
        if keys[kind]
    ]
    return "; ".join(differences)


def _agreement(found: dict[str, Any]) -> Section:
    agreement = found["agreement"]
    if agreement is None:
        note = "Not measured: weights cannot be copied where their names or shapes do not agree."
        return Section("agreement", "With equal weights", [], note)
    plain, operator, noise = agreement["plain"], agreement["operator"], agreement["noise"]

    def row(label: str, write: Callable[[dict[str, Any]], str]) -> Row:
        return Row(label, write(plain), write(operator) if operator else "", write(noise))

    steps = counted(found["setting"]["steps"], "step")
    rows = [
        row("logits, eval mode", lambda it: _apart(it["logits_eval"])),
        row("logits, training mode", lambda it: _apart(it["logits_train"])),
        row("loss", lambda it: difference(it["loss"]["max_abs"])),
        row("gradients, largest difference", lambda it: _apart(it["gradients"])),
        row("gradients, relative", lambda it: difference(it["gradients"]["relative"])),
        row(f"loss of any of {steps}", lambda it: difference(it["curve"]["max_abs"])),
    ]
    names = found["setting"]["names"]
    reference = names[agreement["reference"]]
    note = (
        f"Both hold the weights of {names[found['setting']['leader']]}. By plain Paddle, “none” is "
        "equal to the last bit: the proof that the networks are the same. "
        + ("With the CPU operator: as they run, in another order of sums. " if operator else "")
        + f"Rounding alone: {reference} by plain Paddle against itself, each value of its images "
        f"changed by {NOISE:g} of itself. Largest absolute differences on the first batch, “of” "
        "the largest magnitude; relative: the norm of the difference of all gradients over theirs."
    )
    columns = ("plain Paddle", "CPU operator" if operator else "", "rounding alone")
    return Section("agreement", "With equal weights", rows, note, columns)


def difference(value: Any) -> str:
    """Return a difference as text: ``none`` for equal to the last bit."""
    return "none" if value == 0 else decimal(value, 2)


def _apart(difference: dict[str, Any]) -> str:
    if difference["max_abs"] is None:
        return "not a number"
    if difference["max_abs"] == 0:
        return "none"
    return f"{decimal(difference['max_abs'], 2)} of {decimal(difference['largest'], 3)}"


def _equal(differences: dict[str, Any]) -> bool:
    return all(each["max_abs"] == 0 for each in differences.values())


def _curve(found: dict[str, Any]) -> Section:
    curve, steps = found["curve"], found["setting"]["steps"]
    rows = [Row("loss of step 1", *(decimal(curve[key][0]) for key in ("a", "b")))]
    if steps > 1:
        rows.append(Row(f"loss of step {steps}", *(decimal(curve[key][-1]) for key in ("a", "b"))))
    rows.append(Row("largest difference of any step", "", "", difference(curve["max_abs"])))
    start = "the same weights" if found["keys"]["agree"] else "weights of their own, same seed"
    note = (
        f"As they run, from {start}, on the same batches: momentum {MOMENTUM:g}, rate {RATE:g}, "
        f"L2 penalty {DECAY:g}."
    )
    return Section("curve", f"{counted(steps, 'training step')}", rows, note)


def _speed(found: dict[str, Any]) -> Section:
    rows = []
    for kind in ("training", "inference"):
        speed = found["speed"][kind]
        cells = [
            f"{rate(speed[key]['median'])} ({rate(speed[key]['min'])}–{rate(speed[key]['max'])})"
            for key in ("a", "b")
        ]
        rows.append(Row(f"{kind}, images/s", *cells, ratio(speed["ratio"])))
    memory = found["memory"]
    peaks = [memory[key]["peak"] for key in ("a", "b")]
    own = [memory[key]["peak"] - memory[key]["before"] for key in ("a", "b")]
    rows += [
        Row("peak memory in training", *map(megabytes, peaks), f"{peaks[0] / peaks[1]:.2f} ×"),
        Row("of it beyond Paddle itself", *map(megabytes, own), f"{own[0] / own[1]:.2f} ×"),
    ]
    note = (
        f"Medians of {counted(found['setting']['rounds'], 'round')} in turns, with the "
        "slowest and the fastest; each side in a process of its own, both set up alike."
    )
    return Section("speed", "Speed and memory", rows, note)


def ratio(rounds: dict[str, Any]) -> str:
    """Write a ratio with its range: ``1.16 × (1.07–1.26)``."""
    return f"{rounds['median']:.2f} × ({rounds['min']:.2f}–{rounds['max']:.2f})"


def _training(found: dict[str, Any]) -> Section:
    training = found["training"]
    a, b = training["a"], training["b"]

    def row(label: str, write: Any, *path: str) -> Row:
        values = [side[path[0]] if len(path) == 1 else side[path[0]][path[1]] for side in (a, b)]
        return Row(label, *map(write, values))

    points = 100 * (number(a["test"]["acc_top1"]) - number(b["test"]["acc_top1"]))
    accuracy = row("test accuracy", formatting.percent, "test", "acc_top1")
    between = f"{points:+.2f} points".replace("-", "−")
    rows = [
        Row(accuracy.label, accuracy.a, accuracy.b, between),
        row("test loss", decimal, "test", "loss"),
        row("steps", count, "steps"),
        row("passes over the training set", formatting.passes, "epochs"),
        row("images/s", rate, "images_per_second"),
    ]
    note = (
        f"{formatting.duration(training['budget'])} of training each, in turns, by the "
        f"quickstart's recipe; {count(a['test']['images'])} test images."
    )
    return Section("training", "Accuracy after equal time", rows, note)
