"""pointwise, auxiliary, saliency, landscape: exact facts and runs in small."""

import numpy as np
import paddle
import pytest

from paddle_resnet.data import load_cifar10
from paddle_resnet.layers import Inception
from paddle_resnet.models import count
from paddle_resnet.models.trained_model import load_trained
from paddle_resnet.studies import auxiliary, landscape, mini_networks, paths, pointwise, saliency
from paddle_resnet.studies.experiments.landscape import Surface, local_minima, turning_points
from paddle_resnet.studies.experiments.saliency import (
    _between_images,
    _blobs,
    _disc,
    rank_correlation,
)
from paddle_resnet.studies.results.study_page import render_study
from paddle_resnet.studies.shared.cifar_subset import Subset, balanced_indices, normalize
from paddle_resnet.studies.shared.short_training import loss_and_accuracy

MINI = str(mini_networks.FOLDER / "mini_resnet20.safetensors")


@pytest.fixture(scope="module")
def subset():
    data = load_cifar10("sample")
    chosen = balanced_indices(data.test_labels, 20, 0)
    return Subset(normalize(data.test_images[chosen], size=16), data.test_labels[chosen])


@pytest.fixture(scope="module")
def counted():
    return pointwise(batch=1, passes=1, warmup_passes=0, lang="en")


def test_a_pointwise_convolution_is_a_linear_layer(counted):
    assert counted.results["equal"]["integers"] == pytest.approx(
        {
            "different": 0,
            "max_difference": 0,
            "largest": counted.results["equal"]["integers"]["largest"],
        }
    )
    floats = counted.results["equal"]["floats"]
    assert floats["max_difference"] <= 1e-5 * floats["largest"]


def test_multiplications_are_those_of_the_papers(counted):
    modules = counted.results["modules"]
    for module in modules.values():
        assert module["macs"] == module["formula"]
    assert modules["5x5, 192 to 32"]["macs"] == 28 * 28 * 32 * 25 * 192 == 120_422_400
    assert modules["1x1 to 16, then 5x5"]["macs"] == 28 * 28 * (16 * 192 + 32 * 25 * 16)
    assert modules["bottleneck 256-64-64-256"]["macs"] == 13_647_872
    inception = Inception(192, 64, 96, 128, 16, 32, 32)
    assert modules["Inception 3a"]["macs"] == count(inception, (192, 28, 28)).total("macs")
    assert modules["naive Inception"]["macs"] == 303_464_448
    # No data is used: there is a verdict without CIFAR-10.
    assert counted.facts["data"] == {}
    assert {r.key: r.holds for r in counted.verdict.rules}["counted"] is True


def test_stems_at_32_pixels(counted):
    stems = {row["stem"]: row for row in counted.results["stems"]}
    assert (stems["imagenet"]["first"], stems["imagenet"]["last"]) == ([8, 8], [1, 1])
    assert (stems["cifar"]["first"], stems["cifar"]["last"]) == ([32, 32], [4, 4])
    assert stems["cifar"]["macs"] == 555_422_720


def test_side_heads_change_nothing_above_them():
    result = auxiliary(
        data="sample", seeds=1, images=10, images_with_bn=2, images_without_bn=2, pixels=64,
        factors=[0.35], lang="en",
    )  # fmt: skip
    for run in result.results["runs"]:
        for place in ("4e", "5b"):
            assert run["with_heads"][place] == run["alone"][place]
        for place in ("conv1", "3a", "4a"):
            assert run["with_heads"][place] != run["alone"][place]
    assert len(result.figure_spec.panels) == 2
    assert len(result.table.rows) == 2


def test_rank_correlation_is_spearmans():
    a = np.array([1.0, 2.0, 2.0, 5.0])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 and 2, 1, 3, 4: covariance over both deviations.
    x, y = np.array([1, 2.5, 2.5, 4]), np.array([2, 1, 3, 4.0])
    assert rank_correlation(a, np.array([20.0, 10, 30, 40])) == pytest.approx(
        np.corrcoef(x, y)[0, 1]
    )


def test_empty_maps_have_no_correlation():
    assert np.isnan(rank_correlation(np.zeros(4), np.arange(4.0)))
    maps = np.random.RandomState(0).rand(4, 3, 3)
    maps[1] = 0  # its two pairs are left out
    pairs = [rank_correlation(maps[i], maps[i - 1]) for i in (0, 3)]
    assert _between_images(maps) == pytest.approx(np.mean(pairs))


def test_masks_hide_a_quarter():
    assert _blobs(np.random.RandomState(0), 32).sum() == 256
    disc = _disc(32, 256)
    assert disc.sum() == 256
    assert disc[16, 16]
    assert not disc[0, 0]
    assert abs(int(disc[:16].sum()) - 128) < 20


