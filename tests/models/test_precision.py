"""Mixed precision as far as a CPU can show it: what is asked for, refused, passed on."""

import contextlib

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.data import BatchLoader
from paddle_resnet.errors import TrainingError
from paddle_resnet.evaluation.evaluate import evaluate_loader
from paddle_resnet.models.precision import Precision
from paddle_resnet.training import ImageClassifier


@pytest.fixture
def gpu(monkeypatch):
    """Let the code believe in a GPU, and note what it asks of Paddle there."""
    asked = []

    @contextlib.contextmanager
    def auto_cast(**kwargs):
        asked.append(kwargs)
        yield

    monkeypatch.setattr(paddle.device, "get_device", lambda: "gpu:0")
    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    return asked


def test_a_cpu_computes_in_float32_and_says_so(tiny):
    precision = Precision("float16")
    assert not precision.is_mixed
    assert precision.make_scaler() is None
    assert "needs a GPU" in precision.notice
    assert Precision("float32").notice == ""
    with pytest.warns(UserWarning, match="bfloat16 needs the CPU operator"):
        ImageClassifier(tiny).prepare(amp_configs={"level": "O1", "dtype": "bfloat16"})


def test_settings_are_those_of_the_base_class_and_a_dtype(gpu):
    for given in ("O1", {"level": "O1"}, {"init_loss_scaling": 64.0}):
        assert Precision.parse(given).dtype == "float16"
    for off in (None, {}, "", "O0", {"level": "O0"}):
        assert (Precision.parse(off).dtype, Precision.parse(off).is_mixed) == ("float32", False)
    precision = Precision.parse(
        {"dtype": "bfloat16", "level": "O2", "custom_white_list": ["matmul"]}
    )
    with precision.autocast():
        pass
    assert gpu == [{"level": "O2", "dtype": "bfloat16", "custom_white_list": ["matmul"]}]
    assert precision.make_scaler() is None  # bfloat16 has the range of float32
    scaled = Precision.parse({"init_loss_scaling": 64.0})
    assert scaled.scaler == {"init_loss_scaling": 64.0}
    assert isinstance(scaled.make_scaler(), paddle.amp.GradScaler)
    assert not Precision.parse("O0").is_mixed


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"dtyp": "float16"}, "Did you mean 'dtype'?"),
        ({"dtype": "float61"}, "Did you mean 'float16'?"),
        ("O3", "expected one of O0, O1, O2"),
    ],
)
def test_mistakes_are_named(given, part):
    with pytest.raises(TrainingError) as caught:
        Precision.parse(given)
    assert part in str(caught.value)


def test_forward_loss_evaluation_and_prediction_all_run_in_it(gpu, tiny, batches):
    inside = []

    class Loss(nn.Layer):
        def forward(self, logits, labels):
            inside.append(len(gpu))
            return nn.functional.cross_entropy(logits, labels)

    model = ImageClassifier(tiny)
    optimizer = paddle.optimizer.SGD(0.01, tiny.parameters())
    model.prepare(optimizer, Loss(), amp_configs={"dtype": "bfloat16"})
    model.fit(batches[:2], batches[:1], epochs=1, verbose=0)
    # The loss is computed after the context was entered and before the next one was.
    assert (len(gpu), inside) == (3, [1, 2, 3])
    model.predict([(batches[0][0],)], verbose=0)
    assert len(gpu) == 4
    images = (batches[0][0] * 255).astype(np.uint8)
    evaluate_loader(tiny, BatchLoader(images, batches[0][1], 16), precision=Precision("bfloat16"))
    assert len(gpu) == 6
    assert all(asked == {"level": "O1", "dtype": "bfloat16"} for asked in gpu)


def test_half_precision_weights_are_made_once(gpu, tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(paddle.amp, "decorate", lambda *a, **k: asked.append((a, k)))
    optimizer = paddle.optimizer.SGD(0.01, tiny.parameters())
    ImageClassifier(tiny).prepare(optimizer, amp_configs={"level": "O2", "dtype": "bfloat16"})
    assert asked == [((tiny, optimizer), {"level": "O2", "dtype": "bfloat16"})]
