"""An application for AI Studio, or anywhere with Gradio: pip install gradio onnxruntime onnx.

paddle-resnet export resnet20 --out exports/resnet20
python examples/aistudio_app.py exports/resnet20/resnet20.onnx
"""

import sys

import gradio

from paddle_resnet import Predictor

predictor = Predictor(sys.argv[1] if len(sys.argv) > 1 else "exports/resnet20/resnet20.onnx")


def classify(image):
    """Return the probabilities of the best classes of a Pillow image."""
    (answers,) = predictor.predict(image)
    return {answer["class"]: answer["probability"] for answer in answers}


app = gradio.Interface(classify, gradio.Image(type="pil"), gradio.Label(num_top_classes=5))

if __name__ == "__main__":
    app.launch()
