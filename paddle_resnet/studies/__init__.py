"""Studies: one question about residual networks each, an experiment, a verdict by a fixed rule.

>>> from paddle_resnet.studies import telephone
>>> result = telephone(seeds=2)
>>> print(result.verdict)

`paddle-resnet study` runs the same studies. The names are loaded without Paddle; a study imports
it when it is called.
"""

from .catalog import STUDIES, find_study
from .results.result import Result
from .stored_result import load_result
from .study import Study

#: Python's names of the studies: `depth_use` is the study `depth-use`.
_BY_IDENTIFIER = {name.replace("-", "_"): study for name, study in STUDIES.items()}

__all__ = ["STUDIES", "Result", "Study", "find_study", "load_result", *_BY_IDENTIFIER]

globals().update(_BY_IDENTIFIER)
