"""A training from its recipe to its result: everything that `paddle-resnet train` does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Optional

import paddle
from paddle import nn

from ..config import Config
from ..errors import TrainingError, UserError
from ..kernels.usage import describe as describe_kernels
from ..weights.trained import describe
from .building import build_network, trainable_parameters
from .callbacks.console import Console
from .callbacks.record import Record
from .callbacks.saver import Interrupted, Saver
from .callbacks.schedule import ScheduleLearningRate
from .checkpoint import load_checkpoint
from .classifier import ImageClassifier
from .conclusion import keep_predictions, model_facts, test, training_facts
from .datasets import Parts, load_parts
from .evaluation import Evaluation
from .growing import growth
from .mixing import MixedAccuracy, MixedCrossEntropy
from .optimizers import make_optimizer
from .pace import BudgetPace
from .planning import fit_into_budget, make_pace, measure_evaluation
from .run_folder import Log, RunFolder
from .schedules import make_schedule
from .start import load_start, resolve
from .stream import TrainingStream


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

    if resume is None:
        config = resolve(config, notify)
    parts = load_parts(config, notify)
    network, options = build_network(config, parts)
    if resume is None:
        load_start(network, config, parts, notify)
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
            config.model.name,
            options,
            parts.classes,
            parts.mean,
            parts.std,
            parts.input_shape,
            parts.centre,
        )
        self.validation = parts.validation
        #: Why a file that ends the run could not be written; empty where all could.
        self.unwritten = ""
        self.optimizer = make_optimizer(config.optimizer, network)
        self.pace = make_pace(config, parts)
        self.stream = TrainingStream(parts.train, self.pace, growth(config, self.pace))
        self.saver = Saver(
            folder, self.pace, self.stream, self.metadata, every=config.train.save_every, warn=log
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
                measure_evaluation(self.config, self.network, self.parts, self.pace)
                if isinstance(self.pace, BudgetPace):
                    self.validation = fit_into_budget(self.pace, self.parts, resuming, self.log)
                self._train()
                evaluation, weights = self._test()
            result = self._result("finished", test={"weights": weights, **evaluation.summary()})
            predictions, images = self.folder.predictions, self.parts.test.images
            self._write(lambda: keep_predictions(predictions, evaluation, images))
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
        parameters = trainable_parameters(self.network)
        self.log(
            f"{config.model.name}: {parameters:,} parameters, input {parts.input_shape}; "
            f"{config.data.name} from {parts.source}: {images['train']:,} training, "
            f"{images['validation']:,} validation, {images['test']:,} test images"
        )
        self.log(describe_kernels(self.network, parts.input_shape))
        self.log(f"run folder: {self.folder.path}")
        if resuming:
            self.log(f"going on after step {self.pace.steps}")

    # -- training --------------------------------------------------------------------------

    def _train(self) -> None:
        config = self.config
        model = ImageClassifier(self.network)
        model.prepare(
            self.optimizer,
            MixedCrossEntropy(config.train.label_smoothing),
            MixedAccuracy(topk=(1, min(5, len(self.parts.classes)))),
        )
        rounds = self.pace.rounds if isinstance(self.pace, BudgetPace) else self.config.train.epochs
        schedule = make_schedule(config.schedule, rounds)
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
                accumulate_grad_batches=config.train.accumulate,
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
        wanted = self.config.train.select == "best" and self.saver.best is not None
        best = self.folder.best if wanted else None
        kind = self.config.augment.test_time
        return test(self.network, best, self.parts, self.pace, self.log, kind)

    def _result(
        self, status: str, *, reason: Optional[str] = None, test: Optional[dict[str, Any]] = None
    ) -> dict[str, Any]:
        return {
            "status": status,
            **({"reason": reason} if reason is not None else {}),
            "model": model_facts(self.config, self.network, self.options),
            "data": self.parts.describe(self.config.data.name),
            "training": training_facts(self.config, self.pace, self.stream),
            "best": self.saver.best,
            "test": test,
        }
