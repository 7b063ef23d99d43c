"""A line about the conformance cases at the end of the tests."""


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
