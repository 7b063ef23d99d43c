"""Studies of trained networks: exact facts, and runs in small with the shipped mini networks."""

import copy
import json

import numpy as np
import paddle
import pytest
from safetensors.numpy import load_file

from paddle_resnet.cli import main
from paddle_resnet.data import load_cifar10
from paddle_resnet.errors import ModelError, UserError, WeightsError
from paddle_resnet.models import create_model
from paddle_resnet.models.trained_model import load_trained, model_metadata
from paddle_resnet.studies import (
    decay,
    degradation,
    depth_use,
    identity,
    lesion,
    mini_networks,
    paths,
)
from paddle_resnet.studies.context import Context
from paddle_resnet.studies.experiments.lesion import Surgery, run_surgeries
from paddle_resnet.studies.experiments.paths import path_gradients
from paddle_resnet.studies.mini_networks import MINI_NETWORKS, mini_network
from paddle_resnet.studies.shared import block_walk
from paddle_resnet.studies.shared.added_blocks import (
    branch_ratios,
    logits,
    scale_norms,
    settle_added,
    with_added_blocks,
)
from paddle_resnet.studies.shared.bn_modes import settle
from paddle_resnet.studies.shared.cifar_networks import cifar_network
from paddle_resnet.studies.shared.cifar_subset import Subset, balanced_indices, normalize
from paddle_resnet.studies.shared.fresh_weights import draw_again
from paddle_resnet.studies.shared.short_training import learning_rate, loss_and_accuracy, train
from paddle_resnet.weights import save_weights

MINI = str(mini_networks.FOLDER / "mini_resnet20.safetensors")


@pytest.fixture(scope="module")
def subset():
    data = load_cifar10("sample")
    chosen = balanced_indices(data.test_labels, 40, 0)
    return Subset(normalize(data.test_images[chosen], size=16), data.test_labels[chosen])


@pytest.fixture
def network():
    return load_trained(MINI).network


@pytest.fixture
def settled(subset):
    network = cifar_network(8, True, 8, seed=1)
    settle(network, subset.images)
    return network


@pytest.mark.parametrize("count", [1, 3])
def test_zero_gamma_blocks_change_no_bit(network, subset, count):
    longer, added = with_added_blocks(network, count, "zero-gamma", seed=5)
    assert len(added) == 3 * count
    assert len(block_walk.blocks(longer)) == 9 + 3 * count
    assert len(block_walk.blocks(network)) == 9
    before, after = logits(network, subset.images), logits(longer, subset.images)
    assert np.array_equal(before, after)
    assert branch_ratios(longer, added, subset.images) == [0.0] * len(added)


def test_dirac_blocks_nearly_keep_the_logits(network, subset):
    longer, _ = with_added_blocks(network, 1, "dirac", seed=0)
    difference = np.abs(logits(network, subset.images) - logits(longer, subset.images)).max()
    assert 0 < difference < 5e-3


def test_plain_blocks_do_change_them(network, subset):
    longer, _ = with_added_blocks(network, 1, "plain", seed=0)
    assert np.abs(logits(network, subset.images) - logits(longer, subset.images)).max() > 0.1


def test_norms_scaled_to_zero_are_the_identity(network, subset):
    longer, added = with_added_blocks(network, 1, "residual", seed=0)
    settle_added(longer, added, subset)
    original = {k: v.numpy() for k, v in network.state_dict().items()}
    assert not np.array_equal(logits(network, subset.images), logits(longer, subset.images))
    scale_norms(added, 0.0)
    assert np.array_equal(logits(network, subset.images), logits(longer, subset.images))
    # Settling moved the added blocks' statistics only.
    for key, value in original.items():
        assert np.array_equal(longer.state_dict()[key].numpy(), value)
        assert np.array_equal(network.state_dict()[key].numpy(), value)


def test_added_blocks_need_plain_sums():
    network = cifar_network(8, True, 8, seed=0, block="preact_basic")
    with pytest.raises(ModelError, match="pre-activation"):
        with_added_blocks(network, 1, "zero-gamma", seed=0)


def test_all_paths_add_up_to_the_gradient(settled, subset):
    few = Subset(subset.images[:4], subset.labels[:4])
    found = path_gradients(settled, few, sets=1, exhaustive_up_to=9)
    assert [len(norms) for norms in found["norms"]] == [1, 3, 3, 1]
    assert found["sum_error"] < 1e-4
    # The full gradient by the network's own forward pass.
    x = block_walk.stem(settled, paddle.to_tensor(few.images)).detach()
    x.stop_gradient = False
    y = x
    for _, block in block_walk.blocks(settled):
        y = block(y)
    loss = paddle.nn.functional.cross_entropy(
        block_walk.head(settled, y), paddle.to_tensor(few.labels), reduction="sum"
    )
    (gradient,) = paddle.grad(loss, [x])
    norms = np.linalg.norm(gradient.numpy().reshape(4, -1).astype(np.float64), axis=1)
    assert found["full_norm"] == pytest.approx(norms.mean(), rel=1e-3)


