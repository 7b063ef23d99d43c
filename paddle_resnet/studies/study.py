"""The contract of a study: what belongs to it, and how it is called."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Optional, Union

from .cards import Card, read_card
from .results.result import Result
from .study_options import Options, check_options, default_settings
from .texts import choose_language


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
    drawn and judged again without measuring again.
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
            seeds, full, model, data, max_seconds: see
                :class:`~paddle_resnet.studies.study_options.Options`.
            lang: ``en`` or ``zh``, of the texts. Default: by the locale.
            **settings: the experiment's own settings, see ``study.settings()``.

        Raises:
            UserError: a setting, a seed, a language or a network that the study cannot use.
        """
        options = Options(seeds, full, model, data, max_seconds, settings)
        return self.run(options, choose_language(lang))

    def run(self, options: Options, language: str) -> Result:
        """Run the study; as calling it, with the options in one object."""
        from .runner import run_experiment  # imports Paddle

        return run_experiment(self.card, self.experiment, options, language)

    def check(self, options: Options) -> None:
        """Raise the error that running the study with these options would begin with."""
        check_options(self.card, self.experiment, options)

    def settings(self, full: bool = False) -> dict[str, Any]:
        """Return the experiment's settings and their defaults; imports Paddle."""
        return default_settings(self.experiment, full)

    def __repr__(self) -> str:
        return f"<study {self.name}: {self.card.question.en}>"
