"""Files of `paddle.Model`: nothing is replaced before all fits, and what is left alone is said."""

import os
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.errors import TrainingError, WeightsError
from paddle_resnet.training import ImageClassifier

IMAGES = np.random.RandomState(0).rand(8, 3, 8, 8).astype(np.float32)
LABELS = np.arange(8) % 3
BATCHES = [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])]
KINDS = {
    "SGD": lambda p: paddle.optimizer.SGD(0.1, parameters=p),
    "Momentum": lambda p: paddle.optimizer.Momentum(0.1, parameters=p),
    "Adam": lambda p: paddle.optimizer.Adam(0.1, parameters=p),
    "AdamW": lambda p: paddle.optimizer.AdamW(0.1, parameters=p),
    "named Adam": lambda p: paddle.optimizer.Adam(0.1, parameters=p, name="mine"),
    "RMSProp": lambda p: paddle.optimizer.RMSProp(0.1, parameters=p),
    "Adagrad": lambda p: paddle.optimizer.Adagrad(0.1, parameters=p),
}


def network(classes=3):
    return nn.Sequential(
        *(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.ReLU(), nn.AdaptiveAvgPool2D(1)),
        *(nn.Flatten(), nn.Linear(4, classes)),
    )


def classifier(kind="Momentum", classes=3, net=None, base=ImageClassifier):
    net = net or network(classes)
    model = base(net)
    model.prepare(KINDS[kind](net.parameters()), nn.CrossEntropyLoss())
    return model


def trained(path, kind="Momentum", base=ImageClassifier):
    """A model of this process that has been trained and saved."""
    model = classifier(kind, base=base)
    model.fit(BATCHES, verbose=0)
    model.save(str(path / "m"))
    return model


def content(model):
    """Copies of all weights and of all that the optimizer remembers."""
    optimizer = {
        f"{moment} {name}": tensor.numpy()
        for moment, by_name in model._optimizer._accumulators.items()
        for name, tensor in by_name.items()
    }
    return {**{n: t.numpy() for n, t in model.network.state_dict().items()}, **optimizer}


def assert_equal(one, other):
    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], name)


def moments(model):
    """What the optimizer remembers, without the names of this process."""
    place = {parameter.name: index for index, parameter in enumerate(model.network.parameters())}
    return {
        f"{moment.replace('mine_', '')} {place[name]}": tensor.numpy()
        for moment, by_name in model._optimizer._accumulators.items()
        for name, tensor in by_name.items()
    }


# -- all or nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("Momentum", "Adam"),
        ("Adam", "Momentum"),
        ("Momentum", "SGD"),
        ("RMSProp", "Adam"),
        ("Adagrad", "Momentum"),
        ("Adam", "RMSProp"),
    ],
)
@pytest.mark.parametrize("base", [ImageClassifier, paddle.Model])
def test_a_pdopt_of_another_optimizer_changes_nothing(writer, reader, base, tmp_path):
    trained(tmp_path, writer, base)
    model = classifier(reader)
    model.fit(BATCHES, verbose=0)
    before = content(model)
    with pytest.raises(WeightsError, match=r"m\.pdopt.*another optimizer.*reset_optimizer=True"):
        model.load(str(tmp_path / "m"))
    assert_equal(content(model), before)
    model.load(str(tmp_path / "m"), reset_optimizer=True)
    after = content(model)
    for name in before:
        if " " in name:  # what the optimizer remembers
            np.testing.assert_array_equal(after[name], before[name])
    saved = paddle.load(str(tmp_path / "m.pdparams"))
    for name, tensor in model.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), saved[name].numpy())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"nonsense",
        lambda data: b"",
        lambda data: pickle.dumps([1, 2]),
        lambda data: pickle.dumps({"a_0_velocity_0": np.zeros(3)}),
    ],
    ids=["cut", "nonsense", "empty", "list", "unknown name"],
)
def test_a_damaged_pdopt_changes_nothing(spoil, tmp_path):
    trained(tmp_path)
    path = tmp_path / "m.pdopt"
    path.write_bytes(spoil(path.read_bytes()))
    model = classifier()
    model.fit(BATCHES, verbose=0)
    before = content(model)
    with pytest.raises(WeightsError, match=r"m\.pdopt"):
        model.load(str(tmp_path / "m"))
    assert_equal(content(model), before)


