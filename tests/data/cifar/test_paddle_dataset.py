import numpy as np
import paddle
import pytest
from paddle.vision import transforms
from PIL import Image

from paddle_resnet.data import Cifar10
from paddle_resnet.errors import DataError


@pytest.fixture(scope="module", params=["train", "test"])
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def pairs(official):
    """Build Paddle's data set and ours on the same images."""

    def build(**options):
        theirs = paddle.vision.datasets.Cifar10(data_file=str(official), **options)
        return theirs, Cifar10("sample", **options)

    return build


def test_pil_items_are_paddles(pairs, mode):
    theirs, ours = pairs(mode=mode, backend="pil")
    assert len(ours) == len(theirs)
    for index in range(len(ours)):
        (image, label), (wanted, wanted_label) = ours[index], theirs[index]
        assert type(image) is type(wanted) is Image.Image
        assert image.mode == wanted.mode == "RGB"
        assert image.tobytes() == wanted.tobytes()
        assert same_array(label, wanted_label)


def test_cv2_items_are_paddles(pairs, mode):
    theirs, ours = pairs(mode=mode, backend="cv2")
    for index in range(len(ours)):
        (image, label), (wanted, wanted_label) = ours[index], theirs[index]
        assert same_array(image, wanted)
        assert same_array(label, wanted_label)


@pytest.mark.parametrize("backend", ["pil", "cv2"])
def test_transformed_items_are_paddles(pairs, backend):
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [1.0] * 3)]
    )
    theirs, ours = pairs(mode="test", backend=backend, transform=transform)
    for index in range(10):
        (image, label), (wanted, wanted_label) = ours[index], theirs[index]
        assert type(image) is type(wanted)
        assert image.dtype == wanted.dtype
        assert np.array_equal(image.numpy(), wanted.numpy())
        assert same_array(label, wanted_label)


def test_the_default_backend_and_type_are_paddles(pairs):
    before = paddle.vision.get_image_backend(), paddle.get_default_dtype()
    try:
        for backend, dtype in (("pil", "float32"), ("cv2", "float32"), ("cv2", "float64")):
            paddle.vision.set_image_backend(backend)
            paddle.set_default_dtype(dtype)
            theirs, ours = pairs(mode="test")
            assert ours.backend == theirs.backend == backend
            image, wanted = ours[0][0], theirs[0][0]
            assert type(image) is type(wanted)
            assert np.asarray(image).dtype == np.asarray(wanted).dtype
    finally:
        paddle.vision.set_image_backend(before[0])
        paddle.set_default_dtype(before[1])


def same_array(one, other):
    return (
        type(one) is type(other)
        and one.dtype == other.dtype
        and one.shape == other.shape
        and np.array_equal(one, other)
    )


def test_it_says_what_it_holds(sample):
    dataset = Cifar10("sample", mode="test")
    assert np.array_equal(dataset.images, sample.test_images)
    assert np.array_equal(dataset.labels, sample.test_labels)
    assert dataset.classes[:3] == ("airplane", "automobile", "bird")
    assert dataset.is_sample
    assert "sample" in dataset.source


def test_paddle_spells_the_mode_in_any_case(pairs):
    theirs, ours = pairs(mode="TEST")
    assert len(ours) == len(theirs) == 500
    assert ours.mode == theirs.mode == "test"


def test_iterating_ends(sample):
    assert sum(1 for _ in Cifar10("sample", mode="test")) == 500


def test_unknown_choices_get_the_nearest_spelling():
    with pytest.raises(DataError, match=r"must be 'train' or 'test', not 'tran'\. Did you mean"):
        Cifar10("sample", mode="tran")
    with pytest.raises(DataError, match=r"must be 'pil' or 'cv2', not 'PIL'\. Did you mean"):
        Cifar10("sample", backend="PIL")
    with pytest.raises(DataError, match="mode must be 'train' or 'test', not 3"):
        Cifar10("sample", mode=3)


def test_a_bad_path_is_an_error(tmp_path):
    with pytest.raises(DataError, match="there is no file or folder"):
        Cifar10(tmp_path / "absent.tar.gz")


def test_paddle_model_trains_on_it():
    model = paddle.Model(paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(3072, 10)))
    model.prepare(
        paddle.optimizer.SGD(1e-3, parameters=model.parameters()), paddle.nn.CrossEntropyLoss()
    )
    train = Cifar10("sample", mode="train", transform=transforms.ToTensor())
    model.fit(train, batch_size=64, num_iters=3, verbose=0)
