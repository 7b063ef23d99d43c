"""Run one study: check its options, measure, keep what an interruption leaves."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import paddle

from .. import cpu_runtime
from ..errors import UserError, for_display
from ..runs.environment import environment
from .cards import Card
from .context import Context, OutOfTime
from .results.result import Result
from .study_options import Options, check_options, default_settings


def run_experiment(card: Card, experiment: ModuleType, options: Options, language: str) -> Result:
    """Run a study and return its result; see :class:`~paddle_resnet.studies.study.Study`.

    Ctrl-C and the time limit end the measurement, not the study: the result then holds what was
    there, has ``facts["interrupted"]`` set and is not judged.
    """
    settings, seeds = check_options(card, experiment, options)
    context = Context(
        card.name,
        settings,
        seeds,
        options.full,
        options.model,
        options.data,
        options.max_seconds,
    )
    started = time.monotonic(), time.process_time()
    interrupted = False
    generator = paddle.get_rng_state()
    try:
        experiment.measure(context)
    except (KeyboardInterrupt, OutOfTime):
        interrupted = True
    except MemoryError:
        raise UserError(
            f"the memory of {cpu_runtime.memory_gib():.1f} GiB is too small for the study "
            f"'{card.name}' with these settings: {_listed(settings)}."
        ) from None
    finally:
        context.close()
        paddle.set_rng_state(generator)
    facts = {
        "version": experiment.VERSION,
        "settings": settings,
        "seeds": seeds,
        "model": None if options.model is None else for_display(options.model),
        "data": context.data_facts,
        "machine": _machine(),
        "seconds": {
            "wall": round(time.monotonic() - started[0], 2),
            "cpu": round(time.process_time() - started[1], 2),
        },
        "comparable": options.model is None
        and settings == default_settings(experiment, full=False),
        "interrupted": interrupted,
        "results": context.results,
    }
    return Result(card, experiment, facts, language)


def _machine() -> dict[str, Any]:
    facts = environment()
    return {key: facts.get(key) for key in ("cpu", "threads", "paddle", "numpy", "commit")}


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())
