"""`export`: a network becomes files for other runtimes, with proof that it is still the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional, Union

from ..errors import DeployError, did_you_mean, for_display
from .exporting.example import write_example
from .exporting.onnx_export import check_converter, convert, finish
from .exporting.onnxruntime_web import WebRuntime, web_runtime
from .exporting.program import save_program
from .exporting.proof import INT8_WARNING, Proof, prove, shortfall
from .exporting.quantize import quantize
from .exporting.staging import publish, staging, write_record
from .exporting.web_page import write_web_page
from .manifest import PRECISIONS, Manifest
from .paddle_folder import NAME, inference_yml
from .source import Source, calibration_images, file_name, held_out_images, open_source

__all__ = ["export"]

FORMATS = ("onnx", "paddle", "web")
#: Images that prove an export.
PROOF_IMAGES = 1000
Log = Callable[[str], None]


@dataclass
class ExportResult:
    """What an export wrote."""

    #: The ``.onnx`` file, the Paddle folder, or the page.
    path: Path
    #: All files, `path` and those beside it.
    files: list[Path]
    proof: Proof
    manifest: Manifest


def export(
    source: Any,
    out: Union[str, Path, None] = None,
    *,
    format: str = "onnx",
    precision: str = "float32",
    data: Optional[str] = None,
    calibrate: int = 500,
    seed: int = 0,
    log: Log = print,
    **facts: Any,
) -> ExportResult:
    """Export a network; nothing stands at its place before the files have proved themselves.

    The exported file answers up to 1,000 held-out images in its own runtime, in a process of its
    own, and its answers are compared with the network's.

    Args:
        source: a run folder, a weights file of ours, a name with weights, or a network.
        out: folder of the files. Default: ``exports/NAME``.
        format: ``onnx``, ``paddle`` (Paddle Inference, PaddleX) or ``web`` (one HTML page).
        precision: ``float32`` or ``int8``, the latter of onnx and web.
        data: other images than the source's own, as for ``evaluate --data``.
        calibrate: training images that int8 is calibrated with. Default: 500.
        seed: of their choice. Default: 0.
        log: takes lines for people. Default: print.
        **facts: of a network in memory: ``classes``, ``input_shape``, ``mean``, ``std``,
            ``centre``, ``model``; see `open_source`.

    Returns:
        ExportResult: the paths and the proof.

    Raises:
        DeployError: a choice that does not exist, a package that is missing, a network that cannot
            be exported, or an export that falls short. Nothing is written then.
        WeightsError: no such source.
        OSError: the folder cannot be written to.
    """
    _check_choices(format, precision, calibrate)
    opened = open_source(source, **facts)
    name = file_name(opened)
    if out is not None and not str(out):
        raise DeployError("--out is empty, expected a folder for the files.")
    out = Path("exports") / name if out is None else Path(out)
    if not out.is_dir() and (out.exists() or out.is_symlink()):
        found = "a file" if out.exists() else "a link that leads nowhere"
        raise DeployError(f"'{for_display(out)}' is {found}; --out names a folder.")
    if format != "paddle":
        check_converter()
    images = held_out_images(opened, data, PROOF_IMAGES, log)
    browser = web_runtime(log) if format == "web" else None
    with staging(out) as (staged, scratch):
        work = _Work(opened, precision, staged, scratch, log)
        if format == "paddle":
            manifest, path, files = work.paddle()
        else:
            manifest, path, files = work.onnx(name, data, calibrate, seed)
            if browser is not None:
                path, files = work.web(path, manifest, browser)
        proof = prove(opened, files, images, scratch)
        log(proof.text())
        reason = shortfall(proof, precision)
        if reason:
            raise DeployError(f"the export is not written: {reason}.")
        if precision == "int8" and proof.rows[-1].agreement < INT8_WARNING:
            log(f"warning: only {proof.rows[-1].agreement:.1%} of the classes are the network's.")
        if format != "web":
            write_example(staged, path.name, manifest, format)
        record = partial(write_record, staged, out, path.name, manifest, proof.to_json())
        written = publish(staged, out, record)
    log(f"written: {', '.join(str(p) for p in written)}")
    return ExportResult(out if format == "paddle" else out / path.name, written, proof, manifest)


class _Work:
    """The files of one export, in the making."""

    def __init__(
        self, source: Source, precision: str, staged: Path, scratch: Path, log: Log
    ) -> None:
        self.source, self.precision, self.log = source, precision, log
        self.staged, self.scratch = staged, scratch

    def paddle(self) -> tuple[Manifest, Path, dict[str, Path]]:
        """Write the folder of Paddle Inference; return its facts, program and row of the proof."""
        trained = self.source.trained
        manifest = self.source.manifest("float32")
        program, _ = save_program(trained.network, trained.input_shape, self.staged, softmax=True)
        (self.staged / NAME).write_text(inference_yml(manifest), encoding="utf-8")
        return manifest, program, {"paddle": self.staged}

    def onnx(
        self, name: str, data: Optional[str], calibrate: int, seed: int
    ) -> tuple[Manifest, Path, dict[str, Path]]:
        """Write an ONNX file; return its facts, its path and the rows of the proof."""
        trained = self.source.trained
        manifest = self.source.manifest("float32")
        program = save_program(trained.network, trained.input_shape, self.scratch, softmax=False)
        bare = self.scratch / "bare.onnx"
        convert(*program, bare)
        if self.precision == "float32":
            file = self.staged / f"{name}.onnx"
            finish(bare, manifest, file)
            return manifest, file, {"onnx float32": file}
        images = calibration_images(self.source, data, calibrate, seed, self.log)
        quantized, float32 = self.scratch / "int8.onnx", self.scratch / "float32.onnx"
        quantize(bare, quantized, images, *manifest.affine())
        finish(bare, manifest, float32)
        manifest = self.source.manifest(
            "int8", calibration_images=len(images), calibration_seed=seed
        )
        file = self.staged / f"{name}.int8.onnx"
        finish(quantized, manifest, file)
        return manifest, file, {"onnx float32": float32, "onnx int8": file}

    def web(
        self, file: Path, manifest: Manifest, browser: WebRuntime
    ) -> tuple[Path, dict[str, Path]]:
        """Write a page around an ONNX file; return its path and the rows of the proof."""
        network = self.scratch / file.name
        file.rename(network)
        page = file.with_suffix(".html")
        write_web_page(network, manifest, browser, page)
        return page, {f"onnx {manifest.precision}": network, "web page": page}


def _check_choices(format: str, precision: str, calibrate: int) -> None:
    for what, given, known in (
        ("format", format, FORMATS),
        ("precision", precision, PRECISIONS),
    ):
        if given not in known:
            raise DeployError(
                f"unknown {what} '{for_display(given)}', expected one of {', '.join(known)}."
                + did_you_mean(str(given), known)
            )
    if format == "paddle" and precision == "int8":
        raise DeployError(
            "Paddle Inference has no int8 that works on CPUs: it computes in float32 without a "
            "word. Take --format onnx, which is faster than both."
        )
    if calibrate < 1:
        raise DeployError(f"--calibrate is {calibrate}, expected 1 image or more.")
