"""`paddle-resnet report`: write a run's report.html again."""

from __future__ import annotations

import argparse
from typing import Any

from . import _parser

EXAMPLES = """\
  paddle-resnet report runs/quickstart-20250101-120000
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "report", "write a run's report.html again", EXAMPLES, run)
    parser.add_argument("run_folder", metavar="RUN", help="a run folder")


def run(arguments: argparse.Namespace) -> int:
    """Write the report and print its path."""
    from ..report.run_report import write_report

    print(write_report(arguments.run_folder))
    return 0
