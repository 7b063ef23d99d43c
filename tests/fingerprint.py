"""Fingerprints of everything that must stay equal to the last bit while the code changes.

Batches of every augmentation, initial weights, short trainings by recipe (weights, optimizer
state, average, log rows) and through `ImageClassifier.fit`, logits of a trained network. Sums
depend on the CPU, on Paddle and on NumPy: record and check on one machine with one environment.

    python tests/fingerprint.py --record FILE
    python tests/fingerprint.py --check FILE [--only WORD]

Only public names, recipes and files of run folders are used. Sums run on one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]

#: 4 batches of 16 in each of 2 epochs: 8 steps.
BASE = (
    *("model.name=resnet20", "model.options.stochastic_depth=0.2", "data.root=sample"),
    *("data.max_train_images=64", "optimizer.lr=0.02", "schedule.warmup=0.25", "train.epochs=2"),
    *("train.batch_size=16", "train.eval_batch_size=200", "train.precision=float32"),
    *("run.visualdl=false", "run.report=false", "run.log_interval=0.000001"),
)
#: Names hold an underscore, so that whole-word renames in this file leave them alone.
RECIPES: dict[str, tuple[str, ...]] = {
    "run_sgd": ("optimizer.name=sgd", "schedule.name=polynomial"),
    "run_momentum_clip": ("optimizer.clip_norm=1", "schedule.name=onecycle"),
    "run_adam_clip": ("optimizer.name=adam", "optimizer.lr=0.001", "optimizer.clip_value=0.01"),
    "run_adamw_layers": (
        *("optimizer.name=adamw", "optimizer.lr=0.001", "optimizer.layer_decay=0.8"),
        *("optimizer.lr_multipliers={conv1: 0.1, .bias: 2}", "schedule.interval=epoch"),
    ),
    "run_lars": ("optimizer.name=lars", "optimizer.lr=1"),
    "run_lamb": ("optimizer.name=lamb", "optimizer.lr=0.01"),
    "run_muon": ("optimizer.name=muon", "optimizer.lr=0.2", "schedule.name=linear"),
    "run_accumulation": (
        *("train.batch_size=12", "train.drop_last=false", "train.grad_accum_steps=4"),
        *("train.epochs=3", "schedule.name=multistep"),
    ),
    "run_mixup_smoothing": (
        *("augment.mixup=0.2", "augment.cutmix=1", "train.label_smoothing=0.1"),
        "test.weights=last",
    ),
    "run_ema": ("ema.decay=0.9", "optimizer.decay_norm_and_bias=true"),
    "run_freezing": ("finetune.unfreeze_at={conv1: 1, layer1: 0.5, backbone: 0.25}",),
    "run_plateau": (
        *("train.epochs=8", "train.batch_size=64", "plateau.patience=1", "plateau.factor=0.5"),
        *("plateau.min_delta=1", "schedule.name=constant", "early_stopping.patience=6"),
        "early_stopping.min_delta=1",
    ),
    "run_augmented_tta": (
        "data.crop_padding=0",
        *(
            "augment.random_resized_crop=0.5",
            "augment.trivial_augment=true",
            "augment.random_erasing=0.5",
        ),
        *("augment.cutout=8", "augment.alternate_flip=true", "augment.initial_scale=0.5"),
        *("test.tta=crops_flip", "ema.decay=0.5"),
    ),
    "run_operator": ("ema.decay=0.9", "train.grad_accum_steps=2"),
    "run_operator_bfloat16": ("train.precision=bfloat16", "test.tta=flip"),
    "run_two_ranks": ("train.batch_size=15", "train.drop_last=false", "ema.decay=0.9"),
    "run_two_ranks_sync_bn": ("train.sync_bn=true", "train.grad_accum_steps=2"),
}
NETWORKS = (
    *("resnet18", "resnet50", "resnet110", "plain20", "resnext50_32x4d", "seresnet50"),
    *("resnet50_d", "preact_resnet18", "googlenet", "speedrun_resnet"),
)


def digest(arrays: Iterable[Any]) -> str:
    """Return the start of a SHA-256 over arrays, their dtypes and shapes."""
    total = hashlib.sha256()
    for array in map(np.asarray, arrays):
        total.update(f"{array.dtype.str} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def named_digest(arrays: dict[str, Any]) -> str:
    """Return the digest of arrays and their names, in the order of the names."""
    names = sorted(arrays)
    return digest([np.array("\n".join(names)), *(np.asarray(arrays[name]) for name in names)])


# -- batches: NumPy and Pillow only, the same on every machine ----------------------------------


def batch_fingerprints() -> dict[str, str]:
    """Return a digest of two epochs of batches for each augmentation."""
    from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, Augment, BatchLoader, load_cifar10

    sample = load_cifar10("sample")
    images, labels = sample.train_images[:150], sample.train_labels[:150]
    scaled = {"mean": CIFAR10_MEAN, "std": CIFAR10_STD}
    options: dict[str, dict[str, Any]] = {
        "batch_plain": {},
        "batch_normalized": scaled,
        "batch_shuffled": {"shuffle": True},
        "batch_padded_crops_flips": {"shuffle": True, "crop_padding": 4, "flip": True, **scaled},
        "batch_flips_alone": {"flip": True},
        "batch_drop_last": {"shuffle": True, "drop_last": True},
        "batch_alternate_flips": {
            "shuffle": True,
            "flip": True,
            "augment": Augment(alternate_flip=True),
        },
        "batch_resized_crops": {"flip": True, "augment": Augment(random_resized_crop=0.35)},
        "batch_trivial_augment": {"shuffle": True, "augment": Augment(trivial_augment=True)},
        "batch_erasing": {"augment": Augment(random_erasing=0.5), **scaled},
        "batch_cutout": {"crop_padding": 4, "augment": Augment(cutout=9), **scaled},
        "batch_mixup": {"shuffle": True, "augment": Augment(mixup=0.2), **scaled},
        "batch_cutmix": {"shuffle": True, "augment": Augment(cutmix=1.0)},
        "batch_all_at_once": {
            "shuffle": True,
            "flip": True,
            "workers": 2,
            "augment": Augment(
                random_resized_crop=0.5,
                alternate_flip=True,
                trivial_augment=True,
                random_erasing=0.3,
                cutout=4,
                mixup=0.4,
                cutmix=0.6,
            ),
            **scaled,
        },
    }
    found = {}
    for name, given in options.items():
        loader = BatchLoader(images, labels, 32, seed=7, **given)
        found[name] = digest(
            array for epoch in (0, 3) for batch in loader.batches(epoch) for array in batch
        )
    return found


# -- networks and trainings ----------------------------------------------------------------------


def weights_of(network: Any) -> dict[str, np.ndarray]:
    """Return a network's parameters and buffers by their names."""
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def initial_weights(name: str) -> dict[str, Any]:
    """Return the digest of a network as `create_model` makes it."""
    import paddle_resnet

    import paddle  # isort: skip

    paddle.seed(5)
    network = paddle_resnet.create_model(name, num_classes=10)
    return {"parameters": named_digest(weights_of(network))}


