"""`paddle-resnet study`: experiments that show why residual networks work."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from .. import cpu_runtime
from . import _parser

if TYPE_CHECKING:
    from ..studies import Result, Study
    from ..studies.study_options import Options

EXAMPLES = """\
  paddle-resnet study                          list them: name, question, seconds, needs
  paddle-resnet study telephone
  paddle-resnet study signal shattering --seeds 3 --html signal.html
  paddle-resnet study lesion --model runs/resnet56-20250101-120000 --json lesion.json
  paddle-resnet study telephone --set depth=56 --set width=8 --lang zh
  paddle-resnet study all --html gallery/      every study, and an index
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    summary = "experiments that show why residual networks work"
    parser = _parser.make(subparsers, "study", summary, EXAMPLES, run)
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="studies to run, or all (default: list them)"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="weight seeds (default: its own)")
    parser.add_argument("--full", action="store_true", help="sizes closer to the papers'")
    parser.add_argument(
        "--model", metavar="RUN", help="study this run folder, weights file or bundled network"
    )
    parser.add_argument(
        "--data", metavar="PATH", help="where CIFAR-10 is, or sample (default: where it is found)"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another setting of the experiment; repeatable",
    )
    parser.add_argument(
        "--max-time", metavar="TIME", help="end after this time, such as 90s or 5min"
    )
    parser.add_argument("--lang", metavar="zh|en", help="of the texts (default: by the locale)")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    parser.add_argument(
        "--html",
        metavar="PATH",
        help="write one page; of several studies a folder with an index",
    )


def run(arguments: argparse.Namespace) -> int:
    """List the studies, or run them one after the other."""
    from ..studies import STUDIES, find_study
    from ..studies.texts import choose_language

    language = choose_language(arguments.lang)
    if not arguments.names:
        _list(STUDIES, language)
        return 0
    names = list(STUDIES) if "all" in arguments.names else list(dict.fromkeys(arguments.names))
    studies = [find_study(name) for name in names]
    cpu_runtime.import_paddle()
    return _run_all(studies, arguments, language)


def _list(studies: dict[str, Study], language: str) -> None:
    for name, study in studies.items():
        card = study.card
        print(f"{name:<12} {card.question.said_in(language)}")
        print(f"{'':<12} {card.seconds:.0f} s, needs: {card.needs}")


def _run_all(studies: list[Study], arguments: argparse.Namespace, language: str) -> int:
    from ..studies.study_options import Options

    options = Options(
        seeds=arguments.seeds,
        full=arguments.full,
        model=arguments.model,
        data=arguments.data,
        max_seconds=_seconds(arguments.max_time),
        settings=dict(map(_setting, arguments.settings)),
    )
    if options.model is not None and "all" in arguments.names:
        studies = [study for study in studies if study.card.takes_model]
    outputs = _Outputs(arguments.json, arguments.html, several=len(studies) > 1)
    runs = [(study, _for(study, options, "all" in arguments.names)) for study in studies]
    for study, own in runs:  # a typing error in the last one must not cost the others' time
        study.check(own)
    results: list[Result] = []
    for study, own in runs:
        print(f"{study.name}: {study.card.question.said_in(language)}", flush=True)
        if arguments.full:
            print(f"  about {study.card.seconds_full / 60:.0f} minutes on one core", flush=True)
        result = study.run(own, language)
        results.append(result)
        print(f"  {result.verdict.said_in(language)}", flush=True)
        outputs.write(results)
        if result.facts["interrupted"] and options.max_seconds is None:
            return 130  # by Ctrl-C
    return 0


def _for(study: Study, options: Options, of_all: bool) -> Options:
    """Return the options of one study: among all, those without seeds are run without."""
    if of_all and not study.card.takes_seeds:
        return replace(options, seeds=None)
    return options


class _Outputs:
    """The files that were asked for, written anew after every study.

    Raises:
        UserError: a file or folder that cannot be written; before anything is run.
    """

    def __init__(self, json_file: Optional[str], html: Optional[str], several: bool) -> None:
        from ..errors import UserError

        self.json = json_file and Path(json_file)
        self.html = html and Path(html)
        self.several = several
        self.gallery = bool(html) and (
            several or html.endswith(("/", os.sep)) or self.html.is_dir()
        )
        if self.gallery and self.html.is_file():
            raise UserError(f"--html is the file '{html}', expected a folder for several studies.")
        for path in (self.json, None if self.gallery else self.html):
            if path and (path.is_dir() or not path.resolve().parent.is_dir()):
                raise UserError(
                    f"'{path}' cannot be written: expected a file in a folder that exists."
                )

    def write(self, results: list[Result]) -> None:
        """Write the results so far."""
        from ..io.atomic_files import atomic_write_json
        from ..studies.results.study_page import write_gallery, write_study_page

        if self.json:
            found = [result.to_dict() for result in results]
            atomic_write_json(self.json, found if self.several else found[0])
        if self.gallery:
            write_gallery(results, self.html)
        elif self.html:
            write_study_page(results[0], self.html)


def _setting(text: str) -> tuple[str, str]:
    from ..errors import UserError, for_display

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set is '{for_display(text)}', expected KEY=VALUE such as depth=56.")
    return key, value


def _seconds(text: Optional[str]) -> Optional[float]:
    from ..config import parse_duration
    from ..errors import UserError

    try:
        return None if text is None else float(parse_duration(text))
    except ValueError as error:
        raise UserError(f"--max-time is '{text}', {error}.") from None