def test_random_paths_have_the_asked_lengths(settled, subset):
    few = Subset(subset.images[:2], subset.labels[:2])
    found = path_gradients(settled, few, sets=2, exhaustive_up_to=2)
    assert [len(norms) for norms in found["norms"]] == [1, 2, 2, 1]
    assert found["sum_error"] is None


def test_deleting_nothing_is_the_base(network, subset):
    untouched = Surgery("base", "", tuple(range(9)))
    accuracy, loss = run_surgeries(network, subset, [untouched], batch=30)[0]
    found = logits(network, subset.images, batch=30)
    assert accuracy == (found.argmax(1) == subset.labels).mean()
    shifted = found - found.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    assert loss == pytest.approx(-log_p[np.arange(40), subset.labels].mean(), rel=1e-5)


def test_a_deletion_is_the_network_without_the_block(network, subset):
    orders = {
        "layer1.1": (0, -2, *range(2, 9)),
        "layer2.0": (0, 1, 2, -4, *range(4, 9)),
    }
    for name, order in orders.items():
        shorter = copy.deepcopy(network)
        stage, index = name.split(".")
        block = getattr(shorter, stage)[int(index)]
        block.conv2.bn.weight.set_value(block.conv2.bn.weight * 0)  # F = 0 by other means
        block.conv2.bn.bias.set_value(block.conv2.bn.bias * 0)
        wanted = (logits(shorter, subset.images).argmax(1) == subset.labels).mean()
        assert run_surgeries(network, subset, [Surgery("s", name, order)], 40)[0][0] == wanted


def test_a_deleted_block_of_a_plain_network_is_padded_with_zeros(subset):
    plain, residual = (cifar_network(8, r, 8, seed=0) for r in (False, True))
    plain.eval(), residual.eval()
    x = block_walk.stem(plain, paddle.to_tensor(subset.images))
    from paddle_resnet.studies.experiments.lesion import _removed

    for (_, a), (_, b) in zip(block_walk.blocks(plain), block_walk.blocks(residual)):
        assert np.array_equal(_removed(a, x).numpy(), _removed(b, x).numpy())
        x = _removed(a, x)


def test_fresh_weights_have_the_scale_of_a_new_network(network):
    draw_again(network, seed=3)
    convolution = network.layer3[1].conv1.conv.weight.numpy()
    assert convolution.std() == pytest.approx(np.sqrt(2 / (9 * 32)), rel=0.05)
    assert network.conv1.bn._variance.numpy().tolist() == [1.0] * 8
    assert network.fc.bias.numpy().tolist() == [0.0] * 10
    again = create_model("resnet20", num_classes=10, widths=[8, 16, 32])
    draw_again(again, seed=3)
    assert np.array_equal(again.layer3[1].conv1.conv.weight.numpy(), convolution)


def test_learning_rate_warms_up_and_falls_to_zero():
    rates = [learning_rate(0.1, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(0.1)
    assert rates[55] == pytest.approx(0.05)
    assert rates[-1] < 1e-4


def test_short_training_learns_the_images_it_sees(subset):
    network = cifar_network(8, True, 8, seed=0)
    losses = train(network, subset, epochs=12, seed=0, batch_size=20)
    assert len(losses) == 12
    assert losses[-1] < 0.6 * losses[0]
    _, accuracy = loss_and_accuracy(network, subset)
    assert accuracy > 0.5
    assert not network.training


@pytest.mark.parametrize("name", MINI_NETWORKS)
def test_mini_networks_are_shipped_in_float16(name):
    trained = load_trained(mini_networks.FOLDER / f"{name}.safetensors")
    assert trained.input_shape == [3, 16, 16]
    assert trained.model == MINI_NETWORKS[name].model
    arrays = load_file(mini_networks.FOLDER / f"{name}.safetensors")
    for key, array in arrays.items():
        assert array.dtype == (np.float16 if array.ndim > 1 else np.float32), key
        assert trained.network.state_dict()[key].dtype == paddle.float32


def test_table_of_mini_networks_names_every_file_and_size():
    text = (mini_networks.FOLDER / "README.md").read_text(encoding="utf-8")
    for path in mini_networks.FOLDER.glob("*.safetensors"):
        assert f"`{path.name}`" in text
        assert f"{path.stat().st_size:,}" in text


def test_a_missing_mini_network_is_trained(monkeypatch, tmp_path):
    monkeypatch.setattr(mini_networks, "FOLDER", tmp_path)
    monkeypatch.setattr(mini_networks, "IMAGES", 40)
    monkeypatch.setattr(mini_networks, "EPOCHS", 1)
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "cache"))
    context, lines = Context("lesion", {}, [0], data="sample"), []
    monkeypatch.setattr(context, "log", lines.append)
    trained = mini_network("mini_plain20", context)
    assert trained.input_shape == [3, 16, 16]
    assert "trained now" in lines[0]
    assert not (tmp_path / "cache").exists()  # the sample's is not kept


