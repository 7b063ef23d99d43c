"""Results read back from the JSON files that studies write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Union

from ..errors import UserError, for_display
from .catalog import find_study
from .results.result import Result

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def load_result(path: Union[str, Path], language: str = "en") -> Result:
    """Read a result that ``save_json`` wrote; verdict, table and figure are made anew.

    Raises:
        UserError: the file is missing, no JSON, or no result of a study of this version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read as the JSON file of a study: {error}.") from None
    needed = ("study", "version", "settings", "seeds", "data", "machine", "seconds", "results")
    missing = [key for key in needed if not isinstance(content, dict) or key not in content]
    if missing:
        raise UserError(f"'{path}' is no result of a study: it has no {', '.join(missing)}.")
    study = find_study(str(content["study"]))
    if content["version"] != study.experiment.VERSION:
        raise UserError(
            f"'{path}' is of version {for_display(content['version'])} of the study "
            f"'{study.name}', expected {study.experiment.VERSION}: run it again."
        )
    keys = (*needed[1:], "model", "comparable", "interrupted")
    facts = {key: _from_json(content.get(key)) for key in keys}
    return Result(study.card, study.experiment, facts, language)


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _from_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_from_json(one) for one in value]
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value
