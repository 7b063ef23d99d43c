"""A training from its recipe to its result: everything that `paddle-resnet train` does."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle import nn

from ..config import Config
from ..errors import ConfigError, TrainingError, UserError
from ..files import atomic_write
from ..models import create_model
from ..weights.files import load_weights
from ..weights.trained import describe
from .callbacks.console import Console
from .callbacks.record import Record
from .callbacks.saver import Interrupted, Saver
from .callbacks.schedule import ScheduleLearningRate
from .checkpoint import load_checkpoint
from .classifier import ImageClassifier
from .datasets import Parts, load_parts, subset
from .evaluation import Evaluation, evaluate
from .optimizers import make_optimizer
from .pace import BudgetPace, EpochPace, Pace
from .run_folder import Log, RunFolder
from .schedules import make_schedule
from .stream import TrainingStream
from .wording import duration

#: How many of the most confident mistakes a run keeps the images of.
MISTAKES = 64


@dataclass
class Outcome:
    """What :func:`run` leaves behind."""

    folder: RunFolder
    result: dict[str, Any]


def run(
    config: Config,
    recipe: str = "run",
    resume: Optional[RunFolder] = None,
    afterwards: Callable[[RunFolder], None] = lambda folder: None,
) -> Outcome:
    """Train, evaluate on the test set once, and write the run's folder.

    Args:
        config: the recipe.
        recipe: its name, for the folder's.
        resume: the folder of a run to go on with; ``config`` is then that run's own.
        afterwards: called with the folder once its result.json is written, also when the run
            failed or was interrupted.

    Returns:
        Outcome: the folder and the content of its result.json.

    Raises:
        UserError: a recipe, data or file that cannot be used, or a loss that is no number.
        Interrupted: Ctrl-C; a checkpoint is saved.
    """
    if resume is not None and _finished(resume):
        raise TrainingError(f"the run '{resume.path}' is finished: there is nothing to go on with.")
    paddle.seed(config.train.seed)
    # Everything that can be wrong is tried before the folder is made.
    lines: list[str] = []

    def notify(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    parts = load_parts(config, notify)
    network, options = _build(config, parts)
    folder = resume or RunFolder.create(config, recipe)
    log = Log(folder.log)
    for line in lines:
        log.keep(line)
    job = _Job(config, options, network, parts, folder, log)
    try:
        return job.run(resuming=resume is not None)
    finally:
        if folder.result.is_file():
            afterwards(folder)


def _build(config: Config, parts: Parts) -> tuple[nn.Layer, dict[str, Any]]:
    """Make the network, and see to it that it takes the images and knows the classes."""
    options = {"num_classes": len(parts.classes), **config.model.options}
    network = create_model(config.model.name, **options)
    network.eval()
    try:
        with paddle.no_grad():
            shape = list(network(paddle.zeros([1, *parts.input_shape])).shape)
    except ValueError as error:  # Paddle's own check of shapes
        raise ConfigError(
            f"'model.options' make a network that cannot take images of {parts.input_shape}: "
            f"{' '.join(str(error).split())[-200:]}"
        ) from None
    if shape != [1, len(parts.classes)]:
        raise ConfigError(
            f"'model.options' make a network with outputs {shape[1:]}, but the data has "
            f"{len(parts.classes)} classes."
        )
    return network, options


def _finished(folder: RunFolder) -> bool:
    try:
        return json.loads(folder.result.read_text(encoding="utf-8"))["status"] == "finished"
    except (OSError, ValueError, KeyError, TypeError):
        return False


class _Job:
    """The parts of one training, wired together."""

    def __init__(
        self,
        config: Config,
        options: dict[str, Any],
        network: nn.Layer,
        parts: Parts,
        folder: RunFolder,
        log: Log,
    ) -> None:
        self.config = config
        self.network = network
        self.parts = parts
        self.folder = folder
        self.log = log
        self.options = options
        self.metadata = describe(
            config.model.name, options, parts.classes, parts.mean, parts.std, parts.input_shape
        )
        self.validation = parts.validation
        #: Why a file that ends the run could not be written; empty where all could.
        self.unwritten = ""
        self.optimizer = make_optimizer(config.optimizer, network)
        self.pace = self._pace()
        self.stream = TrainingStream(parts.train, self.pace)
        self.saver = Saver(
            folder, self.pace, self.stream, self.metadata, every=config.train.save_every, warn=log
        )

    def _pace(self) -> Pace:
        images = len(self.validation.images) if self.validation else 0
        test = len(self.parts.test.images)
        if self.config.train.budget is not None:
            return BudgetPace(self.config.train.budget, test_images=test)
        epochs = self.config.train.epochs
        return EpochPace(
            epochs * len(self.parts.train),
            validation_images=images,
            evaluations=epochs if images else 0,
            test_images=test,
        )

    def run(self, resuming: bool) -> Outcome:
        if resuming:
            self.saver.load_state(
                load_checkpoint(self.folder.checkpoint, self.network, self.optimizer)
            )
        self._introduce(resuming)
        failure: Optional[UserError] = None
        try:
            with self.saver.listening():
                self.pace.begin()
                self._plan(resuming)
                self._train()
                evaluation, weights = self._test()
            result = self._result("finished", test={"weights": weights, **evaluation.summary()})
            self._write(lambda: self._keep_predictions(evaluation))
        except Interrupted:
            self._write(lambda: self.folder.write_result(self._result("interrupted")))
            self.log(
                f"stopped after step {self.pace.steps}. To go on: "
                f"paddle-resnet train --resume {self.folder.path}"
            )
            raise
        except UserError as error:
            failure = error
            result = self._result("failed", reason=str(error))
        except BaseException as error:
            # A fault of ours or a second Ctrl-C: the folder says what happened all the same.
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            reason = f"{type(error).__name__}: {error}"
            self._write(lambda: self.folder.write_result(self._result(status, reason=reason)))
            raise
        self._write(lambda: self.folder.write_result(result))
        if failure is not None:
            raise failure
        unwritten = self.unwritten or next(iter(self.saver.failed.values()), "")
        if unwritten:
            raise TrainingError(
                f"the training is over, but not all of it could be written into "
                f"'{self.folder.path}' ({unwritten}): weights that stand there are sound, but may "
                "be older than its end."
            )
        return Outcome(self.folder, result)

    def _write(self, write: Callable[[], None]) -> None:
        """Write one of the files that end a run; a full disk must not hide the run's outcome."""
        try:
            write()
        except OSError as error:
            self.unwritten = error.strerror or str(error)

    # -- before ----------------------------------------------------------------------------

    def _introduce(self, resuming: bool) -> None:
        parts, config = self.parts, self.config
        images = parts.describe(config.data.name)
        trainable = sum(p.size for p in self.network.parameters() if not p.stop_gradient)
        self.log(
            f"{config.model.name}: {trainable:,} parameters, input {parts.input_shape}; "
            f"{config.data.name} from {parts.source}: {images['train']:,} training, "
            f"{images['validation']:,} validation, {images['test']:,} test images"
        )
        self.log(f"run folder: {self.folder.path}")
        if resuming:
            self.log(f"going on after step {self.pace.steps}")

    def _plan(self, resuming: bool) -> None:
        """Measure evaluation, and fit a budgeted run into its time."""
        # Batches as they will be: the time of an image depends much on their size.
        rows = min(self.config.train.eval_batch_size, len(self.parts.test.images))
        images = paddle.zeros([rows, *self.parts.input_shape])
        self.network.eval()
        seconds: list[float] = []
        with paddle.no_grad():
            # The first call allocates and is not typical; a short budget has no time for more.
            while len(seconds) < 3 and (len(seconds) < 2 or self.pace.elapsed < self._patience()):
                began = time.perf_counter()
                self.network(images)
                seconds.append(time.perf_counter() - began)
        self.pace.evaluation_took(min(seconds[1:]), rows)
        if isinstance(self.pace, BudgetPace):
            total = len(self.validation.images) if self.validation else 0
            if not resuming:  # a run goes on with the rounds and images that it began with
                self.pace.plan(total)
            if self.validation is not None and self.pace.validation_images < total:
                self.validation = subset(self.validation, max(self.pace.validation_images, 10))
                self.pace.validation_images = len(self.validation.images)
                self.log(
                    f"the budget leaves time to watch {self.pace.validation_images:,} of the "
                    f"{total:,} validation images"
                )
            self.log(
                f"budget: {duration(self.pace.budget)} in {self.pace.rounds} rounds, of which "
                f"about {duration(self.pace.test_seconds)} for the test set"
            )

    def _patience(self) -> float:
        """Return how many seconds measuring may take."""
        budget = self.config.train.budget
        return 0.02 * budget if budget is not None else 5.0

    # -- training --------------------------------------------------------------------------

    def _train(self) -> None:
        config = self.config
        model = ImageClassifier(self.network)
        model.prepare(
            self.optimizer,
            nn.CrossEntropyLoss(label_smoothing=config.train.label_smoothing),
            paddle.metric.Accuracy(topk=(1, min(5, len(self.parts.classes)))),
        )
        rounds = self.pace.rounds if isinstance(self.pace, BudgetPace) else self.config.train.epochs
        schedule = make_schedule(
            config.schedule.name, config.schedule.warmup, config.schedule.final
        )
        console = Console(self.pace, log_seconds=config.run.log_every)
        console.write = self._writer(console)
        record = Record(
            self.folder,
            self.pace,
            self.stream,
            every=config.run.log_every,
            visualdl=config.run.visualdl,
            warn=self.log,
        )
        try:
            model.fit(
                self.stream,
                self.validation,
                epochs=rounds,
                first_epoch=self.saver.epoch,
                pace=self.pace,
                callbacks=[
                    self.pace,
                    ScheduleLearningRate(config.optimizer.lr, schedule, self.pace),
                    console,
                    record,
                    self.saver,
                ],
            )
        finally:
            console.close()
            record.close()

    def _writer(self, console: Console) -> Callable[[str], None]:
        def write(line: str) -> None:
            console._print(line)
            self.log.keep(line)

        return write

    # -- after -----------------------------------------------------------------------------

    def _test(self) -> tuple[Evaluation, str]:
        """Evaluate the selected weights on the test set, once."""
        weights = "last"
        if self.config.train.select == "best" and self.saver.best is not None:
            with contextlib.suppress(UserError):  # unreadable: the last weights are at hand
                load_weights(self.network, self.folder.best)
                weights = "best"
        whole = len(self.parts.test.images)
        if isinstance(self.pace, BudgetPace):
            # Cut before the figures are seen, by speed alone.
            self.parts.test = subset(self.parts.test, self.pace.test_images_that_fit())
        part = len(self.parts.test.images)
        which = "the test set" if part == whole else f"{part:,} of the {whole:,} test images, "
        self.log(
            f"evaluating the {weights} weights on {which}"
            + ("" if part == whole else "as many as the budget leaves time for")
        )
        evaluation = evaluate(self.network, self.parts.test)
        figures = evaluation.summary()
        self.log(
            f"test accuracy {figures['acc_top1']:.2%} (top-5 {figures['acc_top5']:.2%}), "
            f"loss {figures['loss']:.4f}, on {figures['images']:,} images; "
            f"{duration(self.pace.elapsed)} in all"
        )
        return evaluation, weights

    def _keep_predictions(self, evaluation: Evaluation) -> None:
        mistakes = evaluation.mistakes(MISTAKES)
        with atomic_write(self.folder.predictions) as file:
            np.savez_compressed(
                file,
                labels=evaluation.labels,
                probabilities=evaluation.probabilities.astype(np.float16),
                mistakes=mistakes,
                mistake_images=self.parts.test.images[mistakes],
            )

    def _result(
        self, status: str, *, reason: Optional[str] = None, test: Optional[dict[str, Any]] = None
    ) -> dict[str, Any]:
        trainable = sum(p.size for p in self.network.parameters() if not p.stop_gradient)
        seconds = self.pace.train_seconds
        result: dict[str, Any] = {"status": status}
        if reason is not None:
            result["reason"] = reason
        return {
            **result,
            "model": {
                "name": self.config.model.name,
                "options": self.options,
                "parameters": trainable,
            },
            "data": self.parts.describe(self.config.data.name),
            "training": {
                "seconds": round(self.pace.elapsed, 2),
                "steps": self.pace.steps,
                "images": self.pace.images,
                "epochs": round(self.stream.epochs, 4),
                "images_per_second": round(self.pace.images / seconds, 2) if seconds else 0.0,
                "budget": self.config.train.budget,
            },
            "best": self.saver.best,
            "test": test,
        }
