"""`Predictor` takes images of every kind, and threads may share it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_resnet import Predictor, cpu_runtime, load_trained
from paddle_resnet.cli import main
from paddle_resnet.data.folder.image_io import read_image
from paddle_resnet.errors import DataError, DeployError, UserError
from paddle_resnet.evaluation.classify import classify

ROOT = Path(__file__).parents[2]
#: One that does not hold Paddle already, as `sys.executable` does in this folder.
PYTHON = sys.executable


@pytest.fixture(scope="module")
def picture(tmp_path_factory, cifar):
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    Image.fromarray(cifar.test_images[0].transpose(1, 2, 0)).resize((70, 48)).save(path)
    return path


def test_all_kinds_of_one_image_get_the_networks_answer(float32_file, picture):
    trained = load_trained("resnet20")
    expected = classify(trained, read_image(picture, [3, 32, 32]), 3)
    predictor = Predictor(float32_file)
    image = Image.open(picture)
    kinds = [picture, str(picture), picture.read_bytes(), image, np.asarray(image)]
    answers = predictor.predict(kinds, top=3)
    assert answers == [answers[0]] * 5
    assert [a["class"] for a in answers[0]] == [a["class"] for a in expected]
    for mine, networks in zip(answers[0], expected):
        assert mine["probability"] == pytest.approx(networks["probability"], abs=1e-5)
    assert predictor.predict(picture, top=3) == answers[:1]
    assert predictor.predict([]) == []
    assert len(predictor.predict(picture, top=99)[0]) == 10


def test_grey_and_transparent_images(float32_file):
    predictor = Predictor(float32_file)
    grey = np.arange(48 * 40, dtype=np.uint32).reshape(48, 40).astype(np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=2)
    assert predictor.predict(grey) == predictor.predict(colour)
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    white = np.full((40, 40, 3), 255, np.uint8)
    assert predictor.predict(clear) == predictor.predict(white)


@pytest.mark.parametrize(
    ("image", "error", "match"),
    [
        (b"no image", DataError, "no image"),
        ("/no/such/file.png", DataError, "No such file"),
        (3, DeployError, "not int"),
        (np.zeros((4, 4, 3)), UserError, "float64"),
        (np.zeros((4, 4, 2), np.uint8), UserError, r"\[4, 4, 2\]"),
        (np.zeros((0, 4, 3), np.uint8), UserError, r"\[0, 4, 3\]"),
    ],
)
def test_what_is_no_image_is_named(float32_file, image, error, match):
    with pytest.raises(error, match=match):
        Predictor(float32_file).predict([image])


def test_arrays_of_another_shape_are_refused(float32_file):
    predictor = Predictor(float32_file)
    for images in (np.zeros((2, 3, 32, 33), np.uint8), np.zeros((2, 3, 32, 32), np.float32)):
        with pytest.raises(DeployError, match="uint8 images"):
            predictor.probabilities(images)
    assert predictor.probabilities(np.zeros((0, 3, 32, 32), np.uint8)).shape == (0, 10)
    with pytest.raises(DeployError, match="top is 0"):
        predictor.predict([np.zeros((4, 4, 3), np.uint8)], top=0)


@pytest.mark.parametrize("kind", ["float32_file", "paddle_folder"])
def test_threads_may_share_it(kind, request, cifar):
    """A Paddle predictor that threads share gives wrong answers without an error."""
    predictor = Predictor(request.getfixturevalue(kind), threads=1)
    images = cifar.test_images[:64]
    expected = [predictor.logits(image[None]) for image in images]
    wrong = []

    def client(first):
        for index in [*range(first, 64, 4)] * 3:
            answer = predictor.logits(images[index][None])
            if np.abs(answer - expected[index]).max() > 1e-4:
                wrong.append(index)

    threads = [threading.Thread(target=client, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []


def test_predict_and_evaluate_commands(float32_file, int8_file, picture, capsys):
    assert main(["predict", str(int8_file), str(picture), "--top", "2"]) == 0
    assert "cat" in capsys.readouterr().out
    assert main(["evaluate", "resnet20", "--data", "sample", "--json"]) == 0
    network = capsys.readouterr().out
    assert main(["evaluate", str(float32_file), "--data", "sample", "--json"]) == 0
    import json

    network, exported = json.loads(network), json.loads(capsys.readouterr().out)
    assert exported["images"] == network["images"] == 500
    assert exported["acc_top1"] == network["acc_top1"]
    assert exported["loss"] == pytest.approx(network["loss"], abs=1e-5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["predict", "{onnx}", "{picture}", "--tta", "flip"], "--tta"),
        (["evaluate", "{onnx}", "--tta", "flip"], "--tta"),
        (["predict", "resnet20", "{picture}", "--runtime", "openvino"], "--runtime"),
        (["evaluate", "resnet20", "--runtime", "openvino"], "--runtime"),
        (["evaluate", "{onnx}", "--batch-size", "0"], "--batch-size"),
        (["predict", "{onnx}"], "name the images"),
    ],
)
def test_options_that_do_not_apply(line, words, float32_file, picture, capsys):
    line = [part.format(onnx=float32_file, picture=picture) for part in line]
    assert main(line) == 2
    assert words in capsys.readouterr().err


def test_exported_files_need_no_paddle(float32_file, picture):
    code = (
        "import sys; sys.modules['paddle'] = None\n"
        "from paddle_resnet import Predictor\n"
        "from paddle_resnet.cli import main\n"
        f"assert Predictor({str(float32_file)!r}).predict({str(picture)!r})\n"
        f"sys.exit(main(['predict', {str(float32_file)!r}, {str(picture)!r}]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([PYTHON, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cat" in done.stdout


def test_openvino_gives_the_same_answers(float32_file, int8_file, cifar):
    pytest.importorskip("openvino", reason="needs the extra [openvino]")
    images = cifar.test_images[:100]
    for file, tolerance in ((float32_file, 1e-3), (int8_file, 2.0)):
        mine = Predictor(file, runtime="openvino").logits(images)
        assert np.abs(mine - Predictor(file).logits(images)).max() < tolerance


def test_a_runtime_that_is_not_installed_is_named(float32_file, monkeypatch):
    for name, runtime in (("onnxruntime", None), ("openvino", "openvino"), ("onnx", None)):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(DeployError, match=f"pip install .*{name}"):
                Predictor(float32_file, runtime=runtime)


@pytest.mark.parametrize("threads", [None, 1])
def test_the_process_keeps_its_number_of_threads(paddle_folder, cifar, threads):
    """Paddle Inference leaves one: what was trained afterwards was slow, and other in last bits."""
    openmp = cpu_runtime._openmp()
    before = openmp.omp_get_max_threads()
    try:
        openmp.omp_set_num_threads(3)
        predictor = Predictor(paddle_folder, threads=threads)
        assert openmp.omp_get_max_threads() == 3
        predictor.logits(cifar.test_images[:2])
        assert openmp.omp_get_max_threads() == 3
    finally:
        cpu_runtime._set_threads(openmp, before)  # of MKL too, which the predictor has set
