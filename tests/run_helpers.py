"""What tests of whole runs share: commands that are refused, trainings that die."""

from paddle_resnet.cli import main
from paddle_resnet.training.checkpointer import Checkpointer


def refused(capsys, line):
    """Run a command that must fail with one sentence, and return the sentence."""
    capsys.readouterr()
    assert main(line) == 2
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("error: ")
    assert len(sentence.splitlines()) == 1
    return sentence


class stopping_after:
    """Within this block, a training dies before the checkpoint that follows this many steps."""

    def __init__(self, steps):
        self.steps = steps

    def __enter__(self):
        self.plain = plain = Checkpointer.save

        def save(checkpointer, state):
            if state.progress.step > self.steps:
                raise RuntimeError("died")
            plain(checkpointer, state)
            if self.steps == 8 and state.progress.step == 8:
                raise RuntimeError("died")

        Checkpointer.save = save

    def __exit__(self, kind, error, trace):
        Checkpointer.save = self.plain
        return kind is RuntimeError and str(error) == "died"
