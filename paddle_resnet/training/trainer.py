"""One run, from its recipe to its result: everything that `paddle-resnet train` does."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Callable, Optional

from paddle import nn

from ..config import Config
from ..data import BatchLoader
from ..data.splits import DataSplits, load_splits, shard
from ..distributed.collectives import (
    PeerLost,
    broadcast_from_rank0,
    init_distributed,
    is_rank0,
    rank,
    rank0_first,
    world_size,
)
from ..distributed.gradients import broadcast_parameters
from ..distributed.sync_bn import convert_sync_bn
from ..errors import TrainingError, UserError
from ..evaluation.evaluate import Evaluation, evaluate
from ..evaluation.final_test import save_predictions, test
from ..evaluation.meters import LossMeter, TopKMeter
from ..evaluation.tta import TTA_VIEWS
from ..formatting import console_duration
from ..io.atomic_files import atomic_write_json
from ..kernels.backend_report import describe as describe_kernels
from ..models.trained_model import model_metadata
from ..runs.environment import environment
from ..runs.provenance import append_launch
from ..runs.run_folder import RunFolder
from ..runs.run_log import RunLog
from ..runs.run_writer import RunWriter
from .callbacks.metric_logger import MetricLogger
from .callbacks.progress_bar import ProgressBar
from .callbacks.visualdl_logger import VisualDLLogger
from .checkpointer import BestMetrics, Checkpointer
from .loop.nan_guard import NonFiniteError
from .loop.progress import Progress
from .loop.seeding import be_deterministic, seed_everything
from .loop.speed import SpeedMonitor
from .loop.time_budget import TimeBudget
from .loop.train_state import TrainState
from .loop.training_loop import train
from .run_result import run_result
from .setup.build_model import build_model, trainable_parameters, whiten
from .setup.build_state import build_state
from .setup.dataset_check import DatasetCheck
from .setup.init_weights import load_init_weights
from .setup.precision_choice import choose_precision
from .setup.resolve import resolve
from .setup.time_plan import fit_validation, make_plan, measure_eval_speed
from .signals import SignalHandler, TrainingInterrupted


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

    Everything that a user can get wrong fails before the folder is made.

    Args:
        config: the recipe.
        recipe: its name, for the folder's.
        resume: the folder of a run to resume; ``config`` is then that run's own.
        afterwards: called with the folder when result.json is written, also if the run failed or
            was interrupted.

    Returns:
        RunResult: the folder and the content of its result.json.

    Raises:
        UserError: a recipe, data or file that cannot be used, or a loss that is not finite.
        TrainingInterrupted: a signal came; a checkpoint is saved.
    """
    init_distributed()
    if world_size() > 1 and config.train.budget is not None:
        raise TrainingError(
            "train.budget is measured by the clock of one process: in several, say how long with "
            "-o train.budget=null -o train.epochs=N."
        )
    with contextlib.ExitStack() as stack:
        if resume is not None:
            broadcast_from_rank0(resume.acquire)
            stack.callback(resume.release)
            if resume.is_finished():
                raise TrainingError(f"the run '{resume.path}' is finished: it cannot be resumed.")
        seed_everything(config.train.seed)
        if config.train.deterministic:
            be_deterministic()
        log = RunLog(silent=not is_rank0())
        if resume is None:
            config = resolve(config, log)
        splits = rank0_first(lambda: load_splits(config, log))
        splits = shard(splits, rank(), world_size())
        network, options = build_model(config, splits)
        if resume is None or not resume.has_checkpoints():
            whiten(network, splits)
            rank0_first(lambda: load_init_weights(network, config, splits, log))
        if resume is None:  # after what can fail at once, for it takes some seconds
            config = choose_precision(config, network, splits, log)
        if config.train.sync_bn and world_size() > 1:
            convert_sync_bn(network)
        elif config.train.sync_bn:
            log("Notice: train.sync_bn has no effect in one process: it sees whole batches.")
        broadcast_parameters(network)  # before there is an average of them
        speed = SpeedMonitor()
        progress = Progress(make_plan(config, splits, speed))
        state = build_state(config, network, splits, progress, speed, log, config.train.seed)
        progress.start_clock()
        with state.precision.autocast():
            measure_eval_speed(config, network, splits, progress, speed)
        if isinstance(progress.plan, TimeBudget):
            progress.plan.plan_rounds(len(splits.validation.images) if splits.validation else 0)
        folder = resume or RunFolder.create_on_all_ranks(config, recipe)
        stack.callback(folder.release)
        log.open(folder.log)
        # To the end: schedulers repeat SIGTERM while the last files are written.
        signals = stack.enter_context(SignalHandler().listening())
        trainer = Trainer(config, options, splits, state, folder, log, signals)
        try:
            result = trainer.run(resuming=resume is not None)
        except BaseException:
            _report(folder, afterwards, log, failed=True)
            raise
        _report(folder, afterwards, log, failed=False)
        return RunResult(folder, result)


