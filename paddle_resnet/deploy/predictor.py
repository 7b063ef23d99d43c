"""An exported network that classifies images, without the code that trained it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from PIL import Image, ImageOps

from ..data.folder.image_io import fit_image, image_from_bytes, read_image, to_mode
from ..errors import DeployError, UserError, did_you_mean, for_display
from .manifest import Manifest, top_classes
from .runtimes import OnnxRuntime, OpenVino, PaddleInference, Runtime, check_runtime

__all__ = ["Predictor"]

#: A path, the bytes of an image file, a Pillow image, or pixels uint8 ``[H, W, C]`` or ``[H, W]``.
ImageLike = Union[str, Path, bytes, Image.Image, np.ndarray]

PROGRAMS = ("inference.json", "inference.pdmodel")


class Predictor:
    """Classify images with a file that `export` wrote. Threads may share it.

    Neither Paddle nor the networks' code is imported for ONNX files.

    Args:
        path: an ``.onnx`` file, or the folder of ``--format paddle``.
        runtime: ``onnxruntime``, ``openvino`` or ``paddle``. Default: the first for ONNX files,
            the last for folders.
        threads: of the runtime. Default: all cores that this process may use.
        precision: that a runtime computes a float32 file in: ``float32`` or ``bfloat16``, the
            latter with OpenVINO and Paddle. Default: ``float32``.

    Attributes:
        manifest: classes, input shape and normalization, see `Manifest`.
        classes: names of the classes.
        runtime: the runtime in use; its ``name`` has the version.

    Raises:
        DeployError: no such file, a file that no export wrote, or a runtime that is not installed
            or cannot run it.
    """

    def __init__(
        self,
        path: Union[str, Path],
        *,
        runtime: Optional[str] = None,
        threads: Optional[int] = None,
        precision: str = "float32",
    ) -> None:
        self.path = Path(path)
        kind = export_kind(self.path)
        name = check_runtime(runtime or ("paddle" if kind == "paddle" else "onnxruntime"))
        if (name == "paddle") != (kind == "paddle"):
            raise DeployError(
                f"'{for_display(path)}' cannot be run by {name}: "
                + ("it is a Paddle folder." if kind == "paddle" else "it is an ONNX file.")
            )
        if precision not in ("float32", "bfloat16") or (
            precision == "bfloat16" and name == "onnxruntime"
        ):
            raise DeployError(f"{name} does not compute in '{for_display(precision)}' here.")
        self.runtime: Runtime
        if kind == "paddle":
            from .paddle_folder import read_manifest

            program = next(p for p in PROGRAMS if (self.path / p).is_file())
            self.manifest: Manifest = read_manifest(self.path)
            self.runtime = PaddleInference(
                self.path / program,
                self.path / "inference.pdiparams",
                self.manifest,
                threads,
                precision,
            )
        else:
            from .onnx_file import read_onnx

            content, self.manifest = read_onnx(self.path)
            self.runtime = (
                OnnxRuntime(content, threads)
                if name == "onnxruntime"
                else OpenVino(content, threads, precision)
            )

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self.manifest.classes

    def predict(
        self, images: Union[ImageLike, Sequence[ImageLike]], top: int = 5
    ) -> list[list[dict[str, Any]]]:
        """Classify images of any size.

        Args:
            images: one or several: paths, bytes of image files, Pillow images, or pixels uint8
                ``[H, W, C]`` (RGB) or ``[H, W]``.
            top: answers for each, at most one per class. Default: 5.

        Returns:
            list: for each image ``{"class": name, "probability": float}``, the best first.

        Raises:
            DataError: an image that cannot be read.
            DeployError: a value that is no image, or ``top`` below 1.
        """
        if isinstance(images, (str, Path, bytes, Image.Image)) or (
            isinstance(images, np.ndarray) and images.ndim < 4
        ):
            images = [images]
        if top < 1:
            raise DeployError(f"top is {top}, expected 1 or more.")
        if len(images) == 0:
            return []
        pixels = np.stack([self.pixels(image) for image in images])
        return [top_classes(row, self.classes, top) for row in self.probabilities(pixels)]

    def pixels(self, image: ImageLike) -> np.ndarray:
        """Return an image as the network takes it: uint8 ``[C, H, W]``.

        Raises:
            DataError: it cannot be read.
            DeployError: it is no image.
        """
        facts = self.manifest
        shape, centre, value_range = facts.input_shape, facts.centre, facts.value_range
        if shape[0] not in (1, 3):
            raise DeployError(f"the network takes {shape[0]} channels, which no image file has.")
        if isinstance(image, (str, Path)):
            return read_image(Path(image), shape, centre, value_range)
        if isinstance(image, np.ndarray):
            image = _from_array(image)
        if isinstance(image, Image.Image):
            return fit_image(to_mode(ImageOps.exif_transpose(image), shape[0]), shape, centre)
        if not isinstance(image, bytes):
            raise DeployError(
                "an image is a path, bytes, a Pillow image or a uint8 array, "
                f"not {type(image).__name__}."
            )
        decoded = image_from_bytes(Path("the image"), image, shape[0], value_range=value_range)
        return fit_image(decoded, shape, centre)

    def probabilities(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Return the probabilities of images of the network's size.

        Args:
            images: uint8 ``[N, C, H, W]``.
            batch_size: images that are computed at once. Default: 64.

        Returns:
            float32 ``[N, classes]``; rows sum to 1.

        Raises:
            DeployError: images of another type or size, or the runtime fails.
        """
        return self._run(images, batch_size)[1]

    def logits(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Return the logits; of a Paddle folder centred, since its file ends with softmax."""
        return self._run(images, batch_size)[0]

    def _run(self, images: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        self.manifest.check_images(images)
        parts = [
            self.runtime.run(np.ascontiguousarray(images[start : start + batch_size]))
            for start in range(0, len(images), batch_size)
        ]
        if not parts:
            empty = np.zeros((0, len(self.classes)), np.float32)
            return empty, empty
        logits, probabilities = (np.concatenate(each) for each in zip(*parts))
        if not np.isfinite(probabilities).all():
            raise DeployError(
                f"'{for_display(self.path)}' answers with NaN: its weights are corrupt."
            )
        shape = (len(images), len(self.classes))
        if (
            (logits.shape, probabilities.shape) != (shape, shape)
            or probabilities.min() < 0
            # bfloat16 has 3 digits.
            or abs(probabilities.sum(axis=1) - 1).max() > 0.05
        ):
            raise DeployError(
                f"'{for_display(self.path)}' does not answer {len(images)} images with a "
                f"probability of each of its {len(self.classes)} classes."
            )
        return logits, probabilities


def export_kind(path: Path) -> str:
    """Return ``onnx`` or ``paddle``.

    Raises:
        DeployError: there is neither an ONNX file nor such a folder.
    """
    if path.is_dir():
        if is_paddle_folder(path):
            return "paddle"
        found = sorted(path.glob("*.onnx"))
        which = f": name the file, such as '{for_display(found[0])}'" if found else ""
        raise DeployError(
            f"the folder '{for_display(path)}' holds no inference.json or inference.pdmodel{which}."
        )
    if not path.exists():
        if path.is_symlink():
            raise DeployError(f"'{for_display(path)}' is a link that leads nowhere.")
        near = sorted(p.name for p in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        raise DeployError(
            f"there is no file '{for_display(path)}'." + did_you_mean(path.name, near)
        )
    return "onnx"


def is_paddle_folder(path: Path) -> bool:
    """Return whether a folder holds what ``--format paddle`` writes."""
    return any((path / name).is_file() for name in PROGRAMS)


def is_export(source: Union[str, Path]) -> bool:
    """Return whether a command's SOURCE means an exported file rather than a network of ours."""
    path = Path(source)
    return path.suffix.lower() == ".onnx" or (path.is_dir() and is_paddle_folder(path))


def _from_array(pixels: np.ndarray) -> Image.Image:
    shape = pixels.shape
    grey = pixels.ndim == 2 or (pixels.ndim == 3 and shape[2] == 1)
    if pixels.dtype != np.uint8 or 0 in shape or not (grey or (pixels.ndim == 3 and shape[2] == 3)):
        raise UserError(
            f"pixels must be uint8 [H, W, 3] or [H, W], got {pixels.dtype} {list(shape)}."
        )
    return Image.fromarray(pixels.reshape(shape[:2]) if grey else pixels)
