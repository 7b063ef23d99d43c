"""What `compare` finds, made up: two networks that differ a little in everything."""

from __future__ import annotations

from typing import Any

from paddle_resnet.compare import diff

A, B = "resnet18", "paddle.vision:resnet18"


def apart(scale: float, curve: float = 0.0) -> dict[str, Any]:
    """Differences of two outputs; 0 is equal to the last bit."""
    return {
        "logits_eval": {"max_abs": 3.1e-6 * scale, "largest": 2.17},
        "logits_train": {"max_abs": 4.2e-6 * scale, "largest": 5.72},
        "loss": {"a": 4.1, "b": 4.1 + 1e-5 * scale, "max_abs": 1e-5 * scale},
        "gradients": {
            "max_abs": 2.5e-5 * scale,
            "where": "layer1.0.conv1.weight",
            "largest": 11.0,
            "relative": 1.3e-6 * scale,
            "tensors": 62,
        },
        "curve": {"max_abs": curve},
    }


def make_comparison(agree: bool = True, train: bool = True, steps: int = 10) -> dict[str, Any]:
    side = {"kind": "ours", "model": "resnet18", "stem": None, "num_classes": 10}
    loss_a = [4.0 * 0.8**i + 0.1 for i in range(steps)]
    loss_b = [value + 1e-5 * 3**i for i, value in enumerate(loss_a)]
    counts = {
        "parameters": 11_181_642,
        "statistics": 9_600,
        "macs": {"32": 37_016_576, "224": 1_813_566_464},
        "convolutions": 17,
        "projections": 3,
        "linears": 1,
        "gates": 0,
    }
    return {
        "setting": {
            "a": {"name": A, **side},
            "b": {"name": B, **side, "kind": "vision"},
            "names": {"a": A, "b": B},
            "leader": "a",
            "stem": None,
            "num_classes": {"a": 10, "b": 10},
            "batch_size": 32,
            "image_size": 32,
            "steps": steps,
            "rounds": 3,
            "seed": 0,
            "data": {"name": "CIFAR-10", "source": "the sample", "is_sample": True},
        },
        "counts": {"a": counts, "b": {**counts, "parameters": counts["parameters"] + 1_024}},
        "keys": {
            "agree": agree,
            "a": 102,
            "b": 102 if agree else 104,
            "only_a": [],
            "only_b": [] if agree else ["gate.weight", "gate.bias"],
            "shapes": [],
        },
        "curve": {
            "a": loss_a,
            "b": loss_b,
            "first": loss_b[0] - loss_a[0],
            "max_abs": max(b - a for a, b in zip(loss_a, loss_b)),
        },
        "memory": {
            "a": {"peak": 512e6, "before": 318e6},
            "b": {"peak": 640e6, "before": 318e6},
        },
        "speed": {
            "training": diff.speeds([0.50, 0.40, 0.60], [0.75, 0.64, 0.84], 32),
            "inference": diff.speeds([0.10, 0.12, 0.11], [0.12, 0.11, 0.115], 32),
        },
        "agreement": {
            "plain": apart(0.0),
            "operator": apart(1.0, curve=max(b - a for a, b in zip(loss_a, loss_b))),
            "noise": apart(0.5),
            "reference": "b",
        }
        if agree
        else None,
        "training": {"budget": 300.0, "a": _trained(0.62), "b": _trained(0.58)} if train else None,
        "environment": {
            "date": "2025-05-03T14:05:00+00:00",
            "command": "paddle-resnet compare resnet18",
            "cpu": "A processor",
            "threads": 2,
            "paddle": "3.3.1",
            "device": "cpu",
        },
    }


def _trained(accuracy: float) -> dict[str, Any]:
    history = [
        {
            "seconds": 15.0 * i,
            "epochs": 0.4 * i,
            "loss": 2.3 * 0.93**i,
            "acc_top1": accuracy * (1 - 0.86**i),
        }
        for i in range(1, 21)
    ]
    return {
        "seconds": 300.0,
        "steps": 4_000,
        "epochs": 8.0,
        "images_per_second": 426.6,
        "history": history,
        "test": {
            "images": 500,
            "loss": 1.1,
            "acc_top1": accuracy,
            "acc_top5": 0.95,
            "images_per_second": 900.0,
        },
    }