def logits() -> dict[str, Any]:
    """Return the digest of the bundled ResNet-20's logits for the sample's test images."""
    import paddle_resnet
    from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, load_cifar10

    import paddle  # isort: skip

    network = paddle_resnet.create_model("resnet20", num_classes=10)
    paddle_resnet.load_pretrained(network, "resnet20")
    network.eval()
    sample = load_cifar10("sample")
    mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
    images = (sample.test_images.astype(np.float32) / 255 - mean) / std
    with paddle.no_grad():
        answers = [network(paddle.to_tensor(images[i : i + 100])) for i in range(0, 500, 100)]
    answers = np.concatenate([answer.numpy() for answer in answers])
    return {
        "logits": digest([answers]),
        "correct": int((answers.argmax(1) == sample.test_labels).sum()),
    }


def fit() -> dict[str, Any]:
    """Train twice through the interface of `paddle.Model`; return digests."""
    import paddle_resnet
    from paddle_resnet.data import load_cifar10

    import paddle  # isort: skip

    sample = load_cifar10("sample")
    images = (sample.train_images[:70] / 255).astype(np.float32)
    labels = sample.train_labels[:70].reshape(-1, 1)

    class Images(paddle.io.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> tuple:
            return images[index], labels[index]

    found: dict[str, Any] = {}
    for name, accumulated, freq in (("plain", 1, 1), ("accumulated", 3, 2)):
        paddle.seed(11)
        network = paddle_resnet.create_model("resnet20", num_classes=10)
        model = paddle_resnet.ImageClassifier(network)
        schedule = paddle.optimizer.lr.StepDecay(0.05, step_size=2, gamma=0.5)
        optimizer = paddle.optimizer.Momentum(
            schedule, 0.9, parameters=model.parameters(), weight_decay=1e-4
        )
        model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy(topk=(1, 5)))
        history = model.fit(
            Images(),
            Images(),
            batch_size=(16, 50),
            epochs=3,
            eval_freq=freq,
            verbose=0,
            accumulate_grad_batches=accumulated,
            callbacks=[paddle.callbacks.ReduceLROnPlateau(patience=1, min_delta=5, verbose=0)],
        )
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/saved")
            saved = paddle.load(f"{folder}/saved.pdopt")
        moments = [np.asarray(v) for v in saved.values() if hasattr(v, "shape")]
        found[name] = {
            "parameters": named_digest(weights_of(network)),
            "moments": sorted(digest([moment]) for moment in moments),
            "history": history.rows,
            "evaluated": {
                k: np.asarray(v).tolist()
                for k, v in model.evaluate(Images(), batch_size=32, verbose=0).items()
            },
            "predicted": digest(
                model.predict(Images(), batch_size=32, stack_outputs=True, verbose=0)
            ),
        }
    return found


