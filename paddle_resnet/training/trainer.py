"""A training from its recipe to its result: everything that `paddle-resnet train` does."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from paddle import nn

from ..config import Config
from ..data.splits import DataSplits, load_splits, shared
from ..distributed.collectives import (
    PeerLost,
    begin,
    broadcast_from_rank0,
    is_rank0,
    rank0_first,
    world_size,
)
from ..distributed.sync_bn import convert_sync_bn
from ..errors import TrainingError, UserError
from ..evaluation.evaluate import Evaluation
from ..evaluation.final_test import save_predictions, test, training_summary
from ..io.atomic_files import atomic_write_json
from ..kernels.backend_report import describe as describe_kernels
from ..models.precision import resolve_precision
from ..models.trained_model import model_metadata
from ..optim.learning_rate import LearningRate
from ..optim.optimizer_state import OptimizerState
from ..optim.optimizers import make_optimizer
from ..optim.schedules import constant, make_schedule
from ..runs.provenance import append_launch
from ..runs.run_folder import Log, RunFolder, environment
from ..runs.run_writer import RunWriter
from .callbacks.look import Look
from .callbacks.metric_logger import MetricLogger
from .callbacks.progress_bar import ProgressBar
from .callbacks.seeding import SeedSteps
from .callbacks.visualdl_logger import VisualDLLogger
from .checkpointer import Checkpointer
from .image_classifier import ImageClassifier
from .loop.batch_stream import BatchStream
from .loop.losses import MixupAccuracy, MixupCrossEntropy
from .loop.progress import TimeBudget
from .loop.progressive_resizing import make_progressive_resizing
from .loop.seeding import be_deterministic, seed_everything
from .loop.stateful import NetworkState, Together, named
from .setup.build_model import build_model, trainable_parameters, whiten
from .setup.build_state import make_features, try_features
from .setup.dataset_check import DatasetCheck
from .setup.init_weights import load_init_weights, resolve
from .setup.time_plan import make_progress, measure_eval_speed, plan_rounds
from .signals import TrainingInterrupted


@dataclass
class RunResult:
    """What :func:`run` leaves behind."""

    folder: RunFolder
    result: dict[str, Any]


def run(
    config: Config,
    recipe: str = "run",
    resume: Optional[RunFolder] = None,
    afterwards: Callable[[RunFolder], None] = lambda folder: None,
) -> RunResult:
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
    begin()
    if world_size() > 1 and config.train.budget is not None:
        raise TrainingError(
            "train.budget is measured by the clock of one process: in several, say how long with "
            "-o train.budget=null -o train.epochs=N."
        )
    with contextlib.ExitStack() as stack:
        if resume is not None:
            broadcast_from_rank0(resume.acquire)
            stack.callback(resume.release)
            if is_finished(resume):
                raise TrainingError(
                    f"the run '{resume.path}' is finished: there is nothing to go on with."
                )
        seed_everything(config.train.seed)
        if config.train.deterministic:
            be_deterministic()
        # Everything that can be wrong is tried before the folder is made.
        lines: list[str] = []

        def notify(line: str) -> None:
            if is_rank0():
                print(line, flush=True)
            lines.append(line)

        if resume is None:
            config = resolve(config, notify)
        parts = shared(rank0_first(lambda: load_splits(config, notify)))
        network, options = build_model(config, parts)
        if resume is None:
            config = resolve_precision(config)  # here, since it may have to build the operator
        if resume is None or not resume.has_checkpoints():
            whiten(network, parts)
            rank0_first(lambda: load_init_weights(network, config, parts, notify))
        try_features(config, network, make_progress(config, parts), parts.validation is not None)
        if config.train.sync_bn and world_size() > 1:
            convert_sync_bn(network)
        elif config.train.sync_bn:
            notify("Notice: train.sync_bn has no effect in one process: it sees whole batches.")
        folder = resume or _create(config, recipe)
        stack.callback(folder.release)
        log = Log(folder.log, silent=not is_rank0())
        for line in lines:
            log.keep(line)
        job = Trainer(config, options, network, parts, folder, log)
        try:
            return job.run(resuming=resume is not None)
        finally:
            if is_rank0() and folder.result.is_file():
                afterwards(folder)


def _create(config: Config, recipe: str) -> RunFolder:
    """Make the run's folder in the first process, and tell the others which it is."""
    made: list[RunFolder] = []

    def create() -> str:
        made.append(RunFolder.create(config, recipe))
        return str(made[0].path)

    path = broadcast_from_rank0(create)
    return made[0] if made else RunFolder(Path(path))


