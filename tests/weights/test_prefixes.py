"""Checkpoints that hold more than the network: which of their arrays are meant."""

import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle_resnet import BasicBlock, ResNet, load_weights
from paddle_resnet.errors import WeightsError
from paddle_resnet.weights.prefixes import find_prefixes


def small_network(**options):
    options = {"num_classes": 5, "widths": (4, 8), "stem": "cifar", **options}
    return ResNet((1, 1), BasicBlock, **options)


@pytest.fixture(scope="module")
def arrays():
    """Weights that are not those of a new network."""
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=tensor.shape).astype(np.float32)
        for name, tensor in small_network().state_dict().items()
    }


def with_prefix(arrays, prefix, plus=0.0):
    return {prefix + name: array + np.float32(plus) for name, array in arrays.items()}


def loaded(network, arrays):
    state = network.state_dict()
    return all(np.array_equal(state[name].numpy(), array) for name, array in arrays.items())


@pytest.fixture
def file(tmp_path):
    def write(arrays):
        save_file(arrays, tmp_path / "x.safetensors")
        return tmp_path / "x.safetensors"

    return write


SHARED = """
    encoder_q. student. feature_extractor. cnn. net_g. online_encoder.net. module.encoder_q.
    model.student.backbone. 0. base_model.model. _fsdp.
"""


@pytest.mark.parametrize("prefix", SHARED.split())
def test_a_prefix_that_all_names_share_is_found(prefix, arrays, file):
    network = small_network()
    report = load_weights(network, file(with_prefix(arrays, prefix)))
    assert loaded(network, arrays)
    assert any(note.endswith("taken off all names") for note in report.notes)


MOCO = {"module.encoder_k.": 0, "module.encoder_q.": 1}
BYOL = {"online_encoder.": 0, "target_encoder.": 1}
DINO = {"model.student.": 0, "model.teacher.": 1}
MEAN_TEACHER = {"ema.": 0, "student.": 1, "teacher.": 2}


@pytest.mark.parametrize("prefixes", [MOCO, BYOL, DINO, MEAN_TEACHER], ids=repr)
@pytest.mark.parametrize("strict", [True, False])
def test_of_several_networks_the_message_names_all(prefixes, strict, arrays, file):
    both = {"queue": np.zeros((4, 8), np.float32), "queue_ptr": np.zeros(1, np.int64)}
    for prefix, plus in prefixes.items():
        both |= with_prefix(arrays, f"{prefix}backbone.", plus)
    path = file(both)
    with pytest.raises(WeightsError) as caught:
        load_weights(small_network(), path, strict=strict)
    assert caught.value.option == "prefix"
    assert caught.value.choices == list(prefixes)
    assert " or ".join(f"'{p}'" for p in prefixes) in str(caught.value)
    for prefix, plus in prefixes.items():
        for spelled in (prefix, prefix.rstrip(".")):
            network = small_network()
            report = load_weights(network, path, prefix=spelled)
            assert loaded(network, {n: a + np.float32(plus) for n, a in arrays.items()})
            assert report.skipped["queue"] == f"does not begin with '{prefix}'"


@pytest.mark.parametrize(
    "others",
    [
        {"model.": 0, "predictor.weight": np.ones((2, 2), np.float32)},
        {"backbone.": 0, "rpn.head.conv.weight": np.ones((3, 3), np.float32)},
        {"encoder.": 0, "projector.0.weight": np.ones((2, 2), np.float32)},
    ],
    ids=str,
)
def test_one_network_among_other_things(others, arrays, file):
    (prefix, _), (name, other) = others.items()
    path = file({**with_prefix(arrays, prefix), name: other})
    with pytest.raises(WeightsError) as caught:
        load_weights(small_network(), path)
    assert f"prefix='{prefix}' leaves the others out" in str(caught.value)
    assert (caught.value.option, caught.value.choices) == ("prefix", [prefix])
    network = small_network()
    load_weights(network, path, prefix=prefix)
    assert loaded(network, arrays)
    network = small_network()
    report = load_weights(network, path, strict=False)
    assert loaded(network, arrays)
    assert name in report.skipped


@pytest.mark.parametrize(
    "name",
    ["criterion.weight", "model.criterion.pos_weight", "loss_fn.weight", "module.loss.alpha"],
)
def test_the_weights_of_a_loss_are_left_out(name, arrays, file):
    prefix = name.partition(".")[0] + "." if name.startswith(("model", "module")) else ""
    path = file({**with_prefix(arrays, prefix), name: np.ones(3, np.float32)})
    network = small_network()
    report = load_weights(network, path)
    assert loaded(network, arrays)
    assert "loss" in report.skipped[name]


def test_what_only_a_new_version_of_the_network_has_is_named_with_strict(arrays, file):
    path = file({**arrays, "temperature": np.ones(1, np.float32)})
    with pytest.raises(WeightsError, match="strict=False leaves out") as caught:
        load_weights(small_network(), path)
    assert (caught.value.option, caught.value.choices) == ("strict", ["false"])


def test_an_unknown_prefix_names_those_that_fit(arrays, file):
    path = file({**with_prefix(arrays, "student."), **with_prefix(arrays, "teacher.")})
    with pytest.raises(WeightsError) as caught:
        load_weights(small_network(), path, prefix="pupil.")
    assert "begins with 'pupil.'" in str(caught.value)
    assert "'student.' or 'teacher.' fit" in str(caught.value)


def test_names_of_nobody_are_shown(file):
    path = file({f"tower.{i}.kernel": np.ones(2, np.float32) for i in range(9)})
    with pytest.raises(WeightsError) as caught:
        load_weights(small_network(), path)
    assert "such as 'tower.0.kernel', 'tower.1.kernel', 'tower.2.kernel' (9 in all)" in str(
        caught.value
    )


def test_several_state_dicts_in_one_file(tmp_path, arrays):
    (tmp_path / "x").write_bytes(
        pickle.dumps({"student": arrays, "teacher": {n: a + 1 for n, a in arrays.items()}})
    )
    with pytest.raises(WeightsError) as caught:
        load_weights(small_network(), tmp_path / "x")
    assert (caught.value.option, caught.value.choices) == ("entry", ["student", "teacher"])
    network = small_network()
    load_weights(network, tmp_path / "x", entry="teacher")
    assert loaded(network, {n: a + 1 for n, a in arrays.items()})


def test_both_an_entry_and_a_prefix(tmp_path, arrays):
    """DINO's checkpoints: two entries, and within each the names of a wrapper."""
    teacher = {n: a + 1 for n, a in arrays.items()}
    (tmp_path / "x").write_bytes(
        pickle.dumps(
            {
                "student": with_prefix(arrays, "module.backbone."),
                "teacher": {
                    **with_prefix(teacher, "backbone."),
                    "head.mlp.0.weight": arrays["bn1.bias"],
                },
                "dino_loss": {"center": arrays["bn1.bias"]},
            }
        )
    )
    network = small_network()
    load_weights(network, tmp_path / "x", entry="teacher", prefix="backbone.")
    assert loaded(network, teacher)


def test_the_shortest_of_equal_prefixes_is_meant():
    own = list(small_network().state_dict())
    names = [f"foo.module.{name}" for name in own]
    assert find_prefixes(names, own) == ["foo."]


def test_a_part_of_the_network_is_no_prefix():
    own = list(small_network().state_dict())
    assert find_prefixes(own, own) == []
    few = [f"neck.{name}" for name in own[:5]]
    assert find_prefixes(few, own) == []
