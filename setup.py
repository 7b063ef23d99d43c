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
TEST = ["pytest>=7.0", "hypothesis>=6.80"]

setup(
    name="paddle_resnet",
    version="0.1.0",
    description="Residual networks on PaddlePaddle: build, train, compare, understand.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9,<3.13",
    packages=[*find_packages(include=["paddle_resnet*"]), "paddle_resnet.configs"],
    package_dir={"paddle_resnet.configs": "configs"},
    package_data={
        "paddle_resnet": ["py.typed"],
        "paddle_resnet.configs": ["*.yaml"],
        "paddle_resnet.data.cifar": ["sample/*"],
        "paddle_resnet.pages": ["templates/*"],
        "paddle_resnet.report": ["templates/*"],
        "paddle_resnet.compare": ["templates/*"],
        "paddle_resnet.studies": ["cards/*.yaml", "templates/*", "*.yaml"],
        "paddle_resnet.kernels": ["csrc/*"],
        "paddle_resnet.weights": ["cifar10/*"],
    },
    install_requires=REQUIRES,
    extras_require={
        # setuptools: Paddle's C++ extension helper imports it, and Paddle 2.6 needs it at import.
        "cpu": ["paddlepaddle>=2.6.2", "setuptools"],
        "gpu": ["paddlepaddle-gpu>=2.6.2", "setuptools"],
        # result.figure of a study; pages draw their figures without it. VisualDL brings it today,
        # but does not need it for what we use.
        "studies": ["matplotlib>=3.5"],
        "test": TEST,
        "dev": [*TEST, "ruff>=0.6", "nox>=2024.4"],
    },
    entry_points={"console_scripts": ["paddle-resnet = paddle_resnet.cli:main"]},
)
