"""The list of studies, in the order in which a course would take them."""

from __future__ import annotations

from ..errors import UserError, did_you_mean
from .study import Study

#: Name to study. A study NAME has its texts in cards/NAME.yaml and its code in experiments/NAME.py,
#: or in the module that is named here.
STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study("signal"),
        Study("telephone"),
        Study("shattering"),
        Study("shortcuts", module="shortcut_variants"),
        Study("identity"),
        Study("decay"),
        Study("degradation"),
        Study("lesion"),
        Study("depth-use", module="depth_use"),
        Study("paths"),
        Study("pointwise"),
        Study("auxiliary"),
        Study("saliency"),
        Study("landscape"),
    )
}


def find_study(name: str) -> Study:
    """Return the study of that name.

    Raises:
        UserError: there is none; the sentence has the nearest name.
    """
    if name not in STUDIES:
        raise UserError(
            f"there is no study '{name}', expected all or one of {', '.join(STUDIES)}."
            + did_you_mean(name, STUDIES)
        )
    return STUDIES[name]
