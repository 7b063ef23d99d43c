"""The real loop on a clock of its own: hours pass in microseconds, at speeds that change."""

from paddle import nn

from paddle_resnet.training.loop.callback import Callback
from paddle_resnet.training.loop.progress import Progress
from paddle_resnet.training.loop.speed import SpeedMonitor
from paddle_resnet.training.loop.train_state import StepResult, TrainState
from paddle_resnet.training.loop.training_loop import train


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Endless:
    """Batches without end."""

    at_end = False
    epoch_length = None

    def rest_of_epoch(self):
        while True:
            yield None


class Simulation(Callback):
    """A training whose steps, evaluations and files take the time that they are said to take.

    Args:
        plan: takes a SpeedMonitor, returns the plan.
        step: seconds of a step, a function.
        image: seconds of an image in evaluation, a function.
        files: seconds to write the files of a round.
        checkpoint: seconds after each step, to write a checkpoint.
    """

    def __init__(self, plan, step, image=lambda: 0.0, files=0.3, checkpoint=0.0, batch=64):
        self.clock = Clock()
        self.speed = SpeedMonitor(self.clock)
        self.plan = plan(self.speed)
        self.progress = Progress(self.plan, self.clock)
        self.step_seconds, self.image_seconds = step, image
        self.files, self.checkpoint, self.batch = files, checkpoint, batch
        self.fractions, self.steps_of_round = [0.0], []
        network = nn.Linear(1, 1)
        self.state = TrainState(
            network, None, None, Endless(), self.progress, self.speed, callbacks=[self]
        )

    def measure(self, validation_images=5000):
        """Do what is done before the first step."""
        self.progress.start_clock()
        if self.image_seconds():
            self.clock.now += 3 * self.image_seconds() * 100  # measuring takes time too
            self.speed.evaluation_took(self.image_seconds() * 100, 100)
        self.plan.plan_rounds(validation_images)

    def run(self):
        train(self.state, self.validate, [self], self, self.step)

    def test(self):
        """Evaluate the test images that fit; return their number."""
        images = self.plan.test_images_that_fit(self.progress)
        self.clock.now += images * self.image_seconds()
        return images

    # -- what the loop calls ---------------------------------------------------------------

    def step(self, state, batch):
        self.clock.now += self.step_seconds()
        return StepResult(0.0, self.batch, [])

    def validate(self, network):
        left = self.plan.validation_images
        batches = []
        while left > 0:
            batches.append((None, range(min(left, 250))))
            left -= 250
        for _, labels in self.speed.time_evaluation(batches):
            self.clock.now += len(labels) * self.image_seconds()
        return {}

    def on_epoch_start(self, state):
        self.steps_of_round.append(0)

    def on_step_end(self, state, result):
        self.fractions.append(state.progress.fraction)
        self.steps_of_round[-1] += 1

    def after_step(self, state):
        if self.checkpoint:
            self.clock.now += self.checkpoint
            state.speed.skip()

    def after_epoch(self, state, metrics):
        self.clock.now += self.files
