"""Where names of levels stand, and what measures are called."""

import re

import numpy as np
import pytest

from paddle_resnet.studies import STUDIES, load_result
from paddle_resnet.studies.drawing.figure import Level, Line, Panel, Points
from paddle_resnet.studies.drawing.figure_page import PagePanel
from paddle_resnet.studies.drawing.level_labels import along, places
from paddle_resnet.studies.results.measures import measure_in
from tests.studies.test_stored_results import ROOT

NOTHING = (np.zeros(0), np.zeros(0))
#: What stays in Chinese sentences: names of networks, layers and methods, and mathematics.
NAMES = re.compile(
    r"(mini_)?(plain|residual|resnet|ResNet)[-_]?\d*|BN|no|zero-gamma|layer\d(\.\d)?|conv\d?|fc"
    r"|Grad|Grad-CAM|CAM|LayerCAM|ReLU|Inception|gamma|beta|logits|cos|acc\d*|dL|ds|A|B|C|F|L|R\d*"
    r"|[afghnpsx]|x\d"
)


def side(*marks, height=0.5, label="chance"):
    return places([height], [label], marks or [NOTHING])[0]


def test_a_label_stands_right_above_its_line_where_nothing_is_drawn():
    assert side() == "right"


def test_a_label_hides_no_point():
    above_right = (np.array([0.95]), np.array([0.53]))
    above_left = (np.array([0.03]), np.array([0.53]))
    below_right = (np.array([0.95]), np.array([0.47]))
    assert side(above_right) == "left"
    assert side(above_right, above_left) == "right under"
    assert side(above_right, above_left, below_right) == "left under"


@pytest.mark.parametrize(("height", "expected"), [(0.99, "right under"), (0.02, "right")])
def test_a_label_stays_within_the_frame(height, expected):
    assert side(height=height) == expected


def test_a_label_covers_no_other_level():
    assert places([0.5, 0.55], ["a", "b"], [NOTHING]) == ["right under", "right"]


def test_a_line_counts_between_its_points():
    x, y = along(np.array([0.0, 1.0]), np.array([0.2, 0.8]))
    assert len(x) > 50
    assert np.allclose(y, 0.2 + 0.6 * x)


def test_a_panel_moves_the_label_away_from_its_last_point():
    def panel(item):
        levels = [Level(0.1, "chance")]
        return PagePanel(Panel("t", "x", "y", [item], levels, y_range=(0.0, 1.0)), "p").levels

    assert panel(Points("", [0, 1], [0.5, 0.13], "plain")) == [(0.1, "chance", "left")]
    assert panel(Line("", [0, 1], [0.13, 0.5], "plain")) == [(0.1, "chance", "right")]


@pytest.mark.parametrize("name", STUDIES)
def test_chinese_pages_have_no_english_measures(name):
    result = load_result(ROOT / "results" / "studies" / f"{name}.json", "zh")
    measures = [rule.measure for rule in result.verdict.rules]
    for measure in [*measures, *(one.name for one in result.reference)]:
        chinese = measure_in("zh", measure)
        words = re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", chinese)
        assert all(NAMES.fullmatch(word.rstrip("-.")) for word in words), (measure, chinese)
        assert measure_in("en", measure) == measure
    assert measure_in("zh", result.verdict.decisive.measure) in result.verdict.sentence
