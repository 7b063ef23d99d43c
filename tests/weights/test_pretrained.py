"""Published weights, with files in the place of the internet."""

import hashlib
import json
import time

import numpy as np
import paddle
import pytest

from paddle_resnet import (
    BasicBlock,
    ResNet,
    create_model,
    load_trained,
    resnet18,
    resnet20,
    save_weights,
)
from paddle_resnet.cli import main
from paddle_resnet.data.cifar.sample import load_sample
from paddle_resnet.data.loader import BatchLoader
from paddle_resnet.errors import WeightsError
from paddle_resnet.evaluation.evaluate import evaluate_loader
from paddle_resnet.weights import pretrained


def small_network(**options):
    """Stands for resnet18, for speed: the published table is replaced, too."""
    return ResNet((1, 1), BasicBlock, **{"num_classes": 20, "widths": (4, 8), **options})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def source(tmp_path, monkeypatch, cache):
    """A published resnet18, and its file."""
    network = small_network()
    path = save_weights(network, tmp_path / "resnet18.pdparams")
    table = {"resnet18": (path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest())}
    monkeypatch.setattr(pretrained, "published", lambda: table)
    return network, path


def test_the_table_is_paddles_own():
    table = pretrained.published()
    assert {"resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"} <= set(table)
    assert all(url.endswith(f"/{name}.pdparams") for name, (url, _) in table.items())


def test_every_published_network_is_one_of_ours_with_the_same_arrays():
    for name in pretrained.published():
        with paddle.LazyGuard():  # names and shapes are enough: no weights are drawn
            ours, theirs = create_model(name), getattr(paddle.vision.models, name)()
        shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (ours, theirs)]
        assert shapes[0] == shapes[1], name


def test_loaded_once_and_kept(source, cache):
    network, path = source
    other = small_network()
    assert not pretrained.load_pretrained(other, "resnet18").missing
    assert np.array_equal(other.fc.weight.numpy(), network.fc.weight.numpy())
    path.unlink()
    pretrained.load_pretrained(other, "resnet18")
    assert [p.name for p in cache.iterdir()] == ["resnet18.pdparams"]


def test_another_number_of_classes_and_channels(source):
    other = small_network(num_classes=10, in_channels=1)
    report = pretrained.load_pretrained(other, "resnet18")
    assert report.missing == ["fc.weight", "fc.bias"]


def test_another_stem_is_refused(source):
    with pytest.raises(WeightsError, match=r"'conv1.weight' has shape"):
        pretrained.load_pretrained(small_network(stem="cifar"), "resnet18")


def test_paddles_own_copy_is_used(source, cache, tmp_path):
    _, path = source
    folder = tmp_path / "home" / ".cache" / "paddle" / "hapi" / "weights"
    folder.mkdir(parents=True)
    path.rename(folder / path.name)
    assert pretrained.fetch_pretrained("resnet18") == folder / path.name
    assert not cache.exists()


def test_a_damaged_copy_is_replaced(source, cache):
    cache.mkdir(parents=True)
    (cache / "resnet18.pdparams").write_bytes(b"half a file")
    path = pretrained.fetch_pretrained("resnet18")
    assert path.read_bytes() == source[1].read_bytes()


def test_a_wrong_checksum_leaves_nothing(source, cache):
    source[1].write_bytes(b"not what was published")
    with pytest.raises(WeightsError, match=r"resnet18 could not be downloaded \(its MD5 is not"):
        pretrained.fetch_pretrained("resnet18")
    assert list(cache.iterdir()) == []


def test_without_internet_it_says_so_soon(cache, monkeypatch):
    # 192.0.2.0/24 is reserved for documentation: nobody answers there.
    table = {"resnet50": ("http://192.0.2.1/resnet50.pdparams", "0" * 32)}
    monkeypatch.setattr(pretrained, "published", lambda: table)
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"could not be downloaded .*connect, or put the file"):
        pretrained.fetch_pretrained("resnet50", timeout=0.5)
    assert time.monotonic() - start < 5


