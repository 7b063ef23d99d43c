"""What a run came to: its state, one sentence, a handful of cards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .. import formatting
from ..formatting import SPACE, counted, number, percent
from ..pages.metric_cards import Card, Gauge
from ..runs.run_reader import Run, position
from ..stats import wilson


@dataclass(frozen=True)
class Notice:
    """A sentence that must be read before any figure. ``kind``: ``sample``, ``warn``, ``bad``."""

    kind: str
    title: str
    text: str


def status(run: Run) -> tuple[str, str]:
    """Return the state of a run as (kind, word); the kind is a class of the style sheet."""
    state = run.result.get("status")
    known = {
        "finished": ("good", "Finished"),
        "interrupted": ("warn", "Interrupted"),
        "failed": ("bad", "Failed"),
    }
    if state in known:
        return known[state]
    if state:
        return ("warn", str(state))
    return ("warn", "Result unknown" if "result.json" in run.corrupt else "No result yet")


def network_name(run: Run) -> str:
    """Return the network's name, from the result or the recipe, else the folder's name."""
    model = run.config.get("model")
    planned = model.get("name") if isinstance(model, dict) else model
    return str(run.section("model").get("name") or planned or run.folder.resolve().name)


def data_name(run: Run) -> str:
    """Return the data set's name, from the result or the recipe; empty when neither has it."""
    data = run.config.get("data")
    planned = data.get("name") if isinstance(data, dict) else data
    name = str(run.section("data").get("name") or planned or "")
    return {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}.get(name, name)


def period(run: Run) -> str:
    """Return what lies between two evaluations: an epoch, or a round of a budgeted run."""
    return "round" if run.section("training").get("budget") else "epoch"


def class_names(run: Run) -> list[str]:
    """Return a name for every column of the predictions; ``class 7`` where a run has none."""
    given = run.section("data").get("classes")
    names = [str(name) for name in given] if isinstance(given, list) else []
    columns = run.predictions.probabilities.shape[1] if run.predictions else 0
    return [names[i] if i < len(names) else f"class {i}" for i in range(columns)]


def class_count(run: Run) -> float:
    """Return the number of classes, NaN when nothing has it."""
    if run.predictions:
        return float(run.predictions.probabilities.shape[1])
    given = run.section("data").get("classes")
    return float(len(given)) if isinstance(given, list) else number(given)


def notices(run: Run) -> list[Notice]:
    """Return what a reader must know before trusting the metrics."""
    found = []
    kind, word = status(run)
    reason = str(run.result.get("reason") or "").strip()
    reached = _reached(run)
    so_far = f" {reached}" if reached else ""
    if kind == "bad":
        text = reason or "No reason was recorded; log.txt may have it."
        found.append(Notice("bad", f"The run failed{so_far}.", text))
    elif word == "Interrupted":
        text = reason or (
            "The metrics below are those of the epochs that were trained. "
            "paddle-resnet train --resume, followed by this folder, resumes there."
        )
        found.append(Notice("warn", f"The run was interrupted{so_far}.", text))
    elif "result.json" in run.corrupt:
        text = "Its outcome is not known. The metrics are those of the other files."
        found.append(Notice("bad", "The file result.json is corrupt.", text))
    elif not run.result:
        text = "It is still running, or was killed. The metrics are those written until now."
        found.append(Notice("warn", "The run has no result yet.", text))
    if run.section("data").get("is_sample") is True:
        train = run.section("data").get("train")
        images = (
            f"{formatting.count(train)} images" if math.isfinite(number(train)) else "few images"
        )
        name = data_name(run) or "the data"
        found.append(
            Notice(
                "sample",
                f"Trained on the bundled sample of {name}: {images}, not the full data set.",
                "Good for seeing everything work, not for judging the network: "
                "expect accuracies far below those of the full data.",
            )
        )
    return found


def headline(run: Run) -> str:
    """Return the story of the run in one sentence, or nothing while there is none."""
    test, training = run.section("test"), run.section("training")
    seconds = number(training.get("seconds"))
    took = f" after {formatting.duration(seconds)} of training" if math.isfinite(seconds) else ""
    threads = number(run.environment.get("threads"))
    if took and math.isfinite(threads) and str(run.environment.get("device")).startswith("cpu"):
        took += f" on {counted(int(threads), 'CPU thread')}"
    accuracy = number(test.get("acc_top1"))
    if math.isfinite(accuracy):
        images = number(test.get("images"))
        among = f" of {formatting.count(images)} test images" if math.isfinite(images) else ""
        guessing = " That is no better than guessing." if _is_chance(run, accuracy, images) else ""
        return f"{percent(accuracy)}{among} recognised{took}.{guessing}"
    best = number(run.section("best").get("val_acc_top1"))
    if math.isfinite(best):
        return f"At best {percent(best)} of the validation images recognised{took}."
    return ""


