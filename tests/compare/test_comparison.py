"""Comparing networks: what a name stands for, what a worker does, and one whole run."""

import json
import subprocess
import sys

import numpy as np
import paddle
import pytest

from paddle_resnet import create_model
from paddle_resnet.compare.comparison import compare, reference_of
from paddle_resnet.compare.model_spec import build, resolve, resolve_both, vision_models
from paddle_resnet.compare.worker import RATE, Worker
from paddle_resnet.data import load_cifar10
from paddle_resnet.errors import ModelError, UserError, WeightsError
from paddle_resnet.io.child_process import ChildProcess
from paddle_resnet.kernels.build import library
from paddle_resnet.models.trained_model import model_metadata
from paddle_resnet.weights import save_weights


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A weights file of a small network with the CIFAR stem."""
    options = {"num_classes": 10, "widths": [8, 8, 16, 16], "stem": "cifar"}
    classes = [f"class {i}" for i in range(10)]
    path = tmp_path_factory.mktemp("trained") / "best.safetensors"
    metadata = model_metadata("resnet18", options, classes, [0.5] * 3, [0.25] * 3, [3, 32, 32])
    save_weights(create_model("resnet18", **options), path, metadata)
    return str(path)


# What a name stands for


def test_names_of_ours_of_paddle_vision_and_files(trained):
    ours, theirs = resolve_both("resnet50")
    assert (ours.kind, theirs.kind) == ("ours", "vision")
    assert theirs.name == "paddle.vision:resnet50"
    assert {side.num_classes for side in (ours, theirs)} == {10}
    file, other = resolve_both(trained)
    assert (file.kind, file.model, file.stem, file.mean) == (
        "file",
        "resnet18",
        "cifar",
        (0.5,) * 3,
    )
    assert (other.name, other.stem) == ("paddle.vision:resnet18", "cifar")
    # The file's stem also where it comes second.
    assert resolve_both("paddle.vision:resnet18", trained)[0].stem == "cifar"
    assert resolve_both("resnet18", trained)[0].stem is None


def test_a_network_with_the_weights_of_any_file(tmp_path):
    """As torch wrote it: other names, the linear layer turned, nothing about the network."""
    path = tmp_path / "theirs.safetensors"
    trained = create_model("resnet20", num_classes=12)
    save_weights(trained, path, format="torchvision")
    side, other = resolve_both(f"resnet20:{path}", "resnet20")
    assert (side.kind, side.model, side.stem, side.num_classes) == ("file", "resnet20", None, 12)
    assert other.num_classes == 12
    network = build(side)
    assert network.training
    for key, tensor in trained.state_dict().items():
        np.testing.assert_array_equal(network.state_dict()[key].numpy(), tensor.numpy())
    with pytest.raises(ModelError, match=r"100 classes were asked for, but .* knows 12"):
        resolve(f"resnet20:{path}", num_classes=100)
    with pytest.raises(WeightsError, match="made for another network"):
        build(resolve(f"resnet32:{path}"))
    with pytest.raises(WeightsError, match=r"there is no weights file 'nowhere\.pth'"):
        resolve("resnet20:nowhere.pth")


def test_paddle_vision_has_classifiers_by_function():
    names = vision_models()
    assert {"resnet50", "vgg16", "mobilenet_v2", "googlenet", "shufflenet_v2_x1_0"} <= set(names)
    assert not any(name[0].isupper() for name in names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("resnt50",), "Did you mean 'resnet50'"),
        (("paddle.vision:resnet51",), "no classifier 'resnet51'"),
        (("resnet20",), "paddle.vision has no 'resnet20'. Name a second network"),
        (("paddle.vision:vgg16",), "Name a second network"),
        (("resnet50", "nothing.safetensors"), "no run folder or weights file"),
    ],
)
def test_names_of_nothing(names, words):
    with pytest.raises(ModelError, match=words.replace(".", r"\.")):
        resolve_both(*names)


def test_files_that_do_not_fit(trained, tmp_path):
    with pytest.raises(ModelError, match=r"100 classes were asked for, but .* knows 10"):
        resolve(trained, num_classes=100)
    with pytest.raises(ModelError, match="was trained with the stem 'cifar'"):
        resolve(trained, stem="imagenet")
    bare = tmp_path / "bare.safetensors"
    save_weights(paddle.nn.Linear(2, 2), bare)
    with pytest.raises(WeightsError, match="does not say what network it holds"):
        resolve(str(bare))


def test_cifar_stem_of_both():
    ours, theirs = (build(side) for side in resolve_both("resnet18", stem="cifar"))
    assert ours.conv1.conv.weight.shape == theirs.conv1.weight.shape == [64, 3, 3, 3]
    assert [tuple(x.shape) for x in ours.state_dict().values()] == [
        tuple(x.shape) for x in theirs.state_dict().values()
    ]
    with pytest.raises(ModelError, match="no stem that could become"):
        build(resolve("paddle.vision:mobilenet_v2", stem="cifar"))


# What a worker does, in this process


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    data = load_cifar10("sample")
    path = tmp_path_factory.mktemp("images") / "images.npz"
    shape = (2, 4, 3, 32, 32)
    np.savez(
        path,
        images=data.train_images[:8].reshape(shape),
        labels=data.train_labels[:8].reshape(2, 4),
    )
    return str(path)


def make_worker(name, images, size=32, **options):
    worker = Worker(print)
    side = resolve(name, **options)
    told = worker.build(side.__dict__, seed=0, sizes=[size])
    worker.images(images, side.mean, side.std, size)
    return worker, told


def test_a_worker_trains_as_the_loop_one_would_write(images, tmp_path):
    worker, told = make_worker("resnet20", images)
    assert told["counts"]["parameters"] == 269_722
    assert told["counts"]["macs"] == {"32": 40_551_040}
    worker.save(str(tmp_path / "start.safetensors"))
    losses = [worker.step(i)["loss"] for i in (0, 1, 0)]

    worker.load(str(tmp_path / "start.safetensors"))
    network = worker.network
    optimizer = paddle.optimizer.Momentum(
        RATE, 0.9, parameters=network.parameters(), weight_decay=1e-4
    )
    network.train()
    data = load_cifar10("sample")
    mean, std = (np.float32(v)[:, None, None] for v in (worker.mean, worker.std))
    expected = []
    for rows in (slice(0, 4), slice(4, 8), slice(0, 4)):
        x = paddle.to_tensor((data.train_images[rows] / np.float32(255) - mean) / std)
        y = paddle.to_tensor(data.train_labels[rows])
        loss = paddle.nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        expected.append(float(loss))
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_a_worker_takes_images_of_another_size_and_networks_of_several_outputs(images):
    worker, told = make_worker("resnet20", images, size=40)
    assert list(told["counts"]["macs"]) == ["40"]
    assert worker._batch(0)[0].shape == [4, 3, 40, 40]
    worker, _ = make_worker("paddle.vision:squeezenet1_1", images)
    worker.network = lambda x, inner=worker.network: [inner(x), None]
    assert worker._logits(worker._batch(1)[0]).shape == [4, 10]


def test_a_worker_says_when_a_network_cannot_take_the_images(images):
    with pytest.raises(ModelError) as refused:
        make_worker("paddle.vision:alexnet", images)
    sentence = str(refused.value)
    assert sentence.startswith("paddle.vision:alexnet cannot take images of 3x32x32: ")
    assert "\n" not in sentence
    assert "Traceback" not in sentence


#: In a process of its own: the peak of one that runs many tests is gigabytes.
PEAK = """
import numpy as np
from paddle_resnet.compare.worker import peak_memory
before = peak_memory()
block = np.ones(int(before) // 8 + 2**24)  # more than was ever held, by 128 MiB
assert peak_memory() >= before + 2**26
"""


@pytest.mark.usefixtures("warm_children")
def test_peak_memory_counts_what_was_held():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("warm_children")
def test_a_worker_that_fails_or_is_ended():
    command = [sys.executable, "-m", "paddle_resnet.compare.worker"]
    with ChildProcess("it", command, log=print) as process:
        with pytest.raises(RuntimeError, match="AttributeError"):
            process.call("nonsense")
        process._process.kill()
        process._process.wait()
        with pytest.raises(UserError, match="the process of it was killed, most often for lack"):
            process.call("memory")


# One whole run


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 1}, "--batch-size is 1, expected 2 or more"),
        ({"steps": 0}, "--steps is 0"),
        ({"rounds": 0}, "--rounds is 0"),
        ({"num_classes": 3}, "has 3 classes, but CIFAR-10 has 10"),
        ({"image_size": 4}, "--image-size is 4, expected 8 or more"),
        ({"train": "soon"}, "expected a duration"),
    ],
)
def test_options_that_make_no_comparison(options, words):
    with pytest.raises(UserError, match=words):
        compare("resnet18", data="sample", log=lambda line: None, **options)


@pytest.mark.usefixtures("warm_children")
def test_ours_beside_paddle_vision():
    lines = []
    found = compare("resnet18", batch_size=4, steps=2, rounds=1, data="sample", log=lines.append)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    ours, theirs = found["counts"]["a"], found["counts"]["b"]
    assert ours == theirs
    assert ours["parameters"] == 11_689_512 - 513 * 1000 + 513 * 10
    assert ours["macs"]["224"] == 1_814_073_344 - 990 * 512
    assert (ours["convolutions"], ours["projections"], ours["linears"]) == (17, 3, 1)
    assert found["keys"]["agree"]
    # Nothing but Paddle's own operators, here as the environment says: equal to the last bit.
    plain = found["agreement"]["plain"]
    assert [told["max_abs"] for told in plain.values()] == [0] * 5
    assert plain["gradients"]["tensors"] == 62
    assert min(plain[what]["largest"] for what in ("logits_eval", "gradients")) > 0
    assert found["agreement"]["operator"] is None
    assert found["agreement"]["reference"] == "b"
    noise = found["agreement"]["noise"]
    assert all(0 < noise[what]["max_abs"] < 0.01 for what in ("logits_train", "gradients", "curve"))
    assert found["setting"]["image_size"] == 64
    curve = found["curve"]
    assert curve["a"] == curve["b"]
    assert len(curve["a"]) == len(curve["b"]) == 2
    assert curve["first"] < 1e-4
    assert plain["loss"]["a"] == pytest.approx(curve["a"][0], rel=1e-5)
    for kind in ("training", "inference"):
        told = found["speed"][kind]
        assert all(len(told[key]["rounds"]) == 1 for key in ("a", "b", "ratio"))
        assert told["ratio"]["min"] <= told["ratio"]["median"] <= told["ratio"]["max"]
    for told in found["memory"].values():
        # Weights, gradients and momentum at the least.
        assert told["peak"] - told["before"] > 3 * 4 * ours["parameters"]
    assert found["training"] is None
    assert lines[0].startswith("building resnet18 and paddle.vision:resnet18")


@pytest.mark.usefixtures("warm_children")
@pytest.mark.parametrize(
    "size",
    [
        pytest.param({"batch_size": 8, "steps": 3}, id="small"),
        pytest.param({"steps": 4}, marks=pytest.mark.slow, id="default"),
    ],
)
def test_the_operator_stands_beside_the_proof_and_the_noise_floor(monkeypatch, size):
    """What it computes in another order of sums differs by rounding; plain Paddle shows no bit."""
    if library() is None:
        pytest.skip("the CPU operator cannot be built here")
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", "require")
    found = compare("resnet18", **size, rounds=1, data="sample", log=print)
    agreement = found["agreement"]
    assert [told["max_abs"] for told in agreement["plain"].values()] == [0] * 5
    operator, noise = agreement["operator"], agreement["noise"]
    assert operator["logits_train"]["max_abs"] > 0
    # Well-conditioned at the default size and rate: the losses lie on each other.
    losses = np.array([found["curve"]["a"], found["curve"]["b"]])
    assert np.abs(losses[0] - losses[1]).max() < 0.01
    assert operator["curve"]["max_abs"] == found["curve"]["max_abs"]
    assert noise["curve"]["max_abs"] < 0.01
    for what in ("logits_eval", "logits_train"):
        assert operator[what]["max_abs"] < 100 * noise[what]["max_abs"]


def test_a_noisy_input_moves_each_value_by_its_own_size(images):
    worker, _ = make_worker("resnet20", images)
    before, after = (worker._batch(0, noise)[0].numpy() for noise in (0.0, 1e-7))
    moved = np.abs(after - before)
    assert (moved > 0).mean() > 0.9
    assert (moved <= 2.4e-7 * np.abs(before)).all()  # and its rounding


def test_steps_begin_anew_where_weights_are_loaded(images, tmp_path):
    """The momentum of the steps before must not leak into the next curve."""
    worker, _ = make_worker("resnet20", images)
    worker.save(str(tmp_path / "start.safetensors"))
    first = [worker.step(i)["loss"] for i in (0, 1, 0)]
    worker.load(str(tmp_path / "start.safetensors"))
    assert [worker.step(i, plain=True)["loss"] for i in (0, 1, 0)] == first


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("vision", "ours", "a"),
        ("vision", "file", "a"),
        ("ours", "vision", "b"),
        ("file", "vision", "b"),
        ("vision", "vision", "b"),
        ("ours", "file", "b"),
    ],
)
def test_rounding_is_that_of_paddles_own_network(a, b, expected):
    assert reference_of(a, b) == expected
