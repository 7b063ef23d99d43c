"""Weights that describe their own network; the description may come from a stranger, too."""

import numpy as np
import pytest

from paddle_resnet import create_model, load_trained, save_weights
from paddle_resnet.errors import ModelError, UserError, WeightsError
from paddle_resnet.models.trained_model import model_metadata

OPTIONS = {"num_classes": 2, "widths": [4, 4, 8]}


@pytest.fixture(scope="module")
def network():
    return create_model("resnet20", **OPTIONS)


def saved(network, path, **changes):
    facts = model_metadata("resnet20", OPTIONS, ["cat", "dog"], [0.5] * 3, [0.25] * 3, [3, 32, 32])
    return save_weights(network, path / "w.safetensors", {**facts, **changes})


def test_a_file_alone_is_enough(network, tmp_path):
    trained = load_trained(saved(network, tmp_path))
    assert not trained.network.training
    assert (trained.model, trained.classes) == ("resnet20", ["cat", "dog"])
    for key, tensor in network.state_dict().items():
        assert np.array_equal(tensor.numpy(), trained.network.state_dict()[key].numpy()), key


def test_a_file_may_say_the_value_range_of_its_images(network, tmp_path):
    assert load_trained(saved(network, tmp_path)).value_range is None
    assert load_trained(saved(network, tmp_path, value_range=[0, 4095])).value_range == [0, 4095]
    facts = ("resnet20", OPTIONS, ["cat", "dog"], None, None, [3, 32, 32], 0.9, [-1.0, 1.0])
    path = save_weights(network, tmp_path / "v.safetensors", model_metadata(*facts))
    assert load_trained(path).value_range == [-1.0, 1.0]


def test_a_network_that_began_with_published_weights_downloads_nothing(network, tmp_path):
    path = saved(network, tmp_path, options={**OPTIONS, "pretrained": True})
    assert load_trained(path).model == "resnet20"  # nothing is published under that name


def test_options_of_the_first_weights_do_not_matter(network, tmp_path):
    path = saved(network, tmp_path, options={**OPTIONS, "zero_init_residual": True})
    trained = load_trained(path).network
    assert np.array_equal(trained.layer1[0].conv2.bn.weight.numpy(), np.ones(4, np.float32))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": ["resnet20"]}, "invalid metadata about its network: model"),
        ({"model": "\x1b[2J"}, "invalid metadata about its network: model"),
        ({"options": [1]}, "invalid metadata about its network: options"),
        ({"options": {"\x1b[2J": 1}}, "invalid metadata about its network: options"),
        ({"options": {"name": "resnet50"}}, "invalid metadata about its network: options"),
        ({"options": {"layers": [10**9] * 3}}, "invalid metadata about its network: options"),
        (
            {"options": {**OPTIONS, "num_classes": 10**11}},
            "network that cannot be made|made for another network",
        ),
        ({"classes": "cat"}, "invalid metadata about its network: classes"),
        ({"classes": ["cat", "\x1b[2J"]}, "invalid metadata about its network: classes"),
        ({"mean": "a"}, "invalid metadata about its network: mean"),
        ({"mean": [float("nan")] * 3, "std": {}}, "invalid metadata about its network: mean, std"),
        ({"input_shape": [3, 10**6, 10**6]}, "invalid metadata about its network: input_shape"),
        ({"input_shape": [3, 32]}, "invalid metadata about its network: input_shape"),
        ({"value_range": [4095, 0]}, "invalid metadata about its network: value_range"),
        ({"value_range": [0, float("inf")]}, "invalid metadata about its network: value_range"),
        ({"value_range": [0, 1, 2]}, "invalid metadata about its network: value_range"),
        ({"value_range": "0 to 4095"}, "invalid metadata about its network: value_range"),
        ({"value_range": 4095}, "invalid metadata about its network: value_range"),
        ({"classes": ["cat"]}, "2 outputs and names 1 classes"),
        # More memory than there is, if it were believed.
        ({"options": {**OPTIONS, "widths": [10**7] * 3}}, r"expected \[10000000, 3, 3, 3\]"),
        ({"options": {**OPTIONS, "num_classes": 2**31 - 1}}, r"expected \[8, 2147483647\]"),
    ],
)
def test_a_description_is_not_believed(changes, words, network, tmp_path):
    with pytest.raises(WeightsError, match=words):
        load_trained(saved(network, tmp_path, **changes))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stem": {}}, "unknown stem"),
        ({"in_channels": "3"}, "in_channels must be a whole number, got '3'"),
        ({"norm_layer": "os.system"}, "norm_layer must make a layer"),
        ({"data_format": "\x1b[2J"}, r"got '\\x1b\[2J'"),
    ],
)
def test_options_that_make_no_network(options, words, network, tmp_path):
    with pytest.raises(ModelError, match=words):
        load_trained(saved(network, tmp_path, options={**OPTIONS, **options}))


def test_metadata_that_is_no_dictionary(network, tmp_path):
    for metadata in (["resnet20"], "resnet20", None):
        path = save_weights(network, tmp_path / "w.safetensors", metadata)
        with pytest.raises(UserError, match="does not say what network it holds"):
            load_trained(path)