def _is_chance(run: Run, accuracy: float, images: float) -> bool:
    classes = class_count(run)
    if not (classes >= 2 and images >= 1 and 0 <= accuracy <= 1):
        return False
    return wilson(round(accuracy * images), int(images))[0] <= 1 / classes


def cards(run: Run) -> list[Card]:
    """Return the key metrics that the run has, most informative first (at most eight)."""
    test, best, model = run.section("test"), run.section("best"), run.section("model")
    found = [*_test_cards(run, test)] if test else []
    if math.isfinite(number(best.get("val_acc_top1"))):
        epoch = number(best.get("epoch"))
        when = f"after {period(run)} {formatting.passes(epoch)}" if math.isfinite(epoch) else ""
        loss = number(best.get("val_loss"))
        if math.isfinite(loss):
            when = ", ".join(filter(None, [when, f"loss {formatting.decimal(loss)}"]))
        found.append(Card("Best validation accuracy", percent(best["val_acc_top1"]), when))
    if not test:
        # A validation accuracy leads while there is nothing better.
        unknown = "result.json" in run.corrupt
        found.append(Card("Test accuracy", "Unknown" if unknown else "Not tested yet"))
    found += _training_cards(run)
    parameters = number(model.get("parameters"))
    if math.isfinite(parameters):
        exact = formatting.count(parameters) if parameters >= 1000 else ""
        found.append(Card("Parameters", formatting.short_count(parameters), exact))
    return found


def _test_cards(run: Run, test: dict[str, Any]) -> list[Card]:
    images = number(test.get("images"))
    classes = class_count(run)
    found = []
    for key, label in (("acc_top1", "Test accuracy"), ("acc_top5", "Test accuracy, top 5")):
        accuracy = number(test.get(key))
        # With five classes or fewer, the first five guesses are always right.
        if not math.isfinite(accuracy) or (key == "acc_top5" and 0 < classes <= 5):
            continue
        detail, gauge = "", None
        if 0 <= accuracy <= 1 and images >= 1:
            low, high = wilson(round(accuracy * images), int(images))
            detail = (
                f"95{SPACE}% interval {low * 100:.2f}–{percent(high)}"
                if key == "acc_top1"
                else f"{low * 100:.2f}–{percent(high)}"
            )
            chance = 1 / classes if classes > 1 else math.nan
            gauge = Gauge(accuracy, low, high, chance) if key == "acc_top1" else None
        found.append(Card(label, percent(accuracy), detail, gauge))
    if not found:
        found.append(Card("Test accuracy", "NaN", "the network's output is not a number"))
    if "loss" in test:
        weights = {"best": "best weights", "last": "last weights"}.get(str(test.get("weights")), "")
        found.append(Card("Test loss", formatting.decimal(test["loss"]), weights))
    return found


def _training_cards(run: Run) -> list[Card]:
    training = run.section("training")
    last = max([*run.history[-1:], *run.steps[-1:]], key=position, default={})
    found = []
    seconds = _first(training.get("seconds"), last.get("seconds"))
    if math.isfinite(seconds):
        budget = training.get("budget")
        limit = f"of a budget of {_budget(budget)}" if budget else ""
        found.append(Card("Training time", formatting.duration(seconds), limit))
    epochs = _first(training.get("epochs"), position(last) if last else None)
    if math.isfinite(epochs):
        steps = _first(training.get("steps"), last.get("step"))
        detail = counted(int(steps), "step") if math.isfinite(steps) else ""
        found.append(Card("Epochs", formatting.passes(epochs), detail))
    speed = _first(training.get("images_per_second"), last.get("images_per_second"))
    if math.isfinite(speed):
        testing = number(run.section("test").get("images_per_second"))
        detail = f"{formatting.rate(testing)} in the test" if math.isfinite(testing) else ""
        found.append(Card("Images per second", formatting.rate(speed), detail))
    return found


def _budget(budget: object) -> str:
    if isinstance(budget, dict):
        return ", ".join(f"{key} {value}" for key, value in budget.items())
    # A bare number is a time in seconds, as everywhere in a run folder.
    return formatting.duration(budget) if math.isfinite(number(budget)) else str(budget)


def _reached(run: Run) -> str:
    last = max([*run.history[-1:], *run.steps[-1:]], key=position, default={})
    epochs = _first(run.section("training").get("epochs"), position(last) if last else None)
    if not math.isfinite(epochs):
        return ""
    if epochs == 0:
        return "before the training began"
    passes = "pass" if epochs == 1 else "passes"
    return f"after {formatting.passes(epochs)} {passes} over the training set"


def _first(*values: object) -> float:
    """Return the first finite number, else NaN."""
    return next((number(v) for v in values if math.isfinite(number(v))), math.nan)