def test_an_unknown_name_comes_with_the_nearest(cache):
    with pytest.raises(WeightsError, match="Did you mean 'resnet50'"):
        pretrained.fetch_pretrained("resnet_50")


def test_as_everyone_spells_it(source, tmp_path, monkeypatch):
    thin = {"widths": (4, 8, 8, 8)}
    published = resnet18(num_classes=20, **thin)
    path = save_weights(published, tmp_path / "resnet18.pdparams")
    table = {"resnet18": (path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest())}
    monkeypatch.setattr(pretrained, "published", lambda: table)
    network = resnet18(num_classes=10, pretrained=True, **thin)
    assert network.num_classes == 10
    np.testing.assert_array_equal(
        network.layer4[0].conv1.conv.weight.numpy(), published.layer4[0].conv1.conv.weight.numpy()
    )
    with pytest.raises(WeightsError, match="publishes no weights of 'resnet32'"):
        create_model("resnet32", pretrained=True)


def test_the_packages_own_needs_no_download_and_knows_the_sample(cache, monkeypatch):
    monkeypatch.setattr(pretrained, "published", dict)
    trained = load_trained("resnet20")
    sample = load_sample()
    loader = BatchLoader(
        sample.test_images, sample.test_labels, 250, mean=trained.mean, std=trained.std
    )
    network = resnet20(pretrained=True)
    network.eval()
    figures = evaluate_loader(network, loader).summary()
    assert figures["images"] == 500
    assert figures["acc_top1"] > 0.88
    for name, tensor in trained.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), network.state_dict()[name].numpy())
    assert not cache.exists()


def test_the_packages_own_as_a_start_for_other_classes_and_channels():
    network = resnet20(num_classes=3, in_channels=1, pretrained=True)
    own = resnet20(pretrained=True)
    np.testing.assert_array_equal(
        network.layer3[0].conv1.conv.weight.numpy(), own.layer3[0].conv1.conv.weight.numpy()
    )
    assert network.fc.weight.shape == [64, 3]


def test_the_packages_own_does_not_fit_another_shortcut():
    with pytest.raises(WeightsError, match=r"resnet20\.safetensors"):
        resnet20(shortcut="B", pretrained=True)


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet20").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="'resnet20'"):
        load_trained("resnet20")


def test_predict_needs_no_network_named(tmp_path, capsys):
    from PIL import Image

    sample = load_sample()
    right = 0
    for i in range(20):
        path = tmp_path / f"{i:02}.png"
        Image.fromarray(sample.test_images[i].transpose(1, 2, 0)).save(path)
    assert main(["predict", str(tmp_path), "--top", "1", "--json"]) == 0
    captured = capsys.readouterr()
    assert "the package's resnet20, which knows airplane, automobile" in captured.err
    classes = load_trained("resnet20").classes
    for line, label in zip(captured.out.splitlines(), sample.test_labels[:20]):
        right += json.loads(line)["top"][0]["class"] == classes[label]
    assert right >= 15
    assert main(["predict", "resnet20", str(tmp_path / "03.png"), "--top", "1"]) == 0
    assert "which knows" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["resnet20"], "'resnet20' is a network: name the images"),
        (["runs/nope", "cat.jpg"], "no run folder or weights file 'runs/nope', and no image"),
        (["nope.safetensors", "cat.jpg"], "there is no image 'cat.jpg'"),
        (["resnet2"], "Did you mean 'resnet20'"),
    ],
)
def test_what_predict_cannot_take(given, words, capsys):
    assert main(["predict", *given]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.full
def test_the_packages_own_reaches_on_the_whole_test_set_what_its_readme_says(capsys):
    assert main(["evaluate", "resnet20", "--json"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["acc_top1"]
    readme = (pretrained.bundled_weights()["resnet20"].parent / "README.md").read_text()
    assert f"{accuracy:.2%}".replace("%", " %") in readme