def run_small(study, **settings):
    return study(model=MINI, data="sample", lang="en", **settings)


def test_identity_in_small():
    result = run_small(
        identity, counts=[1], test_images=50, compared_images=20, settle_images=130, steps=4,
        batch_size=10,
    )  # fmt: skip
    zero = next(r for r in result.results["variants"] if r["kind"] == "zero-gamma")
    assert zero["different"] == 0
    assert zero["max_difference"] == 0
    assert zero["accuracy"] == result.results["base"]["accuracy"]
    assert [run["steps"] for run in result.results["finetune"]] == [[0, 1, 2, 3, 4]] * 3
    assert result.facts["model"] == MINI
    assert len(result.table.rows) == 5
    assert len(result.figure_spec.panels) == 2


def test_decay_in_small():
    result = run_small(
        decay, factors=[1.0, 0.0], convolution_factors=[1.0, 0.5], test_images=50,
        compared_images=10, settle_images=130,
    )  # fmt: skip
    rows = result.results["rows"]
    assert next(r for r in rows if r["kind"] == "norms" and r["factor"] == 0)["different"] == 0
    one, half = (r["branch_ratios"] for r in rows if r["kind"] == "convolutions")
    assert half == pytest.approx(one, rel=0.02)  # BN cancels the scale
    assert result.results["half_life_steps"] == pytest.approx(69315, abs=1)
    assert result.table.rows[0][-1] == 0


def test_identity_and_decay_of_two_seeds():
    """Each seed draws its own blocks; the rules take the worst, tables and figures the mean."""
    result = run_small(
        identity, seeds=2, counts=[1], test_images=50, compared_images=20, settle_images=130,
        steps=1, batch_size=10,
    )  # fmt: skip
    rows = [r for r in result.results["variants"] if r["kind"] == "plain"]
    assert [r["seed"] for r in rows] == [0, 1]
    assert rows[0]["loss"] != rows[1]["loss"]
    mean = (rows[0]["accuracy"] + rows[1]["accuracy"]) / 2
    assert next(r for r in result.table.rows if r[0] == "plain")[2] == pytest.approx(mean)
    after = {k: [r["accuracy"][-1] for r in result.results["finetune"] if r["kind"] == k]
             for k in ("zero-gamma", "plain")}  # fmt: skip
    gaps = [z - p for z, p in zip(after["zero-gamma"], after["plain"])]
    assert next(r for r in result.verdict.rules if r.key == "tuned").value == min(gaps)
    assert sum(line.name == "plain" for line in result.figure_spec.panels[1].items) == 1
    assert sum(line.tone == "plain" for line in result.figure_spec.panels[1].items) == 3

    result = run_small(
        decay, seeds=[0, 3], factors=[1.0, 0.0], convolution_factors=[1.0], test_images=50,
        compared_images=10, settle_images=130,
    )  # fmt: skip
    rows = [r for r in result.results["rows"] if r["kind"] == "norms"]
    assert [(r["seed"], r["factor"]) for r in rows] == [(0, 1.0), (0, 0.0), (3, 1.0), (3, 0.0)]
    assert rows[0]["branch_ratios"] != rows[2]["branch_ratios"]
    drops = [a["accuracy"] - b["accuracy"] for a, b in (rows[:2], rows[2:])]
    assert next(r for r in result.verdict.rules if r.key == "monotone").value == max(drops)
    assert result.table.rows[0][2] == pytest.approx((rows[0]["accuracy"] + rows[2]["accuracy"]) / 2)


def test_lesion_in_small():
    result = run_small(lesion, test_images=50, batch=30, sets=1, most_removed=2)
    own = result.results["networks"]["mini_resnet20.safetensors"]
    assert list(own["single"]) == [
        name for name, _ in block_walk.blocks(load_trained(MINI).network)
    ]
    assert own["changes_shape"] == ["layer2.0", "layer3.0"]
    assert set(own["random"]) == {"1", "2"}
    assert len(own["swaps"]) == 5
    assert result.results["networks"]["mini_resnet56"]["swaps"] == {}
    assert len(result.table.rows) == 4


