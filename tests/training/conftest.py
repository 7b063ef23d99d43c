"""What computes in these tests, and a line about the conformance cases at their end."""

import pytest

from paddle_resnet.kernels import build

#: Files that compare with `paddle.Model` or plain Paddle to the last bit, or say what is so without
#: the operator.
PLAIN_PADDLE = ("test_conformance_", "test_paddle_model_faults", "test_build_state")


@pytest.fixture(autouse=True, scope="module")
def backend(request):
    """Compute as a user's run does, by the CPU operator, also in processes that a test starts."""
    if request.path.name.startswith(PLAIN_PADDLE):
        yield
        return
    if build.library() is None:
        pytest.skip("the CPU operator cannot be built here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PADDLE_RESNET_KERNELS", "require")
        yield


def pytest_terminal_summary(terminalreporter):
    """Say how many conformance cases each class passes, where they were run."""
    passed = {}
    for kind in ("passed", "xfailed", "failed", "xpassed"):
        for report in terminalreporter.stats.get(kind, []):
            if "test_conformance_" in report.nodeid:
                name = "paddle.Model" if "paddle.Model" in report.nodeid else "ImageClassifier"
                cases, right = passed.get(name, (0, 0))
                passed[name] = cases + 1, right + (kind == "passed")
    for name, (cases, right) in sorted(passed.items()):
        terminalreporter.write_line(f"conformance: {name} passes {right} of {cases} cases")
