"""The contract of a study: what it is asked with, what it hands back."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Optional, Union

from .cards import Card, read_card
from .result import Result
from .texts import choose_language


@dataclass(frozen=True)
class Options:
    """What a study is run with.

    Args:
        seeds: how many weight seeds (0, 1, ...), or the seeds themselves. Default: the study's.
        full: paper-like sizes in place of the quick ones. Default: False.
        model: a run folder, a weights file or a name of bundled weights, to be studied in place of
            the study's own network. Default: None.
        data: where CIFAR-10 is, as for :func:`paddle_resnet.data.load_cifar10`; ``sample`` for the
            bundled 2,500 images. Default: the first source that has it.
        max_seconds: the study ends at its next step after that many wall-clock seconds; what was
            measured is kept. Default: None, no limit.
        settings: the study's own settings, such as ``{"depth": 56}``.
    """

    seeds: Union[int, Sequence[int], None] = None
    full: bool = False
    model: Optional[str] = None
    data: Optional[str] = None
    max_seconds: Optional[float] = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A question with its experiment. Call it to run it.

    >>> from paddle_resnet.studies import telephone
    >>> result = telephone(seeds=2)          # quick
    >>> result = telephone(depth=56, width=8)  # another setting of the experiment

    A study NAME consists of ``cards/NAME.yaml`` (texts) and a module in ``experiments/`` with

    - ``VERSION`` (int), raised when numbers change for a reason in the code;
    - ``SETTINGS``, ``FULL``: the quick settings, and what ``full`` changes of them;
    - ``measure(context)``: the experiment; fills ``context.results`` with JSON types as it goes;
    - ``judge(results)``: the rules with their values, and the numbers of the finding's sentence;
    - ``table(results)``, ``figure(results)``, ``reference(results)``: the same results to be read.

    All but ``measure`` are pure functions of the results, so that a stored JSON file can be read,
    drawn and judged again without Paddle's part being repeated.
    """

    name: str
    #: Name of the module in ``experiments/``, where it is not ``name``.
    module: str = ""

    @property
    def card(self) -> Card:
        """The study's texts, sources, needs and cost."""
        return read_card(self.name)

    @property
    def experiment(self) -> ModuleType:
        """The module with the experiment; imports Paddle."""
        return importlib.import_module(f".experiments.{self.module or self.name}", __package__)

    def __call__(
        self,
        *,
        seeds: Union[int, Sequence[int], None] = None,
        full: bool = False,
        model: Optional[str] = None,
        data: Optional[str] = None,
        lang: Optional[str] = None,
        max_seconds: Optional[float] = None,
        **settings: Any,
    ) -> Result:
        """Run the study and return what it found.

        Args:
            seeds, full, model, data, max_seconds: see :class:`Options`.
            lang: ``en`` or ``zh``, of the texts. Default: by the locale.
            **settings: the experiment's own settings, see ``study.settings()``.

        Raises:
            UserError: a setting, a seed, a language or a network that the study cannot use.
        """
        from .runner import run_study

        options = Options(seeds, full, model, data, max_seconds, settings)
        return run_study(self, options, choose_language(lang))

    def settings(self, full: bool = False) -> dict[str, Any]:
        """Return the experiment's settings and their defaults; imports Paddle."""
        experiment = self.experiment
        return {**experiment.SETTINGS, **(experiment.FULL if full else {})}

    def __repr__(self) -> str:
        return f"<study {self.name}: {self.card.question.en}>"
