"""Common parts of the sub-commands' parsers."""

from __future__ import annotations

import argparse
from typing import Any, Callable


def make(
    subparsers: Any, name: str, summary: str, examples: str, run: Callable[..., Any]
) -> argparse.ArgumentParser:
    """Add a sub-command with examples below its help."""
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[:1].upper() + summary[1:] + ".",
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