def test_saliency_in_small():
    result = saliency(model=MINI, data="sample", images=20, shown=2, seeds=1, lang="en")
    found = result.results
    assert list(found["cascade"]) == ["fc", "+ layer3", "+ layer2", "+ layer1", "+ conv1"]
    assert found["stages"] == ["layer1", "layer2", "layer3"]
    assert len(found["examples"]["maps"]) == 3
    assert set(found["empty"]) == set(found["baseline"])
    assert 0 < found["masked"]["nothing"] <= 1
    panel = result.figure_spec.panels[0]
    assert [len(row) for row in panel.rows] == [2] * 4
    assert panel.rows[0][0].shape == (16, 16, 3)


def test_turning_points():
    assert turning_points([3, 2, 1, 2, 3]) == 1
    assert turning_points([1, 2, 1, 2, 1]) == 3
    assert turning_points([1, 1, 2, 2, 3]) == 0


def test_local_minima():
    plane = np.full((5, 5), 3.0)
    plane[1, 1], plane[3, 3], plane[0, 4] = 1.0, 2.0, 0.0  # the last one is on the edge
    assert local_minima(plane) == 2
    plane[2, 2] = 0.5  # a neighbour of both
    assert local_minima(plane) == 1


def test_directions_have_the_norms_of_the_filters(subset):
    network = load_trained(MINI).network
    surface = Surface(network, subset, "running")
    before = {k: v.numpy() for k, v in network.state_dict().items()}
    direction = surface.direction(3)
    assert set(direction) == {n for n, p in network.named_parameters() if p.ndim > 1}
    filters, drawn = before["layer2.1.conv1.weight"], direction["layer2.1.conv1.weight"]
    assert np.allclose(
        np.linalg.norm(filters.reshape(16, -1), axis=1),
        np.linalg.norm(drawn.reshape(16, -1), axis=1),
    )
    columns, drawn = before["fc.weight"], direction["fc.weight"]
    assert np.allclose(np.linalg.norm(columns, axis=0), np.linalg.norm(drawn, axis=0))
    # The loss at the start is the network's; further on it is another; afterwards all is back.
    loss, _ = loss_and_accuracy(network, subset)
    assert surface.loss([]) == pytest.approx(loss, rel=1e-5)
    assert surface.loss([(0.5, direction)]) != pytest.approx(loss, rel=1e-3)
    surface.restore()
    for key, value in network.state_dict().items():
        assert np.array_equal(value.numpy(), before[key])


def test_landscape_in_small(monkeypatch):
    small = {"points": 3, "lines": 1, "images": 10, "images_deep": 10, "train_images": 40}
    result = landscape(data="sample", epochs_at_equal_loss=1, lang="en", **small)
    networks = result.results["networks"]
    assert list(networks)[-2:] == ["mini_plain56", "mini_resnet56"]
    for found in networks.values():
        assert np.shape(found["lines"]) == (1, 3)
        assert np.shape(found["plane"]) == (3, 3)
        # The centre of the line is the centre of the plane is the network.
        assert found["lines"][0][1] == pytest.approx(found["loss"], rel=1e-5)
        assert found["plane"][1][1] == pytest.approx(found["loss"], rel=1e-5)
    rules = {rule.key: rule.holds for rule in result.verdict.rules}
    assert rules["shallow"] is None
    # Lines of 20 and of 56 layers, turning points, and a plane of each network.
    assert len(result.figure_spec.panels) == 3 + len(networks)


def test_figures_are_drawn_twice(tmp_path):
    result = landscape(
        data="sample", points=3, lines=1, images=10, images_deep=10, train_images=40,
        epochs_at_equal_loss=1,
    )  # fmt: skip
    for one in (result, saliency(model=MINI, data="sample", images=10, shown=2, seeds=1)):
        page = one.save_html(tmp_path / "p.html").read_text(encoding="utf-8")
        assert page.count("<figure") == len(one.figure_spec.panels)
        figure = one.figure
        assert len(figure.axes) == len(one.figure_spec.panels)
        assert paddle.in_dynamic_mode()


def test_a_page_says_which_images_were_halved():
    """The own network at 32 pixels, the small ones at 16: the page must not claim 16 for all."""
    result = paths(data="sample", images=10, sets=1, exhaustive_up_to_blocks=0, lang="en")
    assert result.facts["data"]["sizes"] == [16, 32]
    assert "small networks at half size" in render_study(result)
    # No network was taken whole: the sentence has no error to give.
    assert "(relative error nan)" in result.verdict.sentence
    assert next(rule for rule in result.verdict.rules if rule.key == "sum").holds is None
