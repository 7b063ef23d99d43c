"""Static int8 quantisation of a bare ONNX network, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np

from ...interrupts import deferred_interrupt
from .onnx_export import NORMALIZED

#: Images that are run at once to see the ranges of activations.
_BATCH = 50


def quantize(
    bare: Path, file: Path, images: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> None:
    """Quantise weights and activations to 8 bits, with the ranges that calibration images have.

    Weights are int8 with a scale per output channel. Activations are uint8: with int8, the
    quantizer's default, ONNX Runtime finds no VNNI kernel and the file is slower than float32.

    Args:
        bare: float32 network of `onnx_export.convert`, BN folded.
        file: the quantised network, with the same names.
        images: uint8 ``[N, C, H, W]``, of the training split, without augmentation.
        scale, shift: of the normalization, see `Manifest.affine`.
    """
    with deferred_interrupt():
        from onnxruntime.quantization import (
            CalibrationDataReader,
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = _batches(images, scale, shift)

        def get_next(self) -> Optional[dict[str, np.ndarray]]:
            batch = next(self._batches, None)
            return None if batch is None else {NORMALIZED: batch}

    quantize_static(
        str(bare),
        str(file),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        calibrate_method=CalibrationMethod.MinMax,
    )


def _batches(images: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH].astype(np.float32) * scale + shift
