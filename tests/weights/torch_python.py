"""Run `torch_side.py` in the Python that has torch."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("torch_side.py")


def torch_python():
    """The Python to use: PADDLE_RESNET_TORCH_PYTHON, or this one where it has torch itself."""
    python = os.environ.get("PADDLE_RESNET_TORCH_PYTHON")
    if not python and importlib.util.find_spec("torch"):
        python = sys.executable
    if not python:
        pytest.skip("set PADDLE_RESNET_TORCH_PYTHON to a Python with torch and torchvision")
    return python


def run_torch_side(task, folder, *names):
    subprocess.run([torch_python(), str(SCRIPT), task, str(folder), *names], check=True)


def torch_can_import(module):
    command = [torch_python(), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True).returncode == 0