CHILDREN = {"fit": fit, "logits": logits}


def run_recipe(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Train by a recipe in a process of its own; return digests of what the run left."""
    with tempfile.TemporaryDirectory() as folder:
        python = [sys.executable]
        if "two_ranks" in name:
            python += ["-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
            python += ["--log_dir", f"{folder}/log"]
        recipe = Path(folder, "recipe.yaml")
        recipe.write_text("{}\n")
        line = [str(ROOT / "tools" / "train.py"), "-c", str(recipe)]
        for override in (*BASE, *overrides, f"run.dir={folder}", "run.name=run"):
            line += ["-o", override]
        child([*python, *line], name)
        return read_run(Path(folder, "run"))


def read_run(run: Path) -> dict[str, Any]:
    """Return digests of a finished run folder."""
    from safetensors.numpy import load_file

    newest = max((run / "checkpoints").glob("step-*.safetensors"))
    groups: dict[str, dict[str, np.ndarray]] = {}
    for place, array in load_file(newest).items():
        # "network/NAME", "optimizer/.../NAME|MOMENT", "average/.../NAME" (or "ema/...").
        group = {"average": "ema"}.get(place.partition("/")[0], place.partition("/")[0])
        groups.setdefault(group, {})[place.rpartition("/")[2]] = array
    result = json.loads((run / "result.json").read_text())
    predictions = np.load(run / "predictions.npz")
    return {
        "checkpoint": newest.name,
        **{
            group: named_digest(groups[group])
            for group in ("network", "optimizer", "ema")
            if group in groups
        },
        **{
            f"{kind}_weights": named_digest(load_file(run / f"{kind}.safetensors"))
            for kind in ("last", "best")
        },
        "history": rows(run / "history.jsonl"),
        "steps": rows(run / "steps.jsonl"),
        "best_metrics": result["best"],
        "tested": {k: v for k, v in result["test"].items() if k != "images_per_second"},
        "predictions": {key: digest([predictions[key]]) for key in sorted(predictions)},
    }


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file, without what depends on the clock."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for row in found:
        del row["seconds"], row["images_per_second"]
    return found


def child(line: list[str], name: str) -> str:
    """Run a command on one thread; return its output."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PADDLE_T")},
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PADDLE_RESNET_KERNELS": "require" if "operator" in name else "off",
    }
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def ask(case: str, name: str) -> dict[str, Any]:
    """Return what a case of this file prints in a process of its own."""
    answer = child([sys.executable, __file__, "--case", case], name)
    return json.loads(answer.splitlines()[-1])


def fingerprints(only: str = "") -> dict[str, Any]:
    """Return all fingerprints whose names contain a word."""
    jobs: dict[str, Any] = {"batches": batch_fingerprints}
    for network in NETWORKS:
        jobs[f"initial_{network}"] = lambda network=network: ask(network, "initial")
    for name in ("logits", "logits_operator", "fit", "fit_operator"):
        jobs[f"api_{name}"] = lambda name=name: ask(name.partition("_")[0], name)
    for name, overrides in RECIPES.items():
        jobs[name] = lambda name=name, overrides=overrides: run_recipe(name, overrides)
    found = {}
    for name, job in jobs.items():
        if only in name:
            found[name] = job()
            print(f"{name}: {digest([np.array(json.dumps(found[name]))])}", flush=True)
    return found


def differences(before: Any, now: Any, place: str = "") -> list[str]:
    """Return where recorded values differ; a test loss may do so in its seventh digit."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in now.keys() - before.keys():
            print(f"new: {place}/{key}")  # of a feature that came later: nothing to compare with
        return [
            line
            for key, value in before.items()
            for line in differences(value, now.get(key), f"{place}/{key}")
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            line
            for index, pair in enumerate(zip(before, now))
            for line in differences(*pair, f"{place}/{index}")
        ]
    near = place.endswith("/tested/loss") and abs(before - now) <= 1e-6 * abs(before)
    return [] if before == now or near else [f"{place}: {before!r} was recorded, now {now!r}"]


def main() -> int:
    """Record or check; the exit code is 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="FILE", type=Path)
    parser.add_argument("--check", metavar="FILE", type=Path)
    parser.add_argument("--only", metavar="WORD", default="", help="cases whose names have it")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        made = CHILDREN.get(arguments.case, lambda: initial_weights(arguments.case))
        print(json.dumps(made()))
        return 0
    now = fingerprints(arguments.only)
    if arguments.record:
        arguments.record.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    before = json.loads(arguments.check.read_text())
    if arguments.only:
        before = {name: value for name, value in before.items() if arguments.only in name}
    lines = differences(before, now)
    print("\n".join(lines) or f"equal: {len(now)} fingerprints")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main())
