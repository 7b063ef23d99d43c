"""What VisualDL shows of a run, read back from its files."""

import io
import json

import numpy as np
import paddle
import pytest
from paddle import nn
from PIL import Image
from run_helpers import stopping_after
from visualdl import LogReader, LogWriter

from paddle_resnet.config import list_recipes, load_config
from paddle_resnet.data.splits import load_splits
from paddle_resnet.models import load_trained
from paddle_resnet.runs.resume_rules import find_run, resumed_config
from paddle_resnet.training.callbacks.image_grid import grid, pixels
from paddle_resnet.training.callbacks.visualdl_file import VisualDLFile
from paddle_resnet.training.callbacks.visualdl_logger import SAMPLE, hyper_parameters, sample
from paddle_resnet.training.trainer import run

RECIPE = (
    "model.name=resnet18", "model.options.widths=[8,8,16,16]", "model.options.layers=[1,1,1,1]",
    "model.options.stochastic_depth=0.3", "data.root=sample", "data.max_train_images=64",
    "data.validation=0.05", "train.budget=null", "train.epochs=2", "train.batch_size=16",
    "train.eval_batch_size=100", "train.checkpoint_interval=1 steps", "optimizer.lr=0.01",
    "train.precision=float32", "run.log_interval=0.0001", "run.report=false",
)  # fmt: skip


def recipe(tmp_path, *overrides, name="run"):
    return load_config(
        "quickstart", (*RECIPE, f"run.dir={tmp_path}", f"run.name={name}", *overrides)
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(recipe(tmp_path_factory.mktemp("runs"), "run.graph=true")).folder


def read(folder):
    return LogReader(file_path=str(folder.visualdl / VisualDLFile.NAME))


def shown(reader, tag):
    (record,) = reader.get_data("image", tag)
    return np.asarray(Image.open(io.BytesIO(record.image.encoded_image_string)))


def everything(folder):
    """All that a log holds, but for times of day and measured speeds."""
    content = {}
    reader = read(folder)
    for kind, tags in reader.get_tags().items():
        for tag in tags:
            for each in reader.get_data(kind, tag):
                if kind == "meta_data" or "images_per_second" in tag:
                    continue
                each.ClearField("timestamp")
                if kind == "hyper_parameters":
                    each.hparam.ClearField("name")  # a mark of the folder's path
                content.setdefault((kind, tag), []).append(each.SerializeToString())
    return content


def test_the_first_batch_is_shown_as_the_network_sees_it(finished):
    config = finished.read_config()
    parts = load_splits(config, notify=lambda line: None)
    images = next(iter(parts.train.batches(0)))[0]
    mean, std = (np.array(each).reshape(3, 1, 1) for each in (parts.mean, parts.std))
    picture = shown(read(finished), "train/first batch")
    assert picture.shape == (2 * 34, 8 * 34, 3)
    for number in (0, 7, 8, 15):
        top, left = number // 8 * 34 + 1, number % 8 * 34 + 1
        seen = picture[top : top + 32, left : left + 32].transpose(2, 0, 1) / 255
        np.testing.assert_allclose((seen - mean) / std, images[number], atol=0.51 / 255 / 0.19)


def test_the_most_confident_mistakes_are_shown(finished):
    images = np.load(finished.predictions)["mistake_images"]
    picture = shown(read(finished), "test/most confident mistakes")
    assert picture.shape == (8 * 34, 8 * 34, 3)
    np.testing.assert_array_equal(picture[35:67, 69:101], images[10].transpose(1, 2, 0))


def test_weights_are_shown_after_each_epoch(finished):
    reader = read(finished)
    weights = {
        name: each.numpy()
        for name, each in load_trained(finished.last).network.named_parameters()
        if each.ndim > 1
    }
    assert set(reader.get_tags()["histogram"]) == {f"weights/{name}" for name in weights}
    for name, values in weights.items():
        first, last = reader.get_data("histogram", f"weights/{name}")
        assert (first.id, last.id) == (1, 2)
        parts = last.histogram
        assert sum(parts.hist) == min(values.size, SAMPLE)
        if values.size <= SAMPLE:
            counts, edges = np.histogram(values, 32)
            np.testing.assert_array_equal(parts.hist, counts)
            np.testing.assert_allclose(parts.bin_edges, edges, rtol=1e-6)


def test_of_a_large_layer_the_same_weights_are_looked_at_each_time():
    values = np.random.default_rng(0).standard_normal((600, 500)).astype(np.float32)
    before = np.random.get_state()[1].tolist()
    chosen = sample(paddle.to_tensor(values))
    assert np.random.get_state()[1].tolist() == before
    assert len(chosen) == SAMPLE
    np.testing.assert_array_equal(sample(paddle.to_tensor(values * 2)), chosen * 2)
    assert np.isin(chosen, values).all()
    assert len(np.unique(chosen)) > 0.9 * SAMPLE
    half = paddle.to_tensor(values[:5]).astype("bfloat16")
    np.testing.assert_allclose(sample(half), values[:5].ravel(), rtol=0.01)


def test_the_recipe_is_held_against_its_result(finished):
    reader = read(finished)
    (record,) = reader.get_data("hyper_parameters", "hparam")
    values = {
        each.name: getattr(each, each.WhichOneof("type")) for each in record.hparam.hparamInfos
    }
    assert values["model.name"] == "resnet18"
    assert values["optimizer.lr"] == pytest.approx(0.01)
    assert values["train.batch_size"] == 16
    assert json.loads(values["model.options"])["stochastic_depth"] == 0.3
    assert not any(name.startswith("run.") or name == "data.root" for name in values)
    metrics = [each.name for each in record.hparam.metricInfos]
    assert {"epoch/acc_top1/validation", "result/acc_top1/test"} < set(metrics)
    assert set(metrics) <= set(reader.get_tags()["scalar"])
    (accuracy,) = reader.get_data("scalar", "result/acc_top1/test")
    result = json.loads(finished.result.read_text())
    assert accuracy.value == pytest.approx(result["test"]["acc_top1"])
    assert accuracy.id == result["training"]["steps"]


def test_every_recipe_has_values_that_visualdl_takes(tmp_path):
    lines = []
    log = VisualDLFile(tmp_path, lines.append)
    for name in list_recipes():
        values = hyper_parameters(load_config(name, ("data.flip=false", "data.normalize=false")))
        assert values["data.flip"] == "false"
        assert all(type(value) in (str, int, float) for value in values.values())
        log.add_hparams(values, ["result/acc_top1/test"])
    log.close()
    assert lines == []
    kept = LogReader(file_path=str(log.path)).get_data("hyper_parameters", "hparam")
    assert len(kept[-1].hparam.hparamInfos) == len(values)


def test_the_graph_is_the_networks(finished):
    graph = json.loads((finished.visualdl / VisualDLFile.GRAPH).read_text())
    network = load_trained(finished.last).network
    convolutions = [each for each in network.sublayers() if isinstance(each, nn.Conv2D)]
    kinds = [node["type"] for node in graph["nodes"]]
    assert kinds.count("conv2d") == len(convolutions) > 5


@pytest.mark.parametrize("steps", [0, 5])
def test_an_interrupted_run_shows_the_same_once(finished, tmp_path, steps):
    config = recipe(tmp_path)
    with stopping_after(steps):
        run(config)
    folder = find_run(config)
    run(resumed_config(folder, config), resume=folder)  # as the command does
    ours, theirs = everything(folder), everything(finished)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if ours[key] != theirs[key]] == []