def test_a_damaged_pdparams_leaves_the_optimizer(tmp_path):
    trained(tmp_path)
    path = tmp_path / "m.pdparams"
    path.write_bytes(path.read_bytes()[:-40])
    model = classifier()
    model.fit(BATCHES, verbose=0)
    before = content(model)
    with pytest.raises(WeightsError, match=r"m\.pdparams"):
        model.load(str(tmp_path / "m"))
    assert_equal(content(model), before)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_optimizer_gets_its_state_back(kind, tmp_path):
    model = trained(tmp_path, kind)
    other = classifier(kind)
    other.load(str(tmp_path / "m"))
    assert_equal(moments(model), moments(other))
    for each in (model, other):
        each.fit(BATCHES, verbose=0, shuffle=False)
    for one, two in zip(model.network.parameters(), other.network.parameters()):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


@pytest.mark.parametrize(("writer", "reader"), [("Adam", "named Adam"), ("named Adam", "Adam")])
def test_an_optimizer_with_a_name(writer, reader, tmp_path):
    model = trained(tmp_path, writer)
    other = classifier(reader)
    other.load(str(tmp_path / "m"))
    assert_equal(moments(model), moments(other))


# -- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 5])
def test_skip_mismatch_beside_a_pdopt(classes, tmp_path):
    model = trained(tmp_path)
    other = classifier(classes=classes)
    with pytest.warns(UserWarning, match="keep their values") as caught:
        other.load(str(tmp_path / "m"), skip_mismatch=True)
    (text,) = [str(w.message) for w in caught if "keep their values" in str(w.message)]
    assert "2 of the network's 8 arrays keep their values: '5.weight' has shape [4, 3]" in text
    assert f"expected [4, {classes}]" in text
    assert "optimizer's state was not loaded" in text
    one, two = model.network.state_dict(), other.network.state_dict()
    for name in one:
        if not name.startswith("5."):
            np.testing.assert_array_equal(one[name].numpy(), two[name].numpy())
    history = other.fit([(IMAGES, LABELS % classes)], verbose=0)
    assert np.isfinite(history["loss"][0])


def test_skip_mismatch_without_a_mismatch_loads_the_optimizer(tmp_path):
    model = trained(tmp_path)
    other = classifier()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other.load(str(tmp_path / "m"), skip_mismatch=True)
    assert_equal(moments(model), moments(other))


@pytest.mark.parametrize("suffix", ["", ".safetensors"])
def test_other_classes_are_advised_what_load_has(suffix, tmp_path):
    model = trained(tmp_path)
    if suffix:
        model.save(str(tmp_path / "m.safetensors"))
    other = classifier(classes=5)
    with pytest.raises(WeightsError) as error:
        other.load(str(tmp_path / f"m{suffix}"))
    assert "say skip_mismatch=True" in str(error.value)
    assert "new_head" not in str(error.value)
    with pytest.warns(UserWarning, match="keep their values"):
        other.load(str(tmp_path / f"m{suffix}"), skip_mismatch=True)


def test_a_network_with_nothing_in_common_is_refused_with_skip_mismatch_too(tmp_path):
    trained(tmp_path)
    with pytest.raises(WeightsError, match="another network"):
        classifier(net=nn.Sequential(nn.Flatten(), nn.Linear(192, 7))).load(
            str(tmp_path / "m"), skip_mismatch=True
        )


# -- static graph mode -------------------------------------------------------------------------

STATIC = """
    import sys
    import numpy as np, paddle
    from paddle import nn
    from paddle.static import InputSpec
    paddle.enable_static()
    net = nn.Sequential(
        nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.ReLU(), nn.AdaptiveAvgPool2D(1), nn.Flatten(),
        nn.Linear(4, 3)
    )
    image, label = InputSpec([None, 3, 8, 8], "float32", "x"), InputSpec([None, 1], "int64", "y")
    model = paddle.Model(net, image, label)
    model.prepare(
        getattr(paddle.optimizer, sys.argv[2])(0.1, parameters=net.parameters()),
        nn.CrossEntropyLoss(),
    )
    images = np.random.RandomState(0).rand(8, 3, 8, 8).astype("float32")
    model.fit([(images, np.arange(8)[:, None] % 3)], epochs=3, verbose=0)
    model.save(sys.argv[1])
"""


