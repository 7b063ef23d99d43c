"""Proof that an exported file is still the same network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...errors import DeployError
from ..runtimes import centred_logits
from ..source import ProofImages, Source
from .onnxruntime_web import VERSION

#: Largest difference of logits, as a fraction of the largest logit, that float32 may show.
FLOAT32_DIFFERENCE = 1e-4
#: Agreement below which an int8 file is not written, and below which a line warns.
INT8_AGREEMENT, INT8_WARNING = 0.90, 0.98
#: Accuracy that an int8 file may lose, in points of 1.
INT8_LOSS = 0.02
#: Logits, seconds of a batch of 1 and of 16, and the name of the runtime.
Answers = tuple[np.ndarray, "list[float]", str]
_PACKAGE = Path(__file__).parents[3]


@dataclass
class Row:
    """The answers of one side, compared with the network's."""

    side: str
    runtime: str
    #: Fraction of the images, None without labels.
    accuracy: Optional[float]
    #: Fraction of the images that have the network's class.
    agreement: float
    #: Images of another class, though the network's two best logits are clearly apart.
    changed: int
    #: Largest difference of a logit, absolute and as a fraction of the largest logit.
    logit_difference: float
    relative_difference: float
    ms_batch_1: float
    #: For all 16.
    ms_batch_16: float
    bytes: int


@dataclass
class Proof:
    """The table; its first row is the network itself."""

    rows: list[Row]
    images: int
    kind: str

    def to_json(self) -> dict[str, Any]:
        """Return what export.json holds."""
        return {"images": self.images, "kind": self.kind, "rows": [asdict(r) for r in self.rows]}

    def text(self) -> str:
        """Return the table for people."""
        lines = [
            f"proof on {self.images:,} {self.kind}",
            f"{'':<16}{'accuracy':>9}{'agreement':>11}{'max logit diff':>16}{'relative':>10}"
            f"{'ms, batch 1':>13}{'ms, batch 16':>14}{'bytes':>13}  runtime",
        ]
        for row in self.rows:
            accuracy = "-" if row.accuracy is None else f"{row.accuracy:.2%}"
            lines.append(
                f"{row.side:<16}{accuracy:>9}{row.agreement:>11.2%}{row.logit_difference:>16.2e}"
                f"{row.relative_difference:>10.1e}{row.ms_batch_1:>13.2f}{row.ms_batch_16:>14.2f}"
                f"{row.bytes:>13,}  {row.runtime}"
            )
        return "\n".join(lines)


def prove(source: Source, files: dict[str, Path], images: ProofImages, folder: Path) -> Proof:
    """Let exported files and their network answer the same images.

    Args:
        source: the network.
        files: name of a row to an exported file or folder.
        images: that are answered.
        folder: for temporary files.

    Raises:
        DeployError: a file cannot be run.
    """
    pages = {name: path for name, path in files.items() if path.suffix == ".html"}
    others = {name: path for name, path in files.items() if name not in pages}
    answers = _in_python(others, images.images, folder) if others else {}
    for name, path in pages.items():
        answers[name] = _in_node(path, images.images, folder)
    reference = source.logits(images.images)
    seconds = _seconds(source, images.images)
    network_bytes = sum(p.size * 4 for p in source.trained.network.state_dict().values())
    labels = images.labels
    rows = [
        compare(
            "network", "paddle, eager", reference, reference, labels, seconds, int(network_bytes)
        )
    ]
    for name, path in files.items():
        logits, timing, runtime = answers[name]
        expected = reference
        if path.is_dir():  # its program ends with probabilities
            wide = reference.astype(np.float64)
            wide = np.exp(wide - wide.max(axis=1, keepdims=True))
            expected = centred_logits((wide / wide.sum(axis=1, keepdims=True)).astype(np.float32))
        rows.append(compare(name, runtime, logits, expected, labels, timing, _size(path)))
    return Proof(rows, len(images.images), images.kind)


