"""Trained networks outside of this package: exported files, an HTTP service, a web page.

>>> from paddle_resnet import Predictor, export
>>> export("runs/quickstart", "exports", format="onnx", precision="int8")
>>> Predictor("exports/quickstart.int8.onnx").predict(["cat.jpg"], top=3)

`Predictor` needs neither Paddle nor the code of the networks.
"""
