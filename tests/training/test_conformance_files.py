"""Every documented argument of `save` and `load`, with the base class as control."""

import os
import pickle
import warnings

import numpy as np
import paddle
import pytest
from conformance import (
    BATCHES,
    IMAGES,
    answers,
    conforms,
    go,
    moved,
    network,
    own_answers,
    prepared,
    weights,
)
from paddle import nn


@conforms
def test_save_for_training(base, tmp_path):
    model = prepared(base)
    model.fit(BATCHES, verbose=0)
    model.save(str(tmp_path / "new" / "m"))
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"m.pdparams", "m.pdopt"}
    saved = paddle.load(str(tmp_path / "new" / "m.pdparams"))
    assert all(np.array_equal(saved[name].numpy(), v) for name, v in weights(model).items())


@conforms
def test_save_writes_over_an_older_file(base, tmp_path):
    model = prepared(base)
    for _ in range(2):
        model.fit(BATCHES, verbose=0)
        model.save(str(tmp_path / "m"))
    saved = paddle.load(str(tmp_path / "m.pdparams"))
    assert all(np.array_equal(saved[name].numpy(), v) for name, v in weights(model).items())


@conforms
def test_save_of_an_optimizer_without_state_writes_no_pdopt(base, tmp_path):
    net = network()
    model = prepared(base, net, paddle.optimizer.SGD(0.1, net.parameters()))
    model.fit(BATCHES, verbose=0)
    model.save(str(tmp_path / "m"))
    assert [p.name for p in tmp_path.iterdir()] == ["m.pdparams"]


@conforms
@pytest.mark.parametrize("run", ["fit", "evaluate", "predict", "train_batch", "predict_batch"])
def test_save_for_inference_after_a_run(base, run, tmp_path):
    model = prepared(base)
    go(model, run)
    model.save(str(tmp_path / "m"), training=False)
    assert not (tmp_path / "m.pdparams").exists()
    out = answers(str(tmp_path / "m"), IMAGES[:4])
    np.testing.assert_allclose(out, own_answers(model.network, IMAGES[:4]), atol=1e-6)


@conforms
def test_save_for_inference_before_a_run_is_refused(base, tmp_path):
    with pytest.raises(Exception, match="inputs"):
        base(network()).save(str(tmp_path / "m"), training=False)


@conforms
def test_save_to_an_empty_path_is_refused(base, tmp_path, monkeypatch):
    """The page says that an empty path raises: it writes a file named `.pdparams`."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=r"file name|path"):
        base(network()).save("")
    assert not list(tmp_path.iterdir())


def saved(base, path, epochs=1, optimizer=None):
    """Train and save a model, and return it."""
    model = prepared(base, optimizer=optimizer)
    model.fit(BATCHES, epochs=epochs, verbose=0)
    model.save(str(path / "m"))
    return model


@conforms
@pytest.mark.parametrize("suffix", ["", ".pdparams", ".pdopt", ".pdmodel"])
def test_load_path(base, suffix, tmp_path):
    model = saved(base, tmp_path)
    before, moments = weights(model), state(model)
    model.fit(BATCHES, verbose=0)
    model.load(str(tmp_path / "m") + suffix)
    assert not moved(before, model)
    assert_same(state(model), moments)


def state(model):
    return {name: np.asarray(v) for name, v in model._optimizer.state_dict().items()}


def assert_same(one, other):
    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], name)


@conforms
def test_load_without_pdopt(base, tmp_path):
    model = saved(base, tmp_path)
    before = weights(model)
    os.remove(tmp_path / "m.pdopt")
    model.fit(BATCHES, verbose=0)
    moments = state(model)
    model.load(str(tmp_path / "m"))
    assert not moved(before, model)
    assert_same(state(model), moments)


@conforms
def test_load_of_nothing_is_refused(base, tmp_path):
    with pytest.raises(Exception, match=r"load parameters|m\.pdparams"):
        prepared(base).load(str(tmp_path / "m"))


@conforms
def test_load_before_prepare(base, tmp_path):
    model = saved(base, tmp_path)
    other = base(network(1))
    other.load(str(tmp_path / "m"))
    assert not moved(weights(model), other)


@conforms
@pytest.mark.parametrize("reset", [True, False])
def test_load_reset_optimizer(base, reset, tmp_path):
    model = saved(base, tmp_path)
    moments = state(model)
    model.fit(BATCHES, verbose=0)
    later = state(model)
    model.load(str(tmp_path / "m"), reset_optimizer=reset)
    assert_same(state(model), later if reset else moments)


class Two(nn.Layer):
    """Two layers: the one that differs in another model comes first, or last."""

    def __init__(self, first=4, last=3, more=False):
        super().__init__()
        self.first = nn.Linear(12, first)
        self.last = nn.Linear(first, last)
        if more:
            self.more = nn.Linear(last, last)

    def forward(self, x):
        return self.last(self.first(x.flatten(1)))


@conforms
@pytest.mark.parametrize("other", [{"last": 5}, {"more": True}], ids=["shape", "missing"])
def test_load_skip_mismatch(base, other, tmp_path):
    model = prepared(base, Two())
    model.fit(BATCHES, verbose=0)
    model.save(str(tmp_path / "m"))
    changed = prepared(base, Two(**other))
    before = weights(changed)
    with pytest.raises(Exception, match=r"last|more"):
        changed.load(str(tmp_path / "m"))
    assert not moved(before, changed)
    with pytest.warns(UserWarning, match=r"last|more"):
        changed.load(str(tmp_path / "m"), skip_mismatch=True)
    now = weights(changed)
    np.testing.assert_array_equal(now["first.weight"], weights(model)["first.weight"])
    left = "last.weight" if "last" in other else "more.weight"
    np.testing.assert_array_equal(now[left], before[left])
    changed.fit(BATCHES, verbose=0)


@conforms
def test_load_skip_mismatch_of_the_first_layer(base, tmp_path):
    """UnboundLocalError where it is the very first array that differs."""
    prepared(base, nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 3))).save(
        str(tmp_path / "m")
    )
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared(base, net).load(str(tmp_path / "m"), skip_mismatch=True)


@conforms
def test_load_of_a_name_with_a_dot(base, tmp_path):
    """What comes after a dot is taken for a suffix: `model-v1.5` cannot be loaded."""
    model = prepared(base)
    model.save(str(tmp_path / "model-v1.5"))
    model.load(str(tmp_path / "model-v1.5"))


@conforms
def test_load_of_a_deeper_network_is_refused(base, tmp_path):
    """A file that holds more is loaded in part, without a word: ResNet-34's into ResNet-18."""
    prepared(base, Two(more=True)).save(str(tmp_path / "m"))
    with pytest.raises(Exception, match="more"):
        prepared(base, Two()).load(str(tmp_path / "m"))


@conforms
def test_files_are_pickles_of_plain_data(base, tmp_path):
    saved(base, tmp_path)
    with open(tmp_path / "m.pdparams", "rb") as file:
        assert isinstance(pickle.load(file, encoding="latin1"), dict)