def shortfall(proof: Proof, precision: str) -> str:
    """Return why the last row is not the same network, or an empty string."""
    network, row = proof.rows[0], proof.rows[-1]
    if precision == "float32":
        if not row.relative_difference <= FLOAT32_DIFFERENCE:  # NaN too
            return (
                f"its logits differ by {row.relative_difference:.1e} of the largest, "
                f"more than {FLOAT32_DIFFERENCE:.0e}"
            )
        if row.changed:
            return f"{row.changed} images have another class"
        return ""
    if row.agreement < INT8_AGREEMENT:
        return f"only {row.agreement:.1%} of its classes are the network's"
    if row.accuracy is not None and network.accuracy - row.accuracy > INT8_LOSS:
        return f"its accuracy is {row.accuracy:.2%} in place of {network.accuracy:.2%}"
    return ""


def compare(
    side: str,
    runtime: str,
    logits: np.ndarray,
    reference: np.ndarray,
    labels: Optional[np.ndarray],
    seconds: list[float],
    size: int,
) -> Row:
    """Compare logits ``[N, classes]`` with those of the network.

    Args:
        side, runtime, size: of the row.
        logits: of the file.
        reference: of the network.
        labels: int64 ``[N]``, or None.
        seconds: of a batch of 1 and of 16.
    """
    scale = max(float(np.abs(reference).max()), 1e-30)
    best = reference.argmax(axis=1)
    mine = logits.argmax(axis=1)
    margins = np.sort(reference, axis=1)
    margins = margins[:, -1] - margins[:, -2] if reference.shape[1] > 1 else margins[:, 0]
    difference = float(np.abs(logits - reference).max())
    return Row(
        side=side,
        runtime=runtime,
        accuracy=None if labels is None else float((mine == labels).mean()),
        agreement=float((mine == best).mean()),
        changed=int(((mine != best) & (margins > FLOAT32_DIFFERENCE * scale)).sum()),
        logit_difference=difference,
        relative_difference=difference / scale,
        ms_batch_1=1000 * seconds[0],
        ms_batch_16=1000 * seconds[1],
        bytes=size,
    )


def _in_python(files: dict[str, Path], images: np.ndarray, folder: Path) -> dict[str, Answers]:
    """Let files of ONNX and Paddle answer, in turn where time is measured."""
    task = {
        "files": [str(path) for path in files.values()],
        "images": str(folder / "images.npy"),
        "answers": str(folder / "answers.npz"),
    }
    np.save(task["images"], images)
    path = folder / "task.json"
    path.write_text(json.dumps(task), encoding="utf-8")
    _run([sys.executable, "-m", f"{__package__}.proof_worker", str(path)])
    with np.load(task["answers"], allow_pickle=False) as found:
        return {
            name: (
                found[f"logits{index}"],
                found[f"seconds{index}"].tolist(),
                str(found[f"runtime{index}"]),
            )
            for index, name in enumerate(files)
        }


def _in_node(page: Path, images: np.ndarray, folder: Path) -> Answers:
    """Let a page's own runtime and network answer, in Node.js."""
    node = shutil.which("node")
    if node is None:
        raise DeployError("a page is proved in Node.js, which is not installed.")
    raw, answers = folder / "images.raw", folder / "answers.raw"
    raw.write_bytes(images.tobytes())
    worker = Path(__file__).with_name("node_worker.mjs")
    _run([node, str(worker), str(page), str(raw), str(answers)])
    content = answers.read_bytes()
    milliseconds = np.frombuffer(content[-16:], np.float64)
    logits = np.frombuffer(content[:-16], np.float32).reshape(len(images), -1)
    return logits, (milliseconds / 1000).tolist(), f"onnxruntime-web {VERSION} in Node.js"


def _run(command: list[str]) -> None:
    """Run a worker; a runtime that crashes ends it alone.

    Raises:
        DeployError: it failed; with the last line that it printed.
    """
    paths = [str(_PACKAGE), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = (lines or ["it gave no reason"])[-1]
        if done.returncode < 0:
            reason = f"the runtime crashed ({signal.Signals(-done.returncode).name})"
        raise DeployError(f"the exported file cannot be run: {reason}")


def _seconds(source: Source, images: np.ndarray) -> list[float]:
    """Return the median seconds of the network for a batch of 1 and of 16."""
    medians = []
    for size in (1, 16):
        batch, times = images[np.arange(size) % len(images)], []
        end = time.perf_counter() + 4
        while len(times) < 2 or (len(times) < 10 and time.perf_counter() < end):
            began = time.perf_counter()
            source.logits(batch)
            times.append(time.perf_counter() - began)
        medians.append(float(np.median(times[1:])))
    return medians


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.glob("inference.*"))
    return path.stat().st_size
