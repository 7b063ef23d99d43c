"""`nox` runs the test suite on the Paddles and Pythons that are supported, and checks the style.

nox                                every Python that is installed, the lowest versions, the style
nox -s "tests-3.13(paddle='3.3.1')"
nox -s oldest                      the lowest version of every dependency that setup.py allows
nox -s full                        the marked tests too: slow, full, browser, torch
nox -s docs                        the documentation site in build/site; a broken link fails
"""

import re
from pathlib import Path

import nox

nox.options.sessions = ["tests", "oldest", "lint"]
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
NEWEST, OLDEST = "3.3.1", "2.6.2"
#: Paddle 2.6 has no wheels for newer Pythons.
COMBINATIONS = [(python, NEWEST) for python in PYTHONS] + [("3.9", OLDEST), ("3.11", OLDEST)]


@nox.session
@nox.parametrize("python,paddle", COMBINATIONS)
def tests(session: nox.Session, paddle: str) -> None:
    """Run the suite, and a short training by the command as a user has it."""
    # Paddle 2.6 was built against numpy 1 and fails with numpy 2; later converters cannot read it.
    old = ["numpy<2", "paddle2onnx==1.3.1"] if paddle.startswith("2.") else []
    session.install(f"paddlepaddle=={paddle}", "setuptools", *old, "-e", ".[test]")
    _run(session)


@nox.session(python="3.9")
def oldest(session: nox.Session) -> None:
    """Run the suite with the lowest version of every dependency that setup.py allows."""
    lowest = re.findall(r'"([a-z0-9-]+)>=([0-9.]+)"', Path("setup.py").read_text(encoding="utf-8"))
    names = {"numpy", "pillow", "pydantic", "pyyaml", "safetensors", "tqdm", "jinja2", "visualdl"}
    names |= {"paddlepaddle", "paddle2onnx", "pytest", "hypothesis"}
    session.install(*(f"{name}=={version}" for name, version in lowest if name in names))
    session.install("setuptools", "-e", ".[test]")
    _run(session)


@nox.session
def full(session: nox.Session) -> None:
    """Run every test, the marked ones too; those that lack what they need say so."""
    session.install(f"paddlepaddle=={NEWEST}", "setuptools", "-e", ".[test]")
    session.run("pytest", "-m", "slow or full or browser or torch", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site from docs/, the README files and the notebooks."""
    # ruff sets the signatures of the reference.
    session.install("mkdocs-material>=9.5", "mkdocstrings[python]>=0.26", "ruff>=0.6")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # the theme's notice about its successor
    session.run("mkdocs", "build", "--strict", *session.posargs, env=quiet)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


def _run(session: nox.Session) -> None:
    session.run("pytest", *session.posargs)
    folder = session.create_tmp()
    session.run(
        *("paddle-resnet", "train", "-o", "data.root=sample", "-o", "train.budget=30s"),
        *("-o", f"run.dir={folder}", "-o", "run.name=quick"),
    )
