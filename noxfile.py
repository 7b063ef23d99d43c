"""`nox` runs the test suite on both Paddles that we support; `nox -s lint` checks the style."""

import nox

nox.options.sessions = ["tests", "lint"]


@nox.session
@nox.parametrize("paddle", ["3.3.1", "2.6.2"])
def tests(session: nox.Session, paddle: str) -> None:
    # Paddle 2.6 was built against numpy 1 and fails with numpy 2.
    numpy = "numpy<2" if paddle.startswith("2.") else "numpy"
    session.install(f"paddlepaddle=={paddle}", "setuptools", numpy, "-e", ".[test]")
    if numpy == "numpy<2":
        session.install("paddle2onnx==1.3.1")  # 2.x reads programs of Paddle 3 alone
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