@pytest.mark.usefixtures("warm_children")
@pytest.mark.parametrize("kind", ["Momentum", "Adam"])
def test_files_of_static_graph_mode(kind, tmp_path):
    """They hold the rate, and no table of names; here the network is not the first one."""
    path = str(tmp_path / "m")
    script = textwrap.dedent(STATIC)
    subprocess.run([sys.executable, "-c", script, path, kind], check=True, capture_output=True)
    with open(f"{path}.pdopt", "rb") as file:  # our own file of a moment ago
        saved = pickle.load(file)
    assert any(name.startswith("learning_rate_") for name in saved)
    network()  # so that Paddle's counters stand elsewhere
    model = classifier(kind)
    model.load(path)
    layers = {"conv2d_0": 0, "batch_norm2d_0": 1, "linear_0": 5}
    moment = {"Momentum": "velocity", "Adam": "moment1"}[kind]
    for layer, place in layers.items():
        for part, end in (("weight", "w_0"), ("bias", "b_0")):
            parameter = getattr(model.network[place], part)
            loaded = model._optimizer._accumulators[moment][parameter.name].numpy()
            assert np.abs(loaded).max() > 0
            np.testing.assert_array_equal(loaded, saved[f"{layer}.{end}_{moment}_0"])
    assert float(model._optimizer.get_lr()) == pytest.approx(0.1)
    model.fit(BATCHES, verbose=0)


# -- for inference -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "shape"), [("fit", (16, 24)), ("evaluate", (16, 16)), ("predict", (24, 16))], ids=str
)
def test_save_for_inference_of_a_residual_network(run, shape, tiny, tmp_path):
    model = ImageClassifier(tiny)
    model.prepare(KINDS["SGD"](tiny.parameters()), nn.CrossEntropyLoss())
    images = np.random.RandomState(1).rand(4, 3, *shape).astype(np.float32)
    getattr(model, run)([(images, LABELS[:4])], verbose=0)
    training = tiny.training
    model.save(str(tmp_path / "m"), training=False)
    assert tiny.training == training
    loaded = paddle.jit.load(str(tmp_path / "m"))
    loaded.eval()
    tiny.eval()
    for count in (1, 4):
        x = paddle.to_tensor(images[:count])
        np.testing.assert_allclose(loaded(x).numpy(), tiny(x).numpy(), atol=1e-5)
    history = model.fit([(images, LABELS[:4])], verbose=0)
    assert np.isfinite(history["loss"][0])


def test_inputs_of_the_constructor_win_over_the_first_batch(tmp_path):
    net = nn.Sequential(nn.Conv2D(3, 4, 3), nn.AdaptiveAvgPool2D(1), nn.Flatten())
    spec = paddle.static.InputSpec([None, 3, None, None], "float32", "image")
    model = ImageClassifier(net, spec)
    model.predict([IMAGES], verbose=0)
    model.save(str(tmp_path / "m"), training=False)
    larger = paddle.randn([2, 3, 12, 20])
    out = paddle.jit.load(str(tmp_path / "m"))(larger).numpy()
    np.testing.assert_allclose(out, net(larger).numpy(), atol=1e-5)


def test_paths_may_be_path_objects(tmp_path):
    model = classifier()
    model.save(tmp_path / "m")
    model.load(tmp_path / "m")
    model.save(tmp_path / "w.safetensors")
    model.load(tmp_path / "w.safetensors")


@pytest.mark.parametrize("path", ["", "folder/", "folder" + os.sep])
@pytest.mark.parametrize("training", [True, False])
def test_a_path_without_a_name_is_refused(path, training, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="file name"):
        classifier().save(path, training)
    assert not list(tmp_path.iterdir())


def test_what_save_and_summary_need_is_said():
    model = classifier()
    with pytest.raises(TrainingError, match=r"save\(training=False\) needs the size of the images"):
        model.save("m", training=False)
    with pytest.raises(TrainingError, match="summary needs input_size"):
        model.summary()