def test_without_it_the_training_is_the_same_to_the_bit(finished, tmp_path):
    folder = run(recipe(tmp_path, "run.visualdl=false")).folder
    assert folder.last.read_bytes() == finished.last.read_bytes()
    assert not folder.visualdl.exists()


def test_what_this_visualdl_cannot_do_is_left_out_with_one_notice_each(
    finished, tmp_path, monkeypatch, capsys
):
    def broken(*arguments, **options):
        raise AttributeError("module 'numpy' has no attribute 'float'")

    for method in ("add_image", "add_histogram", "add_hparams"):
        monkeypatch.setattr(LogWriter, method, broken)
    folder = run(recipe(tmp_path)).folder
    out = capsys.readouterr().out
    assert out.count("VisualDL") == 3
    for part in ("images", "histograms", "hyper-parameters"):
        notice = f"notice: this VisualDL has no {part}: they are left out (module 'numpy' has"
        assert out.count(notice) == 1
    assert set(read(folder).get_tags()) == {"scalar", "meta_data"}
    assert read(folder).get_tags()["scalar"] == read(finished).get_tags()["scalar"]
    assert folder.last.read_bytes() == finished.last.read_bytes()


class OutsideOfGraphs(nn.Layer):
    """Computes with NumPy, which no graph can hold."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 2)

    def forward(self, x):
        return self.linear(paddle.to_tensor(np.asarray(x, np.float32) + 1).reshape([-1, 12]))


def test_a_network_without_a_graph_is_one_notice(tmp_path):
    lines, network = [], OutsideOfGraphs()
    log = VisualDLFile(tmp_path / "visualdl", lines.append)
    for _ in range(2):
        log.add_graph(network, [3, 2, 2])
    log.add_scalar("a/b/c", 1.0, 1)
    log.close()
    (line,) = lines
    assert line.startswith("notice: this VisualDL has no graphs: they are left out")
    assert [path.name for path in (tmp_path / "visualdl").iterdir()] == [log.NAME]
    assert paddle.in_dynamic_mode()
    assert network.training
    assert network(paddle.ones([1, 3, 2, 2])).shape == [1, 2]


def test_pixels_come_back_from_every_normalisation(sample):
    images = sample.train_images[:5]
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
    shape = (3, 1, 1)
    plain = images.astype(np.float32) / 255
    np.testing.assert_array_equal(pixels(plain, None, None), images)
    normal = (plain - np.reshape(mean, shape)) / np.reshape(std, shape)
    np.testing.assert_array_equal(pixels(normal.astype(np.float32), mean, std), images)
    assert pixels(np.float32([[[[2.0, -1.0]]]]), None, None).tolist() == [[[[255, 0]]]]


def test_a_grid_has_room_for_large_images_and_for_few():
    def of(count, height, width, channels=3):
        return grid(np.full((count, channels, height, width), 9, np.uint8))

    assert of(100, 32, 32).shape == (272, 272, 3)
    assert of(3, 32, 32).shape == (34, 102, 3)
    assert of(64, 224, 224).shape == (4 * 226, 4 * 226, 3)
    assert of(64, 2000, 100, channels=1).shape == (2002, 816, 3)
    assert of(9, 4, 4)[7:, 6:].max() == 0  # nothing beside the last one
