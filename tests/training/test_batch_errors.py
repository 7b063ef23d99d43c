"""Batches that no network or loss can take: one sentence that says why, and nothing is changed."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.data import BatchLoader
from paddle_resnet.errors import DataError
from paddle_resnet.training import ImageClassifier

IMAGES = np.random.RandomState(0).rand(8, 3, 8, 8).astype(np.float32)
LABELS = np.arange(8) % 3
BOTH = pytest.mark.parametrize("method", ["fit", "evaluate"])


def network(classes=3, size=3):
    paddle.seed(0)
    return nn.Sequential(
        *(nn.Conv2D(3, 4, size), nn.BatchNorm2D(4), nn.ReLU(), nn.AdaptiveAvgPool2D(1)),
        *(nn.Flatten(), nn.Linear(4, classes)),
    )


def classifier(loss=None, net=None, metrics=None):
    net = net or network()
    model = ImageClassifier(net)
    optimizer = paddle.optimizer.Momentum(0.1, parameters=net.parameters())
    model.prepare(optimizer, loss or nn.CrossEntropyLoss(), metrics)
    return model


def refused(model, batch, method="fit"):
    """The sentence, after a look at what must not have changed."""
    before = {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}
    with pytest.raises(DataError) as error:
        getattr(model, method)([batch], verbose=0)
    for name, tensor in model.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name], name)
    text = str(error.value)
    assert text.endswith(".")
    assert "Hint" not in text
    return text


@BOTH
@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        ("float64", "images.astype('float32')."),
        ("float16", "images.astype('float32')."),
        ("uint8", "images.astype('float32') / 255"),
        ("int64", "images.astype('float32') / 255"),
        ("int32", "images.astype('float32') / 255"),
    ],
)
def test_dtype_of_images(method, dtype, advice):
    text = refused(classifier(), ((IMAGES * 255).astype(dtype), LABELS), method)
    assert text.startswith(f"the images are {dtype} [8, 3, 8, 8], and the network computes in ")
    assert advice in text


def test_dtype_of_images_for_predict():
    with pytest.raises(DataError, match="the images are float64"):
        ImageClassifier(network()).predict([IMAGES.astype("float64")], verbose=0)


def test_a_network_in_float64_takes_such_images():
    net = network()
    net.to(dtype="float64")
    history = classifier(net=net).fit([(IMAGES.astype("float64"), LABELS)], verbose=0)
    assert np.isfinite(history["loss"][0])


@BOTH
@pytest.mark.parametrize(
    ("images", "part"),
    [
        (IMAGES.transpose(0, 2, 3, 1), "takes 3 channels first: transpose them by [0, 3, 1, 2]"),
        (IMAGES[:, :1], "with 1 channel, and the network's first convolution '0' takes 3"),
        (IMAGES[0], "the images are float32 [3, 8, 8], expected [N, C, H, W]"),
        (IMAGES.reshape(8, -1), "the images are float32 [8, 192], expected [N, C, H, W]"),
        (IMAGES[:0], "holds no images"),
        (7.0, "holds no images"),
        ("x.jpg", "a batch holds builtins.str (x.jpg): expected arrays"),
        (np.array(["a"] * 8), "a batch holds <U1"),
    ],
    ids=["channels last", "grey", "one image", "flat", "empty", "number", "path", "text"],
)
def test_shape_of_images(method, images, part):
    assert part in refused(classifier(), (images, LABELS), method)


def test_a_network_with_channels_last_is_told_the_other_way_round():
    net = nn.Sequential(nn.Conv2D(3, 4, 3, data_format="NHWC"), nn.Flatten(), nn.Linear(144, 3))
    text = refused(classifier(net=net), (IMAGES, LABELS))
    assert "takes 3 channels last: transpose them by [0, 2, 3, 1]" in text
    assert "expected [N, H, W, C]" in refused(classifier(net=net), (IMAGES[0], LABELS))


@BOTH
@pytest.mark.parametrize(
    ("labels", "part"),
    [
        (
            LABELS + 1,
            "run from 1 to 3, and the network's 3 outputs stand for classes 0 to 2;",
        ),
        (LABELS + 1, "subtract 1"),
        (LABELS - 1, "run from -1 to 1"),
        (LABELS - 1, "CrossEntropyLoss(ignore_index=-1) leaves such images out"),
        (LABELS * 9, "run from 0 to 18, and the network's 3 outputs stand for classes 0 to 2."),
        (LABELS[:, None] + 1, "subtract 1"),
        (LABELS.astype("int32") + 1, "subtract 1"),
        (LABELS[:5], "8 images and labels of shape [5]"),
        (np.eye(3, dtype="int64")[LABELS], "one row a class each"),
        (np.eye(3, dtype="float32")[LABELS], "soft_label=True"),
        (np.zeros([8, 4, 4], "int64"), "expected int64 [8]"),
        (np.array(list("abcabcab")), "a batch holds <U1"),
    ],
)
def test_labels(method, labels, part):
    assert part in refused(classifier(), (IMAGES, labels), method)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool", "int8", "int16"])
def test_dtype_of_labels(dtype):
    text = refused(classifier(), (IMAGES, (LABELS % 2).astype(dtype)))
    assert text == f"the labels are {dtype}, expected int64: labels.astype('int64')."


def test_shares_are_no_class_numbers():
    text = refused(classifier(), (IMAGES, np.full([8], 0.5, "float32")))
    assert text == "the labels are float32, expected int64: class numbers, not shares."


@pytest.mark.parametrize(
    ("labels", "loss"),
    [
        (LABELS.astype("int32"), None),
        (LABELS[:, None], None),
        (np.where(LABELS == 2, -100, LABELS), None),
        (LABELS - 1, nn.CrossEntropyLoss(ignore_index=-1)),
        (np.eye(3, dtype="float32")[LABELS], nn.CrossEntropyLoss(soft_label=True)),
        (np.eye(3, dtype="float32")[LABELS], nn.BCEWithLogitsLoss()),
        (LABELS.astype("float32"), lambda out, y: ((out[:, 0] - y) ** 2).mean()),
    ],
    ids=["int32", "column", "ignored", "own ignored", "soft", "bce", "own loss"],
)
def test_labels_that_paddle_takes_work(labels, loss):
    history = classifier(loss).fit([(IMAGES, labels)], verbose=0)
    assert np.isfinite(history["loss"][0])


@BOTH
@pytest.mark.parametrize(
    ("batch", "part"),
    [
        ((IMAGES,), "the batch has no labels: expected (images, labels)"),
        (IMAGES, "the batch has no labels: expected (images, labels)"),
        (
            (IMAGES, LABELS, LABELS),
            "CrossEntropyLoss is called with 1 output and 2 labels",
        ),
        ({"label": LABELS, "pixels": IMAGES}, "in the order of their names, label, pixels, the im"),
        ({"image": IMAGES}, "the batch has no labels"),
    ],
    ids=["no labels", "array", "three parts", "dict", "dict without labels"],
)
def test_parts_of_a_batch(method, batch, part):
    assert part in refused(classifier(), batch, method)


@BOTH
def test_metrics_without_labels(method):
    net = network()
    model = ImageClassifier(net)
    model.prepare(
        paddle.optimizer.SGD(0.1, net.parameters()),
        (lambda out: out.mean()) if method == "fit" else None,
        paddle.metric.Accuracy(),
    )
    with pytest.raises(DataError, match="the batch has no labels"):
        getattr(model, method)([IMAGES], verbose=0)


@BOTH
@pytest.mark.parametrize("data", [(IMAGES, LABELS), [IMAGES, LABELS], IMAGES], ids=str)
def test_arrays_in_place_of_data(method, data):
    with pytest.raises(DataError, match=r"TensorDataset\(\[images, labels\]\)"):
        getattr(classifier(), method)(data, verbose=0)
    tensors = tuple(map(paddle.to_tensor, data)) if isinstance(data, tuple) else data
    with pytest.raises(DataError, match="array"):
        getattr(classifier(), method)(tensors, verbose=0)


def test_labels_in_place_of_evaluation_data():
    with pytest.raises(DataError, match="train_data is an array"):
        classifier().fit(IMAGES, LABELS, verbose=0)
    with pytest.raises(DataError, match="eval_data is an array"):
        classifier().fit([(IMAGES, LABELS)], LABELS, verbose=0)


def test_what_the_sentence_advises_works():
    data = paddle.io.TensorDataset([IMAGES, LABELS])
    assert len(classifier().fit(data, batch_size=4, verbose=0)) == 1


def test_two_batches_without_labels_are_data():
    net = network()
    model = ImageClassifier(net)
    model.prepare(paddle.optimizer.SGD(0.1, net.parameters()), lambda out: (out**2).mean())
    assert len(model.fit([IMAGES, IMAGES], verbose=0)) == 1
    assert len(model.predict([IMAGES, IMAGES], verbose=0)[0]) == 2


def test_an_error_of_the_network_itself_comes_as_it_is():
    class Broken(nn.Layer):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            raise KeyError("own fault")

    with pytest.raises(KeyError, match="own fault"):
        classifier(net=Broken()).fit([(IMAGES, LABELS)], verbose=0)


def test_an_error_of_the_loss_itself_comes_as_it_is():
    def loss(outputs, labels):
        raise KeyError("own fault")

    model = classifier(loss)
    before = {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}
    with pytest.raises(KeyError, match="own fault"):
        model.fit([(IMAGES, LABELS)], verbose=0)
    for name, tensor in model.network.state_dict().items():  # running statistics included
        np.testing.assert_array_equal(tensor.numpy(), before[name], name)


@pytest.mark.parametrize("kwargs", [{}, {"mean": [0.5] * 3}, {"mean": [0.5] * 3, "std": [1] * 3}])
@pytest.mark.parametrize("shape", [(8, 32, 32, 3), (8, 24, 40, 3), (8, 28, 28, 1)])
def test_batch_loader_of_images_with_channels_last(shape, kwargs):
    with pytest.raises(DataError, match=r"\[N, C, H, W\], but are uint8 .*transpose\(0, 3, 1, 2\)"):
        BatchLoader(np.zeros(shape, np.uint8), LABELS, 4, **kwargs)
