"""Package metadata. Settings of the developer tools (ruff, pytest) are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

# Paddle itself is never a hard dependency: images such as AI Studio's already hold one, often a
# GPU build, and must keep it. The extras [cpu] and [gpu] bring one where there is none.
REQUIRES = [
    "numpy>=1.21",
    "pillow>=9.1",  # images in and out; Paddle needs it too
    "pydantic>=2.5",  # typed, strict recipe schema with located errors
    "pyyaml>=6.0",  # recipes
    "safetensors>=0.4",  # weights and checkpoints without pickle
    "tqdm>=4.64",  # the progress bar
    "jinja2>=3.0",  # report.html; VisualDL's Flask brings it anyway
    "visualdl>=2.5",  # training curves in Paddle's own viewer
]
# Exported networks. The converter, paddle2onnx, belongs to the installed Paddle (2.x to Paddle 3,
# 1.3.1 to Paddle 2.6) and is needed by `export` alone, which names it.
ONNX = [
    "onnx>=1.14",  # checks files from anyone; names and preprocessing of exports
    "onnxruntime>=1.16",  # runs them, and quantises to int8
    "ml_dtypes>=0.4",  # that ONNX Runtime's quantizer imports
]
SERVE = [
    "fastapi>=0.110",  # requests, validation, OpenAPI
    "uvicorn>=0.29",  # HTTP and its shutdown
    "python-multipart>=0.0.9",  # several images in a form
    "prometheus-client>=0.20",  # /metrics
]
# Notebooks and the documentation site; neither is needed to use the package.
DOCS = [
    "nbclient>=0.8",  # runs the lessons and keeps their outputs
    "ipykernel>=6.20",  # the kernel in which it does
    "matplotlib>=3.5",  # charts of studies inside them
    "mkdocs-material>=9.5",  # the site of docs/: both languages, search, strict links
    "mkdocstrings[python]>=0.26",  # its reference, from docstrings
]
TEST = [
    "pytest>=7.0",
    "hypothesis>=6.80",
    "pytest-xdist>=3.3",  # the suite on two cores
    *ONNX,
    *SERVE,
    "paddle2onnx>=1.3.1",  # pip takes that for Paddle 3, which [cpu] brings; Paddle 2.6 needs 1.3.1
]

setup(
    name="paddle_resnet",
    version="0.1.0",
    description="Residual networks on PaddlePaddle: build, train, compare, understand.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9",
    packages=[*find_packages(include=["paddle_resnet*"]), "paddle_resnet.configs"],
    package_dir={"paddle_resnet.configs": "configs"},
    package_data={
        "paddle_resnet": ["py.typed"],
        "paddle_resnet.configs": ["*.yaml"],
        "paddle_resnet.data.cifar": ["sample/*"],
        "paddle_resnet.pages": ["templates/*"],
        "paddle_resnet.report": ["templates/*"],
        "paddle_resnet.deploy.demo": ["*.html", "*.css", "*.js"],
        "paddle_resnet.deploy.exporting": ["*.mjs"],
        "paddle_resnet.compare": ["templates/*"],
        "paddle_resnet.studies": ["cards/*.yaml", "networks/*", "results/*.yaml", "templates/*"],
        "paddle_resnet.kernels": ["csrc/*"],
        "paddle_resnet.weights": ["cifar10/*"],
    },
    install_requires=REQUIRES,
    extras_require={
        # setuptools: Paddle's C++ extension helper imports it, and Paddle 2.6 needs it at import.
        "cpu": ["paddlepaddle>=2.6.2", "setuptools"],
        # The newest paddlepaddle-gpu on PyPI is 2.6.2, built against numpy 1. Those on Paddle's own
        # index, 3.x, take either; a Python that has no numpy 1 has no 2.6.2 either.
        "gpu": ["paddlepaddle-gpu>=2.6.2", "numpy<2; python_version < '3.13'", "setuptools"],
        # result.figure of a study; pages draw their charts without it. VisualDL brings it today,
        # but does not need it for what we use.
        "studies": ["matplotlib>=3.5"],
        "onnx": ONNX,
        "openvino": [*ONNX, "openvino>=2024.4"],  # another runtime of the same files
        "serve": [*ONNX, *SERVE],
        "test": TEST,
        "docs": DOCS,
        "dev": [*TEST, "ruff>=0.6", "nox>=2024.4"],
    },
    entry_points={"console_scripts": ["paddle-resnet = paddle_resnet.cli:main"]},
)
