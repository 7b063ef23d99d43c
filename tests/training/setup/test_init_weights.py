"""What a recipe can say about the weights that a training starts from."""

import json
import pickle

import numpy as np
import paddle
import pytest
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.models import create_model, load_trained
from paddle_resnet.models.trained_model import model_metadata
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.weights import read_weights, save_weights

OPTIONS = {"num_classes": 4, "widths": [8, 8, 16, 16], "stem": "cifar"}
MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir()
        for i in range(10):
            pixels = np.random.RandomState(99 * number + i).randint(0, 90, (36, 40, 3))
            Image.fromarray((pixels + 60 * number).astype("u1")).save(root / name / f"{i}.png")
    return root


def arrays_of(seed):
    paddle.seed(seed)
    network = create_model("resnet18", **OPTIONS)
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def line(folder, photos, *overrides, name="run"):
    words = ["train", "-c", "finetune"]
    for override in [
        *("model.name=resnet18", "model.options.widths=[8,8,16,16]", "model.options.stem=cifar"),
        *(f"data.root={photos}", "data.image_size=32", f"run.dir={folder}", f"run.name={name}"),
        *("train.epochs=1", "train.batch_size=4", "run.visualdl=false", "run.report=false"),
        *overrides,
    ]:
        words += ["-o", override]
    return words


def refused(capsys, words):
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    return said


def begins_with(run, arrays):
    """Whether a run's first weights were these: frozen for the whole run, so also its last."""
    found = read_weights(run.last)[0]
    return all(
        np.array_equal(found[name], array) for name, array in arrays.items() if "fc." not in name
    )


FROZEN = "finetune.unfreeze_at={backbone: 1}"


@pytest.mark.parametrize(
    ("content", "key", "value", "others"),
    [
        (lambda a, b: {"student": a, "teacher": b}, "entry", "teacher", "student or teacher"),
        (
            lambda a, b: (
                {**{f"encoder_q.{n}": v for n, v in b.items()}}
                | {f"encoder_k.{n}": v for n, v in a.items()}
            ),
            "prefix",
            "encoder_q.",
            "encoder_k. or encoder_q.",
        ),
        (
            lambda a, b: {"state_dict": {**b, "temperature": np.ones(1, np.float32)}},
            "strict",
            "false",
            "false",
        ),
    ],
    ids=["entry", "prefix", "strict"],
)
def test_a_checkpoint_of_more_than_the_network(
    content, key, value, others, tmp_path, photos, capsys
):
    (tmp_path / "x.pth").write_bytes(pickle.dumps(content(arrays_of(0), arrays_of(1))))
    pretrained = f"model.pretrained={tmp_path / 'x.pth'}"
    said = refused(capsys, line(tmp_path, photos, pretrained))
    assert said.endswith(f" -o model.pretrained_{key}={others}.")
    assert not (tmp_path / "run").exists()
    words = line(tmp_path, photos, pretrained, f"model.pretrained_{key}={value}", FROZEN)
    assert main(words) == 0
    assert begins_with(RunFolder(tmp_path / "run"), arrays_of(1))
    out = capsys.readouterr().out
    assert "starting from" in out
    if key == "strict":
        assert "temperature" in out


@pytest.mark.parametrize("key", ["entry=teacher", "prefix=net.", "strict=false"])
def test_without_weights_to_start_from_they_are_refused(key, tmp_path, photos, capsys):
    words = line(tmp_path, photos, "model.pretrained=null", f"model.pretrained_{key}")
    said = refused(capsys, words)
    assert f"model.pretrained_{key.partition('=')[0]}=" in said
    assert "would have no effect: it is for model.pretrained that is given" in said


@pytest.mark.parametrize("key", ["entry=nobody", "prefix=nobody."])
def test_one_that_is_not_there_names_those_that_are(key, tmp_path, photos, capsys):
    content = {"student": arrays_of(0), "teacher": arrays_of(1)}
    if key.startswith("prefix"):
        content = {f"teacher.{n}": a for n, a in arrays_of(0).items()}
    (tmp_path / "x.pth").write_bytes(pickle.dumps(content))
    pretrained = f"model.pretrained={tmp_path / 'x.pth'}"
    said = refused(capsys, line(tmp_path, photos, pretrained, f"model.pretrained_{key}"))
    assert "nobody" in said
    assert "teacher" in said


def pretrained_file(folder, channels, mean, std):
    options = {**OPTIONS, "in_channels": channels}
    metadata = model_metadata(
        "resnet18", options, ["a", "b", "c", "d"], mean, std, [channels, 32, 32]
    )
    return save_weights(create_model("resnet18", **options), folder / "p.safetensors", metadata)


@pytest.mark.parametrize(
    ("channels", "wanted", "mean", "std"),
    [(3, 1, [0.5], [0.2]), (3, 3, MEAN, STD), (1, 3, [0.3] * 3, [0.7] * 3), (1, 1, [0.3], [0.7])],
)
def test_figures_of_channels_follow_the_images(channels, wanted, mean, std, tmp_path, photos):
    given = (MEAN, STD) if channels == 3 else ([0.3], [0.7])
    path = pretrained_file(tmp_path, channels, *given)
    words = line(
        tmp_path, photos, f"model.pretrained={path}", f"model.options.in_channels={wanted}"
    )
    assert main(words) == 0
    trained = load_trained(tmp_path / "run")
    assert np.allclose(trained.mean, mean)
    assert np.allclose(trained.std, std)
    assert trained.input_shape == [wanted, 32, 32]
    assert len(trained.mean) == wanted
    # What was trained on grey answers to photos of any colour, and is evaluated as it was tested.
    assert main(["predict", str(tmp_path / "run"), str(photos / "cat" / "0.png")]) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0


def test_grey_from_the_package_s_own_weights(tmp_path, photos):
    words = ["train", "-c", "finetune", "-o", "model.name=resnet20"]
    for override in [
        *("model.pretrained=resnet20", f"data.root={photos}", "model.options.in_channels=1"),
        *(f"run.dir={tmp_path}", "run.name=grey", "train.epochs=1", "train.batch_size=4"),
        *("run.visualdl=false", "run.report=false"),
    ]:
        words += ["-o", override]
    assert main(words) == 0
    assert json.loads((tmp_path / "grey" / "result.json").read_text())["status"] == "finished"


def test_pixels_as_they_are_stay_so(tmp_path, photos):
    path = pretrained_file(tmp_path, 3, None, None)
    words = line(tmp_path, photos, f"model.pretrained={path}", "model.options.in_channels=1")
    assert main(words) == 0
    assert load_trained(tmp_path / "run").mean is None


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize(("channels", "given"), [(1, "[0.5, 0.5, 0.5]"), (3, "[0.5]")])
def test_figures_of_other_channels_are_refused(key, channels, given, tmp_path, photos, capsys):
    channels = f"model.options.in_channels={channels}"
    words = line(tmp_path, photos, "model.pretrained=null", channels, f"data.{key}={given}")
    said = refused(capsys, words)
    assert f"data.{key} holds " in said
    assert "model.options.in_channels" in said
    assert not (tmp_path / "run").exists()