def _report(
    folder: RunFolder, afterwards: Callable[[RunFolder], None], log: RunLog, failed: bool
) -> None:
    """Call ``afterwards``; its error must not hide that of the training."""
    if not is_rank0() or not folder.result.is_file():
        return
    try:
        afterwards(folder)
    except Exception as error:
        if not failed:
            raise
        log(f"warning: no report could be written: {type(error).__name__}: {error}")


class Trainer:
    """One run: a state, and everything that watches, saves and evaluates it.

    Args:
        config: the complete recipe.
        options: those that made the network.
        splits: this rank's shards of the data.
        state: before its first step.
        folder: the run's, locked.
        log: takes lines.
        signals: says when to stop.
    """

    def __init__(
        self,
        config: Config,
        options: dict[str, Any],
        splits: DataSplits,
        state: TrainState,
        folder: RunFolder,
        log: RunLog,
        signals: SignalHandler,
    ) -> None:
        self.config = config
        self.options = options
        self.splits = splits
        self.state = state
        self.folder = folder
        self.log = log
        self.parameters = trainable_parameters(state.network)  # now: stages may be frozen later
        self.writer = RunWriter(folder, log, config.run.on_write_error == "stop")
        self.checkpointer = Checkpointer(
            self.writer,
            signals,
            model_metadata(
                config.model.name,
                options,
                splits.classes,
                splits.mean,
                splits.std,
                splits.input_shape,
                splits.centre,
            ),
            interval=config.train.checkpoint_interval,
            keep=config.train.keep_checkpoints,
        )
        state.best = BestMetrics()
        state.dataset_check = DatasetCheck(splits, log)
        self.bar = ProgressBar(log_seconds=config.run.log_interval, write=self._write_line)
        self.logger = MetricLogger(
            self.writer,
            interval=config.run.log_interval,
            visualdl=config.run.visualdl and is_rank0(),
        )
        self.visualdl: Optional[VisualDLLogger] = None
        if self.logger.visualdl is not None:
            self.visualdl = VisualDLLogger(self.writer, self.logger.visualdl, config, splits)
        if is_rank0():
            state.callbacks += [self.bar, self.logger]
            state.callbacks += [self.visualdl] if self.visualdl is not None else []

    def _write_line(self, line: str) -> None:
        self.bar.print(line)
        self.log.keep(line)

    def run(self, resuming: bool) -> dict[str, Any]:
        """Train, test once, and write result.json; with ``resuming`` from the newest checkpoint.

        Returns:
            dict: the content of result.json.
        """
        checkpoint: Optional[str] = None
        if resuming:
            checkpoint = self.checkpointer.resume(self.state)
            broadcast_from_rank0(lambda: self._clean_folder(checkpoint))
        self._introduce(checkpoint)
        failure: Optional[UserError] = None
        try:
            self._train()
            evaluation, weights = self._test()
            result = self._result("finished", test={"weights": weights, **evaluation.summary()})
            tested, network = self.splits.test, self.state.network
            self.writer.write_last(
                self.folder.predictions,
                lambda path: save_predictions(path, evaluation, tested, network),
            )
            if self.visualdl is not None:
                self.visualdl.write_test(evaluation.summary(), self.state.progress.step)
        except TrainingInterrupted:
            self._write_result(self._result("interrupted"))
            self.log(
                f"stopped after step {self.state.progress.step}. To resume: "
                f"paddle-resnet train --resume {self.folder.path}"
            )
            raise
        except PeerLost as error:
            failure = PeerLost(
                f"{error} To resume from the last checkpoint, launch again with "
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
        self._check_folder()
        return result

    def _clean_folder(self, checkpoint: Optional[str]) -> None:
        """Remove what a killed process left; all ranks have read what is there."""
        self.folder.remove_stale_files()
        if checkpoint is None:
            self.log("no checkpoint had been written yet: training starts anew")
            self.folder.reset()

    def _check_folder(self) -> None:
        """Raise an error if what a finished run should leave is not there."""
        if self.folder.is_deleted():
            raise TrainingError(
                f"the training is over, but its run folder '{self.folder.path}' was removed: "
                "nothing of it is left."
            )
        if self.writer.failed:
            raise TrainingError(
                f"the training is over, but not all of it could be written into "
                f"'{self.folder.path}' ({next(iter(self.writer.failed.values()))}): weights that "
                "stand there are valid, but may be older than its end."
            )

    # -- before ----------------------------------------------------------------------------

    def _introduce(self, checkpoint: Optional[str]) -> None:
        splits, config = self.splits, self.config
        images = splits.describe(config.data.name)
        self.log(
            f"{config.model.name}: {self.parameters:,} parameters, input {splits.input_shape}; "
            f"{config.data.name} from {splits.source}: {images['train']:,} training, "
            f"{images['validation']:,} validation, {images['test']:,} test images"
        )
        with self.state.precision.autocast():
            convolutions = describe_kernels(self.state.network, splits.input_shape)
        self.log(convolutions)
        if world_size() > 1:
            bn = "the whole batch" if config.train.sync_bn else "the shard of their rank"
            self.log(f"{world_size()} processes; batch norms see {bn}")
        self.log(f"run folder: {self.folder.path}")
        step = self.state.progress.step
        if checkpoint is not None:
            self.log(f"resumed after step {step}")
        here = {**environment(), "processes": world_size(), "convolutions": convolutions}
        content, warning = append_launch(self.folder.environment, here, step, checkpoint)
        if warning is not None:
            self.log(warning)
        self.writer.write(self.folder.environment, lambda path: atomic_write_json(path, content))

    # -- training --------------------------------------------------------------------------

    def _train(self) -> None:
        validation = fit_validation(self.state.progress.plan, self.splits.validation, self.log)
        try:
            train(
                self.state,
                None if validation is None else self._validate(validation),
                self.state.callbacks,
                self.checkpointer,
            )
        except TrainingInterrupted:
            self.checkpointer.save_last(self.state)
            raise
        except NonFiniteError:
            self.checkpointer.save_last_checkpoint(self.state)
            raise
        finally:
            self.bar.close()
            self.logger.close()
        self.checkpointer.save_last(self.state)

    def _validate(self, validation: BatchLoader) -> Callable[[nn.Layer], dict[str, Any]]:
        """Return the function that evaluates on the validation images."""
        state, ks = self.state, (1, min(5, len(self.splits.classes)))

        def validate(network: nn.Layer) -> dict[str, Any]:
            meters = loss, accuracy = LossMeter(), TopKMeter(ks)
            self.bar.open("validating", len(validation))
            evaluate(
                network,
                state.speed.time_evaluation(validation, world_size()),
                meters,
                precision=state.precision,
                on_batch=lambda done: self.bar.advance(done, f"loss {loss.value:.4f}"),
            )
            self.bar.close()
            accuracies = {f"val_acc_top{k}": accuracy.accuracy(k) for k in ks}
            return {"val_loss": loss.value, **accuracies}

        return validate

    # -- after -----------------------------------------------------------------------------

    def _test(self) -> tuple[Evaluation, str]:
        state, tta = self.state, self.config.test.tta
        if state.ema is not None:
            state.ema.copy_to()
        wants_best = self.config.test.weights == "best"
        use_best = broadcast_from_rank0(lambda: wants_best and state.best.metrics is not None)
        best = self.folder.best if use_best else None
        most = None
        if isinstance(state.progress.plan, TimeBudget):
            most = state.progress.plan.test_images_that_fit(state.progress) // TTA_VIEWS[tta]
        evaluation, weights = test(
            state.network, best, self.splits, self.log, tta, state.precision, most
        )
        self.log(
            f"test {evaluation.sentence()}, on {len(evaluation.labels):,} images; "
            f"{console_duration(state.progress.elapsed)} in all"
        )
        return evaluation, weights

    def _result(self, status: str, **entries: Any) -> dict[str, Any]:
        return run_result(
            status,
            self.config,
            self.options,
            self.parameters,
            self.splits,
            self.state,
            **entries,
        )

    def _write_result(self, result: dict[str, Any]) -> None:
        self.writer.write_last(self.folder.result, lambda path: atomic_write_json(path, result))