def test_depth_use_in_small():
    result = run_small(
        depth_use, test_images=50, train_images=100, refine_images=20, settle_images=20
    )
    found = result.results["networks"]["mini_resnet20.safetensors"]
    assert len(found["blocks"]) == len(found["fresh"]) == 9
    # The inner head after the last block is the network itself.
    trained = load_trained(MINI)
    data = load_cifar10("sample")
    chosen = balanced_indices(data.test_labels, 50, 0)
    images = normalize(data.test_images[chosen], trained.mean, trained.std, 16)
    right = logits(trained.network, images).argmax(1) == data.test_labels[chosen]
    assert found["blocks"][-1]["inner_head"] == right.mean()
    assert len(result.figure_spec.panels) == 6


def test_paths_in_small():
    result = run_small(paths, images=10, sets=1, exhaustive_up_to_blocks=2)
    assert [len(n["norms"]) for n in result.results["networks"].values()] == [10, 10, 28]


@pytest.mark.parametrize("study", [paths, depth_use])
def test_plain_networks_have_no_sums_to_take_apart(study):
    plain = str(mini_networks.FOLDER / "mini_plain20.safetensors")
    with pytest.raises(ModelError, match="the network's blocks are plain"):
        study(data="sample", model=plain, full_size=False)


def test_degradation_in_small():
    result = degradation(
        data="sample", depths=[8, 14], width=4, train_images=60, test_images=20, epochs=2,
        batch_size=20, seeds=1, probe_images=10,
    )  # fmt: skip
    assert len(result.results["runs"]) == 4
    assert all(len(run["loss"]) == 2 for run in result.results["runs"])
    assert len(result.table.rows) == 4
    assert len(result.figure_spec.panels) == 4


def test_degradation_judges_each_seed():
    def runs(gaps):
        return {
            "runs": [
                {"kind": kind, "depth": depth, "seed": seed, "loss": [2.0 + (depth > 20) * gap]}
                for seed, pair in enumerate(gaps)
                for kind, gap in zip(("plain", "residual"), pair)
                for depth in (20, 56)
            ]
        }

    def judge(gaps):
        return [rule.holds for rule in degradation.experiment.judge(runs(gaps))[0]]

    assert judge([(0.5, 0.1), (0.4, -0.1)]) == [True, True, True]
    assert judge([(0.5, 0.1), (0.2, -0.1)]) == [False, True, True]
    assert judge([(0.5, 0.4), (0.5, 0.4)]) == [True, False, False]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnet21", "no run folder or weights file 'resnet21'"),
        ("preact", "this study needs blocks"),
        ("other classes", "needs a network for the ten classes of CIFAR-10"),
        ("googlenet", "GoogLeNet cannot be taken apart"),
    ],
)
def test_unfit_models_are_sentences(model, words, tmp_path, capsys):
    if model != "resnet21":
        name = "googlenet" if model == "googlenet" else "resnet20"
        options = {} if name == "googlenet" else {"widths": [8, 8, 8], "num_classes": 10}
        if model == "preact":
            options["block"] = "preact_basic"
        network = create_model(name, **{"num_classes": 10, **options})
        classes = list(load_cifar10("sample").classes)
        classes = classes[::-1] if model == "other classes" else classes
        facts = model_metadata(
            name, {"num_classes": 10, **options}, classes, None, None, [3, 32, 32]
        )
        path = tmp_path / "x.safetensors"
        save_weights(network, path, facts)
        model = str(path)
    assert main(["study", "lesion", "--model", model, "--data", "sample"]) == 2
    error = capsys.readouterr().err
    assert words in error


def test_all_with_a_model_runs_those_that_take_one(monkeypatch, capsys):
    from paddle_resnet.studies import STUDIES, Study

    seen = []

    def run(study, options, language):
        seen.append(study.name)
        raise UserError("enough")

    monkeypatch.setattr(Study, "run", run)
    assert main(["study", "all", "--model", MINI]) == 2
    assert seen == [next(n for n, s in STUDIES.items() if s.card.takes_model)]


def test_an_unknown_bundled_name():
    with pytest.raises(WeightsError, match="no run folder or weights file"):
        paths(model="nothing", data="sample")


def test_float16_files_answer_as_float32_ones(tmp_path, network, subset):
    draw_again(network, seed=0)
    settle(network, subset.images)
    save_weights(network, tmp_path / "w.safetensors", format="safetensors-float16")
    half = (tmp_path / "w.safetensors").stat().st_size
    save_weights(network, tmp_path / "full.safetensors")
    assert half < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    from paddle_resnet.weights import load_weights

    again = create_model("resnet20", num_classes=10, widths=[8, 16, 32])
    print(load_weights(again, tmp_path / "w.safetensors"))
    again.eval()
    assert np.allclose(logits(again, subset.images), logits(network, subset.images), atol=0.05)


def test_results_are_json(tmp_path):
    result = run_small(paths, images=10, sets=1, exhaustive_up_to_blocks=2)
    path = result.save_json(tmp_path / "p.json")
    assert json.loads(path.read_text())["verdict"]["holds"] is None
