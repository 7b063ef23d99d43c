"""The script beside an export that shows how to use it, with nothing of this package."""

from __future__ import annotations

from pathlib import Path

from ..manifest import Manifest

NAME = "predict_example.py"

_ONNX = '''\
"""Classify images with {file}: pip install onnxruntime numpy pillow"""
import json, pathlib, sys
import numpy, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(pathlib.Path(__file__).with_name("{file}"))
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
for path in sys.argv[1:]:
    image = Image.open(path).convert("{mode}")
{resize}
    pixels = numpy.asarray(image).reshape(1, {height}, {width}, {channels}).transpose(0, 3, 1, 2)
    (answer,) = session.run(["probabilities"], {{"image": pixels}})
    print(path, {{classes[i]: round(float(answer[0, i]), 4) for i in answer[0].argsort()[:-6:-1]}})
'''

_PADDLE = '''\
"""Classify images with {file}: pip install paddlepaddle pyyaml pillow"""
import pathlib, sys
import numpy, yaml
from paddle import inference
from PIL import Image
folder = pathlib.Path(__file__).parent
facts = yaml.safe_load((folder / "inference.yml").read_text(encoding="utf-8"))
classes = facts["PostProcess"]["Topk"]["label_list"]
config = inference.Config(str(folder / "{file}"), str(folder / "inference.pdiparams"))
config.enable_mkldnn()  # several times as fast; a predictor belongs to one thread
predictor = inference.create_predictor(config)
for path in sys.argv[1:]:
    image = Image.open(path).convert("{mode}")
{resize}
    pixels = numpy.asarray(image, numpy.float32).reshape({height}, {width}, {channels})
    x = (pixels / 255 - numpy.array({mean}, "float32")) / numpy.array({std}, "float32")
    predictor.get_input_handle("x").copy_from_cpu(x.transpose(2, 0, 1)[None].copy())
    predictor.run()
    answer = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()[0]
    print(path, {{classes[i]: round(float(answer[i]), 4) for i in answer.argsort()[:-6:-1]}})
'''

_SQUARE = """\
    side, (w, h) = min(image.size) * {centre}, image.size
    box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
    image = image.resize(({width}, {height}), Image.Resampling.BILINEAR, box)"""
_OTHER = """\
    image = ImageOps.fit(image, ({width}, {height}), Image.Resampling.BILINEAR)"""


def example(file: str, manifest: Manifest, format: str) -> str:
    """Return the script for an exported file.

    Args:
        file: its name, beside the script; of a Paddle folder the program.
        manifest: of the file.
        format: ``onnx`` or ``paddle``.
    """
    channels, height, width = manifest.input_shape
    sizes = {"height": height, "width": width, "channels": channels}
    square = height == width
    text = (_PADDLE if format == "paddle" else _ONNX).format(
        file=file,
        mode="L" if channels == 1 else "RGB",
        resize=(_SQUARE if square else _OTHER).format(centre=manifest.centre, **sizes),
        mean=manifest.mean or [0.0] * channels,
        std=manifest.std or [1.0] * channels,
        **sizes,
    )
    return text if square else text.replace("import Image\n", "import Image, ImageOps\n")


def write_example(folder: Path, file: str, manifest: Manifest, format: str) -> None:
    """Write the script into a folder."""
    (folder / NAME).write_text(example(file, manifest, format), encoding="utf-8")
