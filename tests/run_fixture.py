"""A run folder to make reports of.

The figures are computed, not invented: a linear softmax classifier is trained with NumPy on images
drawn from a seeded generator (a prototype a class plus noise; `dog` is made to look like `cat`).
It stands for no network of this package. The clock alone is pretended, so that a folder is the
same on every machine: a step takes 0.05 s.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SECONDS_PER_STEP = 0.05
CONFIG = {
    "name": "demo",
    "seed": 0,
    "model": {"name": "resnet20", "options": {"num_classes": 10}},
    "data": {"name": "cifar10", "augment": {"flip": True, "crop": {"padding": 4}}, "mixup": None},
    "optimizer": {"name": "momentum", "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4},
    "schedule": {"name": "cosine", "milestones": [91, 136], "warmup_epochs": 0.5},
}
ENVIRONMENT = {
    "date": "2025-05-03T14:05:00+00:00",
    "command": "paddle-resnet train resnet20 optimizer.lr=0.1 --out 'runs/my run'",
    "commit": "0123abcd",
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64",
    "cpu": "Pretended CPU @ 2.00GHz",
    "cores": 2,
    "threads": 2,
    "memory_gb": 7.8,
    "paddle": "3.3.1",
    "numpy": "2.4.6",
    "paddle_resnet": "0.1.0",
    "device": "cpu",
}


def images_of(rng: np.random.Generator, per_class: int, classes: int) -> tuple:
    """Return uint8 images [N, 3, 8, 8] and int64 labels [N], shuffled."""
    prototypes = np.random.default_rng(7).uniform(60, 190, (classes, 3, 8, 8))
    if classes > 5:
        prototypes[5] = 0.75 * prototypes[3] + 0.25 * prototypes[5]
    labels = rng.permutation(np.repeat(np.arange(classes), per_class))
    images = prototypes[labels] + rng.normal(0, 90, (len(labels), 3, 8, 8))
    return images.clip(0, 255).astype(np.uint8), labels


def _probabilities(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1) / 127.5 - 1
    scores = np.c_[flat, np.ones(len(flat))] @ weights
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def _score(images: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    said = _probabilities(images, weights)
    own = said[np.arange(len(labels)), labels]
    rank = (said > own[:, None]).sum(axis=1)
    return {
        "loss": float(-np.log(np.maximum(own, 1e-12)).mean()),
        "acc_top1": float((rank < 1).mean()),
        "acc_top5": float((rank < 5).mean()),
    }


def train(
    folder: Path, parts: list[tuple], names: list[str], epochs: float = 8, batch: int = 50
) -> Path:
    """Train on parts = [(images, labels) of train, validation, test] and write the run folder."""
    (images, labels), validation, test = parts
    rng = np.random.default_rng(0)
    classes = len(names)
    weights = np.zeros((images[0].size + 1, classes))
    speed = np.zeros_like(weights)
    per_epoch = len(images) // batch
    total = max(1, round(epochs * per_epoch))
    history, steps, seen = [], [], []
    for step in range(1, total + 1):
        if (step - 1) % per_epoch == 0:
            order = rng.permutation(len(images))
        start = (step - 1) % per_epoch * batch
        pick = order[start : start + batch]
        rate = 0.02 * 0.5 * (1 + np.cos(np.pi * (step - 1) / total))
        said = _probabilities(images[pick], weights)
        score = _score(images[pick], labels[pick], weights)
        said[np.arange(len(pick)), labels[pick]] -= 1
        flat = images[pick].reshape(len(pick), -1) / 127.5 - 1
        speed = 0.9 * speed + np.c_[flat, np.ones(len(flat))].T @ said / len(pick)
        weights = weights - rate * speed
        seen.append(score)
        moment = {
            "step": step,
            "epochs": step / per_epoch,
            "seconds": step * SECONDS_PER_STEP,
            "lr": rate,
            "images_per_second": batch / SECONDS_PER_STEP * (1 + 0.05 * np.sin(step)),
        }
        if step % 5 == 0 or step == total:
            steps.append({**moment, "loss": score["loss"], "acc_top1": score["acc_top1"]})
        if step % per_epoch == 0 or step == total:
            means = {key: float(np.mean([s[key] for s in seen])) for key in score}
            held_out = {f"val_{key}": v for key, v in _score(*validation, weights).items()}
            row = {"epoch": len(history) + 1, **moment, "images": step * batch}
            history.append({**row, **means, **held_out})
            seen = []
    said = _probabilities(test[0], weights)
    best = max(history, key=lambda row: row["val_acc_top1"])
    result = {
        "status": "finished",
        "model": {"name": "resnet20", "options": {}, "parameters": 272474},
        "data": {
            "name": "CIFAR-10",
            "source": "generated",
            "is_sample": False,
            "train": len(images),
            "validation": len(validation[0]),
            "test": len(test[0]),
            "classes": names,
        },
        "training": {
            "seconds": total * SECONDS_PER_STEP,
            "steps": total,
            "images": total * batch,
            "epochs": total / per_epoch,
            "images_per_second": batch / SECONDS_PER_STEP,
            "budget": None,
        },
        "best": {key: best[key] for key in ("epoch", "val_acc_top1", "val_loss")},
        "test": {
            "weights": "last",
            "images": len(test[0]),
            "images_per_second": 2345.6,
            **_score(*test, weights),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False), encoding="utf-8")
    write_json(folder / "environment.json", ENVIRONMENT)
    write_json(folder / "result.json", result)
    write_rows(folder / "history.jsonl", history)
    write_rows(folder / "steps.jsonl", steps)
    write_predictions(folder, said, *test)
    return folder


def write_predictions(folder: Path, said: np.ndarray, images: np.ndarray, labels) -> None:
    """Write predictions.npz from probabilities [N, classes] of uint8 images [N, 3, H, W]."""
    wrong = np.flatnonzero(said.argmax(axis=1) != labels)
    mistakes = wrong[np.argsort(-said[wrong].max(axis=1))][:24]
    np.savez(
        folder / "predictions.npz",
        labels=np.asarray(labels, np.int64),
        probabilities=said.astype(np.float16),
        mistakes=mistakes,
        mistake_images=images[mistakes],
    )


def make_run(folder: Path, classes: int = 10, epochs: float = 8) -> Path:
    """Write a run folder of about 40 kB; takes a fraction of a second."""
    rng = np.random.default_rng(3)
    names = NAMES[:classes] + [f"thing {i}" for i in range(10, classes)]
    parts = [images_of(rng, n, classes) for n in (100, 20, 40)]
    return train(folder, parts, names, epochs)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def change_json(path: Path, **changes: object) -> None:
    """Replace top-level entries of a JSON file."""
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})
