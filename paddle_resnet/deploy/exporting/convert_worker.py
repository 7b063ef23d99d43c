"""`python convert_worker.py PROGRAM PARAMETERS FILE OPSET`: paddle2onnx in a process of its own.

An operator that it does not know ends its process on some releases, and it prints a lot.
"""

import inspect
import sys


def main(program: str, parameters: str, file: str, opset: str) -> None:
    """Convert a Paddle program."""
    import paddle2onnx

    options = {"verbose": False}
    # Of 2.x: by default another process of another tool, which folds constants.
    if "optimize_tool" in inspect.signature(paddle2onnx.export).parameters:
        options["optimize_tool"] = "None"
    paddle2onnx.export(program, parameters, file, opset_version=int(opset), **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
