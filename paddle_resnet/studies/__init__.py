"""Studies: one question about residual networks each, an experiment, a verdict by a fixed rule.

>>> from paddle_resnet.studies import telephone
>>> result = telephone(seeds=2)
>>> print(result.verdict)

`paddle-resnet study` runs the same studies. The names are loaded without Paddle; a study imports
it when it is called.
"""

from .catalog import STUDIES, find_study
from .result import Result
from .study import Study

__all__ = ["STUDIES", "Result", "Study", "find_study", *STUDIES]

# After `__all__`, so that a name above cannot be overwritten by a study of the same name.
globals().update(STUDIES)