def is_finished(folder: RunFolder) -> bool:
    """Return whether a run has come to its end."""
    try:
        return json.loads(folder.result.read_text(encoding="utf-8"))["status"] == "finished"
    except (OSError, ValueError, KeyError, TypeError):
        return False


class Trainer:
    """The parts of one training, wired together."""

    def __init__(
        self,
        config: Config,
        options: dict[str, Any],
        network: nn.Layer,
        parts: DataSplits,
        folder: RunFolder,
        log: Log,
    ) -> None:
        self.config = config
        self.network = network
        self.parts = parts
        self.folder = folder
        self.log = log
        self.options = options
        self.parameters = trainable_parameters(network)  # now: parts may be frozen later on
        self.validation = parts.validation
        self.pace = make_progress(config, parts)
        self.session = RunWriter(
            folder,
            self.pace,
            BatchStream(parts.train, self.pace, make_progressive_resizing(config, self.pace)),
            say=log,
            stop_on_write_error=config.run.write_errors == "stop",
        )
        optimizer = make_optimizer(config.optimizer, network)
        # Its schedule follows when it is known how many rounds a budget has.
        self.rate = LearningRate(config.optimizer.lr, constant, self.pace)
        self.features = make_features(
            config, network, self.pace, self.rate, log, parts.validation is not None
        )
        self.model = ImageClassifier(network)
        self.model.prepare(
            optimizer,
            MixupCrossEntropy(config.train.label_smoothing),
            MixupAccuracy(topk=(1, min(5, len(parts.classes)))),
            self.features.precision,
        )
        self.console = ProgressBar(self.pace, log_seconds=config.run.log_every)
        self.console.write = self._writer(self.console)
        self.record = MetricLogger(
            self.session,
            every=config.run.log_every,
            visualdl=config.run.visualdl and is_rank0(),
        )
        self.visualise = (
            VisualDLLogger(self.session, self.record.log, config, parts)
            if self.record.log
            else None
        )
        self.saver = Checkpointer(
            self.session,
            model_metadata(
                config.model.name,
                options,
                parts.classes,
                parts.mean,
                parts.std,
                parts.input_shape,
                parts.centre,
            ),
            every=config.train.save_every,
            keep=config.train.keep_checkpoints,
        )
        shown = [self.console, self.record] if is_rank0() else []
        shown += [self.visualise] if self.visualise is not None else []
        looks = (
            [
                Look(
                    self.pace,
                    parts.input_shape,
                    config.train.eval_batch_size,
                    self.features.precision,
                )
            ]
            if isinstance(self.pace, TimeBudget)
            else []
        )
        self.callbacks = [
            self.pace,
            *looks,
            SeedSteps(config.train.seed, self.pace),
            self.rate,
            *self.features.callbacks,
            *shown,
            self.saver,  # last: what it saves includes what the others did
        ]
        # Whatever else is to be remembered joins here, or is a callback with state and load_state.
        others = [callback for callback in self.callbacks if callback is not self.pace]
        self.saver.parts = {
            "network": NetworkState(network),
            "optimizer": OptimizerState(network, optimizer),
            "model": self.model,
            "stream": self.session.stream,
            "pace": self.pace,
            # Older checkpoints do not know of the images.
            "callbacks": Together({**named(others), "images": DatasetCheck(parts, log)}),
            **({"average": average} if (average := self.features.average) is not None else {}),
        }

    def run(self, resuming: bool) -> RunResult:
        """Train, test once, and write result.json; with ``resuming`` from the newest checkpoint."""
        checkpoint: Optional[str] = None
        if resuming:
            checkpoint = self.saver.load_checkpoint()
            resuming = checkpoint is not None
            broadcast_from_rank0(lambda: self._tidy(resuming))  # when all have read what is there
        self._introduce(checkpoint)
        failure: Optional[UserError] = None
        try:
            with self.saver.stop.listening():
                self.pace.begin()
                with self.features.precision.autocast():
                    measure_eval_speed(self.config, self.network, self.parts, self.pace)
                if isinstance(self.pace, TimeBudget):
                    self.validation = plan_rounds(self.pace, self.parts, resuming, self.log)
                self._train()
                evaluation, weights = self._test()
            result = self._result("finished", test={"weights": weights, **evaluation.summary()})
            predictions, images = self.folder.predictions, self.parts.test.images
            self._write(predictions, lambda path: save_predictions(path, evaluation, images))
            if self.visualise is not None:
                self.visualise.conclude(evaluation.summary())
        except TrainingInterrupted:
            self._write_result(self._result("interrupted"))
            self.log(
                f"stopped after step {self.pace.steps}. To go on: "
                f"paddle-resnet train --resume {self.folder.path}"
            )
            raise
        except PeerLost as error:
            failure = PeerLost(
                f"{error} To go on from the last checkpoint, launch again with "
                f"--resume {self.folder.path}"
            )
            result = self._result("failed", reason=str(error))
        except UserError as error:
            failure = error
            result = self._result("failed", reason=str(error))
        except BaseException as error:
            # A fault of ours or a second Ctrl-C: the folder says what happened all the same.
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            reason = f"{type(error).__name__}: {error}"
            self._write_result(self._result(status, reason=reason))
            raise
        self._write_result(result)
        if failure is not None:
            raise failure
        if self.folder.is_deleted():
            raise TrainingError(
                f"the training is over, but its run folder '{self.folder.path}' was removed: "
                "nothing of it is left."
            )
        if self.session.failed:
            raise TrainingError(
                f"the training is over, but not all of it could be written into "
                f"'{self.folder.path}' ({next(iter(self.session.failed.values()))}): weights that "
                "stand there are sound, but may be older than its end."
            )
        return RunResult(self.folder, result)

    def _tidy(self, resuming: bool) -> None:
        self.folder.remove_stale_files()
        if not resuming:
            self.log("no checkpoint had been written yet: beginning anew")
            self.folder.reset()

    def _write_result(self, result: dict[str, Any]) -> None:
        self._write(self.folder.result, lambda path: atomic_write_json(path, result))

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        """Write one of the files that end a run; a full disk must not hide the run's outcome."""
        if not is_rank0():
            return
        try:
            write(path)
        except OSError as error:
            self.session.failed[path] = error.strerror or str(error)

    # -- before ----------------------------------------------------------------------------

    def _introduce(self, checkpoint: Optional[str]) -> None:
        parts, config = self.parts, self.config
        images = parts.describe(config.data.name)
        self.log(
            f"{config.model.name}: {self.parameters:,} parameters, input {parts.input_shape}; "
            f"{config.data.name} from {parts.source}: {images['train']:,} training, "
            f"{images['validation']:,} validation, {images['test']:,} test images"
        )
        with self.features.precision.autocast():
            convolutions = describe_kernels(self.network, parts.input_shape)
        self.log(convolutions)
        if world_size() > 1:
            bn = "the whole batch" if config.train.sync_bn else "the share of their process"
            self.log(f"{world_size()} processes; batch norms see {bn}")
        self.log(f"run folder: {self.folder.path}")
        if checkpoint is not None:
            self.log(f"going on after step {self.pace.steps}")
        here = {**environment(), "processes": world_size(), "convolutions": convolutions}
        content, warning = append_launch(self.folder.environment, here, self.pace.steps, checkpoint)
        if warning is not None:
            self.log(warning)
        self.session.write(self.folder.environment, lambda path: atomic_write_json(path, content))

    # -- training --------------------------------------------------------------------------

    def _train(self) -> None:
        if self.pace.time_is_up:  # a budgeted run that was interrupted at its end
            return
        rounds = self.pace.rounds if isinstance(self.pace, TimeBudget) else self.config.train.epochs
        self.rate.schedule = make_schedule(self.config.schedule, rounds)
        try:
            self.model.fit(
                self.session.stream,
                self.validation,
                epochs=rounds,
                first_epoch=self.saver.epoch,
                pace=self.pace,
                accumulate_grad_batches=self.config.train.accumulate,
                callbacks=self.callbacks,
                average=self.features.average,
            )
        finally:
            self.console.close()
            self.record.close()

    def _writer(self, console: ProgressBar) -> Callable[[str], None]:
        def write(line: str) -> None:
            console._print(line)
            self.log.keep(line)

        return write

    # -- after -----------------------------------------------------------------------------

    def _test(self) -> tuple[Evaluation, str]:
        if self.features.average is not None:
            self.features.average.apply()
        wants_best = self.config.train.select == "best"
        wanted = broadcast_from_rank0(lambda: wants_best and self.saver.best is not None)
        best = self.folder.best if wanted else None
        kind = self.config.augment.test_time
        return test(
            self.network, best, self.parts, self.pace, self.log, kind, self.features.precision
        )

    def _result(
        self, status: str, *, reason: Optional[str] = None, test: Optional[dict[str, Any]] = None
    ) -> dict[str, Any]:
        return {
            "status": status,
            **({"reason": reason} if reason is not None else {}),
            "model": {
                "name": self.config.model.name,
                "options": self.options,
                "parameters": self.parameters,
            },
            "data": self.parts.describe(self.config.data.name),
            "training": training_summary(self.config, self.pace, self.session.stream),
            "best": self.saver.best,
            "test": test,
        }
